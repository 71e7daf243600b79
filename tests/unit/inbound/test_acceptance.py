"""Content: what is prepended and removed, what is refused, and that 250 follows a receipt and nothing else."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.inbound.acceptance import tls_wish
from mailwye.message.content import Content, InlineContent
from mailwye.message.envelope import TlsWish
from mailwye.message.path_mark import PathMarks
from mailwye.queue.engine import QueueError, QueueFull
from mailwye.queue.item import NewMessage, Receipt
from mailwye.queue.memory import MemoryContentWriter, MemoryQueueEngine
from mailwye.trace.event import EventKind
from tests.unit.inbound.world import HOSTNAME, MARKS, OWN_SERVER, STRANGER, Peer, World, contoso, settle

ENVELOPE = ("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA")


def deliver(peer: Peer, *lines: str) -> str:
    assert peer.send(*ENVELOPE).endswith("354 End data with <CR><LF>.<CR><LF>")
    return peer.send(*lines, ".")


async def test_body_is_unchanged_and_received_is_prepended() -> None:
    world = World()
    reply = deliver(world.greeted(), "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Message-ID: <1@x>", "", "..dot", "end")
    assert reply == "250 2.0.0 Ok: queued as ID000002"
    (row,) = await world.queued()
    content = await world.content(row)
    received, rest = content.split(b"Subject:", 1)
    assert received.startswith(f"Received: from client.example ([{STRANGER}])\r\n\tby {HOSTNAME} (Mailwye) with ESMTP id ID000002".encode())
    assert b"for <bob@contoso.com>" in received
    assert rest == b" =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\n\r\n.dot\r\nend\r\n"
    assert (row.message.message_id, row.message.subject) == ("<1@x>", "Grüße")
    assert not row.message.requires_8bit
    assert not row.message.auto_submitted
    assert row.message.id == "ID000002"
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data["subject"] == "Grüße"
    assert event.data["size"] == str(len(content))
    (way,) = world.trace.of(EventKind.ROUTE)
    assert len(way.reasons) == len(set(way.reasons)) > 0
    assert (way.recipient, way.status, way.message) == ("bob@contoso.com", "Pending", "ID000002")
    assert way.reasons


async def test_content_in_single_octets_gives_the_same_message() -> None:
    world = World()
    whole, cut = world.greeted(), world.greeted()
    text = b"Subject: x\r\nX-Mailwye-Route: forged\r\n\r\nbody \xc3\xa4\r\n.\r\n"
    whole.send(*ENVELOPE)
    assert whole.send_octets(text).startswith("250")
    cut.send(*ENVELOPE)
    for i in range(len(text)):
        cut.session.data_received(text[i : i + 1])
    assert cut.heard().startswith("250")
    first, second = await world.queued()
    assert (
        (await world.content(first)).split(b"Subject:")[1]
        == (await world.content(second)).split(b"Subject:")[1]
        == b" x\r\n\r\nbody \xc3\xa4\r\n"
    )
    assert first.message.requires_8bit
    assert second.message.requires_8bit


@pytest.mark.parametrize("text", ["", "\r\n", "no header at all\r\n", "\r\nbody only\r\n", "Subject: without a body\r\n"])
async def test_odd_messages_pass_unchanged(text: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    assert peer.send_octets(text.encode() + b".\r\n").startswith("250")
    (row,) = await world.queued()
    content = await world.content(row)
    assert content.startswith(b"Received:")
    assert content.endswith(b"+0000\r\n" + text.encode())


async def test_header_firewall() -> None:
    """C7: a stranger cannot speak for the organization; what was removed is traced."""
    world = World()
    deliver(
        world.greeted(),
        "X-MS-Exchange-Organization-SCL: -1",
        f"Authentication-Results: {HOSTNAME}; spf=pass",
        "X-Mailwye-Path: a",
        "X-Other: stays",
        "",
        "x",
    )
    (row,) = await world.queued()
    content = await world.content(row)
    assert b"\r\nX-Other: stays\r\n\r\nx\r\n" in content
    assert b"Organization" not in content
    assert b"spf=pass" not in content
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data["removed_headers"] == "X-MS-Exchange-Organization-SCL, Authentication-Results, X-Mailwye-Path"


async def test_address_alone_does_not_open_the_firewall() -> None:
    connector = InboundConnector(
        "Ours", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=(OWN_SERVER,), cloud_services_mail_enabled=True
    )
    world = World(contoso(connector))
    peer = world.greeted(OWN_SERVER)
    deliver(peer, "X-MS-Exchange-Organization-SCL: -1", "", "x")
    (row,) = await world.queued()
    assert b"Organization" not in await world.content(row)


JOHNS_WAY = MARKS.step("anonymous", "connector:To our servers", "john@contoso.com", "<1@x>")


def to(peer: Peer, *recipients: str, content: bytes) -> str:
    peer.send("MAIL FROM:<x@elsewhere.example>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA")
    return peer.send_octets(content + b".\r\n")


async def test_a_message_that_is_back_on_the_same_way_is_stopped_and_both_connectors_are_named() -> None:
    world = World()
    content = MARKS.write([JOHNS_WAY], "<1@x>") + b"Message-ID: <1@x>\r\n\r\nx\r\n"
    assert to(world.greeted(), "john@contoso.com", content=content) == (
        "554 5.4.14 Hop count exceeded - possible mail loop: it took this way through this installation before and is back. "
        'Way in: no inbound connector; way out: outbound connector "To our servers"'
    )
    assert not await world.queued()
    (event,) = world.trace.of(EventKind.REJECT)
    assert "it took this way" in event.reasons[0]


@pytest.mark.parametrize(
    ("recipients", "field"),
    [
        (("bob@contoso.com",), MARKS.write([JOHNS_WAY], "<1@x>")),  # a copy that was forwarded to somebody else
        (("john@contoso.com", "bob@contoso.com"), MARKS.write([JOHNS_WAY], "<1@x>")),  # his copy is stopped when it leaves
        (("john@contoso.com",), MARKS.write([JOHNS_WAY], "<2@x>")),  # the mark of another message
        (("john@contoso.com",), MARKS.write([JOHNS_WAY], "<1@x>").replace(b"r=0", b"r=1")),  # forged
        (("john@contoso.com",), b"Resent-From: <bob@contoso.com>\r\n" + MARKS.write([JOHNS_WAY], "<1@x>")),  # sent again by a person
        (("john@contoso.com",), MARKS.write([JOHNS_WAY[::-1]], "<1@x>")),  # another way
    ],
)
async def test_what_only_looks_like_a_loop_passes(recipients: tuple[str, ...], field: bytes) -> None:
    world = World()
    assert to(world.greeted(), *recipients, content=field + b"Message-ID: <1@x>\r\n\r\nx\r\n").startswith("250")


async def test_what_came_through_a_connector_took_another_way_than_what_came_from_the_internet() -> None:
    ours = InboundConnector("Ours", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=(OWN_SERVER,))
    world = World(contoso(ours))
    content = MARKS.write([JOHNS_WAY], "<1@x>") + b"Message-ID: <1@x>\r\n\r\nx\r\n"
    assert to(world.greeted(OWN_SERVER), "john@contoso.com", content=content).startswith("250")
    assert to(world.greeted(), "john@contoso.com", content=content).startswith("554 5.4.14")


async def test_a_stranger_keeps_marks_and_loses_forged_ones_of_ours() -> None:
    world = World()
    ours, forged = MARKS.write([JOHNS_WAY], "<1@x>"), MARKS.write([JOHNS_WAY], "<3@x>")
    theirs = PathMarks(b"the secret of another installation").write([JOHNS_WAY], "<1@x>")  # for it to read when it is back there
    block = forged + ours + theirs + b"Message-ID: <1@x>\r\n\r\n"
    assert to(world.greeted(), "bob@contoso.com", content=block + b"x\r\n").startswith("250")
    (row,) = await world.queued()
    content = await world.content(row)
    assert ours in content
    assert theirs in content
    assert forged not in content
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data["removed_headers"] == "X-Mailwye-Path"


async def test_received_lines_that_were_removed_on_the_way_out_count_as_hops() -> None:
    world = World(limits=InboundLimits(received_headers=3))
    for removed, code in ((2, "250"), (3, "554 5.4.14")):
        field = MARKS.write([JOHNS_WAY], "<1@x>", removed)
        content = field + b"Received: from a by b; x\r\nMessage-ID: <1@x>\r\n\r\nx\r\n"
        assert to(world.greeted(), "bob@contoso.com", content=content).startswith(code)


async def test_own_servers_learn_both_connectors_at_the_hop_limit() -> None:
    ours = InboundConnector("Ours", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=(OWN_SERVER,))
    world = World(contoso(ours), limits=InboundLimits(received_headers=2))
    reply = to(world.greeted(OWN_SERVER), "john@contoso.com", content=b"Received: x\r\n" * 3 + b"\r\nx\r\n")
    assert reply == (
        "554 5.4.14 Hop count exceeded - possible mail loop: more than 2 hops. "
        'Way in: inbound connector "Ours"; way out: outbound connector "To our servers"'
    )


async def test_hop_count() -> None:
    world = World(limits=InboundLimits(received_headers=3))
    received = ["Received: from a by b; Tue, 24 Nov 2026 00:00:00 +0000"]
    peer = world.greeted()
    assert deliver(peer, *received * 3, "", "x").startswith("250")
    assert deliver(peer, *received * 4, "", "x") == "554 5.4.14 Hop count exceeded - possible mail loop: more than 3 hops"
    assert len(await world.queued()) == 1
    (event,) = world.trace.of(EventKind.REJECT)
    assert event.reply.startswith("554 5.4.14")
    assert event.message


async def test_header_limits() -> None:
    world = World(limits=InboundLimits(header_fields=10, header_octets=2_000))
    peer = world.greeted()
    assert deliver(peer, *["X: y"] * 11, "", "x") == "554 5.6.0 Message header has more than 10 fields"
    assert deliver(peer, "X: " + "y" * 900, *["\t" + "z" * 900] * 3, "", "x")[:3] in ("552", "554")
    assert deliver(peer, "X: y", "", "x").startswith("250")
    assert len(await world.queued()) == 1


async def test_endless_header_is_bounded_in_time_and_memory() -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    piece = b"X-Field: value\r\n" * 64
    for _ in range(1_000):
        peer.session.data_received(piece)
    peer.session.data_received(b"\r\n.\r\n")
    assert peer.heard()[:3] in ("552", "554")
    assert await world.queued() == []


async def test_submission_gets_date_and_message_id_relayed_mail_does_not() -> None:
    world = World()
    deliver(world.greeted(), "Subject: x", "", "y")
    (row,) = await world.queued()
    assert b"Message-ID" not in await world.content(row)
    assert row.message.message_id == ""


@pytest.mark.parametrize(("value", "automatic"), [("auto-replied", True), ("auto-generated; x=y", True), ("no", False), ("No; x", False)])
async def test_auto_submitted(value: str, automatic: bool) -> None:
    world = World()
    deliver(world.greeted(), f"Auto-Submitted: {value}", "", "y")
    (row,) = await world.queued()
    assert row.message.auto_submitted is automatic


@pytest.mark.parametrize(
    ("field", "wish"),
    [("No", TlsWish.OPTIONAL), (" no ", TlsWish.OPTIONAL), ("Yes", TlsWish.DEFAULT), ("No; x", TlsWish.DEFAULT), ("", TlsWish.DEFAULT)],
)
async def test_tls_required_no_is_kept_with_the_message(field: str, wish: TlsWish) -> None:
    world = World()
    deliver(world.greeted(), f"TLS-Required: {field}", "", "y")
    (row,) = await world.queued()
    assert row.message.tls is wish
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data.get("protection", "") == wish.value


def test_requiretls_comes_before_the_field() -> None:
    assert tls_wish(True, "No") is TlsWish.REQUIRED  # RFC 8689 section 5


async def test_bdat() -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE[:2])
    assert peer.send_octets(b"BDAT 12\r\nSubject: x\r\n").startswith("250 2.0.0")
    assert await world.queued() == []
    reply = peer.send_octets(b"BDAT 8 LAST\r\n\r\nbody\r\n")
    assert reply == "250 2.0.0 Ok: queued as ID000002"
    (row,) = await world.queued()
    assert (await world.content(row)).endswith(b"+0000\r\nSubject: x\r\n\r\nbody\r\n")


async def test_reset_between_chunks_queues_nothing() -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE[:2])
    peer.send_octets(b"BDAT 12\r\nSubject: x\r\n")
    assert peer.send("RSET").startswith("250")
    assert peer.send_octets(b"BDAT 0 LAST\r\n").startswith("503")
    assert await world.queued() == []


class FailingQueue(MemoryQueueEngine):
    """Refuses in the way that it is told."""

    def __init__(self, error: BaseException, *, at_once: bool = False) -> None:
        super().__init__()
        self.error: BaseException | None = error
        self.at_once = at_once

    def accept(self, message: NewMessage) -> asyncio.Future[Receipt]:
        if self.error is None:
            return super().accept(message)
        if self.at_once:
            raise self.error
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, self.error)
        return future


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(("error", "reply"), [(QueueFull("disk"), "452 4.3.1 "), (QueueError("fsync"), "451 4.3.0 ")])
async def test_queue_that_cannot_store_gives_4xx_and_the_session_goes_on(error: QueueError, reply: str, at_once: bool) -> None:
    """D1, D2."""
    queue = FailingQueue(error, at_once=at_once)
    world = World(queue=queue)
    peer = world.greeted()
    deliver(peer, "", "x")
    await settle()
    assert peer.read == len(peer.transport.written) or peer.heard().startswith(reply)
    assert bytes(peer.transport.written).decode().split("\r\n")[-2].startswith(reply)
    assert world.trace.of(EventKind.RECEIVE) == []
    queue.error = None
    peer.heard()
    assert deliver(peer, "", "x").startswith("250 2.0.0 Ok: queued as")


class FullQueue(MemoryQueueEngine):
    """Has room for small messages only."""

    def why_no_room(self, octets: int) -> str:
        return "the disk is nearly full" if octets > 1000 else super().why_no_room(octets)


async def test_no_room_is_said_at_mail_and_traced() -> None:
    world = World(queue=FullQueue())
    peer = world.greeted()
    assert peer.send("MAIL FROM:<a@example.net> SIZE=1001") == "452 4.3.1 Insufficient system storage, try again later"
    assert [one.reasons for one in world.trace.of(EventKind.REJECT)] == [("the disk is nearly full",)]
    assert deliver(peer, "", "x").startswith("250 2.0.0 Ok: queued as")


async def test_queue_with_a_bug_gives_4xx_and_is_reported() -> None:
    reported: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    world = World(queue=FailingQueue(ZeroDivisionError()))
    peer = world.greeted()
    deliver(peer, "", "x")
    await settle()
    assert peer.heard().startswith("451 4.3.0") or b"451 4.3.0" in peer.transport.written
    assert [type(error) for error in reported] == [ZeroDivisionError]


class SlowQueue(MemoryQueueEngine):
    """Commits when told."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[NewMessage, asyncio.Future[Receipt]]] = []

    def accept(self, message: NewMessage) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.waiting.append((message, future))
        return future

    def commit(self) -> None:
        for message, future in self.waiting:
            super().accept(message)
            future.set_result(Receipt(message.id))
        self.waiting.clear()


