"""The difference of two organizations, object by object and field by field, for people and for programs.

Values are canonical before they are compared (order of lists, case of domains and addresses), so that what means the same is no change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, Literal, TypedDict

from mailwye.config.export import to_plain
from mailwye.config.schema import ConfigObject, Organization
from mailwye.config.schema.credential import AuthenticationCredential
from mailwye.config.versions.changes import ChangeSet
from mailwye.smtp.address import Address
from mailwye.value import dataclass

SUMMARY_OBJECTS = 20


class ChangeKind(Enum):
    """What happened to an object; the value is its sign in the text."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field in Exchange's spelling, with plain values (None: the default that files leave out)."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One object. `label`: `OutboundConnector "Connector 1"`. `fields`: what differs; all that is set, where added or removed."""

    kind: ChangeKind
    object: str
    identity: str
    label: str
    fields: tuple[FieldChange, ...]


class FieldRow(TypedDict):
    """A field's plain values; null: the default."""

    old: Any
    new: Any


class ChangeRow(TypedDict):
    """What happens to one object. `object`: its kind. `fields`: by name what differs; all that is set, where added or removed."""

    change: Literal["added", "removed", "changed"]
    object: str
    identity: str
    fields: dict[str, FieldRow]


def diff(old: Organization, new: Organization) -> tuple[Change, ...]:
    """What makes `new` out of `old`, in the order of kinds and identities; empty where both mean the same."""
    return changes_of(ChangeSet.between(old, new))


def changes_of(changes: ChangeSet) -> tuple[Change, ...]:
    """The same of a change that is known; objects that mean the same before and after are left out."""
    found = (_change(each.kind, each.identity, each.before, each.after) for each in changes)
    return tuple(change for change in found if change is not None)


def summary(changes: Sequence[Change]) -> str:
    """In one line, for the audit log: what happened to which objects; of very many the first ones."""
    labels = [f"{change.kind.value}{change.label}" for change in changes[:SUMMARY_OBJECTS]]
    rest = len(changes) - len(labels)
    return ", ".join(labels) + (f" and {rest} more" if rest else "")


def as_text(changes: Sequence[Change]) -> str:
    """One line for each object, one for each field below it; "" for no change."""
    return "".join(f"{line}\n" for change in changes for line in _lines(change))


def as_dicts(changes: Sequence[Change]) -> list[ChangeRow]:
    """For JSON."""
    return [
        {
            "change": _WORDS[change.kind],
            "object": change.object,
            "identity": change.identity,
            "fields": {entry.field: {"old": entry.old, "new": entry.new} for entry in change.fields},
        }
        for change in changes
    ]


_WORDS: dict[ChangeKind, Literal["added", "removed", "changed"]] = {
    ChangeKind.ADDED: "added",
    ChangeKind.REMOVED: "removed",
    ChangeKind.CHANGED: "changed",
}


def _change(kind: str, identity: str, old: ConfigObject | None, new: ConfigObject | None) -> Change | None:
    fields = _fields(old, new)
    if old is None and new is not None:
        return Change(ChangeKind.ADDED, kind, identity, new.label, fields)
    if old is not None and new is None:
        return Change(ChangeKind.REMOVED, kind, identity, old.label, fields)
    assert new is not None
    return Change(ChangeKind.CHANGED, kind, identity, new.label, fields) if fields else None


def _fields(old: ConfigObject | None, new: ConfigObject | None) -> tuple[FieldChange, ...]:
    thing = new if new is not None else old
    assert thing is not None
    before, after = to_plain(old) if old is not None else {}, to_plain(new) if new is not None else {}
    changed = []
    for field, entry in type(thing).fields.items():
        name = entry.name
        if old is not None and new is not None and _comparable(getattr(old, field)) == _comparable(getattr(new, field)):
            continue
        if before.get(name) != after.get(name):
            changed.append(FieldChange(name, before.get(name), after.get(name)))
        elif isinstance(getattr(new, field, None), AuthenticationCredential):
            changed.append(FieldChange(name, before[name], {**after[name], "Password": "(changed)"}))  # which is all that is written of it
    return tuple(changed)


def _comparable(value: Any) -> Any:
    """Addresses differ in their key only: Exchange compares local parts without case."""
    if isinstance(value, Address):
        return value.key
    if isinstance(value, tuple):
        return tuple(_comparable(entry) for entry in value)
    return value


def _lines(change: Change) -> Iterator[str]:
    yield f"{change.kind.value} {change.label}"
    for entry in change.fields:
        match change.kind:
            case ChangeKind.ADDED:
                yield f"    {entry.field}: {written(entry.new)}"
            case ChangeKind.REMOVED:
                yield f"    {entry.field}: {written(entry.old)}"
            case ChangeKind.CHANGED:
                yield f"    {entry.field}: {written(entry.old)} → {written(entry.new)}"


def written(value: Any) -> str:
    """A plain value on one line, for people."""
    match value:
        case None:
            return "(default)"
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(written(entry) for entry in value) or "(empty)"
        case dict():
            return "{" + ", ".join(f"{key}: {written(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)
