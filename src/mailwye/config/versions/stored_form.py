"""One object as a store keeps it: canonical JSON with Exchange's keys, defaults left out. Equal objects have equal texts.

Reading trusts that the text was written here: values are put into their types without being checked again, which is several times faster
(an organization of 120,000 objects is read at every start and by every command). Whatever is not as written here (an unknown key, a value
of another type, a field that has to be read) is read as a file would be, which explains what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from mailwye.config.schema import KINDS, ConfigObject, OrganizationSettings

_raw = json.JSONDecoder().raw_decode


def model_of(kind: str) -> type[ConfigObject]:
    """:raises KeyError: no such kind."""
    return OrganizationSettings if kind == OrganizationSettings.kind else KINDS[kind].model


def stored_text(thing: ConfigObject) -> str:
    """What `from_stored` reads back."""
    return json.dumps(thing.plain(defaults=False, sealed=True), ensure_ascii=False, separators=(",", ":"))


def from_stored(kind: str, text: str) -> ConfigObject:
    """The object of a text. :raises ValueError: it is none of this kind (written by a newer Mailwye, or damaged); says why."""
    try:
        reader = _reader(kind)
    except KeyError as error:
        raise ValueError(f"{kind} is no kind of object that this Mailwye knows") from error
    data = _decode(text)
    thing = reader.trusted(data) if type(data) is dict else None
    return thing if thing is not None else reader.model.of(data)


def _decode(text: str) -> Any:
    try:
        data, end = _raw(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if end != len(text):
        raise ValueError("not JSON: there is more behind its end")
    return data


class _Reader:
    """How objects of one kind are made of what was checked before it was stored."""

    __slots__ = ("_fields", "_required", "model")

    def __init__(self, model: type[ConfigObject]) -> None:
        self.model = model
        entries = model.fields.values()
        self._fields: dict[str, tuple[str, Callable[[Any], Any]]] = {
            entry.name: (entry.attribute, entry.value.kept) for entry in entries if entry.value.kept is not None
        }
        self._required = frozenset(entry.name for entry in entries if entry.required)

    def trusted(self, data: dict[str, Any]) -> ConfigObject | None:
        """The object, None where its values have to be looked at."""
        fields = self._fields
        values: dict[str, Any] = {}
        try:
            for key, value in data.items():
                name, convert = fields[key]
                values[name] = convert(value)
        except (KeyError, ValueError, TypeError):
            return None
        return self.model.filled(values) if self._required <= data.keys() else None


@cache
def _reader(kind: str) -> _Reader:
    return _Reader(model_of(kind))
