"""A next hop of Postfix → SmartHosts of a connector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SPLIT = re.compile(r"[\s,]+")
_BRACKETS = re.compile(r"\[([^\[\]]+)\](?::(\S+))?").fullmatch
_PLAIN = re.compile(r"([^\[\]:]+)(?::(\S+))?").fullmatch
_SERVICES = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465, "lmtp": 24}
_SMTP = 25


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of a next hop. `text`: as written, in lower case, which is the key of smtp_tls_policy_maps."""

    text: str
    host: str
    port: int
    bracketed: bool


class NoDestination(ValueError):
    """Not a host; the message says what it is."""


def destinations(nexthop: str) -> list[Destination]:
    """`[host]:port`, `host`, `host:port`, several in the order in which they are tried (Postfix 3.5). :raises NoDestination: none."""
    found = [_destination(text) for text in _SPLIT.split(nexthop.strip()) if text]
    if not found:
        raise NoDestination("names no host")
    return found


def _destination(text: str) -> Destination:
    found = _BRACKETS(text)
    bracketed = found is not None
    if found is None:
        found = _PLAIN(text)
    if found is None:
        raise NoDestination(f"{text} is no host")
    port_text = found[2] or ""
    port = _SERVICES.get(port_text.lower(), int(port_text) if port_text.isascii() and port_text.isdigit() and len(port_text) < 6 else -1)
    if port_text and not 0 < port < 65_536:
        raise NoDestination(f"{text} has no port that is known here")
    host = found[1].lower().removeprefix("ipv6:")
    return Destination(text.lower(), host, port if port_text else 0, bracketed)


def looks_up_mx_with_port(one: Destination) -> bool:
    """True for `host:2525`: Postfix asks for MX records of the host, Mailwye for its addresses, because a port is given."""
    return not one.bracketed and one.port not in (0, _SMTP)


def smart_hosts(listed: list[Destination]) -> list[Any]:
    """As SmartHosts has them, the order of several as Priority."""
    written = [_written(one) for one in listed]
    if len(written) == 1:
        return [written[0]]
    return [{"Host": host, "Priority": 10 * number} for number, host in enumerate(written, 1)]


def _written(one: Destination) -> str:
    if one.bracketed:
        port = one.port or 0
        host = f"[{one.host}]"
        return f"{host}:{port}" if port else host
    return one.host if one.port in (0, _SMTP) else f"{one.host}:{one.port}"
