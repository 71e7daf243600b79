"""Scalars of both files, mailwye.toml and the organization's: what people write, read into one canonical form. They raise Fault."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from mailwye.config.problem import Fault, shown

NAME_LIMIT = 64  # characters, as Exchange (New-OutboundConnector -Name)
TEXT_LIMIT = 1_024  # characters of a comment or a display name
RANGE_LIMIT = 64  # networks that one written range "first-last" may become

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]").search


def read_text(value: object) -> str:
    """Text; a number that YAML saw in it is text again (`Name: 2024`)."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Fault("must be text", "Put it in quotes" if isinstance(value, bool) else "Write one piece of text here")
    text = str(value).strip()
    if _UNPRINTABLE(text) is not None:
        raise Fault("holds a control character or a line break", "Remove it")
    return text


def limited_text(limit: int, *, required: bool = False) -> Callable[[object], str]:
    """A reader for text of at most `limit` characters; `required`: of at least one."""

    def read(value: object) -> str:
        text = read_text(value)
        if required and not text:
            raise Fault("is empty", "Give it a value")
        if len(text) > limit:
            raise Fault(f"is longer than {limit} characters", "Shorten it")
        return text

    return read


def as_list(value: object) -> object:
    """One scalar or mapping stands for a list of one; an empty text for an empty list."""
    if isinstance(value, list | tuple):
        return value
    return [] if value == "" else [value]


def read_networks(value: object) -> tuple[str, ...]:
    """An address, a CIDR or a range `first-last` → canonical CIDRs. Host bits are dropped; IPv4-mapped IPv6 becomes IPv4."""
    text = read_text(value)
    try:
        first, dash, last = text.partition("-")
        networks = list(_range(first.strip(), last.strip())) if dash else [_network(text)]
    except (ValueError, TypeError) as error:
        raise Fault(
            f"{shown(text)} is neither an IP address nor an address range", "Write 192.0.2.1, 192.0.2.0/24, 2001:db8::/32 or first-last"
        ) from error
    if len(networks) > RANGE_LIMIT:
        raise Fault(f"{shown(text)} is a range of {len(networks)} networks", "Write it as a few CIDRs, such as 192.0.2.0/24")
    return tuple(str(network) for network in networks)


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> _Network:
    if "%" in text:
        raise ValueError("zone")
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _range(first: str, last: str) -> Iterable[_Network]:
    low, high = _network(first).network_address, _network(last).network_address
    if isinstance(low, ipaddress.IPv4Address) and isinstance(high, ipaddress.IPv4Address):
        return ipaddress.summarize_address_range(low, high)
    if isinstance(low, ipaddress.IPv6Address) and isinstance(high, ipaddress.IPv6Address):
        return ipaddress.summarize_address_range(low, high)
    raise ValueError("mixed versions")
