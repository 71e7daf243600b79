"""What sessions leave behind for replays: counted by the decision, told when it is stored, and what the trace told as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.inbound import traffic as module
from mailwye.inbound.traffic import Traffic
from mailwye.policy.rules.decide import RuleTable
from mailwye.trace.event import EventKind
from mailwye.whatif.evaluate import Evaluation
from mailwye.whatif.traffic import Countable, Occurrence
from tests.unit.connectors.world import PARTNER, inbound, outbound
from tests.unit.inbound.test_ruling import BY_HEADER, EAST, OUR_SERVERS, SITES, WEST, send
from tests.unit.inbound.world import OWN_SERVER, STRANGER, World, contoso, settle
from tests.unit.policy.rules.world import CONTOSO, rule


@dataclass
class Kept:
    """A TrafficStore that keeps everything, as it would be told when it is handed over."""

    batches: list[list[Occurrence]] = field(default_factory=list)
    dropped: int = 0

    def add(self, seen: Sequence[Countable]) -> None:
        self.batches.append([one.occurrence() for one in seen])

    async def flush(self) -> None:
        return

    async def close(self) -> None:
        return

    @property
    def all(self) -> list[Occurrence]:
        return [one for batch in self.batches for one in batch]


def watched(snapshot: Snapshot | None = None) -> tuple[World, Kept, Traffic]:
    kept = Kept()
    traffic = Traffic(kept)
    return World(snapshot or contoso(), traffic=traffic), kept, traffic


async def test_the_same_again_is_counted_not_repeated() -> None:
    place, kept, traffic = watched()
    for _ in range(3):
        assert send(place.greeted(), "bob@contoso.com").startswith("250")
        await settle()
    assert kept.batches == [], "nothing is stored on the reply path"
    await traffic.flush()
    (one,) = kept.all
    assert (one.times, one.version, one.peer.address, one.peer.listener) == (3, 7, STRANGER, "test")
    assert (one.envelope.sender, one.envelope.recipient) == (("x", "elsewhere.example"), ("bob", "contoso.com"))
    assert (one.answer.caller, one.answer.reply, [way.by for way in one.answer.ways]) == ("anonymous", "250 2.1.5", ["mailbox"])
    (*_, last) = place.trace.of(EventKind.RECEIVE)
    assert one.trace_id == last.message


async def test_refusals_at_mail_and_at_rcpt_are_counted_too() -> None:
    partner = inbound("Partner", connector_type=PARTNER, sender_domains=("partner.example",), require_tls=True)
    place, kept, traffic = watched(contoso(partner))
    peer = place.greeted()
    assert peer.send("MAIL FROM:<x@partner.example>").startswith("451 5.7.3")
    assert peer.send("MAIL FROM:<x@elsewhere.example>").startswith("250")
    assert peer.send("RCPT TO:<nobody@contoso.com>").startswith("550 5.4.1")
    assert peer.send("RCPT TO:<x@outside.example>").startswith("550 5.7.64")
    assert peer.send("RCPT TO:<bob@contoso.com>").startswith("250")
    peer.send("RSET")
    await traffic.flush()
    told = {(one.envelope.recipient, one.answer.reply, one.envelope.header) for one in kept.all}
    assert told == {
        (None, "451 5.7.3", None),
        (("nobody", "contoso.com"), "550 5.4.1", None),
        (("x", "outside.example"), "550 5.7.64", None),
    }, "what was not sent in the end is not counted"


async def test_each_recipient_is_an_envelope_of_its_own_and_a_group_is_one() -> None:
    place, kept, traffic = watched()
    send(place.greeted(), "bob@contoso.com", "all@contoso.com")
    await settle()
    await traffic.flush()
    ways = {one.envelope.recipient: [(way.to, way.by) for way in one.answer.ways] for one in kept.all}
    assert ways == {
        ("bob", "contoso.com"): [("", "mailbox")],
        ("all", "contoso.com"): [("bob@contoso.com", "mailbox"), ("john@contoso.com", 'connector "To our servers"')],
    }


async def test_of_a_header_only_the_answers_to_rules_are_kept() -> None:
    asleep = rule("Asleep", 9, connector="East", enabled=False, header_contains_message_header="Subject", header_contains_words=("secret",))
    table = ConnectorTable([OUR_SERVERS], [*SITES, outbound("General", all_accepted_domains=True)])
    place, kept, traffic = watched(Snapshot(7, "contoso", CONTOSO, table, RuleTable(CONTOSO, [BY_HEADER, asleep])))
    for header in ("X-Site: west", "X-Site: south", "Subject: secret plans"):
        assert send(place.greeted(), "eva@contoso.com", header=header).startswith("250")
        await settle()
    await traffic.flush()
    assert {one.answer.ways[0].by for one in kept.all} == {'connector "West"', 'connector "General"'}
    assert [len(one.envelope.header or ()) for one in kept.all] == [2, 2, 2], "also of the rule that sleeps"
    assert not any("secret" in answer or "west" in answer for one in kept.all for answer in one.envelope.header or ())
    assert len({one.envelope.header for one in kept.all}) == 3


async def test_what_is_recorded_is_what_the_trace_says_and_what_a_replay_would_say() -> None:
    table = ConnectorTable([OUR_SERVERS], [*SITES, outbound("General", all_accepted_domains=True)])
    snapshot = Snapshot(7, "contoso", CONTOSO, table, RuleTable(CONTOSO, [WEST, EAST, BY_HEADER]))
    place, kept, traffic = watched(snapshot)
    send(place.greeted(), "everybody@contoso.com", "robert@contoso.com", "sun@contoso.com", header="X-Site: west")
    send(place.greeted(OWN_SERVER), "moon@outside.example", "eva@contoso.com", sender="eva@contoso.com")
    await settle()
    await traffic.flush()
    routed = {(event.message, event.recipient): event.connector for event in place.trace.of(EventKind.ROUTE)}
    evaluation = Evaluation(snapshot)
    for one in kept.all:
        assert evaluation.answer(one.peer, one.envelope) == one.answer
        asked = "@".join(one.envelope.recipient or ())
        for way in one.answer.ways:
            connector = routed[one.trace_id, way.to or asked]
            assert way.by == (f'connector "{connector}"' if connector else way.by)
            assert bool(connector) is way.by.startswith("connector")


async def test_memory_is_bounded_and_nothing_is_lost_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    place, kept, traffic = watched()
    monkeypatch.setattr(module, "WAITING_LIMIT", 10)
    for number in range(25):
        send(place.greeted(), "bob@contoso.com", sender=f"user{number}@elsewhere.example")
        await settle()
    assert [len(batch) for batch in kept.batches] == [10, 10]
    await traffic.close()
    assert len({one.envelope.sender for one in kept.all}) == 25


async def test_large_groups_count_by_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of ten thousand is decided on anew for each message: a few thousand of them would fill the memory."""
    place, kept, traffic = watched()
    monkeypatch.setattr(module, "WAITING_LIMIT", 5)
    for number in range(5):
        send(place.greeted(), "all@contoso.com", sender=f"user{number}@elsewhere.example")
        await settle()
    assert [len(batch) for batch in kept.batches] == [2, 2]
    await traffic.close()
    assert len({one.envelope.sender for one in kept.all}) == 5
