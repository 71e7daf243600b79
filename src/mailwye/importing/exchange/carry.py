"""One object of Exchange, whichever format it came in → the schema's object and what is to be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailwye.config.problem import shown
from mailwye.config.schema import KINDS, field_names
from mailwye.config.schema.credential import SAVED
from mailwye.importing.collect import Collector, Note, Place
from mailwye.importing.exchange.properties import CONSEQUENCES, FACTS_OF, NO_KIND
from mailwye.importing.exchange.recipients import read_recipient
from mailwye.importing.exchange.rules import read_rule
from mailwye.importing.exchange.values import UnreadableValue, is_empty, plain
from mailwye.importing.report import Outcome

_RECIPIENTS = ("Mailbox", "MailUser", "MailContact", "DistributionGroup")
_CHOICES = (
    *("connectortype", "tlssettings", "domaintype", "mode", "fromscope", "senttoscope", "mtastsmode", "smtpdanemode"),
    *("tlsauthlevel", "smarthostauthmechanism", "permissiongroups", "authmechanism"),
)
_CREDENTIAL = "AuthenticationCredential"


@dataclass(slots=True)
class Found:
    """An object as its source has it. `properties`: lower-case name → value, already plain where the reader could make it so;
    `names`: lower-case name → as written; `lines`: lower-case name → line.
    """

    kind: str
    place: Place
    properties: dict[str, Any]
    names: dict[str, str]
    lines: dict[str, int]

    @property
    def name(self) -> str:
        """What people call it."""
        keys = ("domainname", "primarysmtpaddress", "windowsemailaddress", "name", "identity")
        wanted = keys if self.kind in ("AcceptedDomain", *_RECIPIENTS) else ("name", "identity")
        for key in wanted:
            try:
                text = plain(self.properties.get(key))
            except UnreadableValue:
                continue
            if isinstance(text, str) and text:
                return text
        return ""


class Refused(Exception):
    """The object is left out as a whole."""

    def __init__(self, reason: str, remedy: str, key: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.key = key
        """The property that is to blame, in lower case."""


def carry(found: Found, collector: Collector) -> None:
    """Carry one object over, or report why not."""
    if found.kind not in KINDS:
        reason, remedy = NO_KIND.get(found.kind, ("this kind of object does not exist here", "Nothing is to be done"))
        collector.left_out(f"{found.kind} {shown(found.name)}", reason, remedy, found.place)
        return
    try:
        data, notes = _read(found, collector)
    except Refused as refused:
        name = found.names.get(refused.key, "")
        place = Place(found.place.file, found.lines.get(refused.key, 0) or found.place.line)
        reason = f"{name}: {refused.reason}" if name else refused.reason
        collector.refuse(found.kind, found.name, reason, refused.remedy, place)
        return
    lines = {key: line for key, line in found.lines.items() if line}
    collector.add(found.kind, data, found.place, notes=notes, lines=lines)


def _read(found: Found, collector: Collector) -> tuple[dict[str, Any], list[Note]]:
    values = _plain_values(found)
    notes: list[Note] = []
    if found.kind in _RECIPIENTS:
        data = read_recipient(found.kind, values, found.lines, notes)
    elif found.kind == "TransportRule":
        rule = read_rule(values, found.names, found.lines, collector, notes)
        if isinstance(rule, tuple):
            raise Refused(*rule)
        data = rule
    else:
        data = _fields(found, values, notes)
    for key, consequence in CONSEQUENCES.get(found.kind, {}).items():
        value = values.get(key)
        if not (is_empty(value) or (isinstance(value, str) and value.lower() == consequence.unset)):
            if consequence.whole:
                raise Refused(consequence.reason, consequence.remedy, key)
            name, line = found.names.get(key, key), found.lines.get(key, 0)
            notes.append(Note(name, consequence.reason, consequence.remedy, line, consequence.outcome))
    return data, notes


def _plain_values(found: Found) -> dict[str, Any]:
    """Every property that matters for the kind in its plain form; the others may have any shape."""
    known = {name.lower() for name in field_names(KINDS[found.kind].model)}
    known |= CONSEQUENCES.get(found.kind, {}).keys()
    values: dict[str, Any] = {}
    for key, value in found.properties.items():
        try:
            values[key] = plain(value)
        except UnreadableValue as error:
            if key in known:
                raise Refused(f"it {error}", "Export with ConvertTo-Json -Depth 5, or correct the value", key) from error
    return values


def _fields(found: Found, values: Mapping[str, Any], notes: list[Note]) -> dict[str, Any]:
    """Domains and connectors: their fields bear Exchange's names. What else is set is reported."""
    model = {name.lower(): name for name in field_names(KINDS[found.kind].model)}
    facts = FACTS_OF[found.kind]
    data: dict[str, Any] = {}
    for key, value in values.items():
        if key in model:
            if value is not None:
                data[model[key]] = _choice(key, value)
        elif not (key in facts or "@" in key or is_empty(value) or key in CONSEQUENCES.get(found.kind, {})):
            reason = f"Mailwye knows no such setting of {found.kind} (it is {shown(value)})"
            notes.append(Note(found.names[key], reason, "See whether you need it", found.lines.get(key, 0), Outcome.LEFT_OUT))
    if found.kind == "AcceptedDomain":
        _domain(data, values, found, notes)
    else:
        if found.kind == "ReceiveConnector" and "RemoteIPRanges" not in data:
            reason = "it does not say from which addresses it takes mail, and that would mean from all"
            raise Refused(reason, "Export whole connectors: `Get-ReceiveConnector | ConvertTo-Json -Depth 5`", "remoteipranges")
        data.setdefault("Name", found.name)
        _connector(found, data, notes)
        if _CREDENTIAL in data:
            data[_CREDENTIAL] = _credential(data[_CREDENTIAL], found, notes)
    return data


