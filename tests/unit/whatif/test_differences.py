"""Tables of differences: what a change of the settings makes of one envelope, in the words that people read."""

from __future__ import annotations

import msgspec
import pytest

from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.config.snapshot import Snapshot
from mailwye.message.headers import scan
from mailwye.policy.rules.matching import SearchedHeader, header_answers
from mailwye.whatif.answers import Answer, Way
from mailwye.whatif.differences import aspects_of
from mailwye.whatif.evaluate import Evaluation
from mailwye.whatif.replay import Comparison, Outcome, Report
from mailwye.whatif.traffic import Answered, Envelope, Peer, Recorded

SUN, JOHN, BOB, OUTSIDE = ("sun", "example.net"), ("john", "contoso.com"), ("bob", "contoso.com"), ("moon", "example.org")
STRANGER, OWN = Peer("mx", "mx", "192.0.2.7"), Peer("mx", "mx", "198.51.100.1", "TLSv1.3")
BASE = """\
AcceptedDomain: {DomainName: contoso.com, Default: true}
Mailbox: {PrimarySmtpAddress: bob@contoso.com}
MailUser: {PrimarySmtpAddress: john@contoso.com}
DistributionGroup: {PrimarySmtpAddress: all@contoso.com, Members: [bob@contoso.com, john@contoso.com]}
InboundConnector: {Name: From us, ConnectorType: OnPremises, SenderDomains: "*", SenderIPAddresses: 198.51.100.0/24}
OutboundConnector:
  - {Name: Site, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: "192.0.2.10"}
  - {Name: For rules, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: "192.0.2.20"}
"""
RULE = (
    "TransportRule: {Name: Lunch, HeaderContainsMessageHeader: Subject, HeaderContainsWords: lunch, "
    "RouteMessageOutboundConnector: For rules}\n"
)


def settings(text: str, version: int = 1) -> Snapshot:
    parsed = read_organization(text, "the test")
    assert parsed.value is not None, parsed.problems
    return compile_snapshot(parsed.value, version)


def recorded(
    base: Snapshot, peer: Peer, sender: tuple[str, str] | None, recipient: tuple[str, str], header: str = "", times: int = 1
) -> Recorded:
    found = header_answers(base.rules.questions, SearchedHeader(scan(header.encode())))
    envelope = Envelope(sender, recipient, found)
    answer = Evaluation(base).answer(peer, envelope)
    return Recorded(peer, envelope, (Answered(answer, base.version, times, 0.0, "M1"),))


def replayed(before: str, after: str, *mails: tuple[Peer, tuple[str, str], tuple[str, str]], header: str = "") -> Outcome:
    base = settings(before)
    comparison = Comparison(Evaluation(base), Evaluation(settings(after, 2)))
    return comparison.add_all(recorded(base, *mail, header) for mail in mails)


