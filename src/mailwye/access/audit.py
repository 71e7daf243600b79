"""The audit log: who changed what, who read whose mail. Entries are only ever added; each carries the hash of the one before, so that what
was taken out or altered shows (whoever can write the file can also write it all anew: keep the newest hash elsewhere to notice that).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypedDict

TEXT_LIMIT = 1_024  # characters of each text of an entry
BEGINNING = "0" * 64  # what the first entry follows


class AuditError(Exception):
    """The log cannot be read or written; the text names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Event:
    """`who`: "ann", "ann (token 1f2e3d4c)", "root". `origin`: an address, or "command line". `action`: "settings.save", "content.read".
    `target`: on what. `result`: "version 12", "refused: …". `at`: Unix seconds.
    """

    at: float
    who: str
    origin: str
    action: str
    target: str
    result: str


class AuditRow(TypedDict):
    """An Entry as JSON: who did what, from where, to what, and what came of it. `number` counts from 1. `at`: Unix seconds. `digest`: of
    this event and the digest of the one before.
    """

    number: int
    at: float
    who: str
    origin: str
    action: str
    target: str
    result: str
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`number` counts from 1. `digest`: of this event and the digest of the entry before."""

    number: int
    event: Event
    digest: str

    def to_dict(self) -> AuditRow:
        """For JSON."""
        event = self.event
        return {
            "number": self.number,
            "at": event.at,
            "who": event.who,
            "origin": event.origin,
            "action": event.action,
            "target": event.target,
            "result": event.result,
            "digest": self.digest,
        }


def digest_of(before: str, event: Event) -> str:
    """SHA-256 over the digest before and the event's canonical JSON."""
    text = json.dumps(asdict(event), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{before}{text}".encode()).hexdigest()


def shortened(event: Event) -> Event:
    """The event as it is kept: texts within the limit, and writable as UTF-8."""
    texts = {name: value[:TEXT_LIMIT].encode("utf-8", "backslashreplace").decode() for name, value in asdict(event).items() if name != "at"}
    return Event(at=event.at, **texts)


def broken_at(entries: Sequence[Entry], before: str = BEGINNING, after: int = 0) -> int:
    """The number of the first entry that does not follow from the one before it; 0 where all do."""
    for entry in entries:
        if entry.number != after + 1 or entry.digest != digest_of(before, entry.event):
            return after + 1
        before, after = entry.digest, entry.number
    return 0


class AuditLog(Protocol):
    """Keeps entries. :raises AuditError: everywhere."""

    def record(self, event: Event) -> Entry:
        """Add one; durable when it returns."""
        ...

    def entries(self, *, before: int = 0, limit: int = 100, who: str = "", action: str = "") -> Sequence[Entry]:
        """Newest first, with a number below `before` (0: from the newest); `action` may be its beginning, such as "queue"."""
        ...

    def verify(self) -> int:
        """Walk the whole log: the number of the first entry that does not fit, 0 where all do."""
        ...

    def close(self) -> None:
        """Give back the file."""
        ...