async def test_no_250_before_the_commit_and_what_is_pipelined_waits() -> None:
    queue = SlowQueue()
    world = World(queue=queue)
    peer = world.greeted()
    assert deliver(peer, "", "x") == ""
    assert peer.send(*ENVELOPE) == "", "the next transaction waits its turn"
    assert not peer.reads(), "what comes further stays in the kernel"
    await settle()
    assert peer.heard() == ""
    assert world.trace.of(EventKind.RECEIVE) == []
    queue.commit()
    await settle()
    first, *rest = peer.heard().split("\n")
    assert first.startswith("250 2.0.0 Ok: queued as")
    assert [line[:3] for line in rest] == ["250", "250", "354"]
    assert peer.reads()
    assert len(world.trace.of(EventKind.RECEIVE)) == 1


async def test_connection_lost_before_the_commit_keeps_the_message() -> None:
    queue = SlowQueue()
    world = World(queue=queue)
    peer = world.greeted()
    deliver(peer, "", "x")
    peer.lose()
    queue.commit()
    await settle()
    assert len(await world.queued()) == 1
    assert len(world.trace.of(EventKind.RECEIVE)) == 1
    assert world.listener.sessions == 0


async def test_peer_that_closed_its_side_before_the_commit_still_hears_the_answer() -> None:
    queue = SlowQueue()
    world = World(queue=queue)
    peer = world.greeted()
    deliver(peer, "", "x")
    peer.session.eof_received()
    await settle()
    assert peer.heard() == ""
    queue.commit()
    await settle()
    assert peer.heard().startswith("250 2.0.0 Ok: queued as")
    assert peer.transport.closed
    assert world.listener.sessions == 0