@pytest.mark.parametrize(
    ("old", "new", "mail", "title", "aspects"),
    [
        ('"192.0.2.10"', '"192.0.2.11"', (STRANGER, SUN, JOHN), "routed", ["smart hosts: 192.0.2.10 → 192.0.2.11"]),
        (
            '"192.0.2.10"',
            '["192.0.2.10", {Host: "192.0.2.11", Priority: 20}]',
            (STRANGER, SUN, JOHN),
            "routed",
            ["smart hosts: 192.0.2.10 → 192.0.2.10, 192.0.2.11 priority 20"],
        ),
        (
            '"192.0.2.10"',
            '"192.0.2.10", TlsSettings: DomainValidation, TlsDomain: mail.contoso.com',
            (STRANGER, SUN, JOHN),
            "sent otherwise",
            ["TLS: opportunistic → DomainValidation for mail.contoso.com"],
        ),
        ("Name: Site", "Name: Depot", (STRANGER, SUN, JOHN), "routed", ['way: connector "Site" → connector "Depot"']),
        ("AllAcceptedDomains: true", "RecipientDomains: x.example", (STRANGER, SUN, JOHN), "refused", ["reply: 250 2.1.5 → 550 5.4.4"]),
        ("MailUser: {Primary", "MailContact: {ExternalEmailAddress: j@x.example, Primary", (STRANGER, SUN, JOHN), "routed", None),
        ("john@contoso.com}\nDist", "jack@contoso.com}\nDist", (STRANGER, SUN, JOHN), "refused", ["reply: 250 2.1.5 → 550 5.4.1"]),
        (
            "198.51.100.0/24",
            "198.51.100.64/26",
            (OWN, BOB, OUTSIDE),
            "refused",
            ["reply: 250 2.1.5 → 550 5.7.64", 'caller: connector "From us" → anonymous'],
        ),
        ("198.51.100.0/24", "198.51.100.64/26", (OWN, SUN, BOB), "taken for somebody else", ['caller: connector "From us" → anonymous']),
        (
            "InboundConnector: {",
            "InboundConnector:\n  - {Name: P, SenderDomains: example.net, RequireTls: true}\n  - {",
            (STRANGER, SUN, BOB),
            "restricted",
            ["reply: 250 2.1.5 → 451 5.7.3"],
        ),
        (
            "Mailbox: {PrimarySmtpAddress: bob@contoso.com}\nMailUser: {",
            "MailUser:\n  - {PrimarySmtpAddress: bob@contoso.com}\n  - {",
            (STRANGER, SUN, BOB),
            "routed",
            ['way: mailbox → connector "Site"'],
        ),
        (
            "Members: [bob@contoso.com, john@contoso.com]",
            "Members: [bob@contoso.com]",
            (STRANGER, SUN, ("all", "contoso.com")),
            "routed",
            ['ways: connector "Site" to 192.0.2.10 with TLS opportunistic → (one less)'],
        ),
        (
            "Mailbox: {PrimarySmtpAddress: bob",
            "Mailbox: {PrimarySmtpAddress: bert",
            (STRANGER, SUN, ("bert", "contoso.com")),
            "accepted",
            None,
        ),
    ],
)
def test_a_change_and_what_it_does(
    old: str, new: str, mail: tuple[Peer, tuple[str, str], tuple[str, str]], title: str, aspects: list[str] | None
) -> None:
    assert old in BASE
    text = BASE.replace(old, new)
    if "bert" in text:
        text = text.replace("[bob@", "[bert@")
    found = replayed(BASE, text, mail)
    (group,) = found.groups
    assert (group.title, group.messages, found.unchanged) == (title, 1, 0)
    if aspects is not None:
        assert [str(aspect) for aspect in group.aspects] == aspects


LIMITED = "ReceiveConnector: {Name: In, Bindings: '0.0.0.0:25', PermissionGroups: AnonymousUsers, MaxMessageSize: 20MB}\n"


@pytest.mark.parametrize(
    ("before", "after", "aspects"),
    [
        (LIMITED, LIMITED.replace("20MB", "10MB"), ["MaxMessageSize: 20971520 octets → 10485760 octets"]),
        (
            LIMITED.replace("20MB", "20MB, MaxHopCount: 20, ConnectionInactivityTimeout: 00:01:00"),
            LIMITED.replace("Name: In", "Name: Other"),
            ["ConnectionInactivityTimeout: 60 s → 300 s", "MaxHopCount: 20 → 30"],
        ),
        (LIMITED, LIMITED.replace("0.0.0.0:25'", "0.0.0.0:25', RemoteIPRanges: 192.0.2.0/24"), []),
        (LIMITED, LIMITED.replace("20MB", "10MB, RemoteIPRanges: 10.0.0.0/8"), ["reply: 250 2.1.5 → 554 5.7.1"]),
    ],
)
def test_limits_of_receive_connectors_are_compared(before: str, after: str, aspects: list[str]) -> None:
    here = msgspec.structs.replace(STRANGER, local="192.0.2.250:25")
    found = replayed(BASE + before, BASE + after, (here, SUN, BOB))
    assert [str(aspect) for group in found.groups for aspect in group.aspects] == aspects
    assert found.unchanged == (not aspects)
    assert bool(found.digest(1, "")) is bool(aspects)


