"""The base of all objects of an organization: Exchange's spelling outside, snake_case inside.

Reading takes keys in any case, one scalar where a list is meant, and null for "the default". Writing uses the fixed spelling.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from mailwye.config.problem import Fault

# What PascalCase alone would spell otherwise than Exchange does.
_WORDS = {"ip": "IP", "ips": "IPs", "mx": "MX", "ef": "EF"}


def exchange_name(field: str) -> str:
    """`sender_ip_addresses` → `SenderIPAddresses`."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in field.split("_"))


class ConfigObject(BaseModel):
    """Immutable; unknown keys are refused."""

    model_config = ConfigDict(
        alias_generator=exchange_name, populate_by_name=True, frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    kind: ClassVar[str] = ""

    @property
    def identity(self) -> str:
        """What makes two objects of one kind the same, in lower case; "" for a kind of which there is one."""
        return ""

    @property
    def label(self) -> str:
        """The object as messages name it."""
        return f'{self.kind} "{self.identity}"'

    @model_validator(mode="before")
    @classmethod
    def _read_keys(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = _names(cls)
        read: dict[str, Any] = {}
        for key, value in data.items():
            name = known.get(key.lower(), key) if isinstance(key, str) else str(key)
            if name in read:
                raise Fault(f"{name} is given twice", "Keep one of them")
            if value is not None or name not in known.values():
                read[name] = value
        return read


@cache
def _names(cls: type[ConfigObject]) -> dict[str, str]:
    """Every accepted key in lower case → the fixed spelling."""
    names: dict[str, str] = {}
    for field, info in cls.model_fields.items():
        alias = info.alias or field
        names[field] = alias
        names[alias.lower()] = alias
    return names


def field_names(cls: type[ConfigObject]) -> tuple[str, ...]:
    """The keys of a class in the fixed spelling and order."""
    return tuple(info.alias or field for field, info in cls.model_fields.items())
