"""What cmdlets hand to one another and print: objects with their properties, and pieces of output."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from mailwye.cmdlets.catalog import name_field
from mailwye.config.export import to_plain
from mailwye.config.schema import ConfigObject, OrganizationSettings
from mailwye.value import dataclass

DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "AcceptedDomain": ("DomainName", "DomainType", "MatchSubDomains", "Default"),
    "Mailbox": ("PrimarySmtpAddress", "DisplayName", "EmailAddresses"),
    "MailUser": ("PrimarySmtpAddress", "DisplayName", "ExternalEmailAddress"),
    "MailContact": ("PrimarySmtpAddress", "DisplayName", "ExternalEmailAddress"),
    "DistributionGroup": ("PrimarySmtpAddress", "DisplayName", "Members"),
    "InboundConnector": ("Name", "Enabled", "ConnectorType", "SenderDomains", "TlsSenderCertificateName", "SenderIPAddresses"),
    "OutboundConnector": ("Name", "Enabled", "ConnectorType", "RecipientDomains", "SmartHosts", "TlsSettings"),
    "TransportRule": ("Priority", "Name", "Enabled", "Mode", "RouteMessageOutboundConnector"),
    "SendConnector": ("Name", "Enabled", "AddressSpaces", "SmartHosts"),
    "ReceiveConnector": ("Name", "Enabled", "Bindings", "RemoteIPRanges"),
}


class Style(Enum):
    """How a piece of output looks."""

    TABLE = "table"
    LIST = "list"
    JSON = "json"
    CSV = "csv"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Record:
    """An object in a pipeline. `kind`: the schema's, "" after Select-Object. `thing`: the object itself, None after Select-Object.
    `properties`: plain values (text, numbers, true and false, lists, None) by name, every field, defaults too.
    """

    kind: str
    properties: Mapping[str, Any]
    thing: ConfigObject | None = None

    def find(self, name: str) -> tuple[bool, Any]:
        """(whether there is a property of this name, its value), in any case. Identity and Name are there for all."""
        lower = name.lower()
        for known, value in self.properties.items():
            if known.lower() == lower:
                return True, value
        if self.thing is not None and lower in ("identity", "id", "name"):
            return True, str(self.properties[name_field(self.thing.kind)])
        return False, None


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a script prints. `rows`: plain values by column; `text` for Style.TEXT."""

    style: Style
    columns: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    text: str = ""


def record_of(thing: ConfigObject) -> Record:
    """An object with all its properties."""
    return Record(thing.kind, thing.plain(), thing)


def settings_of(thing: ConfigObject) -> dict[str, Any]:
    """What is set, to be changed and read again: as files have it, and what is default but was written all the same."""
    whole = thing.plain()
    written = {entry.name for name, entry in type(thing).fields.items() if name in thing.given}
    return {name: value for name, value in whole.items() if name in written} | to_plain(thing)


def default_columns(records: tuple[Record, ...]) -> tuple[str, ...]:
    """What is shown of objects where nobody said which properties."""
    kinds = {record.kind for record in records}
    if len(kinds) == 1:
        kind = next(iter(kinds))
        return DEFAULT_COLUMNS.get(kind) or tuple(records[0].properties)
    if "" not in kinds:
        return ("Kind", "PrimarySmtpAddress", "DisplayName")
    return tuple(dict.fromkeys(name for record in records for name in record.properties))


def is_single(records: tuple[Record, ...]) -> bool:
    """True for the organization's settings, of which there is one: they are shown as a list."""
    return len(records) == 1 and records[0].kind == OrganizationSettings.kind
