"""Two editors, one base: what can be put together, and what has to be decided by a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

from mailwye.config.diff import Change, ChangeRow, as_dicts, as_text, changes_of, written
from mailwye.config.export import to_plain
from mailwye.config.schema import ConfigObject, Organization
from mailwye.config.versions.changes import ChangeSet, Key, ObjectChange
from mailwye.value import dataclass

GONE = "(no such object)"
"""Stands for the value of each field of an object that one side does not have."""


class FieldConflictRow(TypedDict):
    """One field of an object that both changed: what it was, is now, and would be. `field` "": the object as a whole."""

    object: str
    field: str
    base: Any
    theirs: Any
    mine: Any


class ConflictRow(TypedDict):
    """A change that was made from version `base` and does not fit version `current`. `theirs`: what others changed since."""

    base: int
    current: int
    theirs: list[ChangeRow]
    conflicts: list[FieldConflictRow]


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """One field of an object that both changed: plain values as in diff.FieldChange (None: the default; GONE: no object).

    `label`: `OutboundConnector "Connector 1"`. `field` "": the object as a whole, where one side removed it or made it of another kind.
    """

    label: str
    field: str
    base: Any
    theirs: Any
    mine: Any

    def __str__(self) -> str:
        where = f"{self.label}: {self.field}" if self.field else self.label
        return f"{where}: it was {written(self.base)}, is {written(self.theirs)} now, and this change wants {written(self.mine)}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change that was made from version `base` and does not fit version `current`; nothing was saved. The API answers it with 409.

    `theirs`: what others changed since, all of it. `fields`: what both changed.
    """

    base: int
    current: int
    theirs: tuple[Change, ...]
    fields: tuple[FieldConflict, ...]

    def __str__(self) -> str:
        lines = "".join(f"\n  {field}" for field in self.fields)
        return f"the change was made from version {self.base}; version {self.current} changed the same objects since:{lines}"

    def to_dict(self) -> ConflictRow:
        """Plain values for JSON."""
        fields: list[FieldConflictRow] = [
            {"object": each.label, "field": each.field, "base": each.base, "theirs": each.theirs, "mine": each.mine} for each in self.fields
        ]
        return {"base": self.base, "current": self.current, "theirs": as_dicts(self.theirs), "conflicts": fields}

    @property
    def difference(self) -> str:
        """What others changed, as text."""
        return as_text(self.theirs)


def reconcile(base: Organization, current: Organization, mine: ChangeSet) -> tuple[ChangeSet, tuple[FieldConflict, ...]]:
    """`mine` was made from `base`; the same change made from `current`, and what stands against it.

    Objects that only one side touched stay as that side left them; what both changed alike is no conflict, and is left out. The result
    is right only where there are no conflicts; whether it makes sense as a whole is for the checks to say.
    """
    theirs, own = _by_key(ChangeSet.between(base, current)), _by_key(mine)
    kept: list[ObjectChange] = []
    found: list[FieldConflict] = []
    for key, changes in own.items():
        others = theirs.get(key)
        if others is None:
            kept += changes
        elif _results(others) != _results(changes):
            found += _fields(_main(changes), _main(others))
    return ChangeSet.of(kept), tuple(found)


def _by_key(changes: ChangeSet) -> dict[Key, list[ObjectChange]]:
    """One change each, but where a recipient becomes one of another kind: a removal and an addition."""
    found: dict[Key, list[ObjectChange]] = {}
    for change in changes:
        found.setdefault(change.key, []).append(change)
    return found


def _results(changes: list[ObjectChange]) -> list[tuple[str, ConfigObject | None]]:
    return [(change.kind, change.after) for change in changes]


def _main(changes: list[ObjectChange]) -> ObjectChange:
    """What is there afterwards, if something is."""
    return next((change for change in changes if change.after is not None), changes[0])


def conflict_of(base: int, current: int, old: Organization, new: Organization, fields: tuple[FieldConflict, ...]) -> Conflict:
    """The conflict with the difference of the two versions."""
    return Conflict(base, current, changes_of(ChangeSet.between(old, new)), fields)


def _fields(mine: ObjectChange, theirs: ObjectChange) -> Iterator[FieldConflict]:
    """Each field that either side changed, where the two want different values."""
    thing = mine.after or mine.before
    assert thing is not None
    if mine.kind != theirs.kind or mine.after is None or theirs.after is None:
        yield FieldConflict(thing.label, "", _short(mine.before), _short(theirs.after), _short(mine.after))
        return
    base, other, own = _plain(mine.before), _plain(theirs.after), _plain(mine.after)
    for field, entry in type(thing).fields.items():
        name = entry.name
        values = [side.get(name) if side is not None else GONE for side in (base, other, own)]
        if values[1] != values[2]:
            yield FieldConflict(thing.label, name, *values)
        elif getattr(theirs.after, field) != getattr(mine.after, field) and isinstance(values[1], dict) and "Password" in values[1]:
            changed = {**values[1], "Password": "(changed)"}  # all that is written of a password
            yield FieldConflict(thing.label, name, values[0], changed, changed)


def _plain(thing: ConfigObject | None) -> dict[str, Any] | None:
    return None if thing is None else to_plain(thing)


def _short(thing: ConfigObject | None) -> str:
    return GONE if thing is None else thing.kind
