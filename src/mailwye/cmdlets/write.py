"""An organization as cmdlets: New-… for every object, so that the script makes the same organization from nothing, here or in Exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mailwye.cmdlets.catalog import CONFIG_NOUN, RECIPIENT_KINDS, model_of
from mailwye.config.exchange.powershell import SINGLE
from mailwye.config.export import in_order, to_plain
from mailwye.config.schema import KINDS, ConfigObject, Organization, field_names

_BARE = re.compile(r"[A-Za-z*][A-Za-z0-9_.*@-]*").fullmatch
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*").fullmatch

OURS: dict[str, frozenset[str]] = {
    "AcceptedDomain": frozenset({"MtaStsMode", "MtaStsMXHosts", "MtaStsMaxAge"}),
    "InboundConnector": frozenset({"TrustedAuthorities", "TlsSenderCertificatePins"}),
    "OutboundConnector": frozenset(
        {"ClientCertificate", "RemoveInternalReceivedHeaders", "SmartHostAuthMechanism", "AuthenticationCredential"}
    ),
    CONFIG_NOUN: frozenset({"Name", "SenderRewritingEnabled", "RemoveInternalReceivedHeaders"}),
}
"""Fields of which Exchange knows nothing."""


def write(organization: Organization) -> str:
    """The script, with a line end after each cmdlet. Objects that others name come first."""
    organization = in_order(organization)
    lines = list(_settings(organization))
    for kind in KINDS:
        things = organization.objects(kind)
        if kind == "TransportRule":
            things = tuple(sorted(things, key=lambda rule: getattr(rule, "priority", 0)))
        for thing in things:
            lines += _object(kind, thing)
    return "".join(f"{line}\n" for line in lines)


def _settings(organization: Organization) -> Iterator[str]:
    plain = to_plain(organization.organization)
    if plain:
        yield from _with_note(CONFIG_NOUN, f"Set-{CONFIG_NOUN}", plain)


def _object(kind: str, thing: ConfigObject) -> Iterator[str]:
    plain = to_plain(thing)
    name = plain.pop("Name", None)
    command = f"New-{kind}"
    if kind in RECIPIENT_KINDS:
        command += f" -Name {_value(plain['PrimarySmtpAddress'])}"  # Exchange demands one; where it is the address, it says nothing
    elif kind == "AcceptedDomain":
        command += f" -Name {_value(name or plain['DomainName'])}"
    elif name is not None:
        command += f" -Name {_value(name)}"
    if kind == "InboundConnector":
        plain = {"SenderDomains": ["*"], **plain}  # Exchange demands it
    is_default = kind == "AcceptedDomain" and plain.pop("Default", False)
    yield from _with_note(kind, command, plain)
    if is_default:
        yield f"Set-{kind} {_value(plain['DomainName'])} -MakeDefault $true"


def _with_note(kind: str, command: str, plain: dict[str, Any]) -> Iterator[str]:
    ours = [name for name in plain if name in OURS.get(kind, ())]
    if _beyond(plain):
        ours.append("ports, priorities and weights of SmartHosts")
    if ours:
        yield f"# Exchange does not know: {', '.join(ours)}"
    if "AuthenticationCredential" in plain and "AuthenticationCredential" not in ours:
        yield "# Exchange takes -AuthenticationCredential (Get-Credential) and asks for the password"
    yield " ".join((command, *(f"-{name} {_value(value)}" for name, value in plain.items())))


def _beyond(plain: dict[str, Any]) -> bool:
    hosts = plain.get("SmartHosts", [])
    return any(isinstance(host, dict) or re.search(r"[^:]:\d+$|\]:\d+$", str(host)) for host in hosts if not _is_bare_ipv6(host))


def _is_bare_ipv6(host: Any) -> bool:
    return isinstance(host, str) and host.count(":") > 1 and "[" not in host


def _value(value: Any, *, within_table: bool = False) -> str:
    match value:
        case bool():
            return "$true" if value else "$false"
        case int():
            return str(value)
        case list():
            return ",".join(_value(one) for one in value) or "$null"
        case dict():
            entries = "; ".join(f"{_key(key)}={_value(one, within_table=True)}" for key, one in value.items())
            return f"@{{{entries}}}"
        case _:
            return _text(str(value), within_table=within_table)


def _key(key: str) -> str:
    return key if _KEY(key) else _text(key, within_table=True)


def _text(text: str, *, within_table: bool) -> str:
    if _BARE(text) and not within_table:
        return text
    return "'" + "".join(one * 2 if one in SINGLE else one for one in text) + "'"


def unknown_to_schema() -> dict[str, frozenset[str]]:
    """What of OURS the schema does not have: nothing, as a test sees to."""
    kinds = {CONFIG_NOUN: "Organization"}
    return {kind: names - set(field_names(model_of(kinds.get(kind, kind)))) for kind, names in OURS.items()}