class WatchedWriter(MemoryContentWriter):
    """Counts discards; takes content without keeping it; may make the caller wait."""

    def __init__(self, queue: WatchedQueue) -> None:
        super().__init__(0)
        self.queue = queue

    def write(self, data: bytes) -> Awaitable[None] | None:  # type: ignore[override]  # the port allows an awaitable
        self.queue.octets += len(data)
        self.queue.largest = max(self.queue.largest, len(data))
        if self.queue.gate is None:
            return None
        return self.queue.gate

    def finish(self) -> Content:
        return InlineContent(b"")

    def discard(self) -> None:
        self.queue.discards += 1


class WatchedQueue(MemoryQueueEngine):
    def __init__(self) -> None:
        super().__init__()
        self.octets = self.largest = self.discards = 0
        self.gate: asyncio.Future[None] | None = None

    def content_writer(self) -> MemoryContentWriter:
        return WatchedWriter(self)


async def test_abort_in_the_middle_of_content_queues_nothing() -> None:
    for end in ("lose", "eof"):
        queue = WatchedQueue()
        world = World(queue=queue)
        peer = world.greeted()
        deliver_start = peer.send(*ENVELOPE)
        assert deliver_start.endswith("354 End data with <CR><LF>.<CR><LF>")
        peer.send("Subject: x", "", "half a mess")
        if end == "lose":
            peer.lose()
        else:
            peer.session.eof_received()
        await settle()
        assert await world.queued() == []
        assert queue.discards >= 1
        assert world.listener.sessions == 0


