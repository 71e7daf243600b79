"""Rows from the pages of tables, one by one, past everything that is damaged."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from mailwye.storage.sqlite.connection import PAGE_SIZE
from mailwye.storage.sqlite.rescue.pages import PageImage

Value = int | float | str | bytes | None

_LEAF, _INTERIOR = 0x0D, 0x05
_LOCAL_MAXIMUM = PAGE_SIZE - 35
_LOCAL_MINIMUM = (PAGE_SIZE - 12) * 32 // 255 - 23
_INTEGERS = (0, 1, 2, 3, 4, 6, 8)  # octets by serial type


def rows(image: PageImage, roots: Sequence[int]) -> Iterator[tuple[int, tuple[Value, ...]]]:
    """(rowid, columns) of every row that can be told apart. The same row may come twice, and not as it was written: check it.

    Pages that are free hold rows of the past. Where nobody can say any more which are free, only what hangs on `roots` counts.
    """
    free = image.free()
    numbers = _reachable(image, roots) if free is None else (one for one in range(1, image.count + 1) if one not in free)
    for number in numbers:
        yield from _leaf_rows(image, number)


def _reachable(image: PageImage, roots: Sequence[int]) -> Iterator[int]:
    """The leaves of the tables, past interior pages that are damaged."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        number = waiting.pop()
        if number in seen or not 0 < number <= image.count:
            continue
        seen.add(number)
        page = image.page(number)
        if page[0] == _LEAF:
            yield number
        elif page[0] == _INTERIOR:
            cells = struct.unpack(">H", page[3:5])[0]
            waiting.append(struct.unpack(">I", page[8:12])[0])
            cells = min(cells, PAGE_SIZE // 8)
            places = struct.unpack(f">{cells}H", page[12 : 12 + 2 * cells])
            waiting.extend(struct.unpack(">I", page[at : at + 4])[0] for at in places if at + 4 <= PAGE_SIZE)


def _leaf_rows(image: PageImage, number: int) -> Iterator[tuple[int, tuple[Value, ...]]]:
    page = image.page(number)
    start = 100 if number == 1 else 0
    if page[start] != _LEAF:
        return
    cells = min(struct.unpack(">H", page[start + 3 : start + 5])[0], PAGE_SIZE // 4)
    for at in struct.unpack(f">{cells}H", page[start + 8 : start + 8 + 2 * cells].ljust(2 * cells, b"\0")):
        try:
            yield _cell(image, page, at)
        except (IndexError, ValueError, struct.error, OverflowError):
            continue


def _cell(image: PageImage, page: bytes, at: int) -> tuple[int, tuple[Value, ...]]:
    size, at = _varint(page, at)
    rowid, at = _varint(page, at)
    if size > image.count * PAGE_SIZE:
        raise ValueError("longer than the file")
    if size <= _LOCAL_MAXIMUM:
        payload = page[at : at + size]
    else:
        local = _LOCAL_MINIMUM + (size - _LOCAL_MINIMUM) % (PAGE_SIZE - 4)
        local = local if local <= _LOCAL_MAXIMUM else _LOCAL_MINIMUM
        payload = page[at : at + local] + _overflow(image, page[at + local : at + local + 4], size - local)
    if len(payload) < size:
        raise ValueError("cut off")
    return rowid, _columns(payload)


def _overflow(image: PageImage, pointer: bytes, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        number = struct.unpack(">I", pointer)[0]
        if not 0 < number <= image.count:
            raise ValueError("no such page")
        page = image.page(number)
        parts.append(page[4 : 4 + size])
        size -= len(parts[-1])
        pointer = page[:4]
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        octet = data[at + place]
        if place == 8:
            value = value << 8 | octet
            return value - (1 << 64) if value >> 63 else value, at + 9
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            return value, at + place + 1
    raise ValueError("no integer")


def _columns(payload: bytes) -> tuple[Value, ...]:
    size, at = _varint(payload, 0)
    body = size
    values: list[Value] = []
    while at < size:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[Value, int]:
    if kind < 7:
        end = at + _INTEGERS[kind]
        value: Value = None if kind == 0 else int.from_bytes(payload[at:end], "big", signed=True)
    elif kind == 7:
        end = at + 8
        value = float(struct.unpack(">d", payload[at:end])[0])
    elif kind in (8, 9):
        return kind - 8, at
    else:
        end = at + (kind - 12) // 2
        data = payload[at:end]
        value = data if kind % 2 == 0 else data.decode("utf-8", "backslashreplace")
    if end > len(payload):
        raise ValueError("cut off")
    return value, end
