"""JSON from elsewhere that means one thing only. Pure."""

from __future__ import annotations

import json
from typing import Any


def read_object(octets: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259) in UTF-8. What readers would take differently is refused: a name twice (RFC 7519 section 4), NaN and
    Infinity, a byte order mark. The caller bounds the size.

    :raises ValueError: it is none; the text says why, and repeats nothing of it.
    """
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError("it is no JSON") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _no_constant(_text: str) -> None:
    raise ValueError("it holds a number that JSON does not have")
