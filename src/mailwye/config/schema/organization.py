"""The organization: everything that an organization file holds, one list per kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, TypeVar, cast

from mailwye.config.schema.config_object import ConfigObject, field
from mailwye.config.schema.connectors import InboundConnector, OutboundConnector
from mailwye.config.schema.domains import AcceptedDomain
from mailwye.config.schema.own_server import ReceiveConnector, SendConnector
from mailwye.config.schema.recipients import DistributionGroup, Mailbox, MailContact, MailUser, Recipient
from mailwye.config.schema.rules import TransportRule
from mailwye.config.schema.value import Value, each
from mailwye.config.schema.values import FLAG, NAME

DEFAULT_NAME = "default"

_C = TypeVar("_C", bound=ConfigObject)


class OrganizationSettings(ConfigObject):
    """The organization's own settings; the flags are for mail that leaves without a connector."""

    kind: ClassVar[str] = "Organization"

    name: str = field(NAME, default=DEFAULT_NAME)
    sender_rewriting_enabled: bool = field(FLAG, default=False)
    remove_internal_received_headers: bool = field(FLAG, default=False)

    @property
    def label(self) -> str:
        """As messages name it."""
        return self.kind


_KINDS = {
    "organization": OrganizationSettings.kind,
    "accepted_domains": AcceptedDomain.kind,
    "mailboxes": Mailbox.kind,
    "mail_users": MailUser.kind,
    "mail_contacts": MailContact.kind,
    "distribution_groups": DistributionGroup.kind,
    "inbound_connectors": InboundConnector.kind,
    "outbound_connectors": OutboundConnector.kind,
    "send_connectors": SendConnector.kind,
    "receive_connectors": ReceiveConnector.kind,
    "transport_rules": TransportRule.kind,
}


DEFAULT_SETTINGS = OrganizationSettings()
"""Where nothing is set."""


def _one(cls: type[_C]) -> Value[_C]:
    return Value(cls, cls.read, {"type": "object"}, cls.plain)


def _list(cls: type[_C]) -> Value[tuple[_C, ...]]:
    return each(_one(cls), tuple)


class Organization(ConfigObject, spelling=_KINDS.__getitem__):
    """All objects of one organization, in the order in which they were written. The keys of the file are the kinds."""

    organization: OrganizationSettings = field(_one(OrganizationSettings), default=DEFAULT_SETTINGS)
    accepted_domains: tuple[AcceptedDomain, ...] = field(_list(AcceptedDomain), default=())
    mailboxes: tuple[Mailbox, ...] = field(_list(Mailbox), default=())
    mail_users: tuple[MailUser, ...] = field(_list(MailUser), default=())
    mail_contacts: tuple[MailContact, ...] = field(_list(MailContact), default=())
    distribution_groups: tuple[DistributionGroup, ...] = field(_list(DistributionGroup), default=())
    inbound_connectors: tuple[InboundConnector, ...] = field(_list(InboundConnector), default=())
    outbound_connectors: tuple[OutboundConnector, ...] = field(_list(OutboundConnector), default=())
    send_connectors: tuple[SendConnector, ...] = field(_list(SendConnector), default=())
    receive_connectors: tuple[ReceiveConnector, ...] = field(_list(ReceiveConnector), default=())
    transport_rules: tuple[TransportRule, ...] = field(_list(TransportRule), default=())

    @property
    def name(self) -> str:
        """The organization's name."""
        return self.organization.name

    def objects(self, kind: str) -> tuple[ConfigObject, ...]:
        """The objects of one kind, by its Exchange name."""
        return cast("tuple[ConfigObject, ...]", getattr(self, KINDS[kind].attribute))

    def recipients(self) -> Iterator[Recipient]:
        """Every recipient of the four kinds."""
        yield from self.mailboxes
        yield from self.mail_users
        yield from self.mail_contacts
        yield from self.distribution_groups


NO_OBJECTS = Organization()
"""The organization of a fresh installation."""


class Kind:
    """One kind of object: where Organization keeps it, its class, and the space in which its identity is unique."""

    __slots__ = ("attribute", "model", "space")

    def __init__(self, attribute: str, model: type[ConfigObject], space: str) -> None:
        self.attribute = attribute
        self.model = model
        self.space = space


KINDS: dict[str, Kind] = {
    AcceptedDomain.kind: Kind("accepted_domains", AcceptedDomain, "AcceptedDomain"),
    Mailbox.kind: Kind("mailboxes", Mailbox, "recipient"),
    MailUser.kind: Kind("mail_users", MailUser, "recipient"),
    MailContact.kind: Kind("mail_contacts", MailContact, "recipient"),
    DistributionGroup.kind: Kind("distribution_groups", DistributionGroup, "recipient"),
    InboundConnector.kind: Kind("inbound_connectors", InboundConnector, "InboundConnector"),
    OutboundConnector.kind: Kind("outbound_connectors", OutboundConnector, "OutboundConnector"),
    SendConnector.kind: Kind("send_connectors", SendConnector, "OutboundConnector"),  # one name, one way out
    ReceiveConnector.kind: Kind("receive_connectors", ReceiveConnector, "ReceiveConnector"),
    TransportRule.kind: Kind("transport_rules", TransportRule, "TransportRule"),
}
