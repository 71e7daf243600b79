"""Attacks against a whole gateway in the box: from the attacker's octets to what every far end holds when all is quiet
(catalogue rows W1, W2, A1, M8, R6, R8, L1, C7).
"""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.smtp.reply import Reply
from mailwye.testing.world import BOB, GATEWAY, JOHN, SUN, World

ATTACKER = "203.0.113.66"
SECOND = "192.0.2.5"
SMUGGLED = b"MAIL FROM:<smug@x.example>\r\nRCPT TO:<bob@contoso.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
ENDS = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n")


class _Octets(asyncio.Protocol):
    """Whoever listens to what he hears."""

    def __init__(self) -> None:
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


async def attack(world: World, *bursts: bytes, address: str = ATTACKER) -> bytes:
    """One connection from `address`: the bursts with pauses between. What was heard."""
    protocol = await world.network(address).connect(_Octets, GATEWAY, 25, timeout=10.0)
    assert isinstance(protocol, _Octets)
    for burst in (b"", b"EHLO attacker.example\r\n", *bursts):
        if burst:
            protocol.transport.write(burst)
        await asyncio.sleep(0.5)
    protocol.transport.close()
    return protocol.heard


def mail(sender: str, recipient: str, content: bytes, *, parameters: str = "", options: str = "") -> tuple[bytes, bytes]:
    """The bursts of one message."""
    envelope = f"MAIL FROM:<{sender}>{parameters}\r\nRCPT TO:<{recipient}>{options}\r\nDATA\r\n"
    return envelope.encode(), content + b"\r\n.\r\n"


def fields_of(message: Message) -> list[str]:
    return [name.lower() for name, _ in message.items()]


def parts_of(message: Message) -> list[Message]:
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


@pytest.mark.parametrize("mode", ["reject", "normalise"])
def test_smuggling_never_reaches_any_far_end(tmp_path: Path, mode: str) -> None:
    async def story(world: World) -> None:
        await world.begin(limits=InboundLimits(bare_line_end=mode))
        for recipient in (BOB, JOHN):
            for end in ENDS:
                await attack(world, *mail("lure@evil.example", recipient, b"Subject: lure\r\n\r\nlure" + end + SMUGGLED))
        await world.settle()
        arrived = [*world.own.messages, *world.mailboxes.messages]
        assert {message.sender for message in arrived} == {"lure@evil.example"}
        assert len(arrived) == (2 * len(ENDS) if mode == "normalise" else 2)  # the NUL one is well-formed
        assert world.sun.messages == []

    World.run(11, tmp_path, story)


def test_a_notice_holds_no_line_of_an_attackers_own(tmp_path: Path) -> None:
    """HELO, Subject, Message-ID, ENVID, ORCPT and the words of a remote server, all of them hostile, in one notice."""

    async def story(world: World) -> None:
        await world.begin()
        evil = "no\x1b[2J\r\nBcc: victim@example.com\r\n\r\n--boundary\r\nStatus: 2.0.0"
        world.own.script.end = Reply(550, "5.7.1", evil.replace("\r", ""))
        content = b"Subject: a\x1b]0;x\x07\xe2\x80\xae =?utf-8?q?=0D=0ABcc:_evil@x.example?=\r\nMessage-ID: <a>\x00\r\n\r\nx"
        await attack(
            world,
            b"EHLO (x);by=evil\r\n",
            *mail(SUN, JOHN, content, parameters=" ENVID=a+3Bb+20Status:+205.0.0", options=" ORCPT=rfc822;a+20b@c+3B NOTIFY=FAILURE"),
        )
        await world.settle()
        (notice,) = world.sun.messages
        assert notice.sender == ""
        message = message_from_bytes(notice.content)
        assert "bcc" not in fields_of(message)
        assert fields_of(message).count("subject") == 1
        people, status, _ = parts_of(message)
        text = people.get_payload(decode=True)
        assert isinstance(text, bytes)
        assert b"\x1b" not in text
        whole, recipient = parts_of(status)
        assert "status" not in fields_of(whole)
        assert recipient.get_all("Status") == ["5.7.1"]
        assert recipient.get_all("Action") == ["failed"]
        assert recipient["Original-Recipient"] == "rfc822; a b@c;"

    World.run(12, tmp_path, story)


@pytest.mark.parametrize(
    ("sender", "content", "notices"),
    [
        (SUN, b"Subject: x\r\n\r\nx", 1),
        ("", b"Subject: x\r\n\r\nx", 0),
        (SUN, b"Subject: x\r\nAuto-Submitted: auto-replied\r\n\r\nx", 0),
        ("nobody@contoso.com", b"Subject: x\r\n\r\nx", 0),  # the directory knows no way to him
    ],
)
def test_m08_backscatter(tmp_path: Path, sender: str, content: bytes, notices: int) -> None:
    async def story(world: World) -> None:
        await world.begin()
        world.own.script.rcpt = lambda _recipient: Reply(550, "5.1.1", "No such user")
        world.sun.script.rcpt = lambda _recipient: None
        assert b"550 5.4.1" in await attack(world, *mail(sender, "unknown@contoso.com", content))
        await attack(world, *mail(sender, JOHN, content))
        await world.settle()
        assert len(world.sun.messages) == notices
        assert world.own.messages == []

    World.run(13, tmp_path, story)


def test_m08_a_notice_that_nobody_takes_causes_no_notice(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin()
        world.own.script.rcpt = lambda _recipient: Reply(550, "5.1.1", "No such user")
        world.sun.script.mail = Reply(550, "5.7.1", "No notices please")
        await attack(world, *mail(SUN, JOHN, b"Subject: x\r\n\r\nx"))
        await world.settle()
        assert await gateway.rows() == []
        assert len([event for event in gateway.trace.recorded if event.kind.value == "DSN"]) == 1

    World.run(14, tmp_path, story)


def test_r06_two_gateways_that_send_to_each_other_stop_with_one_notice(tmp_path: Path) -> None:
    organization = """\
Organization: {{Name: contoso}}
AcceptedDomain: [{{DomainName: contoso.com, DomainType: InternalRelay, Default: true}}]
OutboundConnector:
  - {{Name: Other, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["{other}"]}}
"""

    async def story(world: World) -> None:
        await world.begin(organization=organization.format(other=SECOND))
        second = world.gateway(organization.format(other=GATEWAY), name="second.example", address=SECOND)
        await second.start()
        await attack(world, *mail(SUN, JOHN, b"Subject: x\r\n\r\nx"))
        await world.settle()
        (notice,) = world.sun.messages
        assert b"5.4.14" in notice.content
        assert len([e for gateway in world.gateways for e in gateway.trace.recorded if e.kind.value == "DSN"]) == 1

    World.run(15, tmp_path, story)
