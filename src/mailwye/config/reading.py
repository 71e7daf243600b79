"""Mappings and lists of a file read with every fault and its place: what mailwye.toml and the organization's objects have in common.

Why no library does this: each command reads both before it does anything (docs/decisions/0013).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from mailwye.config.problem import Fault, Path

Found = list[tuple[Path, Fault]]
"""Faults with their places."""

Read = Callable[[Any, Path, Found], Any]
"""(a value as the file has it, its place, where faults go) → the value that is meant; anything where a fault was added."""


def read_keys(
    data: Mapping[str, Any],
    at: Path,
    found: Found,
    keys: Mapping[str, Read],
    *,
    required: Collection[str],
    missing: Callable[[str], Fault],
    unknown: Callable[[str], Fault],
) -> dict[str, Any] | None:
    """The values of one mapping by their keys; None with what was `found`: in the order of `keys`, what is `unknown` at the end."""
    before = len(found)
    found.extend(((*at, key), missing(key)) for key in required if key not in data)
    values: dict[str, Any] = {}
    for key, given in data.items():
        read = keys.get(key)
        if read is None:
            found.append(((*at, key), unknown(key)))
        else:
            values[key] = read(given, (*at, key), found)
    if len(found) == before:
        return values
    order, depth = {key: number for number, key in enumerate(keys)}, len(at)
    found[before:] = sorted(found[before:], key=lambda each: order.get(str(each[0][depth]), len(order)))
    return None


def scalar(read_value: Callable[[Any], Any]) -> Read:
    """`read_value` raises Fault."""

    def read(value: Any, at: Path, found: Found) -> Any:
        try:
            return read_value(value)
        except Fault as fault:
            found.append((at, fault))
            return None

    return read


def items(
    read_item: Read,
    *,
    listed: Callable[[Any], Any],
    required: bool = False,
    limit: int | None = None,
    settle: Callable[[Any], Any] | None = None,
) -> Read:
    """A list, as a tuple. `listed`: the list that a value is, or Fault. `required`: of at least one entry; `limit`: of at most so many.
    `settle`: what the tuple of faultless entries is in the end, or Fault.
    """

    def read(value: Any, at: Path, found: Found) -> Any:
        before = len(found)
        try:
            value = listed(value)
            if required and not value:
                raise Fault("is empty", "Give it a value")
            if limit is not None and len(value) > limit:
                raise Fault(f"has more than {limit} entries", "Remove some")
            entries = tuple([read_item(entry, (*at, index), found) for index, entry in enumerate(value)])
            return settle(entries) if settle is not None and len(found) == before else entries
        except Fault as fault:
            found.append((at, fault))
            return ()

    return read
