"""What an import says about each thing that it found: carried over, changed in meaning, or left out, with place, reason and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

from mailwye.config.problem import Problem

SHOWN_OF_A_KIND = 50
"""So many lines of one kind of object are printed for people; the rest is counted."""


class Outcome(Enum):
    """What became of a thing."""

    CARRIED_OVER = "carried over"
    CHANGED = "changed in meaning"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the report. `what`: `OutboundConnector "Connector 1"`, or `transport_maps "contoso.com"` in the words of the source.

    `reason` and `remedy` are sentences without their full stop and may repeat foreign text; `str()` escapes its control characters,
    whoever renders the parts has to do so himself. `line` counts from 1, 0 where a whole file is meant.
    """

    outcome: Outcome
    what: str
    reason: str = ""
    remedy: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.outcome.value}: {Problem(self.reason, self.remedy, self.file, self.line, object=self.what)}"


class EntryRow(TypedDict):
    """What became of one thing: "carried over", "changed in meaning" or "left out". `line`: from 1, 0: a whole file."""

    outcome: str
    what: str
    reason: str
    remedy: str
    file: str
    line: int


def is_complete(entries: Iterable[Entry]) -> bool:
    """True where everything was carried over and means the same here."""
    return all(entry.outcome is Outcome.CARRIED_OVER for entry in entries)


def as_text(entries: Sequence[Entry]) -> list[str]:
    """Lines for people (foreign text in them escaped): everything that needs a look, what was carried over (long lists cut), the totals."""
    lines = []
    shown: dict[str, int] = {}
    for entry in entries:
        kind = entry.what.partition(" ")[0]
        if entry.outcome is Outcome.CARRIED_OVER:
            shown[kind] = shown.get(kind, 0) + 1
            if shown[kind] > SHOWN_OF_A_KIND:
                continue
        lines.append(str(entry))
    lines += [f"carried over: {count - SHOWN_OF_A_KIND} more of {kind}" for kind, count in shown.items() if count > SHOWN_OF_A_KIND]
    totals = [f"{sum(entry.outcome is outcome for entry in entries)} {outcome.value}" for outcome in Outcome]
    lines.append(", ".join(totals))
    return lines


def as_dicts(entries: Iterable[Entry]) -> list[EntryRow]:
    """For JSON."""
    return [
        {
            "outcome": entry.outcome.value,
            "what": entry.what,
            "reason": entry.reason,
            "remedy": entry.remedy,
            "file": entry.file,
            "line": entry.line,
        }
        for entry in entries
    ]
