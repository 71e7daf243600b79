"""Received lines of the own network: which they are, and a header section without them (OutboundConnector RemoveInternalReceivedHeaders).

RFC 5321 section 4.4 wants trace fields left alone, so this is off by default, for those who must not tell the Internet how their network is
built. The hops stay counted by the path mark. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from mailwye.message.firewall import rewritten
from mailwye.message.headers import Field, Header

_BY = re.compile(r"\sby\s", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![\w.:-])(?:IPv6:)?([0-9a-f:.]{2,45})(?:%\w+)?(?![\w.:-])", re.IGNORECASE)
_OWN_LINE = re.compile(rb"Received: from [^\r]*\r\n\tby ")  # as message/received.py writes it


def without_internal_hops(
    block: bytes, header: Header, is_own: Callable[[str], bool], *, came_from_inside: bool
) -> tuple[bytes, int, tuple[str, ...]]:
    """The block without Received lines of the own network, how many were removed, and what was done in sentences.

    From the newest one down to the first hop that came from outside, which stays with all that is below it: those are other people's.
    Our own line, the first one, stays too, so that a message can be traced back to the queue, but does not name the own host before us.
    `is_own`: does this canonical address belong to the own network? `came_from_inside`: a connector or a login says that our peer was own.
    """
    lines = [field for field in header.fields if field.name == b"received"]
    if not lines or not (came_from_inside or _is_internal(header.value(lines[0]), is_own)):
        return block, 0, ()
    doomed: list[Field] = []
    for line in lines[1:]:
        if not _is_internal(header.value(line), is_own):
            break
        doomed.append(line)
    ours = _OWN_LINE.match(header.raw(lines[0]))

    def rewrite(field: Field) -> bytes | None:
        if ours is not None and field == lines[0]:
            return b"Received: by " + header.raw(field)[ours.end() :]
        return b"" if field in doomed else None

    told = ["Our own Received line does not name the host before us"] if ours is not None else []
    if doomed:
        told.append(f"{len(doomed)} Received line{'s' if len(doomed) > 1 else ''} of the own network removed")
    return rewritten(block, header.fields, rewrite), len(doomed), tuple(told)


def _is_internal(value: str, is_own: Callable[[str], bool]) -> bool:
    """Whether a hop came from an own host. `value` of a line that an own server wrote: one without any address began on that server.

    An address from outside anywhere makes it a hop from outside: names, such as those of HELO, are the peer's to choose.
    """
    stamp = value.rpartition(";")[0] or value
    by = _BY.search(stamp)
    found = _addresses(stamp[: by.start()] if by is not None else stamp) or _addresses(stamp)
    return all(is_own(address) for address in found)


def _addresses(text: str) -> list[str]:
    found: list[str] = []
    for match in _ADDRESS.finditer(text):
        try:
            address = ipaddress.ip_address(match[1])
        except ValueError:
            continue  # a version, a time
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        found.append(str(mapped or address))
    return found
