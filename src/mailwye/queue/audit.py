"""What an audit of one queue found: where every accepted delivery is, and what is wrong. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypedDict


class FindingKind(Enum):
    """What can be wrong."""

    UNBALANCED = "unbalanced"  # the ledger's counts do not add up
    IDENTITIES = "identities"  # the counts add up, but not over the same deliveries
    NO_MESSAGE = "no-message"  # a delivery whose message is gone
    NO_DELIVERY = "no-delivery"  # a message that nobody waits for
    DAMAGED = "damaged"  # a row or content that is not what was written, not set aside yet
    LOST = "lost"  # only a damaged file has them, which was set aside as a whole
    SET_ASIDE = "set-aside"  # the same, set aside as corrupt
    BEYOND = "beyond"  # a number that the ledger never gave out
    PAGE = "page"  # SQLite finds the file itself damaged, or it cannot be read
    ORPHAN = "orphan"  # stored content that belongs to no message
    OLD_SCHEMA = "old-schema"  # written by an older release, identities cannot be proved
    TRACE_OPEN = "trace-open"  # the trace knows no end, and it is not in the queue: a note where the ledger balances
    TRACE_ENDED = "trace-ended"  # the trace knows its end, and it is in the queue: it will be delivered again
    TRACE_UNREADABLE = "trace-unreadable"  # a trace file could not be compared


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `message` and `recipient`: "" where they are not known. `remedy`: what a person does about it.

    A note (`is_note`) fails no audit.
    """

    kind: FindingKind
    what: str
    remedy: str
    message: str = ""
    recipient: str = ""
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of deliveries: from `corrupt` on those that were found in the file, before it those of the ledger; and of messages found."""

    accepted: int = 0
    delivered: int = 0
    failed: int = 0
    expired: int = 0
    quarantined: int = 0
    lost: int = 0
    deleted: int = 0
    corrupt: int = 0
    queued: int = 0
    held: int = 0
    messages: int = 0

    @property
    def missing(self) -> int:
        """Accepted deliveries that are nowhere; below zero: more are here than were accepted."""
        ended = self.delivered + self.failed + self.expired + self.quarantined + self.deleted + self.lost
        return self.accepted - ended - self.corrupt - self.queued - self.held


@dataclass(frozen=True, slots=True)
class SpoolAudit:
    """One queue file. `errors` and `notes` count everything, `findings` names the first ones of each kind."""

    spool: str
    tally: Tally
    errors: int
    notes: int
    findings: tuple[Finding, ...] = field(default_factory=tuple)

    @property
    def is_clean(self) -> bool:
        """Every accepted delivery is in exactly one place and can be read."""
        return self.errors == 0


class Findings:
    """Collects findings: counts all, keeps the first `limit` of each kind, so that a ruined file fills no memory."""

    __slots__ = ("_limit", "_per_kind", "errors", "kept", "notes")

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._per_kind: dict[FindingKind, int] = {}
        self.kept: list[Finding] = []
        self.errors = 0
        self.notes = 0

    def add(self, finding: Finding) -> None:
        """One more."""
        if finding.is_note:
            self.notes += 1
        else:
            self.errors += 1
        seen = self._per_kind[finding.kind] = self._per_kind.get(finding.kind, 0) + 1
        if seen <= self._limit:
            self.kept.append(finding)


@dataclass(frozen=True, slots=True)
class TraceAudit:
    """How the trace and all queue files agree. Counts of recipients, as far back as the trace goes.

    `compared`: of both; `open`: the trace knows no end of them and they are in no queue; `ended`: it does, and they are in a queue;
    `unknown`: messages that are queued and that the trace does not know (any more, or yet).
    """

    compared: int = 0
    open: int = 0
    ended: int = 0
    unknown: int = 0
    findings: tuple[Finding, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class QueueAudit:
    """All queue files of an installation, and the trace where it was compared."""

    spools: tuple[SpoolAudit, ...]
    trace: TraceAudit | None = None

    @property
    def is_clean(self) -> bool:
        """Nothing is lost, doubled or unreadable."""
        return all(one.is_clean for one in self.spools)


class AuditFindingRow(TypedDict):
    """One thing that is wrong, or a note, which fails no audit."""

    kind: str
    note: bool
    message: str
    recipient: str
    what: str
    remedy: str


class SpoolRow(TypedDict):
    """One queue file. Counts of deliveries, but for `messages`. `missing`: accepted ones that are nowhere. `errors` and `notes` count all
    findings, of which the first of each kind are told.
    """

    spool: str
    clean: bool
    accepted: int
    delivered: int
    failed: int
    expired: int
    quarantined: int
    lost: int
    deleted: int
    corrupt: int
    queued: int
    held: int
    messages: int
    missing: int
    errors: int
    notes: int
    findings: list[AuditFindingRow]


class TraceAuditRow(TypedDict):
    """How the trace and the queue files agree, in recipients."""

    compared: int
    open: int
    ended: int
    unknown: int
    findings: list[AuditFindingRow]


class QueueAuditRow(TypedDict):
    """All queue files. `trace` null: not compared."""

    clean: bool
    spools: list[SpoolRow]
    trace: TraceAuditRow | None


def as_dict(found: QueueAudit) -> QueueAuditRow:
    """Plain values for JSON."""
    return {
        "clean": found.is_clean,
        "spools": [_spool(one) for one in found.spools],
        "trace": None if found.trace is None else _trace(found.trace),
    }


def _spool(one: SpoolAudit) -> SpoolRow:
    tally = one.tally
    return {
        "spool": one.spool,
        "clean": one.is_clean,
        "accepted": tally.accepted,
        "delivered": tally.delivered,
        "failed": tally.failed,
        "expired": tally.expired,
        "quarantined": tally.quarantined,
        "lost": tally.lost,
        "deleted": tally.deleted,
        "corrupt": tally.corrupt,
        "queued": tally.queued,
        "held": tally.held,
        "messages": tally.messages,
        "missing": tally.missing,
        "errors": one.errors,
        "notes": one.notes,
        "findings": [_finding(finding) for finding in one.findings],
    }


def _trace(trace: TraceAudit) -> TraceAuditRow:
    return {
        "compared": trace.compared,
        "open": trace.open,
        "ended": trace.ended,
        "unknown": trace.unknown,
        "findings": [_finding(finding) for finding in trace.findings],
    }


def _finding(one: Finding) -> AuditFindingRow:
    return {
        "kind": one.kind.value,
        "note": one.is_note,
        "message": one.message,
        "recipient": one.recipient,
        "what": one.what,
        "remedy": one.remedy,
    }
