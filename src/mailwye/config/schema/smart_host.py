"""Entries of SmartHosts: text as people write it, or a mapping, → connectors.model.SmartHost, and back."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from mailwye.config.problem import Fault, did_you_mean, shown
from mailwye.config.schema.value import each, value_of
from mailwye.connectors.model import SmartHost
from mailwye.smtp.address import AddressError, parse_domain

DEFAULT_PRIORITY = 10
DEFAULT_WEIGHT = 1
PRIORITY_LIMIT = 65_535  # as in SRV records, RFC 2782
_KEYS = ("Host", "Port", "Priority", "Weight")

_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::(\d{1,5}))?").fullmatch
_PLAIN = re.compile(r"([^:\[\]/]+)(?::(\d{1,5}))?").fullmatch


def read_smart_host(value: object) -> SmartHost:
    """`host`, `host:port`, `[host]`, `[v6]:port`, a bare address, or {Host, Port, Priority, Weight}."""
    match value:
        case SmartHost():
            return value
        case str():
            return _from_text(value.strip())
        case dict():
            return _from_mapping(value)
        case _:
            raise Fault("must be text or a mapping", "Write mail.contoso.com, mail.contoso.com:2525 or {Host: …, Port: …}")


def _from_mapping(data: dict[Any, Any]) -> SmartHost:
    known = {key.lower(): key for key in _KEYS}
    read: dict[str, Any] = {}
    for key, value in data.items():
        name = known.get(str(key).lower())
        if name is None:
            raise Fault(f"{shown(str(key))} is no key of a smart host", did_you_mean(str(key), _KEYS, otherwise=f"Use {', '.join(_KEYS)}"))
        if name in read:
            raise Fault(f"{name} is given twice", "Keep one of them")
        read[name] = value
    host = read.get("Host")
    if not isinstance(host, str):
        raise Fault("Host is missing", "Give the name or the address of the server")
    parsed = _from_text(host.strip())
    port = _number(read, "Port", parsed.port, 0, 65_535)
    if parsed.port and port != parsed.port:
        raise Fault(f"Host says port {parsed.port}, Port says {port}", "Give the port once")
    return SmartHost(
        parsed.host,
        port,
        _number(read, "Priority", DEFAULT_PRIORITY, 0, PRIORITY_LIMIT),
        _number(read, "Weight", DEFAULT_WEIGHT, 1, PRIORITY_LIMIT),
        parsed.look_up_mx and not port,
    )


def _number(read: dict[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = read.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Fault(f"{key} must be a number from {low} to {high}", "Correct it")
    return value


def _from_text(text: str) -> SmartHost:
    address = _address(text)
    if address:
        return SmartHost(address, look_up_mx=False)
    found = _BRACKETS(text)
    bracketed = found is not None
    if found is None:
        found = _PLAIN(text)
    if found is None:
        raise Fault(_not_a_host(text), _remedy(text))
    host, port = found.group(1), int(found.group(2) or 0)
    if port > 65_535 or (port == 0 and found.group(2) is not None):
        raise Fault(f"{shown(text)} has no usable port", "Ports go from 1 to 65535")
    address = _address(host)
    return SmartHost(address or _name(host), port, look_up_mx=not (address or port or bracketed))


def _address(text: str) -> str:
    """The canonical form of an IP address, "" where it is none; an IPv4-mapped IPv6 address is the IPv4 address that it holds."""
    if "%" in text:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _name(text: str) -> str:
    try:
        return parse_domain(text)
    except AddressError as error:
        raise Fault(_not_a_host(text), _remedy(text)) from error


def _not_a_host(text: str) -> str:
    return f"{shown(text)} is an address range" if "/" in text else f"{shown(text)} is no host"


def _remedy(text: str) -> str:
    # Exchange takes a CIDR here, but no page says in which order its addresses are tried (connectors.md 9.18).
    return "List the addresses one by one" if "/" in text else "Write a name, an address, name:port or [IPv6]:port"


def write_smart_host(host: SmartHost) -> str | dict[str, Any]:
    """The shortest form that reads back as the same value."""
    if host.priority == DEFAULT_PRIORITY and host.weight == DEFAULT_WEIGHT:
        return str(host)
    written: dict[str, Any] = {"Host": str(SmartHost(host.host, look_up_mx=host.look_up_mx or bool(host.port)))}
    if host.port:
        written["Port"] = host.port
    if host.priority != DEFAULT_PRIORITY:
        written["Priority"] = host.priority
    if host.weight != DEFAULT_WEIGHT:
        written["Weight"] = host.weight
    return written


def _in_order(hosts: tuple[SmartHost, ...]) -> tuple[SmartHost, ...]:
    """By priority, then host: among equals the draw is random, so their written order has no meaning."""
    return tuple(sorted(set(hosts), key=lambda h: (h.priority, h.host, h.port, h.weight, h.look_up_mx)))


_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"Host": {"type": "string"}, **{key: {"type": "integer"} for key in _KEYS[1:]}},
            "required": ["Host"],
            "additionalProperties": False,
        },
    ]
}
SMART_HOSTS = each(value_of(SmartHost, read_smart_host, _SCHEMA, write=write_smart_host, kept=read_smart_host), _in_order)
