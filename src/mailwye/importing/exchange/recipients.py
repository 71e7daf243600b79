"""Recipients as Get-Mailbox, Get-MailUser, Get-MailContact and Get-DistributionGroup print them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailwye.config.exchange import NO_MAIL
from mailwye.importing.collect import Note
from mailwye.importing.report import Outcome


def read_recipient(kind: str, values: Mapping[str, Any], lines: Mapping[str, int], notes: list[Note]) -> dict[str, Any]:
    """The fields that the schema has; `notes` gets what is not so here."""
    data: dict[str, Any] = {}
    primary = values.get("primarysmtpaddress") or values.get("windowsemailaddress")
    addresses = values.get("emailaddresses") or values.get("aliases") or []
    listed = addresses if isinstance(addresses, list) else [addresses]
    if not primary:
        # The one with the upper-case prefix is the primary address.
        primary = next((str(one)[5:] for one in listed if str(one).startswith("SMTP:")), None)
    if primary:
        data["PrimarySmtpAddress"] = primary
    aliases = [one for one in listed if not str(one).lower().startswith(NO_MAIL)]
    aliases = [one for one in aliases if _bare(one) != _bare(primary)]
    if aliases:
        data["EmailAddresses"] = aliases
    if isinstance(values.get("displayname"), str):
        data["DisplayName"] = values["displayname"]
    if kind in ("MailUser", "MailContact"):
        target = values.get("externalemailaddress")
        if (target and _bare(target) != _bare(primary)) or (target and kind == "MailContact"):
            data["ExternalEmailAddress"] = target
    if kind == "DistributionGroup":
        _members(values, lines, data, notes)
    return data


def _members(values: Mapping[str, Any], lines: Mapping[str, int], data: dict[str, Any], notes: list[Note]) -> None:
    members = values.get("members")
    if members:
        data["Members"] = members
        return
    remedy = (
        "Export with `Get-DistributionGroup | Select-Object *, @{n='Members'; e={@((Get-DistributionGroupMember $_.Guid.Guid "
        "-ResultSize Unlimited).PrimarySmtpAddress)}}`"
    )
    notes.append(
        Note("Members", "Get-DistributionGroup prints no members: the group is empty", remedy, lines.get("members", 0), Outcome.LEFT_OUT)
    )


def _bare(address: object) -> str:
    text = str(address or "").lower()
    return text.removeprefix("smtp:")
