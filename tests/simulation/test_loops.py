"""Gateways and servers that send each other the same mail: it stops, with one notice that names the connectors, and nothing goes on
turning. What only passes twice, as centralized transport and forwarding do, arrives.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.message.content import InlineContent
from mailwye.message.headers import find_header_end
from mailwye.queue.item import NewDelivery, NewMessage, Origin
from mailwye.smtp.address import parse_address
from mailwye.testing.checkers import Fate, check_all, notices
from mailwye.testing.peers import ReceivedMessage
from mailwye.testing.sender import Mail
from mailwye.testing.world import BOB, GATEWAY, JOHN, MOON, OWN, SUN, World
from mailwye.trace.event import EventKind

OTHER = "192.0.2.3"
RELAY = """\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, DomainType: InternalRelay, Default: true}}
InboundConnector:
  - {{Name: From {name}, ConnectorType: OnPremises, SenderIPAddresses: ["{address}"]}}
OutboundConnector:
  - {{Name: To {name}, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["{address}"]}}
"""
CENTRALIZED = f"""\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, Default: true}}
Mailbox:
  - {{PrimarySmtpAddress: {BOB}}}
MailContact:
  - {{PrimarySmtpAddress: all@contoso.com, ExternalEmailAddress: {SUN}}}
MailUser:
  - {{PrimarySmtpAddress: {JOHN}}}
InboundConnector:
  - {{Name: From our servers, ConnectorType: OnPremises, SenderIPAddresses: ["{OWN}"]}}
OutboundConnector:
  - {{Name: To our servers, ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, UseMXRecord: false, SmartHosts: ["{OWN}"]}}
  - {{Name: To mailboxes there, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: ["{OWN}"]}}
