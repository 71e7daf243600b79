"""Organization (as saved) → Snapshot (as the deciding functions read it)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from mailwye.config import schema
from mailwye.config.compile_own_server import receive_connector, send_connector
from mailwye.config.rule_order import with_priorities
from mailwye.config.secrets import compiled_credential
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import DirectDelivery, InboundConnector, OutboundConnector
from mailwye.connectors.receive_table import ReceiveTable
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind
from mailwye.policy.rules.decide import NO_RULES, RuleTable
from mailwye.policy.rules.model import Predicates, TransportRule

_T = TypeVar("_T")


def compile_snapshot(organization: schema.Organization, version: int) -> Snapshot:
    """Build the look-up tables once. The organization has passed the checks: nothing is refused here."""
    directory = Directory(
        (_same_fields(AcceptedDomain, domain) for domain in organization.accepted_domains),
        _recipients(organization),
    )
    return Snapshot(
        version=version,
        organization=organization.name,
        directory=directory,
        connectors=ConnectorTable(
            (_same_fields(InboundConnector, connector) for connector in organization.inbound_connectors),
            (
                *(
                    _same_fields(OutboundConnector, connector, authentication_credential=compiled_credential(connector))
                    for connector in organization.outbound_connectors
                ),
                *map(send_connector, organization.send_connectors),
            ),
            _same_fields(DirectDelivery, organization.organization),
            ReceiveTable(map(receive_connector, organization.receive_connectors)) if organization.receive_connectors else None,
        ),
        rules=RuleTable(directory, _rules(organization)) if organization.transport_rules else NO_RULES,
    )


def _rules(organization: schema.Organization) -> Iterator[TransportRule]:
    for rule in with_priorities(organization, {}).transport_rules:
        assert rule.priority is not None, "with_priorities numbers them all"
        yield TransportRule(
            name=rule.name,
            priority=rule.priority,
            enabled=rule.enabled,
            mode=rule.mode,
            stop_rule_processing=rule.stop_rule_processing,
            conditions=_predicates(rule, ""),
            exceptions=_predicates(rule, "except_if_"),
            route_message_outbound_connector=rule.route_message_outbound_connector,
            comments=rule.comments,
        )


def _predicates(rule: schema.TransportRule, prefix: str) -> Predicates:
    """The conditions of a rule, or (`except_if_`) its exceptions: fields of the same names, with the prefix before them."""
    return Predicates(**{entry.name: getattr(rule, f"{prefix}{entry.name}") for entry in dataclasses.fields(Predicates)})


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


def _same_fields(cls: type[_T], source: schema.ConfigObject, **converted: Any) -> _T:
    """The dataclass `cls` with the values of the schema object, whose fields have the same names (a test holds them together); but for
    those that are `converted`.
    """
    values: dict[str, Any] = source.__dict__ | converted
    return cls(**{entry.name: values[entry.name] for entry in dataclasses.fields(cls)})  # type: ignore[arg-type]  # _T is a dataclass
