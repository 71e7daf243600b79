"""Who is told what, and the notice as a message for the queue."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.selection import Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.message.content import Content, InlineContent
from mailwye.message.dsn import Action
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.message.headers import scan
from mailwye.message.path_mark import PathMarks, was_taken
from mailwye.outbound.bounces import Bounces, action_owed, is_owed
from mailwye.outbound.courier import Attempt, Stage
from mailwye.outbound.settling import Ended
from mailwye.policy.rules.decide import RuleTable
from mailwye.policy.rules.model import Scope
from mailwye.queue.item import Delivery, DeliveryState, NewMessage, Origin, QueuedMessage, Result, Settlement
from mailwye.queue.memory import ChunkedContent
from mailwye.smtp.address import parse_address
from mailwye.smtp.reply import Reply
from tests.unit.connectors.world import outbound
from tests.unit.outbound.world import HOSTNAME, snapshot
from tests.unit.policy.rules.world import rule

CONTENT = b"From: <bob@contoso.com>\r\nSubject: Lunch\r\n\r\nShall we?\r\n"
MESSAGE = QueuedMessage(
    id="M1",
    received_at=1_795_500_000.0,
    sender=parse_address("bob@contoso.com"),
    size=len(CONTENT),
    origin=Origin("S1", "connector", "In", peer_address="192.0.2.77"),
    config_version=1,
    body=BodyType.SEVEN_BIT,
    smtputf8=False,
    ret="",
    envid="",
    message_id="<1@contoso.com>",
    subject="Lunch",
    auto_submitted=False,
    requires_8bit=False,
)
SUN = parse_address("sun@example.net")
OUT = Route(RouteKind.CONNECTOR, SUN, "Out")
MAILBOX = Route(RouteKind.MAILBOX, SUN)
NO_SUCH_USER = Reply(550, "5.1.1", "No such user")


def ended(
    result: Result,
    *,
    notify: Notify = Notify.DEFAULT,
    route: Route = OUT,
    reply: Reply = NO_SUCH_USER,
    delay_notice: bool = False,
    offers_dsn: bool = False,
    recipient: str = "sun@example.net",
    orcpt: str = "",
) -> Ended:
    address = parse_address(recipient)
    delivery = Delivery(1, "M1", address, address, "connector:Out", notify, orcpt, DeliveryState.LEASED, 0.0)
    attempt = Attempt(delivery, Stage.RCPT, reply, "mail.example.net[192.0.2.9]:25", offers_dsn=offers_dsn)
    return Ended(attempt, route, route.next_hop, Settlement(1, result, attempted_at=1_795_500_100.0), reply, delay_notice=delay_notice)


async def built(*one: Ended, message: QueuedMessage = MESSAGE, content: Content | None = None, limit: int = 65_536) -> NewMessage:
    found = await build(*one, message=message, content=content, limit=limit)
    assert found is not None
    return found


async def build(
    *one: Ended, message: QueuedMessage = MESSAGE, content: Content | None = None, limit: int = 65_536, now: Snapshot | None = None
) -> NewMessage | None:
    ids = itertools.count(1)
    bounces = Bounces(hostname=HOSTNAME, new_id=lambda: f"D{next(ids)}", return_octets=limit, expire_after=86_400.0)
    return await bounces.build(message, content or InlineContent(CONTENT), one, 1_795_500_200.0, now or snapshot(9))


def text(message: NewMessage) -> str:
    octets = message.content.inline
    assert octets is not None
    return octets.decode()


S, F, D, N = Notify.SUCCESS, Notify.FAILURE, Notify.DELAY, Notify.NEVER


@pytest.mark.parametrize(
    ("one", "action"),
    [
        (ended(Result.FAILED), Action.FAILED),
        (ended(Result.EXPIRED), Action.FAILED),
        (ended(Result.FAILED, notify=F), Action.FAILED),
        (ended(Result.FAILED, notify=S), None),
        (ended(Result.FAILED, notify=D), None),
        (ended(Result.FAILED, notify=N), None),
        (ended(Result.DEFERRED), None),
        (ended(Result.DEFERRED, delay_notice=True), Action.DELAYED),
        (ended(Result.DEFERRED, delay_notice=True, notify=D | F), Action.DELAYED),
        (ended(Result.DEFERRED, delay_notice=True, notify=F), None),
        (ended(Result.DEFERRED, delay_notice=True, notify=N), None),
        (ended(Result.DELIVERED), None),
        (ended(Result.DELIVERED, notify=F | D), None),
        (ended(Result.DELIVERED, notify=S), Action.RELAYED),
        (ended(Result.DELIVERED, notify=S, offers_dsn=True), None),
        (ended(Result.DELIVERED, notify=S, route=MAILBOX), Action.DELIVERED),
        (ended(Result.RELEASED, notify=S | F | D), None),
    ],
)
def test_who_is_told(one: Ended, action: Action | None) -> None:
    assert action_owed(MESSAGE, one) is action
    assert is_owed(MESSAGE, [one]) is (action is not None)


@pytest.mark.parametrize(
    "message",
    [
        replace(MESSAGE, sender=None),
        replace(MESSAGE, auto_submitted=True),
        replace(MESSAGE, origin=Origin("S1", "internal")),
    ],
)
async def test_who_is_never_told(message: QueuedMessage) -> None:
    for result in Result:
        one = ended(result, notify=S | F | D, delay_notice=True)
        assert action_owed(message, one) is None
        assert await build(one, message=message) is None


async def test_the_notice_as_a_message() -> None:
    bounce = await built(ended(Result.FAILED))
    assert bounce.sender is None
    assert bounce.auto_submitted
    assert bounce.origin == Origin("S1", "internal")
    assert bounce.config_version == 9
    assert bounce.id == "D1"
    assert bounce.message_id == f"<D1@{HOSTNAME}>"
    assert bounce.subject == "Undeliverable: Lunch"
    (delivery,) = bounce.deliveries
    assert (str(delivery.recipient), delivery.next_hop, delivery.notify) == ("bob@contoso.com", "mailbox", Notify.NEVER)
    assert "From: Mail Delivery System <postmaster@contoso.com>" in text(bounce)
    assert "Shall we?" not in text(bounce)


@pytest.mark.parametrize(
    ("wish", "of_notice"),
    [(TlsWish.REQUIRED, TlsWish.REQUIRED), (TlsWish.OPTIONAL, TlsWish.DEFAULT), (TlsWish.DEFAULT, TlsWish.DEFAULT)],
)
async def test_a_notice_is_protected_like_its_message(wish: TlsWish, of_notice: TlsWish) -> None:
    """RFC 8689 section 5."""
    bounce = await build(ended(Result.FAILED), message=replace(MESSAGE, tls=wish))
    assert bounce is not None
    assert bounce.tls is of_notice


async def test_one_notice_for_all_who_failed_and_nothing_of_the_others() -> None:
    bounce = await built(
        ended(Result.FAILED), ended(Result.DELIVERED, recipient="ok@example.net"), ended(Result.FAILED, recipient="b@x.example")
    )
    assert text(bounce).count("Action: failed") == 2
    assert "ok@example.net" not in text(bounce)


@pytest.mark.parametrize(
    ("sender", "next_hop"), [("john@contoso.com", "connector:Own"), ("sun@example.net", "mx:example.net"), ("bob@contoso.com", "mailbox")]
)
async def test_the_way_back(sender: str, next_hop: str) -> None:
    bounce = await built(ended(Result.FAILED), message=replace(MESSAGE, sender=parse_address(sender)))
    assert [delivery.next_hop for delivery in bounce.deliveries] == [next_hop]


async def test_a_sender_who_does_not_exist_gets_nothing() -> None:
    assert await build(ended(Result.FAILED), message=replace(MESSAGE, sender=parse_address("gone@contoso.com"))) is None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("result", "ret", "limit", "whole"),
    [
        (Result.FAILED, "FULL", 65_536, True),
        (Result.FAILED, "FULL", 10, False),
        (Result.FAILED, "HDRS", 65_536, False),
        (Result.FAILED, "", 65_536, False),
        (Result.DEFERRED, "FULL", 65_536, False),
    ],
)
async def test_how_much_is_sent_back(result: Result, ret: str, limit: int, whole: bool, streamed: bool) -> None:
    content = ChunkedContent(tuple(CONTENT[at : at + 7] for at in range(0, len(CONTENT), 7))) if streamed else InlineContent(CONTENT)
    bounce = await built(ended(result, delay_notice=True), message=replace(MESSAGE, ret=ret), content=content, limit=limit)
    assert ("Shall we?" in text(bounce)) is whole
    assert ("message/rfc822" in text(bounce)) is whole


async def test_a_body_that_does_not_fit_into_a_part_stays_away() -> None:
    content = InlineContent(b"Subject: x\r\n\r\nbinary \0 data\r\n")
    bounce = await built(ended(Result.FAILED), message=replace(MESSAGE, ret="FULL"), content=content)
    assert "binary" not in text(bounce)


async def test_eight_bits_are_declared() -> None:
    content = InlineContent(b"Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n")
    bounce = await built(ended(Result.FAILED), message=replace(MESSAGE, ret="FULL"), content=content)
    assert bounce.body is BodyType.EIGHT_BIT_MIME
    assert bounce.requires_8bit


async def test_a_sender_beyond_ascii_needs_smtputf8() -> None:
    bounce = await built(ended(Result.FAILED), message=replace(MESSAGE, sender=parse_address("grün@example.net")))
    assert bounce.smtputf8


async def test_an_answer_without_a_status_gets_exchange_s_wrapper() -> None:
    bounce = await built(ended(Result.FAILED, reply=Reply(550, "", "go away")))
    assert "Status: 5.0.350" in text(bounce)
    assert "Diagnostic-Code: smtp; 550 go away" in text(bounce)


async def test_a_loop_names_both_ways() -> None:
    bounce = await built(ended(Result.FAILED, reply=Reply(554, "5.4.14", "Hop count exceeded - possible mail loop")))
    words = " ".join(text(bounce).split())
    assert "Came in through: inbound connector 'In' from 192.0.2.77" in words
    assert "Went out through: outbound connector 'Out'" in words


@pytest.mark.parametrize(
    ("orcpt", "shown"), [("rfc822;alias@contoso.com", "alias@contoso.com (as sun@example.net)"), ("rfc822;x y", "sun@")]
)
async def test_the_sender_reads_the_address_that_he_wrote(orcpt: str, shown: str) -> None:
    assert shown in text(await built(ended(Result.FAILED, orcpt=orcpt)))


@pytest.mark.parametrize("ret", ["FULL", "HDRS"])
@pytest.mark.parametrize(("sender", "seen"), [("bob@contoso.com", True), ("sun@example.net", False)])
async def test_a_notice_to_somebody_outside_returns_no_headers_of_the_organization(ret: str, sender: str, seen: bool) -> None:
    content = InlineContent(b"X-MS-Exchange-Organization-SCL: -1\r\n" + CONTENT)
    notice = text(await built(ended(Result.FAILED), message=replace(MESSAGE, sender=parse_address(sender), ret=ret), content=content))
    assert ("X-MS-Exchange-Organization-SCL" in notice) == seen
    assert "\r\nSubject: Lunch\r\n" in notice
    assert ("Shall we?" in notice) == (ret == "FULL")


async def test_the_path_mark_of_a_notice_is_known_again() -> None:
    """The queue and the header section have the same Message-ID, to which a mark is tied."""
    notice = await built(ended(Result.FAILED))
    marks = PathMarks(b"the secret of the test world")
    step = marks.step("internal", "mx:example.net", "sun@example.net", notice.message_id)
    header = scan((marks.write([step], notice.message_id) + (notice.content.inline or b"")).partition(b"\r\n\r\n")[0])
    assert was_taken(marks.read(header), step)


async def test_a_rule_chooses_the_way_of_a_notice_too() -> None:
    """John may be on a site to which only a rule leads. A condition on the header does not hold: the notice has none yet."""
    john = replace(MESSAGE, sender=parse_address("john@contoso.com"))
    now = snapshot(9)
    site = outbound("Site", is_transport_rule_scoped=True)
    way = rule("John", connector="Site", sent_to=["john@contoso.com"], from_scope=Scope.IN_ORGANIZATION)
    never = rule("Never", 1, connector="Own", header_contains_message_header="Subject", header_contains_words=("undeliverable",))
    table = RuleTable(now.directory, [way, never])
    bounce = await build(ended(Result.FAILED), message=john, now=replace(now, connectors=ConnectorTable((), (site,)), rules=table))
    assert bounce is not None
    (delivery,) = bounce.deliveries
    assert (delivery.next_hop, delivery.rule_connector) == ("connector:Site", "Site")
    assert await build(ended(Result.FAILED), message=john, now=replace(now, connectors=ConnectorTable((), (site,)))) is None
