"""The base of all objects of an organization: Exchange's spelling outside, snake_case inside.

Reading takes keys in any case, one scalar where a list is meant, and null for "the default". Writing uses the fixed spelling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from mailwye.config.problem import Fault, Path
from mailwye.config.reading import Found, Read, read_keys
from mailwye.config.schema.value import Value

_T = TypeVar("_T")
_REQUIRED: Any = object()

# What PascalCase alone would spell otherwise than Exchange does.
_WORDS = {"ip": "IP", "ips": "IPs", "mx": "MX", "ef": "EF"}


def exchange_name(field: str) -> str:
    """`sender_ip_addresses` → `SenderIPAddresses`."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in field.split("_"))


class Unknown(Fault):
    """A key that no field has. What else it could mean is for parse.py to say, of the few that anybody reads."""

    def __init__(self, _key: str) -> None:
        super().__init__("is no setting that Mailwye knows")


class Unreadable(ValueError):
    """Plain values that are no object of a class. `found`: every fault with its place."""

    def __init__(self, found: Found) -> None:
        self.found = found
        super().__init__("; ".join(": ".join([*map(str, at), fault.message]) for at, fault in found[:_TOLD]))


_TOLD = 20  # faults in the text of an exception


class Field:
    """One field of a class. `attribute` in Python, `name` in files; `default` of those that are not `required`."""

    __slots__ = ("attribute", "default", "name", "value")

    def __init__(self, value: Value[Any], default: Any) -> None:
        self.attribute = self.name = ""
        self.value = value
        self.default = default

    @property
    def required(self) -> bool:
        """True where it has no default."""
        return self.default is _REQUIRED


def field(value: Value[_T], *, default: _T = _REQUIRED) -> _T:
    """Declares a field in the body of a class. Its type is that of what an object has there."""
    declared: Any = Field(value, default)
    return declared  # type: ignore[no-any-return]  # ConfigObject puts the default in its place


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class ConfigObject:
    """Immutable. An object holds what was given, its class the defaults. `of` reads plain values; the class itself is called with values
    that are canonical already.
    """

    kind: ClassVar[str] = ""
    fields: ClassVar[Mapping[str, Field]] = {}
    """By attribute, in the order in which they are written."""
    _spelling: ClassVar[Callable[[str], str]] = staticmethod(exchange_name)
    _keys: ClassVar[Mapping[str, str]] = {}  # every key that is taken, in lower case → its spelling
    _names: ClassVar[Mapping[str, str]] = {}  # spelling → attribute
    _readers: ClassVar[Mapping[str, Read]] = {}
    _required: ClassVar[tuple[str, ...]] = ()
    _values: ClassVar[attrgetter[Any]]
    _writers: ClassVar[tuple[tuple[Field, Callable[[Any], Any] | None, Callable[[Any], Any] | None], ...]] = ()

    def __init_subclass__(cls, *, spelling: Callable[[str], str] | None = None) -> None:
        if spelling is not None:
            cls._spelling = staticmethod(spelling)
        own = {name: entry for name, entry in vars(cls).items() if isinstance(entry, Field)}
        for attribute, entry in own.items():
            entry.attribute, entry.name = attribute, cls._spelling(attribute)
            if entry.required:
                delattr(cls, attribute)
            else:
                setattr(cls, attribute, entry.default)
        cls.fields = {**cls.fields, **own}
        entries = cls.fields.values()
        cls._names = {entry.name: entry.attribute for entry in entries}
        cls._keys = {key: entry.name for entry in entries for key in (entry.attribute, entry.name.lower())}
        cls._readers = {entry.name: entry.value.read for entry in entries}
        cls._required = tuple(entry.name for entry in entries if entry.required)
        cls._writers = tuple((entry, entry.value.write, entry.value.store or entry.value.write) for entry in entries)
        if cls.fields:
            cls._values = attrgetter(*cls.fields)  # a tuple, as each class has several

    def __init__(self, **values: Any) -> None:
        wrong = values.keys() - self.fields.keys() or {entry.attribute for entry in self.fields.values() if entry.required} - values.keys()
        if wrong:
            raise TypeError(f"{type(self).__name__} takes or needs {', '.join(sorted(wrong))}")
        _fill(self, values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._values(self) == self._values(other))

    def __hash__(self) -> int:
        return hash((type(self), self._values(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @property
    def identity(self) -> str:
        """What makes two objects of one kind the same, in lower case; "" for a kind of which there is one."""
        return ""

    @property
    def label(self) -> str:
        """The object as messages name it."""
        return f'{self.kind} "{self.identity}"'

    @property
    def given(self) -> frozenset[str]:
        """The attributes that were written, be it with their default."""
        return frozenset(vars(self))

    def changed(self, **values: Any) -> Self:
        """The same object but for these attributes."""
        return self.filled({**vars(self), **values})

    @classmethod
    def filled(cls, values: Mapping[str, Any]) -> Self:
        """The object of canonical values by their attributes, of which nothing is looked at."""
        made = _new(cls)
        _fill(made, values)
        return made

    @classmethod
    def of(cls, plain: object) -> Self:
        """The object of plain values, as files, the API and the store have them. :raises Unreadable: there are none."""
        found: Found = []
        made = cls.read(plain, (), found)
        if made is None:
            raise Unreadable(found)
        return made

    @classmethod
    def read(cls, plain: Any, at: Path, found: Found) -> Self | None:
        """The same as a Read; None where faults were added."""
        if not isinstance(plain, Mapping):
            found.append((at, Fault("must be a mapping of settings", "Write lines such as Name: …")))
            return None
        try:
            data = cls._spelled(cls._completed(plain))
        except Fault as fault:
            found.append((at, fault))
            return None
        values = read_keys(data, at, found, cls._readers, required=cls._required, missing=_missing, unknown=Unknown)
        if values is None:
            return None
        names = cls._names
        return cls.filled({names[name]: value for name, value in values.items()})

    @classmethod
    def _completed(cls, plain: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """What was written, with what follows from it. Keys are in any case."""
        return plain

    @classmethod
    def _spelled(cls, plain: Mapping[Any, Any]) -> dict[str, Any]:
        """Keys in their fixed spelling; null is left out. :raises Fault: one is given twice."""
        known = cls._keys
        data: dict[str, Any] = {}
        for key, value in plain.items():
            written = str(key)
            name = known.get(written.lower(), "")
            if (name or written) in data:
                raise Fault(f"{name or written} is given twice", "Keep one of them")
            if value is not None or not name:
                data[name or written] = value
        return data

    def plain(self, *, defaults: bool = True, sealed: bool = False) -> dict[str, Any]:
        """Only str, int, bool, None, list and dict, by Exchange's names in the order of the fields; without `defaults`: of what is not
        default. Passwords are a placeholder, but `sealed`, for the store.
        """
        written: dict[str, Any] = {}
        for (entry, write, store), value in zip(self._writers, self._values(self), strict=True):
            if defaults or (value is not entry.default and value != entry.default):
                write = store if sealed else write
                written[entry.name] = value if write is None or value is None else write(value)
        return written


_new, _put = object.__new__, object.__setattr__


def _fill(thing: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        _put(thing, name, value)


def _missing(_name: str) -> Fault:
    return Fault("is missing", "Add it")


def field_names(cls: type[ConfigObject]) -> tuple[str, ...]:
    """The keys of a class in the fixed spelling and order."""
    return tuple(entry.name for entry in cls.fields.values())
