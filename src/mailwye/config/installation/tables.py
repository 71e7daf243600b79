"""Tables of a TOML file read into dataclasses, with every fault and its place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mailwye.config import reading
from mailwye.config.problem import Fault, Path, did_you_mean, shown
from mailwye.config.reading import Found, Read, read_keys, scalar
from mailwye.value import dataclass

NUMBER_LIMIT = 2**53


@dataclass(frozen=True, slots=True)
class Table:
    """What may stand in one table. `make` gets what was given, by name; its own defaults hold for the rest."""

    make: Callable[..., Any]
    keys: Mapping[str, Read]
    required: Sequence[str] = ()
    examples: Mapping[str, str] = dataclasses.field(default_factory=dict)  # remedies for required keys that are missing

    def read(self, value: Any, at: Path, found: Found) -> Any:
        """See Read."""
        if not isinstance(value, dict):
            name = next((part for part in reversed(at) if isinstance(part, str)), "")
            written = f"[[{name}]]" if at and isinstance(at[-1], int) else f"[{name}]"
            found.append((at, Fault("must be a table", f"Write {written} and its keys below it")))
            return None
        values = read_keys(value, at, found, self.keys, required=self.required, missing=self._missing, unknown=self._unknown)
        return None if values is None else self.make(**values)

    def _missing(self, name: str) -> Fault:
        return Fault("is missing", self.examples.get(name, "Add it"))

    def _unknown(self, name: str) -> Fault:
        return Fault("is no key that Mailwye knows", did_you_mean(name, self.keys, otherwise=f"Known here: {', '.join(self.keys)}"))


def table_of(cls: Any, examples: Mapping[str, str] | None = None, **special: Read) -> Table:
    """The table whose keys are the fields of the dataclass `cls`. A field is read by its type, by `special` where it stands there."""
    fields = dataclasses.fields(cls)
    keys = {field.name: special.get(field.name) or _BY_TYPE[str(field.type)] for field in fields}
    missing = dataclasses.MISSING
    required = tuple(field.name for field in fields if field.default is missing and field.default_factory is missing)
    return Table(cls, keys, required, examples or {})


def items(read_item: Read, *, required: bool = False, limit: int | None = None, lone: bool = False) -> Read:
    """A list, as a tuple. `required`: of at least one entry; `limit`: of at most so many; `lone`: text stands for a list of one."""
    return reading.items(read_item, listed=_lone if lone else _listed, required=required, limit=limit)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Fault("must be a list", 'Write it as ["…"], tables of a list as [[…]]')
    return value


def _lone(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(read_name: Read, read_item: Read, *, limit: int | None = None, why: str = "") -> Read:
    """A table whose keys are names that people choose, as a dict. `limit`: of at most so many entries, because of `why`."""

    def read(value: Any, at: Path, found: Found) -> Any:
        if not isinstance(value, dict):
            found.append((at, Fault("must be a table", f"Write [{'.'.join(map(str, at))}] and its keys below it")))
            return {}
        if limit is not None and len(value) > limit:
            found.append((at, Fault(f"has {len(value)} entries", f"Keep it to {limit}: {why}")))
            return {}
        return {read_name(name, (*at, name), found): read_item(entry, (*at, name), found) for name, entry in value.items()}

    return read


def count(low: int = 1, high: int = NUMBER_LIMIT) -> Read:
    """A whole number."""

    def read(value: Any) -> int:
        if type(value) is not int:  # True is an int too
            raise Fault("must be a whole number", "Write digits without quotes")
        return int(_between(value, low, high))

    return scalar(read)


def seconds(low: float = 0.001, high: float = 315_360_000.0) -> Read:
    """A time span."""

    def read(value: Any) -> float:
        if type(value) not in (int, float):
            raise Fault("must be a number (of seconds)", "Write digits without quotes")
        if isinstance(value, float) and not math.isfinite(value):
            raise Fault("must be a finite number", "Write a number of seconds")
        return float(_between(value, low, high))

    return scalar(read)


def _between(value: float, low: float, high: float) -> float:
    if value < low:
        raise Fault(f"must be at least {low}", "Raise it")
    if value > high:
        raise Fault(f"must be at most {high}", "Lower it")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Fault("must be true or false", "Write true or false without quotes")
    return value


def plain_text(value: Any) -> str:
    """Printable text."""
    if not isinstance(value, str):
        raise Fault("must be text", "Put it in quotes")
    if not value.isprintable():
        raise Fault("holds a control character", "Remove it")
    return value


def one_of(words: Iterable[str]) -> Read:
    """One of these words."""
    known = tuple(words)

    def read(value: Any) -> str:
        word = plain_text(value)
        if word not in known:
            raise Fault(f"{shown(word)} is none of its values", did_you_mean(word, known, otherwise=f"Use one of: {', '.join(known)}"))
        return word

    return scalar(read)


_BY_TYPE: Mapping[str, Read] = {"bool": scalar(flag), "int": count(), "float": seconds()}
