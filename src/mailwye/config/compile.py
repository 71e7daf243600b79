"""Organization (as saved) → Snapshot (as the deciding functions read it)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
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


Previous = tuple[schema.Organization, Snapshot]  # a version and what was made of it

_RECIPIENTS = ("mailboxes", "mail_users", "mail_contacts", "distribution_groups")
_DIRECTORY = ("accepted_domains", *_RECIPIENTS)
_RULES = ("transport_rules",)
_CONNECTORS = tuple(name for name in schema.Organization.fields if name not in (*_DIRECTORY, *_RULES))


def compile_snapshot(organization: schema.Organization, version: int, *, previous: Previous | None = None) -> Snapshot:
    """Build the look-up tables once. The organization has passed the checks: nothing is refused here.

    `previous`: tables whose objects are the same Python objects there (as a store gives them where nothing changed) are taken over, so
    that one changed connector does not rebuild the look-up of 100,000 domains while mail flows.
    """
    directory, connectors, rules = _kept(organization, previous)
    if directory is None:
        directory = Directory(
            (_same_fields(AcceptedDomain, domain) for domain in organization.accepted_domains),
            _recipients(organization),
        )
    if connectors is None:
        connectors = ConnectorTable(
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
        )
    if rules is None:
        rules = RuleTable(directory, _rules(organization)) if organization.transport_rules else NO_RULES
    return Snapshot(version=version, organization=organization.name, directory=directory, connectors=connectors, rules=rules)


class KeptTables:
    """The tables that were built last, for a process that lives on: whatever did not change since is taken over, also where what was
    looked at in between (a draft, a change with errors) is not what is saved. Holds one organization. For one thread at a time.
    """

    def __init__(self) -> None:
        self._last: Previous | None = None

    def compiled(self, organization: schema.Organization, version: int) -> Snapshot:
        """As compile_snapshot."""
        snapshot = compile_snapshot(organization, version, previous=self._last)
        self._last = organization, snapshot
        return snapshot


def _kept(organization: schema.Organization, previous: Previous | None) -> tuple[Directory | None, ConnectorTable | None, RuleTable | None]:
    """What of the previous snapshot holds for this organization too. What is not known to be of the directory counts as connectors'."""
    if previous is None:
        return None, None, None
    before, snapshot = previous

    def same(attributes: tuple[str, ...]) -> bool:
        return all(getattr(organization, name) is getattr(before, name) for name in attributes)

    directory = snapshot.directory if same(_DIRECTORY) else None
    if directory is None and same(_RECIPIENTS):
        directory = _with_other_domains(before, organization, snapshot.directory)
    connectors = snapshot.connectors if same(_CONNECTORS) else None
    return directory, connectors, snapshot.rules if directory is snapshot.directory and same(_RULES) else None


def _with_other_domains(before: schema.Organization, after: schema.Organization, directory: Directory) -> Directory | None:
    """None where two domains have one name (which the checks refuse): then their order counts."""
    was, stays = {id(one) for one in before.accepted_domains}, {id(one) for one in after.accepted_domains}
    gone = (one.domain_name for one in before.accepted_domains if id(one) not in stays)
    come = (_same_fields(AcceptedDomain, one) for one in after.accepted_domains if id(one) not in was)
    changed = directory.with_domains(gone, come)
    return changed if changed.domains == len(after.accepted_domains) else None


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
    names, values_of = _fields(cls)  # type: ignore[arg-type]  # a class is hashable
    values = values_of(source)
    if converted:
        values = tuple(converted.get(name, value) for name, value in zip(names, values, strict=True))
    return cls(*values)


@cache
def _fields(cls: type[Any]) -> tuple[tuple[str, ...], attrgetter[tuple[Any, ...]]]:
    """Asked for each of 100,000 objects."""
    names = tuple(entry.name for entry in dataclasses.fields(cls))
    return names, attrgetter(*names)
