"""What ConvertTo-Json makes of the values of Exchange → text, numbers, true, false, None and lists of these.

PowerShell prints one value in many shapes: lists as `{"value": […], "Count": 2}` (Windows PowerShell with a type extension of arrays),
choices as `{"value": 1, "Value": "OnPremises"}` (objects that came over the network), addresses and host names as objects with their
parts (Exchange's own shell), an empty list as `{}`.
"""

from __future__ import annotations

from typing import Any

DEPTH_LIMIT = 8
"""Shapes within shapes; what is deeper is no value of a setting."""

# Of an object that stands for one text, the parts that are this text; the first one that is there counts.
_TEXT_PARTS = (
    "ipaddresstostring",
    "proxyaddressstring",
    "addressstring",
    "expression",
    "hostnamestring",
    "address",
    "smtpdomain",
    "domain",
    "name",
)

_SMART_HOST = {"host", "port", "priority", "weight"}
"""A smart host of ours, which `mailwye export --format exchange` prints."""


class UnreadableValue(ValueError):
    """No text can be made of the value; the message says what it is."""


def plain(value: Any, depth: int = 0) -> Any:
    """The value in its plain form. :raises UnreadableValue: an object of unknown shape."""
    if depth > DEPTH_LIMIT:
        raise UnreadableValue("is nested too deep")
    if isinstance(value, list):
        if {} in value:
            raise UnreadableValue("has an entry of which nothing was exported")
        read = [plain(entry, depth + 1) for entry in value]
        return [entry for entry in read if entry is not None]
    if isinstance(value, dict):
        return _plain_object(value, depth)
    return value


def _plain_object(value: dict[str, Any], depth: int) -> Any:
    if not value:
        return None
    lower = {key.lower(): part for key, part in value.items()}
    if "isunlimited" in lower:
        return "unlimited" if lower["isunlimited"] is True else plain(lower.get("value"), depth + 1)
    if isinstance(value.get("Value"), str):
        return value["Value"]
    if "host" in lower and lower.keys() <= _SMART_HOST:
        return dict(value)
    if lower.keys() <= {"value", "count", "length"} and isinstance(lower.get("value"), list):
        return plain(lower["value"], depth + 1)
    composed = _composed(lower, depth)
    if composed is not None:
        return composed
    if isinstance(lower.get("local"), str) and isinstance(lower.get("domain"), str):
        return f"{lower['local']}@{lower['domain']}"
    if "lowerbound" in lower and "upperbound" in lower and not isinstance(lower.get("expression"), str):
        return f"{plain(lower['lowerbound'], depth + 1)}-{plain(lower['upperbound'], depth + 1)}"
    for part in _TEXT_PARTS:
        if lower.get(part) is not None:
            text = plain(lower[part], depth + 1)
            if isinstance(text, str):
                return text
    raise UnreadableValue(f"is an object with {', '.join(sorted(value)[:5])}, of which no text can be made")


def _composed(lower: dict[str, Any], depth: int) -> Any:
    """Values of Exchange Server's connectors, of which no single part is the text; None for others."""

    def part(key: str) -> Any:
        return plain(lower[key], depth + 1)

    if {"address", "type", "cost"} <= lower.keys():  # an address space
        return f"{part('type')}:{part('address')};{part('cost')}"
    if {"address", "port", "addressfamily"} <= lower.keys():  # a binding
        address = str(part("address"))
        return f"[{address}]:{part('port')}" if ":" in address else f"{address}:{part('port')}"
    if {"certificateissuer", "certificatesubject"} <= lower.keys():
        return f"<I>{part('certificateissuer')}<S>{part('certificatesubject')}"
    if {"domain", "capabilities"} <= lower.keys():
        capabilities = part("capabilities")
        if not isinstance(capabilities, str):
            raise UnreadableValue("has Capabilities as a number, and nobody says what it stands for")
        return f"{part('domain')}:{capabilities}"
    if "totalseconds" in lower and "ticks" in lower:
        return lower["totalseconds"]
    if "username" in lower and "password" in lower:
        return dict(lower)
    return None


def is_empty(value: Any) -> bool:
    """True for what PowerShell prints where nothing is set."""
    return value is None or value is False or value in ("", [], {}, "None")
