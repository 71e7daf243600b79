"""The organization: everything that an organization file holds, one list per kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict

from mailwye.config.scalars import as_list
from mailwye.config.schema.config_object import ConfigObject
from mailwye.config.schema.connectors import InboundConnector, OutboundConnector
from mailwye.config.schema.domains import AcceptedDomain
from mailwye.config.schema.own_server import ReceiveConnector, SendConnector
from mailwye.config.schema.recipients import DistributionGroup, Mailbox, MailContact, MailUser, Recipient
from mailwye.config.schema.rules import TransportRule
from mailwye.config.schema.values import Flag, Name

DEFAULT_NAME = "default"

_T = TypeVar("_T")
_List = Annotated[tuple[_T, ...], BeforeValidator(as_list)]


class OrganizationSettings(ConfigObject):
    """The organization's own settings; the flags are for mail that leaves without a connector."""

    kind: ClassVar[str] = "Organization"

    name: Name = DEFAULT_NAME
    sender_rewriting_enabled: Flag = False
    remove_internal_received_headers: Flag = False

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


DEFAULT_SETTINGS = OrganizationSettings.model_construct()
"""Where nothing is set. As NO_OBJECTS, made without validation, for which pydantic would build the model at each start of a command."""


class Organization(ConfigObject):
    """All objects of one organization, in the order in which they were written. The keys of the file are the kinds."""

    model_config = ConfigDict(alias_generator=_KINDS.__getitem__)

    organization: OrganizationSettings = DEFAULT_SETTINGS
    accepted_domains: _List[AcceptedDomain] = ()
    mailboxes: _List[Mailbox] = ()
    mail_users: _List[MailUser] = ()
    mail_contacts: _List[MailContact] = ()
    distribution_groups: _List[DistributionGroup] = ()
    inbound_connectors: _List[InboundConnector] = ()
    outbound_connectors: _List[OutboundConnector] = ()
    send_connectors: _List[SendConnector] = ()
    receive_connectors: _List[ReceiveConnector] = ()
    transport_rules: _List[TransportRule] = ()

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


NO_OBJECTS = Organization.model_construct()
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
