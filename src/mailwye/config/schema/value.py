"""How the value of a field is read, written and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar

from mailwye.config.problem import Fault, did_you_mean, shown
from mailwye.config.reading import Read, items, scalar
from mailwye.config.scalars import as_list
from mailwye.value import dataclass

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_E = TypeVar("_E", bound=Enum)

Schema = Mapping[str, Any]
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Value(Generic[_T_co]):
    """`type`: of one entry, where it is a list. `schema`: JSON schema of what is written. `write`: to str, int, bool, list or dict; None:
    it is that already. `store`: the same for the store alone, where that differs. `kept`: what the store wrote → the value, of which no
    more is looked at than its type (KeyError, ValueError, TypeError: read has to look); None: read looks always.
    """

    type: type
    read: Read
    schema: Schema
    write: _Convert | None = None
    store: _Convert | None = None
    kept: _Convert | None = None
    is_list: bool = False


def value_of(
    cls: type[_T],
    read_value: Callable[[object], _T],
    schema: Schema,
    *,
    write: Callable[[_T], Any] | None = None,
    store: Callable[[_T], Any] | None = None,
    kept: Callable[[Any], _T] | None = None,
) -> Value[_T]:
    """A value of the type `cls`. `read_value` raises Fault. Text, numbers and flags that are written as they are need no `kept`."""
    if kept is None and write is None and cls in (str, int, bool):
        kept = _exactly(cls)
    return Value(cls, scalar(read_value), schema, write, store, kept)


def text_of(read_value: Callable[[object], str], **schema: Any) -> Value[str]:
    """Text. `schema`: what else there is to say about it."""
    return value_of(str, read_value, {"type": "string", **schema})


def choice(enum: type[_E]) -> Callable[[object], _E]:
    """A reader for the values of `enum`, in any case."""
    known = {str(member.value).lower(): member for member in enum if member.value is not None}
    words = [str(member.value) for member in known.values()]

    def read(value: object) -> _E:
        if isinstance(value, enum):
            return value
        member = known.get(value.lower()) if isinstance(value, str) else None
        if member is None:
            listed = ", ".join(words)
            raise Fault(f"{shown(value)} is none of its values", did_you_mean(str(value), words, otherwise=f"Use one of: {listed}"))
        return member

    return read


def choice_of(enum: type[_E], read_value: Callable[[object], _E] | None = None) -> Value[_E]:
    """A value of `enum`, one of which may stand for null."""
    written = [member.value for member in enum]
    schema = {"enum": written} if None in written else {"type": "string", "enum": written}
    kept = {member.value: member for member in enum}.__getitem__
    return value_of(enum, read_value or choice(enum), schema, write=attrgetter("value"), kept=kept)


def optional(value: Value[_T]) -> Value[_T | None]:
    """The same, or nothing: null is the default of every field, so that there is nothing more to read."""
    return Value(value.type, value.read, {"anyOf": [value.schema, {"type": "null"}]}, value.write, value.store, value.kept)


def each(
    value: Value[_T],
    settle: Callable[[Any], tuple[_T, ...]],
    *,
    listed: Callable[[object], object] = as_list,
    required: bool = False,
) -> Value[tuple[_T, ...]]:
    """A list. `settle`: the canonical order of its entries; `required`: of at least one."""
    read = items(value.read, listed=listed, required=required, settle=settle)
    schema = {"type": "array", "items": value.schema} | ({"minItems": 1} if required else {})
    write, kept = value.write, value.kept
    written = list if write is None else lambda entries: list(map(write, entries))
    return Value(value.type, read, schema, written, None, _each(kept) if kept is not None else None, is_list=True)


def _exactly(cls: type) -> _Convert:
    def convert(value: Any) -> Any:
        if type(value) is not cls:
            raise TypeError
        return value

    return convert


def _each(convert: _Convert) -> _Convert:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise TypeError
        return tuple(map(convert, value))

    return read