def test_the_first_receive_connector_brings_its_limits() -> None:
    here = msgspec.structs.replace(STRANGER, local="192.0.2.250:25")
    (group,) = replayed(BASE, BASE + LIMITED, (here, SUN, BOB)).groups
    assert group.title == "limited otherwise"
    assert "MaxMessageSize: as mailwye.toml says → 20971520 octets" in [str(aspect) for aspect in group.aspects]


def test_rules_that_only_watch_and_rules_that_route() -> None:
    watch = "TransportRule: {Name: Watch, Mode: Audit, FromScope: NotInOrganization, RouteMessageOutboundConnector: For rules}\n"
    (group,) = replayed(BASE, BASE + watch, (STRANGER, SUN, JOHN)).groups
    assert (group.title, [str(one) for one in group.aspects]) == ("other rules", ["mail flow rules: none → Watch"])
    (group,) = replayed(BASE, BASE + watch.replace("Mode: Audit, ", ""), (STRANGER, SUN, JOHN)).groups
    assert (group.title, str(group.aspects[0])) == ("routed", 'way: connector "Site" → connector "For rules"')


def test_what_only_a_header_can_decide_is_said_to_be_so() -> None:
    """A rule that was there is answered by what was kept; a new one, or new words, are not."""
    mail = (STRANGER, SUN, JOHN)
    new = replayed(BASE, BASE + RULE, mail)
    assert (new.unknown, new.changed, new.unchanged) == (1, 0, 0)
    assert str(new.undecidable[0].aspects[0]) == "depends on the header: Lunch"
    assert not new.is_clean
    disabled = BASE + RULE.replace("{Name", "{Enabled: false, Name")
    for header, changed in (("Subject: Lunch?\r\n", 1), ("Subject: Work\r\n", 0), ("", 0)):
        found = replayed(disabled, BASE + RULE, mail, header=header)
        assert (found.unknown, found.changed, found.unchanged) == (0, changed, 1 - changed), "the rule slept, but its question was asked"
    words = BASE + RULE.replace("lunch", "[supper]")
    assert replayed(BASE + RULE, words, mail, header="Subject: x\r\n").unknown == 1
    assert replayed(BASE + RULE, words, mail, header="X-Other: x\r\n").unchanged == 1, "no Subject: no word of it"


def test_what_an_older_version_answered_is_no_difference_of_the_candidate() -> None:
    old, base = settings(BASE.replace("Name: Site", "Name: Depot"), 1), settings(BASE, 2)
    mail = recorded(old, STRANGER, SUN, JOHN, times=5)
    found = Comparison(Evaluation(base), Evaluation(settings(BASE, 3))).add_all([mail])
    assert (found.is_clean, found.unchanged, found.drifted) == (True, 5, 5)


def test_the_digest_names_what_is_shown_and_not_how_often() -> None:
    mail = (STRANGER, SUN, JOHN)
    after = BASE.replace("192.0.2.10", "192.0.2.11")
    once, twice = replayed(BASE, after, mail), replayed(BASE, after, mail, (STRANGER, SUN, JOHN))
    assert once.digest(1, "text") == twice.digest(1, "text") != ""
    assert once.digest(2, "text") != once.digest(1, "text") != once.digest(1, "other text")
    more = replayed(BASE, after.replace("john@", "jack@"), mail, (STRANGER, SUN, ("jack", "contoso.com")))
    assert more.digest(1, "text") != once.digest(1, "text")
    assert replayed(BASE, BASE, mail).digest(1, "text") == ""


