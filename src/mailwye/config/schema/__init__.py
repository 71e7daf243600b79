"""The schema of an organization's objects: one class per noun, canonical values, Exchange's spelling."""

from __future__ import annotations

from mailwye.config.schema.config_object import ConfigObject, Field, Unreadable, exchange_name, field_names
from mailwye.config.schema.connectors import InboundConnector, OutboundConnector
from mailwye.config.schema.domains import AcceptedDomain
from mailwye.config.schema.organization import DEFAULT_SETTINGS, KINDS, NO_OBJECTS, Organization, OrganizationSettings
from mailwye.config.schema.own_server import ReceiveConnector, SendConnector
from mailwye.config.schema.recipients import DistributionGroup, Mailbox, MailContact, MailUser, Recipient
from mailwye.config.schema.rules import TransportRule

__all__ = [
    "DEFAULT_SETTINGS",
    "KINDS",
    "NO_OBJECTS",
    "AcceptedDomain",
    "ConfigObject",
    "DistributionGroup",
    "Field",
    "InboundConnector",
    "MailContact",
    "MailUser",
    "Mailbox",
    "Organization",
    "OrganizationSettings",
    "OutboundConnector",
    "ReceiveConnector",
    "Recipient",
    "SendConnector",
    "TransportRule",
    "Unreadable",
    "exchange_name",
    "field_names",
]
