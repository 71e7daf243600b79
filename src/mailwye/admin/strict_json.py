"""JSON from elsewhere that means one thing only. Pure."""

from __future__ import annotations

import json
from typing import Any

from mailwye.config.problem import shown


def read_json(octets: bytes) -> Any:
    """A JSON text (RFC 8259) in UTF-8. What readers would take differently is refused: a name twice (RFC 7519 section 4), NaN and
    Infinity, a byte order mark, halves of surrogate pairs. The caller bounds the size.

    :raises ValueError: it is none; the text says why.
    """
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair, which is no text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def read_object(octets: bytes) -> dict[str, Any]:
    """The same, of a JSON object."""
    value = read_json(octets)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{shown(name)} is given twice")
        found[name] = value
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
