"""Sizes, times and limits as Exchange writes them: `35MB`, `00:10:00`, `unlimited`. Canonical: octets, seconds, UNLIMITED."""

from __future__ import annotations

import re
from collections.abc import Callable

from mailwye.config.problem import Fault, shown
from mailwye.config.schema.value import Value, value_of
from mailwye.connectors.own_server import UNLIMITED

SIZE_LIMIT = 2_147_483_647  # octets, as Exchange
DAY_SECONDS = 86_400
_DIGITS = 18  # of a number in a text: more than any limit has, fewer than Python refuses to read

_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
# `36 MB (37,748,736 bytes)` is how the Get- cmdlets print it.
_SIZE = re.compile(r"(\d{1,15})\s*([KMGT]?B|)(?:\s*\([\d,.' ]+bytes\))?", re.IGNORECASE | re.ASCII).fullmatch
_TIME = re.compile(r"(?:(\d{1,3})\.)?(\d{1,2}):(\d{2}):(\d{2})", re.ASCII).fullmatch


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_unlimited(value: object) -> bool:
    return value == UNLIMITED or (isinstance(value, str) and value.strip().lower() == "unlimited")


def size_reader(low: int, *, unlimited: bool) -> Callable[[object], int]:
    """A reader of sizes from `low` octets on; `unlimited`: the word is taken too."""

    def read(value: object) -> int:
        if unlimited and _is_unlimited(value):
            return UNLIMITED
        octets = _whole(value)
        if octets is None and isinstance(value, str) and (found := _SIZE(value.strip())) is not None:
            octets = int(found[1]) * _UNITS[found[2].upper()]
        if octets is None:
            raise Fault(f"{shown(value)} is no size", "Write a number with a unit, such as 35MB" + (", or unlimited" if unlimited else ""))
        if not low <= octets <= SIZE_LIMIT:
            raise Fault(f"must be from {write_size(low)} to {SIZE_LIMIT} octets", "Correct it")
        return octets

    return read


def write_size(octets: int) -> str | int:
    """The shortest form that reads back as the same value."""
    if octets == UNLIMITED:
        return "unlimited"
    for unit in ("GB", "MB", "KB"):
        if octets and octets % _UNITS[unit] == 0:
            return f"{octets // _UNITS[unit]}{unit}"
    return octets


def count_reader(low: int, high: int, *, unlimited: bool) -> Callable[[object], int]:
    """A reader of counts; `unlimited`: the word is taken too."""

    def read(value: object) -> int:
        if unlimited and _is_unlimited(value):
            return UNLIMITED
        count = _whole(value)
        if count is None and isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            count = int(value.strip()[:_DIGITS])
        if count is None or not low <= count <= high:
            raise Fault(f"must be a number from {low} to {high}" + (", or unlimited" if unlimited else ""), "Correct it")
        return count

    return read


def _write_count(count: int) -> str | int:
    return "unlimited" if count == UNLIMITED else count


def read_time_span(value: object) -> float:
    """`hh:mm:ss`, `d.hh:mm:ss`, or a number of seconds; one second to one day."""
    seconds = _whole(value)
    if isinstance(value, float) and value.is_integer():  # which infinity and NaN are not
        seconds = int(value)
    if isinstance(value, str):
        text = value.strip()
        if (found := _TIME(text)) is not None:
            days, hours, minutes, rest = (int(part or 0) for part in found.groups())
            seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
        elif text.isascii() and text.isdigit():
            seconds = int(text[:_DIGITS])
    if seconds is None:
        raise Fault(f"{shown(value)} is no time span", "Write hh:mm:ss, such as 00:10:00")
    if not 1 <= seconds <= DAY_SECONDS:
        raise Fault("must be from 00:00:01 to 1.00:00:00", "Correct it")
    return float(seconds)


def write_time_span(seconds: float) -> str:
    """As Exchange prints it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}." if days else "") + f"{hours:02}:{minutes:02}:{rest:02}"


def size(low: int, *, unlimited: bool) -> Value[int]:
    """The value of a size."""
    return value_of(int, size_reader(low, unlimited=unlimited), {"type": ["integer", "string"]}, write=write_size)


def count(low: int, high: int, *, unlimited: bool = False) -> Value[int]:
    """The value of a count."""
    schema = {"type": ["integer", "string"] if unlimited else "integer"}
    return value_of(int, count_reader(low, high, unlimited=unlimited), schema, write=_write_count)


TIME_SPAN = value_of(float, read_time_span, {"type": "string"}, write=write_time_span)