def _choice(key: str, value: Any) -> Any:
    """A choice that PowerShell printed as a number is refused: no page of Microsoft says what the numbers mean."""
    if key in _CHOICES and isinstance(value, int) and not isinstance(value, bool):
        remedy = "Export with `ConvertTo-Json -EnumsAsStrings` (PowerShell 7), so that words are printed instead of numbers"
        raise Refused(f"the number {value} stands for a word, and nobody says for which", remedy, key)
    return value


def _credential(value: Any, found: Found, notes: list[Note]) -> dict[str, Any]:
    """Without the password, also where somebody wrote one: what is printed goes into files. The placeholder makes `apply` ask for it."""
    if not isinstance(value, dict):
        raise Refused("it holds no UserName and Password", "Export with ConvertTo-Json -Depth 5, or correct the value", _CREDENTIAL.lower())
    if value["password"] != SAVED:
        remedy = f"Write it into the file in the place of {SAVED}, once; it is encrypted when the file is applied"
        line = found.lines.get(_CREDENTIAL.lower(), 0)
        notes.append(Note(f"{_CREDENTIAL}: Password", "passwords are not carried over", remedy, line, Outcome.LEFT_OUT))
    return {"UserName": value["username"], "Password": SAVED}


def _domain(data: dict[str, Any], values: Mapping[str, Any], found: Found, notes: list[Note]) -> None:
    name = data.get("DomainName") or values.get("identity")
    if isinstance(name, str) and name.startswith("*."):
        # New-AcceptedDomain of Exchange Server takes *.contoso.com for the domain with its subdomains.
        name = name[2:]
        data["MatchSubDomains"] = True
    data["DomainName"] = name
    if str(data.get("Name", "")).lower() == str(name).lower():
        del data["Name"]
    if str(data.get("DomainType", "")).lower() == "externalrelay":
        data["DomainType"] = "InternalRelay"
        remedy = "Give it an OutboundConnector of type OnPremises that leads to the servers of the domain"
        notes.append(
            Note(
                "DomainType",
                "ExternalRelay becomes InternalRelay, the only kind of relaying here",
                remedy,
                found.lines.get("domaintype", 0),
            )
        )
    if data.get("MatchSubDomains") is True and str(data.get("DomainType", "Authoritative")).lower() == "authoritative":
        reason = "an Authoritative domain cannot have subdomains without names: their recipients cannot be known"
        raise Refused(reason, "Set DomainType InternalRelay, or write an AcceptedDomain for each subdomain", "domainname")


def _connector(found: Found, data: Mapping[str, Any], notes: list[Note]) -> None:
    patterns = data.get("SenderDomains") or []
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        _, _, cost = str(pattern).partition(";")
        if cost not in ("", "1"):
            reason = f"the cost {cost} of {shown(pattern)} is dropped: the most specific connector takes the mail"
            notes.append(Note("SenderDomains", reason, "Check it with `mailwye explain`", found.lines.get("senderdomains", 0)))
    on_premises = str(data.get("ConnectorType", "")).lower() == "onpremises"
    if found.kind == "InboundConnector" and on_premises and data.get("SenderIPAddresses") and data.get("TlsSenderCertificateName"):
        reason = "certificate and address must both hold here; Exchange's pages know one or the other"
        notes.append(
            Note("SenderIPAddresses", reason, "Remove one of them, or make two connectors", found.lines.get("senderipaddresses", 0))
        )
