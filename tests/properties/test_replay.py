"""Replays of generated traffic by generated organizations: against the same settings nothing differs, and what is kept is enough."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import decide_recipient, decide_sender
from mailwye.connectors.model import InboundConnector, OutboundConnector
from mailwye.connectors.own_server import EVERYWHERE, MEGABYTE, Binding, PermissionGroup, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import SessionFacts
from mailwye.message.headers import scan
from mailwye.policy.rules.decide import RuleTable, may_route
from mailwye.policy.rules.matching import SearchedHeader, header_answers, message_facts
from mailwye.policy.rules.model import TransportRule
from mailwye.smtp.address import Address, parse_address
from mailwye.whatif.answers import Answer, answer_to
from mailwye.whatif.evaluate import Evaluation
from mailwye.whatif.replay import Comparison, Outcome
from mailwye.whatif.traffic import Answered, Envelope, Peer, Recorded
from tests.properties.test_attribution import ADDRESSES, connectors
from tests.properties.test_rules import rules
from tests.properties.test_selection import tables
from tests.unit.connectors.world import session
from tests.unit.policy.rules.world import CONTOSO

SENDERS = st.sampled_from(["bob@contoso.com", "eva@contoso.com", "sun@a.example", "x@b.a.example", "<>"])
RECIPIENTS = st.sampled_from(
    [
        *("bob@contoso.com", "robert@contoso.com", "eva@contoso.com", "everybody@contoso.com", "sun@contoso.com", "nobody@contoso.com"),
        *("moon@a.example", "star@c.b.example", "user@fabrikam.com"),
    ]
)
HEADERS = st.sampled_from(["", "Subject: Lunch\r\n", "Subject: a\r\nSubject: b\r\n", "X-Other: lunch\r\n"])


LISTENERS = st.sampled_from(["192.0.2.250:25", "[2001:db8::25]:25", "192.0.2.250:587"])
RECEIVERS = st.lists(
    st.builds(
        ReceiveConnector,
        st.sampled_from(["R", "S", "T"]),
        enabled=st.booleans(),
        bindings=st.sampled_from(["0.0.0.0:25", "192.0.2.250:25", "[::]:25"]).map(lambda text: (Binding.of(text),)),
        remote_ip_ranges=st.sampled_from([EVERYWHERE, ("192.0.2.0/24",), ("10.0.0.0/8", "2001:db8::/32")]),
        permission_groups=st.sets(st.sampled_from(PermissionGroup)).map(tuple),
        require_tls=st.booleans(),
        cloud_services_domains=st.sampled_from([(), ("mail.contoso.com",)]),
        max_hop_count=st.sampled_from([30, 5]),
        max_message_size=st.sampled_from([36 * MEGABYTE, MEGABYTE]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one.name,
)


@st.composite
def snapshots(draw: st.DrawFn, version: int = 1) -> Snapshot:
    inbound: list[InboundConnector] = draw(connectors())
    outbound: list[OutboundConnector] = draw(tables())
    found: list[TransportRule] = draw(rules())
    receive = ReceiveTable(draw(RECEIVERS)) if draw(st.booleans()) else None
    return Snapshot(version, "contoso", CONTOSO, ConnectorTable(inbound, outbound, receive=receive), RuleTable(CONTOSO, found))


@st.composite
def sessions(draw: st.DrawFn) -> SessionFacts:
    names = draw(st.sampled_from([(), (), ("a.example",), ("mail.contoso.com",)]))
    auth, listener = draw(st.sampled_from([("", "mx"), ("", "mx"), ("bob@contoso.com", "submission"), ("", "submission")]))
    facts = session(*names, ip=draw(ADDRESSES), trusted=draw(st.booleans()), tls=draw(st.booleans()), auth=auth, listener=listener)
    return replace(facts, local=draw(LISTENERS))


Mail = tuple[SessionFacts, "Address | None", Address, str]
MAILS = st.lists(st.tuples(sessions(), SENDERS, RECIPIENTS, HEADERS), max_size=4).map(
    lambda found: [(facts, None if a == "<>" else parse_address(a), parse_address(b), header) for facts, a, b, header in found]
)


def live(snapshot: Snapshot, mail: Mail) -> tuple[Answer, Recorded]:
    """As inbound/ decides, with the header itself at hand; and what is kept of it."""
    facts, sender, recipient, text = mail
    at_mail = decide_sender(snapshot.directory, snapshot.connectors, facts, sender)
    at_rcpt, header, kept = None, None, None
    if at_mail.reply.is_success:
        asked = may_route(snapshot.rules, message_facts(snapshot.directory, at_mail.caller.kind.value, sender, None))
        at_rcpt = decide_recipient(
            snapshot.directory,
            snapshot.connectors,
            facts,
            at_mail.caller,
            sender,
            recipient,
            may_have_way=asked if snapshot.rules.active else None,
        )
        if at_rcpt.reply.is_success:
            header = SearchedHeader(scan(text.encode()))
            kept = header_answers(snapshot.rules.questions, header)
    answer = answer_to(snapshot, at_mail, sender, recipient, at_rcpt, header)
    envelope = Envelope(
        None if sender is None else (sender.local, sender.domain),
        (recipient.local, recipient.domain) if at_rcpt is not None else None,
        kept,
    )
    return answer, Recorded(Peer.of(facts), envelope, (Answered(answer, snapshot.version, 2, 0.0, "M"),))


def replayed(before: Snapshot, after: Snapshot, recorded: list[Recorded]) -> Outcome:
    return Comparison(Evaluation(before), Evaluation(after)).add_all(recorded)


@given(snapshots(), MAILS)
def test_against_the_same_settings_nothing_differs(snapshot: Snapshot, mails: list[Mail]) -> None:
    recorded = [live(snapshot, mail)[1] for mail in mails]
    for base in (snapshot, replace(snapshot, version=9)):  # with the answers that were kept, and with all of them made again
        found = replayed(base, replace(snapshot, version=10), recorded)
        assert found.is_clean
        assert (found.unchanged, found.drifted, found.total) == (2 * len(mails), 0, 2 * len(mails))


@given(snapshots(), MAILS)
def test_what_is_kept_leads_to_the_answer_that_was_given(snapshot: Snapshot, mails: list[Mail]) -> None:
    for mail in mails:
        answer, recorded = live(snapshot, mail)
        assert Evaluation(snapshot).answer(recorded.peer, recorded.envelope) == answer
        assert not (answer.open and answer.is_taken)


@given(snapshots(), sessions(), SENDERS, RECIPIENTS)
def test_what_is_not_kept_of_a_session_decides_nothing(snapshot: Snapshot, facts: SessionFacts, sender: str, recipient: str) -> None:
    """The name in EHLO, the cipher, the port, and who forwarded the connection."""
    tls = facts.tls
    other = replace(
        facts,
        session_id="another",
        peer_port=9,
        hello="elsewhere.example",
        esmtp=not facts.esmtp,
        proxied=not facts.proxied,
        tls=None if tls is None else replace(tls, cipher="another", bits=1),
    )
    address = None if sender == "<>" else parse_address(sender)
    first, second = (live(snapshot, (one, address, parse_address(recipient), ""))[0] for one in (facts, other))
    assert first == second


@given(snapshots(), snapshots(2), MAILS)
def test_there_and_back_as_many_differ(one: Snapshot, other: Snapshot, mails: list[Mail]) -> None:
    other = replace(other, rules=one.rules)  # so that both ask the same of the header
    there = replayed(one, other, [live(one, mail)[1] for mail in mails])
    back = replayed(other, one, [live(other, mail)[1] for mail in mails])
    assert there.total == back.total == 2 * len(mails)
    if not there.unknown and not back.unknown:
        assert (there.changed, there.unchanged) == (back.changed, back.unchanged)
    assert (there.digest(1, "x") == "") is there.is_clean
