"""One frozen configuration of the organization: everything that deciding functions need, with its version."""

from __future__ import annotations

from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.policy.rules.decide import NO_RULES, RuleTable
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Immutable. A transaction sees one from MAIL to 250, a delivery attempt sees one; both are stamped with `version`."""

    version: int
    organization: str
    directory: Directory
    connectors: ConnectorTable
    rules: RuleTable = NO_RULES


class ActiveSnapshot:
    """The one place of a process that says which snapshot is in force. Readers take `current` once per transaction or attempt."""

    __slots__ = ("current",)

    def __init__(self, snapshot: Snapshot) -> None:
        self.current = snapshot

    def activate(self, snapshot: Snapshot) -> None:
        """Put `snapshot` in force: one assignment, so that nobody sees half of it."""
        self.current = snapshot
