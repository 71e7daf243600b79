"""Whatever a peer sends, however it is cut: the session raises nothing, and there are as many messages as 250 to content said."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.inbound.world import World, settle

PIECES = st.sampled_from(
    [
        b"EHLO a.example\r\n",
        b"HELO a\r\n",
        b"MAIL FROM:<x@elsewhere.example>\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<bob@contoso.com>\r\n",
        b"RCPT TO:<all@contoso.com>\r\n",
        b"RCPT TO:<nobody@contoso.com>\r\n",
        b"RCPT TO:<sun@customer.example>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n",
        b"\r\n",
        b".\r\n",
        b"text\r\n.\r\n",
        b"\n.\n",
        b"BDAT 5\r\nabcde",
        b"BDAT 0 LAST\r\n",
        b"BDAT 9 LAST\r\nS: x\r\n\r\ny",
        b"RSET\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
        b"QUIT\r\n",
        b"\x00\xff\r\n",
        b"\x16\x03\x01\x02\x00",
    ]
)


async def feed(pieces: list[bytes], *, together: bool) -> None:
    world = World()
    peer = world.connect()
    for piece in [b"".join(pieces)] if together else pieces:
        if not peer.transport.closed:
            peer.session.data_received(piece)
        await settle()
    peer.session.eof_received()
    await settle()
    said = bytes(peer.transport.written).count(b"250 2.0.0 Ok: queued as")
    rows = await world.queued()
    assert len({row.message.id for row in rows}) == said
    assert all(str(row.delivery.recipient) in ("bob@contoso.com", "john@contoso.com") for row in rows)
    assert world.listener.sessions == 0
    assert world.context.admission.connections == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=25), st.booleans())
def test_any_octets(pieces: list[bytes], together: bool) -> None:
    asyncio.run(feed([b"EHLO a.example\r\n", *pieces], together=together))
