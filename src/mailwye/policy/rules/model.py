"""Mail flow rules as the deciding functions see them. Field names are Exchange's, in snake_case."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from mailwye.smtp.address import Address
from mailwye.value import dataclass

RULES_LIMIT = 300
"""How many rules one organization may have, disabled ones included; Exchange Online's limit too."""

WORDS_LIMIT = 100
"""How many words or phrases one condition may look for."""

WORD_CHARACTERS = 128
"""The longest of them, in characters."""


class RuleMode(Enum):
    """Enforce: the action is taken. The others only tell the trace what would have been done; AuditAndNotify is Audit, as long as
    there is no action that notifies.
    """

    ENFORCE = "Enforce"
    AUDIT = "Audit"
    AUDIT_AND_NOTIFY = "AuditAndNotify"


class Scope(Enum):
    """Where somebody belongs."""

    IN_ORGANIZATION = "InOrganization"
    NOT_IN_ORGANIZATION = "NotInOrganization"


@dataclass(frozen=True, slots=True)
class Predicates:
    """What a rule looks at, as conditions or as exceptions. Empty: not looked at. Several values of one field: one of them is enough.

    Domains are canonical and mean their subdomains too. Words are one line each, without white space at their ends.
    """

    sent_to: tuple[Address, ...] = ()
    sent_to_member_of: tuple[Address, ...] = ()
    recipient_domain_is: tuple[str, ...] = ()
    sender_domain_is: tuple[str, ...] = ()
    from_scope: Scope | None = None
    sent_to_scope: Scope | None = None
    header_contains_message_header: str = ""
    header_contains_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransportRule:
    """All `conditions` must hold and none of the `exceptions` (ExceptIf…). A rule without conditions is for every message.

    `priority`: 0 is asked first, each number once. `route_message_outbound_connector`: the Name of an OutboundConnector.
    """

    name: str
    priority: int = 0
    enabled: bool = True
    mode: RuleMode = RuleMode.ENFORCE
    stop_rule_processing: bool = False
    conditions: Predicates = field(default_factory=Predicates)
    exceptions: Predicates = field(default_factory=Predicates)
    route_message_outbound_connector: str = ""
    comments: str = ""