def test_examples_are_those_that_came_most_often_with_the_reasons_of_both_sides() -> None:
    base, other = (
        settings(BASE),
        settings(BASE.replace("john@contoso.com}\nDist", "jack@contoso.com}\nDist").replace(", john@", ", jack@"), 2),
    )
    comparison = Comparison(Evaluation(base), Evaluation(other), examples=2)
    mails = [recorded(base, STRANGER, (f"user{number}", "example.net"), JOHN, times=number + 1) for number in range(5)]
    found = comparison.add_all(mails)
    report = Report(found, Evaluation(base), Evaluation(other), "0123", 0.0)
    told = report.to_dict()
    (group,) = told["groups"]
    assert [(one["sender"], one["messages"]) for one in group["examples"]] == [("user4@example.net", 5), ("user3@example.net", 4)]
    assert any("john@contoso.com is a MailUser" in reason for reason in group["examples"][0]["before"])
    assert group["examples"][0]["after"][-1] == "Reply: 550 5.4.1 Recipient address rejected: Access denied"
    lines = report.lines()
    assert lines[0] == "15 recorded messages (5 different envelopes), compared with version 1"
    assert "15 would be refused (5 different envelopes)" in lines
    assert "      new: Reply: 550 5.4.1 Recipient address rejected: Access denied" in lines


def test_parts_of_a_replay_add_up() -> None:
    base, other = settings(BASE), settings(BASE.replace("192.0.2.10", "192.0.2.11"), 2)
    mails = [recorded(base, STRANGER, (f"user{n}", "example.net"), JOHN if n % 2 else BOB, times=n + 1) for n in range(20)]
    whole = Comparison(Evaluation(base), Evaluation(other)).add_all(mails)
    total = Comparison(Evaluation(base), Evaluation(other)).add_all(mails[:7])
    total.add(Comparison(Evaluation(base), Evaluation(other)).add_all(mails[7:]), 3)
    assert total == whole


def test_equal_answers_have_no_aspects() -> None:
    answer = Answer("anonymous", "250 2.1.5", (Way("", "mailbox"),))
    assert aspects_of(answer, answer) == ()


RECEIVE = "ReceiveConnector: [{Name: Service, Bindings: 0.0.0.0:25, PermissionGroups: %s, RemoteIPRanges: 192.0.2.0/24}]\n"


def test_replays_ask_the_receive_connector_of_the_recorded_listener() -> None:
    mx, other = (Peer("mx", "mx", "192.0.2.7", local=local) for local in ("203.0.113.1:25", "203.0.113.1:2525"))
    found = replayed(BASE, BASE + RECEIVE % "ExchangeServers", (mx, SUN, BOB), (other, SUN, BOB))
    (group,) = found.groups
    assert (group.title, [str(one) for one in group.aspects], group.messages) == ("refused", ["reply: 250 2.1.5 → 530 5.7.1"], 1)
    assert found.unchanged == 1
    assert found.undecidable == []


def test_what_was_recorded_without_its_listener_cannot_be_decided_by_receive_connectors() -> None:
    with_receive = BASE + RECEIVE % "AnonymousUsers"
    found = replayed(BASE, with_receive, (STRANGER, SUN, BOB))
    assert not found.is_clean
    (group,) = found.undecidable
    assert [str(one) for one in group.aspects] == ["depends on: which ReceiveConnector takes it: its listener was not recorded"]

    # The other way round there is an answer: what was answered then stands for the version in force.
    base, one = settings(with_receive), recorded(settings(BASE, 7), STRANGER, SUN, BOB)
    found = Comparison(Evaluation(base), Evaluation(settings(BASE, 2))).add_all([one])
    assert (found.unchanged, found.drifted, found.is_clean) == (1, 0, True)


def test_a_login_and_the_name_in_ehlo_are_differences() -> None:
    way = "Name: Out, AddressSpaces: '*', DNSRoutingEnabled: false, SmartHosts: relay.example"
    login = "SmartHostAuthMechanism: BasicAuthRequireTLS, AuthenticationCredential: {UserName: apikey, Password: p}"
    before, after = (f"{BASE}SendConnector: {{{way}{more}}}\n" for more in ("", f", Fqdn: mail.contoso.com, {login}"))
    (group,) = replayed(before, after, (OWN, BOB, OUTSIDE)).groups
    assert group.title == "sent otherwise"
    (aspect,) = group.aspects
    assert "logs in as apikey, says EHLO mail.contoso.com" in str(aspect)
