"""Where an import puts what it read: objects that the schema takes, and the report. An object is carried over as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailwye.config.parse import validate_object
from mailwye.config.problem import Problem, shown
from mailwye.config.schema import KINDS, ConfigObject, Organization
from mailwye.importing.report import Entry, Outcome


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. `line` from 1, 0: the whole file."""

    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import: the objects that were carried over, and the report in the order of the source."""

    organization: Organization
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A change of meaning within an object; it is reported where the object is carried over. `line` 0: the object's own."""

    field: str
    reason: str
    remedy: str = ""
    line: int = 0
    outcome: Outcome = Outcome.CHANGED


class Collector:
    """Takes objects in the order of the source."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._objects: dict[str, list[ConfigObject]] = {kind: [] for kind in KINDS}
        self._taken: dict[tuple[str, str], tuple[ConfigObject, Place]] = {}
        self.refused: set[tuple[str, str]] = set()
        """(kind, name in lower case) of objects that were left out: rules that name them have to be, too."""

    def add(
        self, kind: str, data: Mapping[str, Any], place: Place, *, notes: Sequence[Note] = (), lines: Mapping[str, int] | None = None
    ) -> bool:
        """Take one object of `kind` with the schema's field names, or report why not. `lines`: field in lower case → its line.

        → True where it (or one that says the same) is carried over.
        """
        found, problems = validate_object(kind, data)
        if found is None:
            self._refuse(kind, data, place, problems, lines or {})
            return False
        key = (KINDS[kind].space, found.identity)
        other = self._taken.get(key)
        if other is not None and other[0] != found:
            where = f"{other[1].file}:{other[1].line}" if other[1].line else other[1].file
            self.left_out(found.label, f"there is another one of this identity: {other[0].label} in {where}", "Remove one of them", place)
            return False
        if other is not None:
            return True  # the same again, as in two overlapping exports
        self._taken[key] = (found, place)
        self._objects[kind].append(found)
        self.entries.append(Entry(Outcome.CARRIED_OVER, found.label, file=place.file, line=place.line))
        for note in notes:
            what = f"{found.label}: {note.field}" if note.field else found.label
            self.entries.append(Entry(note.outcome, what, note.reason, note.remedy, place.file, note.line or place.line))
        return True

    def has(self, kind: str, identity: str) -> bool:
        """True where an object of this identity was taken."""
        return (KINDS[kind].space, identity) in self._taken

    def changed(self, what: str, reason: str, remedy: str, place: Place) -> None:
        """Report a change of meaning that belongs to no single object."""
        self.entries.append(Entry(Outcome.CHANGED, what, reason, remedy, place.file, place.line))

    def left_out(self, what: str, reason: str, remedy: str, place: Place) -> None:
        """Report something that is not carried over."""
        self.entries.append(Entry(Outcome.LEFT_OUT, what, reason, remedy, place.file, place.line))

    def refuse(self, kind: str, name: str, reason: str, remedy: str, place: Place) -> None:
        """Report an object that cannot be carried over, and remember its name."""
        self.refused.add((kind, name.lower()))
        self.left_out(f"{kind} {shown(name)}", reason, remedy, place)

    def organization(self) -> Organization:
        """All that was taken."""
        taken = {entry.attribute: tuple(self._objects[kind]) for kind, entry in KINDS.items() if self._objects[kind]}
        return Organization.filled(taken)

    def imported(self) -> Imported:
        """The result."""
        return Imported(self.organization(), tuple(self.entries))

    def _refuse(self, kind: str, data: Mapping[str, Any], place: Place, problems: Sequence[Problem], lines: Mapping[str, int]) -> None:
        name = next((str(data[key]) for key in ("Name", "DomainName", "PrimarySmtpAddress") if data.get(key)), "")
        self.refused.add((kind, name.lower()))
        for problem in problems:
            line = lines.get(problem.field.partition("[")[0].lower(), 0) or place.line
            what = ": ".join(part for part in (problem.object or kind, problem.field) if part)
            self.entries.append(Entry(Outcome.LEFT_OUT, what, problem.message, problem.remedy, place.file, line))
