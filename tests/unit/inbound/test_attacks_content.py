"""Attacks by content, through the real session into the queue and to the octets that the next hop would see
(catalogue rows W1, W2, W3, W13, W15, W16, C7, M1, L1 and what no row names).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind
from mailwye.message.headers import scan
from mailwye.smtp.address import parse_address
from mailwye.smtp.wire import DotReader, DotWriter, normalise_line_ends
from mailwye.trace.event import EventKind
from tests.unit.inbound.world import World, contoso, settle

ENVELOPE = ("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<bob@contoso.com>", "DATA")
FORGED = b"X-MS-Exchange-Organization-AuthAs: Internal"
SMUGGLED = b"MAIL FROM:<smug@x.example>\r\nRCPT TO:<bob@contoso.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
ENDS = (
    *(b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"),
    *(b"\r\r\n.\r\r\n", b"\r\n.\r\r\n"),
)


async def passed_on(world: World) -> list[bytes]:
    """What a next hop would get of everything queued, by DATA: its own reader decides how many messages that are."""
    found: list[bytes] = []
    for row in await world.queued():
        writer = DotWriter()
        reader = DotReader()
        content = await world.content(row)
        found.append(reader.feed(writer.feed(content) + writer.finish()))
        assert reader.ended
        assert reader.rest == b"", "a second message, or commands, behind the end"
    return found


@pytest.mark.parametrize("mode", ["reject", "normalise"])
@pytest.mark.parametrize("cut", [1, 7, 1_000_000])
@pytest.mark.parametrize("end", ENDS)
async def test_w01_w02_smuggling_never_makes_two_messages(end: bytes, cut: int, mode: str) -> None:
    world = World(limits=InboundLimits(bare_line_end=mode))
    peer = world.greeted()
    peer.send(*ENVELOPE)
    octets = b"Subject: x\r\n\r\nlure" + end + SMUGGLED + b"\r\n.\r\n"
    heard = "".join(peer.send_octets(octets[at : at + cut]) for at in range(0, len(octets), cut))
    messages = await passed_on(world)
    assert len(messages) == (b"\0" in end or mode == "normalise")
    assert heard.startswith("250" if messages else "550")
    assert {row.message.sender.domain for row in await world.queued() if row.message.sender} <= {"elsewhere.example"}


@pytest.mark.parametrize("end", ENDS)
async def test_w03_smuggling_past_the_size_limit(end: bytes) -> None:
    world = World(limits=InboundLimits(message_size=2_000))
    peer = world.greeted()
    peer.send(*ENVELOPE)
    heard = peer.send_octets(b"Subject: x\r\n\r\n" + b"x" * 3_000 + end + SMUGGLED + b"\r\n.\r\nNOOP\r\n")
    assert [line[:3] for line in heard.split("\n")] in (["552", "250"], ["550", "250"])
    assert await world.queued() == []


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\r\n"])
async def test_w13_binary_content_brings_no_header_past_the_firewall(line_end: bytes) -> None:
    """C7: bare line ends are legal in binary content, and become real ones when it is re-encoded. Not in the header."""
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> BODY=BINARYMIME", "RCPT TO:<bob@contoso.com>")
    content = b"Subject: x" + line_end + FORGED + b"\r\n\r\nbody\r\n"
    heard = peer.send_octets(b"BDAT %d LAST\r\n" % len(content) + content)
    assert heard.startswith("550 5.5.2")
    assert await world.queued() == []


async def test_w13_binary_bodies_pass_unchanged() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> BODY=BINARYMIME", "RCPT TO:<bob@contoso.com>")
    content = b"Subject: x\r\n\r\na\nb\rc\0\n.\n" + FORGED
    assert peer.send_octets(b"BDAT %d LAST\r\n" % len(content) + content).startswith("250")
    (row,) = await world.queued()
    kept = await world.content(row)
    assert kept.endswith(content)
    block = normalise_line_ends(kept)
    assert FORGED.partition(b":")[0].lower() not in {field.name for field in scan(block[: block.index(b"\r\n\r\n")]).fields}


@pytest.mark.parametrize("blank", [" ", "\t", " \t"])
async def test_no_message_continues_our_own_received_field(blank: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    assert peer.send(f"{blank}by trusted.example; Mon, 1 Jan 2024 00:00:00 +0000", "Subject: x", "", "x", ".").startswith("554 5.6.0")
    assert await world.queued() == []


async def test_the_firewall_does_not_leave_half_of_a_folded_field() -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    peer.send("X-Mailwye-Path: a", " X-Mailwye-Path: b", "\tc", "x-ms-exchange-organization-scl : -1", "Subject: x", "", "x", ".")
    (row,) = await world.queued()
    content = await world.content(row)
    assert b"ailwye-Path" not in content
    assert b"\r\nSubject: x\r\n\r\nx\r\n" in content
    assert b"organization" not in content


@pytest.mark.parametrize("subject", ["=?utf-7?q?+2AA-?=", "=?unicode_escape?q?=5Cudfff?=", "a\x1b[2Jb", "a\0b", "=?utf-8?q?=C2=9B2J?="])
async def test_l01_a_subject_that_no_terminal_and_no_store_likes(subject: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    assert peer.send(f"Subject: {subject}", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    assert row.message.subject.isprintable()
    row.message.subject.encode()
    (event,) = world.trace.of(EventKind.RECEIVE)
    assert event.data["subject"] == row.message.subject


@pytest.mark.parametrize("name", ["(a; b", "a\u202eb", "[IPv6:::1]) by x", "a" * 255, "{" * 200])
async def test_l01_helo_names_do_not_write_our_header(name: str) -> None:
    world = World()
    peer = world.connect()
    peer.heard()
    assert peer.send(f"EHLO {name}").startswith("250")
    peer.send(*ENVELOPE)
    peer.send("Subject: x", "", "x", ".")
    (row,) = await world.queued()
    content = await world.content(row)
    first = content.partition(b" ([192.0.2.77])")[0]
    assert first.startswith(b"Received: from ")
    assert not set(first[15:]) & set(b'();{} \t\r\n"<>')
    assert content.isascii()


async def test_m01_headers_at_and_above_the_limits() -> None:
    limits = InboundLimits(header_octets=300_000, header_fields=50, message_size=400_000)
    for size, code in ((299_000, "250"), (300_000, "552 5.3.4")):
        world = World(limits=limits)
        peer = world.greeted()
        peer.send(*ENVELOPE)
        assert peer.send_octets(b"Subject: x\r\nX: " + b"x" * size + b"\r\n\r\nbody\r\n.\r\n").startswith(code)
    world = World(limits=limits)
    peer = world.greeted()
    peer.send(*ENVELOPE)
    assert peer.send_octets(b"To: " + b"a@b,\r\n " * 40_000 + b"c@d\r\n\r\n.\r\n").startswith("250")
    peer.send(*ENVELOPE)
    assert peer.send_octets(b"X: y\r\n" * 51 + b"\r\n.\r\n").startswith("554 5.6.0")


@pytest.mark.parametrize("chunked", [False, True])
async def test_content_of_exactly_the_size_limit(chunked: bool) -> None:
    world = World(limits=InboundLimits(message_size=5_000))
    for size, code in ((5_000, "250 2.0.0 Ok: queued"), (5_001, "552 5.3.4")):
        peer = world.greeted()
        content = (b"Subject: x\r\n\r\n" + b"x" * size)[: size - 2] + b"\r\n"
        peer.send(f"MAIL FROM:<x@elsewhere.example> SIZE={min(size, 5_000)}", "RCPT TO:<bob@contoso.com>")
        if chunked:
            assert peer.send_octets(b"BDAT %d LAST\r\n" % size + content).startswith(code)
        else:
            peer.send("DATA")
            assert peer.send_octets(content + b".\r\n").startswith(code)
    assert len(await world.queued()) == 1


async def test_w12_binary_data_abuse_queues_nothing() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send_octets(b"BDAT 14 LAST\r\nRCPT TO:<a@b>\r").startswith("503")  # the octets of the chunk are no commands
    for size in ("-1", "99999999999999999999", "1 FIRST", "0x10", "", "\u0661"):
        assert peer.send(f"BDAT {size}").split(" ")[0] in ("501", "500")
    peer.send("RCPT TO:<bob@contoso.com>")
    assert peer.send("BDAT 0") == "250 2.0.0 0 octets received"
    assert peer.send("DATA").startswith("503")
    peer.send_octets(b"BDAT 100\r\nhalf")
    peer.lose()
    await settle()
    assert await world.queued() == []


async def test_w16_nul_in_a_header_hides_no_field() -> None:
    world = World()
    peer = world.greeted()
    peer.send(*ENVELOPE)
    assert peer.send("Subject: a\0b", "X-Mailwye-Path: c", "Message-ID: <a\0b@c>", "", "x\0y", ".").startswith("250")
    (row,) = await world.queued()
    content = await world.content(row)
    assert b"Mailwye-Path" not in content
    assert content.endswith(b"Subject: a\0b\r\nMessage-ID: <a\0b@c>\r\n\r\nx\0y\r\n")


async def test_the_line_about_an_address_beyond_ascii_needs_no_smtputf8() -> None:
    """Our own Received field must not be why a hop without SMTPUTF8 has to return the message."""
    bob = DirectoryRecipient(RecipientKind.MAILBOX, parse_address("bob@contoso.com"), (parse_address("b\u00f6b@contoso.com"),))
    directory = Directory((AcceptedDomain("contoso.com", default=True),), (bob,))
    world = World(replace(contoso(), directory=directory))
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> SMTPUTF8", "RCPT TO:<b\u00f6b@contoso.com>", "DATA")
    assert peer.send("Subject: x", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    assert row.delivery.recipient == parse_address("bob@contoso.com")
    assert (await world.content(row)).isascii()
