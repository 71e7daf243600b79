"""Organization (as saved) → Snapshot (as the deciding functions read it)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from mailwye.config import schema
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import DirectDelivery, InboundConnector, OutboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind

_T = TypeVar("_T")


def compile_snapshot(organization: schema.Organization, version: int) -> Snapshot:
    """Build the look-up tables once. The organization has passed the checks: nothing is refused here."""
    return Snapshot(
        version=version,
        organization=organization.name,
        directory=Directory(
            (_same_fields(AcceptedDomain, domain) for domain in organization.accepted_domains),
            _recipients(organization),
        ),
        connectors=ConnectorTable(
            (_same_fields(InboundConnector, connector) for connector in organization.inbound_connectors),
            (_same_fields(OutboundConnector, connector) for connector in organization.outbound_connectors),
            _same_fields(DirectDelivery, organization.organization),
        ),
    )


def _recipients(organization: schema.Organization) -> Iterator[DirectoryRecipient]:
    for recipient in organization.recipients():
        yield DirectoryRecipient(
            kind=RecipientKind(recipient.kind),
            primary_smtp_address=recipient.primary_smtp_address,
            email_addresses=recipient.email_addresses,
            external_email_address=(
                recipient.external_email_address if isinstance(recipient, schema.MailUser | schema.MailContact) else None
            ),
            members=recipient.members if isinstance(recipient, schema.DistributionGroup) else (),
            display_name=recipient.display_name,
        )


def _same_fields(cls: type[_T], source: schema.ConfigObject) -> _T:
    """The dataclass `cls` with the values of the schema object, whose fields have the same names (a test holds them together)."""
    values: dict[str, Any] = source.__dict__
    return cls(**{entry.name: values[entry.name] for entry in dataclasses.fields(cls)})  # type: ignore[arg-type]  # _T is a dataclass