"""
TRUSTED = CENTRALIZED.replace("RouteAllMessagesViaOnPremises: true", "RecipientDomains: [example.org], CloudServicesMailEnabled: true")


class Again(Mail):
    """A message that is sent on with the octets in its `body`, whatever they hold."""

    def content(self, token: str) -> bytes:
        return self.body


async def send_on(world: World, message: ReceivedMessage, *recipients: str, sender: str | None = None, drop: bytes = b"") -> str:
    """The own server sends on what it got, without the header fields that begin with `drop`; the reply that it hears."""
    end = find_header_end(message.content)
    fields = message.content[: end - 2].replace(b"\r\n\t", b"\0").split(b"\r\n")  # folded ones in one piece
    kept = b"\r\n".join(field for field in fields if not (drop and field.startswith(drop))).replace(b"\0", b"\r\n\t")
    content = b"Received: from here by mail.contoso.com; x\r\n" + kept + b"\r\n" + message.content[end:]
    mail = Again("again", message.sender if sender is None else sender, recipients, content)
    (reply, *_) = await world.sender("mail.contoso.com", OWN).attempt(mail, mail.recipients, "", GATEWAY, 25)
    return str(reply)


@pytest.mark.parametrize("recipients", [1, 3])
def test_a_loop_ends_when_it_closes_with_one_notice_that_names_both_connectors(tmp_path: Path, recipients: int) -> None:
    async def story(world: World) -> None:
        first = await world.begin(organization=RELAY.format(address=OTHER, name="the other"))
        other = world.gateway(RELAY.format(address=GATEWAY, name="the first"), name="mx2.mailwye.example", address=OTHER)
        await other.start()
        world.mail(SUN, tuple(f"user{number}@contoso.com" for number in range(recipients)))
        await world.settle(step=1.0, seconds=120.0)

        taken = [one for one in (first, other) for event in one.trace.recorded if event.kind is EventKind.RECEIVE and event.sender == SUN]
        # From the Internet to the other, and back from there on another way; the other knows that it went this way already.
        assert taken == [first, first, other]
        (message,) = world.sun.messages
        told = notices(world)
        assert {(one.action, one.status, one.to) for one in told} == {("failed", "5.4.14", SUN)}
        assert len(told) == recipients
        text = message.content.replace(b"\r\n", b" ")
        for name in (b"From the first", b"To the first", b"From the other", b"To the other"):
            assert name in text, name
        tally = await check_all(world)
        assert tally.count(Fate.BOUNCED) == recipients

    World.run(20, tmp_path, story)


def test_a_loop_through_a_server_that_removes_our_mark_ends_at_the_hop_limit(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(organization=RELAY.format(address=OWN, name="our servers"))
        world.mail(SUN, ("user@contoso.com",))
        await world.settle()
        reply, rounds = "250", 0
        while reply.startswith("250"):
            rounds += 1
            reply = await send_on(world, world.own.messages[-1], "user@contoso.com", drop=b"X-Mailwye-Path")
            await world.settle()
        assert reply.startswith("554 5.4.14")
        assert 'inbound connector "From our servers"' in reply
        assert 'outbound connector "To our servers"' in reply
        assert rounds == (InboundLimits().received_headers + 2) // 2  # each round adds two lines: theirs and ours

    World.run(21, tmp_path, story)


def test_centralized_transport_passes_twice_and_arrives(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(organization=CENTRALIZED, tls=True)
        world.mail(SUN, (BOB,))
        await world.settle()
        (inward,) = world.own.messages
        assert (await send_on(world, inward, BOB)).startswith("250")
        await world.settle()
        assert [message.recipients for message in world.mailboxes.messages] == [(BOB,)]

        world.mail(BOB, (SUN,))
        await world.settle()
        outward = world.own.messages[-1]
        assert outward.recipients == (SUN,)
        assert (await send_on(world, outward, SUN)).startswith("250")
        await world.settle()
        (arrived,) = world.sun.messages
        assert arrived.content.count(b"X-Mailwye-Path:") == 2

    World.run(22, tmp_path, story)


def test_forwarded_copies_and_posts_of_a_list_on_the_own_server_arrive(tmp_path: Path) -> None:
    """Sun writes to a list at John's server; that sends it to John's other addresses, to Sun as a member, and again to a second list."""

    async def story(world: World) -> None:
        await world.begin(organization=RELAY.format(address=OWN, name="our servers"))
        world.mail(SUN, ("list@contoso.com",))
        await world.settle()
        (posted,) = world.own.messages
        for member, sender in (("moon@example.org", "list@contoso.com"), (SUN, "list@contoso.com"), ("list2@contoso.com", None)):
            assert (await send_on(world, posted, member, sender=sender)).startswith("250"), member
        await world.settle()
        assert len(world.moon.messages) == len(world.sun.messages) == 1
        # Whoever really sends it round the same corner a second time is stopped.
        second = world.own.messages[-1]
        assert second.recipients == ("list2@contoso.com",)
        reply = await send_on(world, second, "list2@contoso.com")
        assert reply.startswith("554 5.4.14")
        assert 'inbound connector "From our servers"' in reply

    World.run(23, tmp_path, story)


def test_one_copy_that_turns_is_told_of_by_a_notice_with_both_connectors_and_the_others_arrive(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(organization=RELAY.format(address=OWN, name="our servers"))
        world.mail(SUN, ("a@contoso.com",))
        await world.settle()
        assert (await send_on(world, world.own.messages[-1], "a@contoso.com")).startswith("250")
        await world.settle()
        assert (await send_on(world, world.own.messages[-1], "a@contoso.com", "b@contoso.com")).startswith("250")
        await world.settle()
        assert world.own.messages[-1].recipients == ("b@contoso.com",)
        (notice,) = world.sun.messages
        text = b" ".join(notice.content.split())
        assert b"5.4.14" in text
        assert b"inbound connector 'From our servers'" in text
        assert b"outbound connector 'To our servers'" in text
        assert text.count(b"Final-Recipient") == 1

    World.run(25, tmp_path, story)


def test_the_internet_never_sees_the_organizations_headers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        gateway = await world.begin(organization=TRUSTED)
        inside = (
            b"Message-ID: <1@contoso.com>\r\nX-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n"
            b"X-MS-Exchange-Forest-A: 1\r\nX-MS-Exchange-CrossPremises-Old: 1\r\n"
        )
        body = b"X-MS-Exchange-Organization-Body: stays\r\n"
        own = Origin("s", "connector", "From our servers", peer_address=OWN)
        addresses = [parse_address(one) for one in (SUN, MOON, BOB, JOHN)]
        hops = ("mx:example.net", "connector:To our servers", "mailbox", "connector:To mailboxes there")
        deliveries = tuple(NewDelivery(one, one, hop) for one, hop in zip(addresses, hops, strict=True))
        content = InlineContent(inside + b"Subject: x\r\n\r\n" + body)
        await gateway.accept(NewMessage("M1", world.clock.now(), parse_address(JOHN), deliveries, content, own, 1))
        await world.settle()

        seen = {one.recipients[0]: one.content for one in (*world.sun.messages, *world.own.messages, *world.mailboxes.messages)}
        assert set(seen) == {SUN, MOON, BOB, JOHN}
        assert all(content.endswith(b"\r\n\r\n" + body) for content in seen.values())
        head = {who: content[: -len(body)] for who, content in seen.items()}
        assert b"X-MS-" not in head[SUN]  # to the Internet
        assert b"X-MS-" not in head[JOHN]  # to an own server that is not the other side
        assert head[BOB].endswith(inside + b"Subject: x\r\n\r\n")  # a mailbox here
        assert head[MOON].count(b"X-MS-Exchange-CrossPremises-") == 3  # the other side: CloudServicesMailEnabled
        assert b"Organization" not in head[MOON]
        sent = {event.recipient: event.reasons for event in gateway.trace.recorded if event.kind is EventKind.SEND}
        assert "X-MS-Exchange-Organization-SCL" in sent[SUN][-1]
        assert "it leaves without a connector" in sent[SUN][-1]
        assert any("Crosses to the other side as X-MS-Exchange-CrossPremises-*" in reason for reason in sent[MOON])

    World.run(24, tmp_path, story)
