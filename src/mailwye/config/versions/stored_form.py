"""One object as a store keeps it: canonical JSON with Exchange's keys, defaults left out. Equal objects have equal texts.

Reading trusts that the text was written here: values are put into their types without being checked again, which is several times faster
than validation (an organization of 120,000 objects is read at every start and by every command). Whatever is not as written here (an
unknown key, a value of another type, a field of a type that this file does not know) goes through validation, which explains it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from pydantic import PlainSerializer, WrapSerializer
from pydantic.fields import FieldInfo

from mailwye.config.schema import KINDS, ConfigObject, OrganizationSettings
from mailwye.config.schema.own_server import read_address_space, read_binding
from mailwye.config.schema.smart_host import read_smart_host
from mailwye.connectors.model import SmartHost
from mailwye.connectors.own_server import AddressSpace, Binding
from mailwye.smtp.address import Address, parse_address

STORED: Mapping[str, Any] = {"sealed": True}
"""The serialization context: a field that is sealed or hidden elsewhere writes here what brings it back."""

_Convert = Callable[[Any], Any]
_new, _put = object.__new__, object.__setattr__  # as pydantic's own model_construct does it


def model_of(kind: str) -> type[ConfigObject]:
    """:raises KeyError: no such kind."""
    return OrganizationSettings if kind == OrganizationSettings.kind else KINDS[kind].model


def stored_text(thing: ConfigObject) -> str:
    """What `from_stored` reads back."""
    plain = thing.model_dump(mode="json", by_alias=True, exclude_defaults=True, context=STORED)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def from_stored(kind: str, text: str) -> ConfigObject:
    """The object of a text. :raises ValueError: it is none of this kind (written by a newer Mailwye, or damaged); says why."""
    try:
        reader = _reader(kind)
    except KeyError as error:
        raise ValueError(f"{kind} is no kind of object that this Mailwye knows") from error
    data = _decode(text)
    thing = reader.trusted(data) if type(data) is dict else None
    return thing if thing is not None else reader.model.model_validate(data)


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error


class _Reader:
    """How objects of one kind are made without validation."""

    __slots__ = ("_defaults", "_fields", "_required", "model")

    def __init__(self, model: type[ConfigObject]) -> None:
        self.model = model
        self._fields: dict[str, tuple[str, _Convert]] = {}
        self._defaults: dict[str, Any] = {}
        required: list[str] = []
        for name, info in model.model_fields.items():
            convert = _converter_of(info)
            if convert is not None:
                self._fields[info.alias or name] = (name, convert)
            if info.is_required():
                required.append(name)
            self._defaults[name] = None if info.is_required() else info.get_default(call_default_factory=True)
        self._required = frozenset(required)

    def trusted(self, data: dict[str, Any]) -> ConfigObject | None:
        """The object, None where validation has to look."""
        values = self._defaults.copy()
        given: set[str] = set()
        fields = self._fields
        try:
            for key, value in data.items():
                name, convert = fields[key]
                values[name] = convert(value)
                given.add(name)
        except (KeyError, ValueError, TypeError):
            return None
        if not self._required <= given:
            return None
        thing = _new(self.model)
        _put(thing, "__dict__", values)
        _put(thing, "__pydantic_fields_set__", given)
        _put(thing, "__pydantic_extra__", None)
        _put(thing, "__pydantic_private__", None)
        return thing


@cache
def _reader(kind: str) -> _Reader:
    return _Reader(model_of(kind))


def _converter_of(info: FieldInfo) -> _Convert | None:
    """None: only validation knows this field. So it is where text or a number is written otherwise than it is held."""
    rewritten = any(isinstance(entry, PlainSerializer | WrapSerializer) for entry in info.metadata)
    if rewritten and info.annotation in (str, int, bool):
        return None
    return _converter(info.annotation)


def _converter(annotation: Any) -> _Convert | None:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _converter(arguments[0])
    if annotation in (str, int, bool):
        return _exactly(annotation)
    if annotation is Any:  # networks, whose entries are text
        return _exactly(str)
    if annotation is Address:
        return parse_address
    if annotation is SmartHost:
        return read_smart_host
    if annotation is AddressSpace:
        return read_address_space
    if annotation is Binding:
        return read_binding
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {member.value: member for member in annotation}.__getitem__
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _each(_converter(arguments[0]))
    if origin in (Union, UnionType) and len(arguments) == 2 and NoneType in arguments:
        return _optional(_converter(arguments[0] if arguments[1] is NoneType else arguments[1]))
    return None


def _exactly(cls: type) -> _Convert:
    def convert(value: Any) -> Any:
        if type(value) is not cls:
            raise TypeError
        return value

    return convert


def _each(convert: _Convert | None) -> _Convert | None:
    if convert is None:
        return None
    one = convert

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise TypeError
        return tuple(map(one, value))

    return read


def _optional(convert: _Convert | None) -> _Convert | None:
    if convert is None:
        return None
    one = convert
    return lambda value: None if value is None else one(value)
