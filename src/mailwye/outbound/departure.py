"""What changes in a message when it leaves for another server (SEMANTICS section 9): the header section and MAIL FROM, never an octet of
the body.

`Border.depart` decides: header section, route and configuration in, the new header section with its reasons out. Every message gets
a path mark (section 10); most have nothing else to be changed: one search of the header section tells.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from mailwye.connectors.changes import is_foreign
from mailwye.connectors.selection import Route
from mailwye.message.content import Content, InlineContent
from mailwye.message.firewall import leave
from mailwye.message.headers import find_header_end, scan
from mailwye.message.path_mark import TAKEN_BEFORE, PathMarks, loop_reply, was_taken, way_in
from mailwye.message.received_hops import without_internal_hops
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.outbound.courier import Work
from mailwye.runtime.clock import Clock
from mailwye.runtime.network import is_private
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

PIECE = 262_144
"""Octets of one piece of streamed content (message/content.Content)."""

# Beginnings of header fields that are looked at; the letter case of names does not count (RFC 5322 section 1.2.2).
_LOOKED_AT = (b"\r\nx-ms-exchange-", b"\r\nx-mailwye-path")


@dataclass(frozen=True, slots=True)
class Departure:
    """How one message leaves: from `sender`; `added` (the path mark) goes ahead of it, `block` stands in the place of its header section
    (None: as it is). `reasons`: what was changed and why, for the trace. `refused`: recipients by index whose copy must not leave, since it
    took the same way before.
    """

    sender: Address | None
    added: bytes
    block: bytes | None = None
    reasons: tuple[str, ...] = ()
    refused: Mapping[int, Reply] | None = None


class Border:
    """Between the organization and all servers beyond it. One for all couriers of a worker. `marks` and `rewriting` of this installation;
    `clock` tells the day of a rewritten sender.
    """

    __slots__ = ("_clock", "_marks", "_rewriting")

    def __init__(self, marks: PathMarks, rewriting: SenderRewriting, clock: Clock) -> None:
        self._marks = marks
        self._rewriting = rewriting
        self._clock = clock

    def depart(self, work: Work, block: bytes) -> Departure:
        """`block`: the header section of the content of `work`, with the blank line that ends it."""
        lease, route, marks = work.lease, work.route, self._marks
        message = lease.message
        came, goes, message_id = way_in(message.origin.caller_kind, message.origin.connector), route.next_hop, message.message_id
        steps = [marks.step(came, goes, one.recipient.key, message_id) for one in lease.deliveries]
        sender, told = self._sender(work)
        if not route.remove_internal_received_headers and not is_looked_at(block):
            return Departure(sender, marks.write(steps, message_id), None, told)
        header = scan(block)
        known = marks.read(header)
        refused = {index: _loop(work) for index, step in enumerate(steps) if was_taken(known, step)}
        changed, reasons = leave(block, header, crossing=route.cloud_services_mail_enabled)
        told += tuple(f"{one} ({_headers_setting(route)})" for one in reasons)
        removed = 0
        if route.remove_internal_received_headers:
            changed, removed, reasons = _without_internal_hops(work, changed)
            told += tuple(f"{one} ({_setting(route, 'RemoveInternalReceivedHeaders')})" for one in reasons)
        return Departure(sender, marks.write(steps, message_id, removed), changed, told, refused)

    def _sender(self, work: Work) -> tuple[Address | None, tuple[str, ...]]:
        """MAIL FROM, rewritten where it is somebody's outside and the way asks for it."""
        sender, route, snapshot = work.lease.message.sender, work.route, work.snapshot
        if not route.rewrites_sender or snapshot is None or sender is None or not is_foreign(snapshot.directory, sender):
            return sender, ()
        domain = snapshot.directory.default_domain
        if not domain:
            return sender, (f"{sender} is not rewritten: no accepted domain is the default one",)
        wrapped = self._rewriting.wrap(sender, domain, self._clock.now())
        if isinstance(wrapped, str):
            return sender, (wrapped,)
        return wrapped, (f"MAIL FROM {sender} is rewritten to {wrapped} ({_setting(route, 'SenderRewritingEnabled')})",)


def _loop(work: Work) -> Reply:
    return loop_reply(TAKEN_BEFORE, work.lease.message.origin.connector, work.route.connector)


def _without_internal_hops(work: Work, block: bytes) -> tuple[bytes, int, tuple[str, ...]]:
    snapshot = work.snapshot

    def is_own(address: str) -> bool:
        return is_private(address) or (snapshot is not None and bool(snapshot.connectors.addresses.find(address)))

    inside = work.lease.message.origin.caller_kind in ("connector", "mailbox")
    return without_internal_hops(block, scan(block), is_own, came_from_inside=inside)


def _headers_setting(route: Route) -> str:
    """Which setting decided about the organization's headers."""
    if not route.connector:
        return "it leaves without a connector"
    state = "true" if route.cloud_services_mail_enabled else "not in force"
    return f'CloudServicesMailEnabled is {state} at connector "{route.connector}"'


def _setting(route: Route, name: str) -> str:
    return f'{name} of connector "{route.connector}"' if route.connector else f"{name} of the organization"


def is_looked_at(block: bytes) -> bool:
    """Whether a header section has fields that may have to change."""
    lower = block.lower()
    return _LOOKED_AT[0] in lower or _LOOKED_AT[1] in lower or lower.startswith((_LOOKED_AT[0][2:], _LOOKED_AT[1][2:]))


async def header_section(content: Content) -> bytes:
    """The header section of `content` with its blank line; all of a content without body. Acceptance bounds it ([limits] header_octets).

    Raises what reading the content raises.
    """
    inline = content.inline
    if inline is not None:
        end = find_header_end(inline)
        return inline if end < 0 else inline[:end]
    start = bytearray()
    async for piece in content.chunks():
        searched = max(0, len(start) - 3)
        start += piece
        end = find_header_end(start, searched)
        if end >= 0:
            return bytes(start[:end])
    return bytes(start)


def with_header(content: Content, length: int, block: bytes) -> Content:
    """`content` with `block` in the place of its first `length` octets."""
    inline = content.inline
    return _Departing(content, length, block) if inline is None else InlineContent(block + inline[length:])


class _Departing:
    """Content that is streamed: `block`, then what follows the first `length` octets."""

    inline = None

    def __init__(self, content: Content, length: int, block: bytes) -> None:
        self._content = content
        self._length = length
        self._block = block

    @property
    def size(self) -> int:
        """Octets."""
        return self._content.size - self._length + len(self._block)

    async def chunks(self) -> AsyncIterator[bytes]:
        """See Content."""
        for at in range(0, len(self._block), PIECE):
            yield self._block[at : at + PIECE]
        skip = self._length
        async for piece in self._content.chunks():
            if skip >= len(piece):
                skip -= len(piece)
                continue
            yield piece[skip:] if skip else piece
            skip = 0