async def test_writer_that_makes_us_wait_stops_reading() -> None:
    queue = WatchedQueue()
    world = World(queue=queue)
    peer = world.greeted()
    peer.send(*ENVELOPE)
    queue.gate = asyncio.get_running_loop().create_future()
    peer.send("Subject: x", "", "one")
    before = queue.octets
    peer.send("two")
    assert not peer.reads()
    assert queue.octets == before
    gate, queue.gate = queue.gate, None
    gate.set_result(None)
    await settle()
    assert peer.reads()
    assert peer.send(".").startswith("250")


async def test_writer_that_fails_gives_4xx_at_the_end() -> None:
    queue = WatchedQueue()
    world = World(queue=queue)
    peer = world.greeted()
    peer.send(*ENVELOPE)
    queue.gate = asyncio.get_running_loop().create_future()
    peer.send("Subject: x", "", "one")
    queue.gate.set_exception(QueueFull("no space"))
    await settle()
    assert peer.send("two", ".").startswith("452 4.3.1")
    assert await world.queued() == []


async def test_writer_that_fails_on_the_last_piece_gives_4xx() -> None:
    """A message without a blank line goes to the writer only at its end."""
    queue = WatchedQueue()
    world = World(queue=queue)
    peer = world.greeted()
    peer.send(*ENVELOPE)
    queue.gate = asyncio.get_running_loop().create_future()
    assert peer.send("Subject: x", ".") == ""
    queue.gate.set_exception(QueueError("staging"))
    await settle()
    assert peer.heard().startswith("451 4.3.0")
    assert await world.queued() == []


async def test_large_message_needs_little_memory() -> None:
    """50 MB stream through with the memory of a few pieces."""
    queue = WatchedQueue()
    world = World(queue=queue, limits=replace(InboundLimits(), message_size=60_000_000))
    peer = world.greeted()
    peer.send(*ENVELOPE)
    piece = (b"x" * 76 + b"\r\n") * 840
    peer.send("Subject: large", "")
    tracemalloc.start()
    for _ in range(50_000_000 // len(piece)):
        peer.session.data_received(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peer.send(".").startswith("250")
    assert queue.octets > 49_900_000
    assert peak < 1_000_000
