"""The three questions of a transaction, composed once: MAIL FROM, RCPT TO, and the way out. The live path, `explain`, replay and
validation call these functions and no others. (Interface.)
"""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.connectors.attribution import Caller
from mailwye.connectors.selection import Route
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory, Resolution
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class SenderDecision:
    """At MAIL FROM. `reply` 250 or the refusal."""

    caller: Caller
    reply: Reply


@dataclass(frozen=True, slots=True)
class RelayDecision:
    """May the caller send to a domain that is not accepted? `near_miss`: which connector nearly matched and what was missing."""

    allowed: bool
    reasons: tuple[str, ...]
    near_miss: str = ""


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """At RCPT TO. `reply` 250 or the refusal; `routes` one per final recipient of `resolution`, in its order."""

    reply: Reply
    relay: RelayDecision
    resolution: Resolution
    routes: tuple[Route, ...]
    reasons: tuple[str, ...]


def decide_sender(directory: Directory, table: ConnectorTable, facts: SessionFacts, sender: Address | None) -> SenderDecision:
    """SEMANTICS section 3."""
    raise NotImplementedError


def decide_recipient(
    directory: Directory,
    table: ConnectorTable,
    facts: SessionFacts,
    caller: Caller,
    sender: Address | None,
    recipient: Address,
) -> RecipientDecision:
    """SEMANTICS sections 4, 5 and 6."""
    raise NotImplementedError


def decide_route(
    directory: Directory, table: ConnectorTable, recipient: Address, *, from_on_premises: bool, explain: bool = False
) -> Route:
    """SEMANTICS section 6 and 7 for one final recipient: called at acceptance and again at each attempt.

    `from_on_premises`: the message came in through an OnPremises connector. With `explain`, `considered` names every outbound
    connector; without it only the chosen one, so that the cost does not grow with their number.
    """
    raise NotImplementedError
