"""Roles and what they permit: the table. Whatever a role does not name is denied."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Permission(Enum):
    """What a route or a change asks for. The values are the scopes of tokens."""

    SETTINGS_READ = "settings.read"
    SETTINGS_WRITE = "settings.write"  # the organization, domains and connectors
    RECIPIENTS_READ = "recipients.read"
    RECIPIENTS_WRITE = "recipients.write"
    RULES_WRITE = "rules.write"
    PASSWORDS_WRITE = "passwords.write"
    QUEUE_READ = "queue.read"
    QUEUE_WRITE = "queue.write"
    CONTENT_READ = "content.read"  # header sections of queued messages
    TRACE_READ = "trace.read"
    EXPLAIN = "explain"
    STATUS_READ = "status.read"
    AUDIT_READ = "audit.read"
    ACCOUNTS_WRITE = "accounts.write"  # users, and tokens of others
    OWN = "own"  # oneself: who am I, own tokens


class Role(Enum):
    """Exchange's role groups, by their names."""

    ORGANIZATION_MANAGEMENT = "Organization Management"
    VIEW_ONLY = "View-Only Organization Management"
    RECIPIENT_MANAGEMENT = "Recipient Management"
    HYGIENE_MANAGEMENT = "Hygiene Management"
    HELP_DESK = "Help Desk"


_P = Permission
_LOOK = frozenset({_P.SETTINGS_READ, _P.RECIPIENTS_READ, _P.QUEUE_READ, _P.TRACE_READ, _P.EXPLAIN, _P.STATUS_READ, _P.OWN})

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ORGANIZATION_MANAGEMENT: frozenset(Permission),
    Role.VIEW_ONLY: _LOOK | {_P.AUDIT_READ},
    Role.RECIPIENT_MANAGEMENT: frozenset(
        {_P.RECIPIENTS_READ, _P.RECIPIENTS_WRITE, _P.PASSWORDS_WRITE, _P.TRACE_READ, _P.EXPLAIN, _P.STATUS_READ, _P.OWN}
    ),
    Role.HYGIENE_MANAGEMENT: _LOOK | {_P.RULES_WRITE, _P.QUEUE_WRITE, _P.CONTENT_READ},
    Role.HELP_DESK: frozenset({_P.RECIPIENTS_READ, _P.PASSWORDS_WRITE, _P.QUEUE_READ, _P.TRACE_READ, _P.EXPLAIN, _P.STATUS_READ, _P.OWN}),
}
"""Role → what it permits."""

WRITES: dict[str, Permission] = {
    "Mailbox": _P.RECIPIENTS_WRITE,
    "MailUser": _P.RECIPIENTS_WRITE,
    "MailContact": _P.RECIPIENTS_WRITE,
    "DistributionGroup": _P.RECIPIENTS_WRITE,
    "TransportRule": _P.RULES_WRITE,
}
"""Kind of object → what a change of it asks for; SETTINGS_WRITE for all others."""


def to_write(kind: str) -> Permission:
    """What a change of an object of `kind` asks for, however it is made: one object, a file, a script, a draft, an older version."""
    return WRITES.get(kind, Permission.SETTINGS_WRITE)


def to_read(kind: str) -> Permission:
    """What reading objects of `kind` asks for."""
    return Permission.RECIPIENTS_READ if to_write(kind) is Permission.RECIPIENTS_WRITE else Permission.SETTINGS_READ


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """What several roles permit together; nothing where there are none."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))
