"""The JSON schema of a class, for the API's description of itself."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from mailwye.config.schema.config_object import ConfigObject, Field


def json_schema(cls: type[ConfigObject]) -> dict[str, Any]:
    """What an object is as JSON. Defaults are canonical values: octets and seconds, where people write 35MB or 00:10:00."""
    required = [entry.name for entry in cls.fields.values() if entry.required]
    return {
        "title": cls.__name__,
        "description": inspect.getdoc(cls),
        "type": "object",
        "properties": {entry.name: _described(entry) for entry in cls.fields.values()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _described(entry: Field) -> dict[str, Any]:
    schema = dict(entry.value.schema)
    return schema if entry.required else schema | {"default": _plain(entry.default)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Enum) else value
