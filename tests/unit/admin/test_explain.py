"""`explain` gives the live path's decisions, as values and as a story."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from mailwye.admin.explain import Resolved, explain
from mailwye.admin.explain_text import render
from mailwye.admin.question import Question
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import Credential, SmartHost, SmartHostAuthMechanism
from mailwye.connectors.selection import Route
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, RecipientKind
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.smtp.address import parse_address
from tests.unit.connectors.world import CONTOSO, EXAMPLE, OWN_HOST, PARTNER, group, inbound, mail_user, mailbox, outbound, recipient

SNAPSHOT = Snapshot(7, "contoso", CONTOSO, EXAMPLE)


def told(question: Question, snapshot: Snapshot = SNAPSHOT) -> dict[str, Any]:
    """As JSON carries it."""
    value: dict[str, Any] = json.loads(json.dumps(explain(snapshot, question).to_dict(), default=asdict))
    return value


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            Question("john@contoso.com", "sun@customer.example", ip="192.0.2.1", certificate_name="mail.contoso.com"),
            ("connector", "From our servers", True, "External", "mx", "", "250 2.1.5"),
        ),
        (
            Question("john@contoso.com", "bob@contoso.com", certificate_name="*.contoso.com"),
            ("connector", "From our servers", True, "Mailbox", "mailbox", "", "250 2.1.5"),
        ),
        (
            Question("sun@customer.example", "john@sales.contoso.com", ip="203.0.113.9"),
            ("anonymous", "", True, "MailUser", "connector", "Connector 3", "250 2.1.5"),
        ),
        (
            Question("bob@contoso.com", "john@contoso.com", auth="Robert@contoso.com"),
            ("mailbox", "", True, "MailUser", "connector", "Connector 2", "250 2.1.5"),
        ),
        (
            Question("john@contoso.com", "sun@customer.example", certificate_name="mail.contoso.com", certificate_trusted=False),
            ("anonymous", "", False, "External", "none", "", "550 5.7.64"),
        ),
        (Question("<>", "nobody@contoso.com"), ("anonymous", "", True, "Unknown", "none", "", "550 5.4.1")),
        (
            Question("john@contoso.com", "x@y.example", auth="bob@contoso.com"),
            ("mailbox", "", True, "External", "none", "", "550 5.7.60"),
        ),
        (Question("x@y.example", "bob@contoso.com", listener="submission"), ("anonymous", "", True, "Mailbox", "none", "", "530 5.7.0")),
    ],
)
def test_answers(question: Question, expected: tuple[object, ...]) -> None:
    answer = told(question)
    caller, route = answer["caller"], answer["route"]
    found = (
        caller["kind"],
        caller["connector"],
        answer["relay"]["allowed"],
        answer["recipient"]["kind"],
        route["kind"],
        route["connector"],
    )
    assert found == expected[:-1]
    assert answer["reply"].startswith(expected[-1])
    assert answer["config_version"] == 7
    assert [c["connector"] for c in answer["considered"]] == ["Connector 1", "Connector 2", "Connector 3"]
    assert [c["connector"] for c in answer["considered"] if c["chosen"]] == ([route["connector"]] if route["connector"] else [])
    assert all(c["reason"] for c in answer["considered"])
    assert caller["reasons"]
    if caller["kind"] != "anonymous" or question.listener == "":
        assert [c["connector"] for c in caller["considered"]] == ["From our servers"]


def test_the_route_shows_hosts_and_tls() -> None:
    route = told(Question("x@y.example", "john@contoso.com"))["route"]
    assert (route["hosts"], route["tls"], route["recipient"]) == ([str(OWN_HOST)], None, "john@contoso.com")
    assert str(OWN_HOST) == "127.0.0.10:2510"


def test_who_logs_in_is_told_and_that_it_asks_for_tls() -> None:
    relay = outbound(
        "Relay",
        "*",
        smart_hosts=(SmartHost("smtp.example.com", 587, look_up_mx=False),),
        smart_host_auth_mechanism=SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS,
        authentication_credential=Credential("apikey", "sealed text", "OutboundConnector:relay"),
    )
    snapshot = Snapshot(1, "contoso", CONTOSO, ConnectorTable((), (relay,)))
    question = Question("bob@contoso.com", "sun@customer.example", auth="bob@contoso.com")
    story = render(explain(snapshot, question))
    logs_in = "logs in as apikey (SmartHostAuthMechanism BasicAuthRequireTLS)"
    assert f'connector "Relay" to smtp.example.com:587, TLS EncryptionOnly, {logs_in}' in story
    route = told(question, snapshot)["route"]
    assert (route["tls"], route["user_name"]) == ("EncryptionOnly", "apikey")
    assert "sealed text" not in story + str(route)
    unused = Snapshot(1, "contoso", CONTOSO, ConnectorTable((), (replace(relay, use_mx_record=True),)))
    assert told(question, unused)["route"]["user_name"] == ""


def test_a_resolver_adds_what_the_hosts_are_now() -> None:
    def resolve(route: Route) -> Resolved:
        return Resolved((f"{route.domain}[192.0.2.1]:25",))

    question = Question("bob@contoso.com", "sun@customer.example", auth="bob@contoso.com")
    explanation = explain(SNAPSHOT, question, resolve)
    assert explanation.to_dict()["route"]["resolved"] == ["customer.example[192.0.2.1]:25"]
    assert explanation.to_dict()["route"]["hosts"] == ["customer.example[192.0.2.1]:25"]
    failed = explain(SNAPSHOT, question, lambda _route: Resolved(failure="450 4.4.312 DNS query failed")).to_dict()["route"]
    assert (failed["hosts"], failed["resolved"]) == ([], ["450 4.4.312 DNS query failed"])
    assert "customer.example[192.0.2.1]:25" in render(explanation)
    hosted = explain(SNAPSHOT, Question("x@y.example", "bob@contoso.com"), resolve)
    assert hosted.to_dict()["route"]["resolved"] == []


def test_a_group_has_a_route_for_each_final_recipient() -> None:
    directory = Directory(
        [AcceptedDomain("contoso.com")],
        [mailbox("bob@contoso.com"), mail_user("john@contoso.com"), group("team@contoso.com", "bob@contoso.com", "john@contoso.com")],
    )
    answer = told(Question("x@y.example", "team@contoso.com"), Snapshot(1, "contoso", directory, EXAMPLE))
    assert answer["recipient"]["final"] == ["bob@contoso.com", "john@contoso.com"]
    assert [route["kind"] for route in answer["routes"]] == ["mailbox", "connector"]
    assert answer["route"] == answer["routes"][0]


def test_a_missing_connector_is_the_failure_of_the_route() -> None:
    table = ConnectorTable((), [outbound("Off", "contoso.com", enabled=False)])
    answer = told(Question("x@y.example", "john@contoso.com"), Snapshot(1, "contoso", CONTOSO, table))
    assert answer["route"]["kind"] == "none"
    assert answer["route"]["failure"].startswith("5.4.4 No outbound connector leads to contoso.com")
    assert answer["considered"] == [{"connector": "Off", "chosen": False, "reason": "It is disabled"}]


def test_a_partner_connector_that_refuses_is_told() -> None:
    lock = inbound("Lock", connector_type=PARTNER, require_tls=True)
    snapshot = Snapshot(1, "contoso", CONTOSO, ConnectorTable([lock]))
    answer = told(Question("x@y.example", "bob@contoso.com", ip="192.0.2.1"), snapshot)
    assert answer["reply"] == "451 5.7.3 STARTTLS is required to send mail"
    assert answer["caller"]["partners"] == ["Lock"]
    assert "requires TLS" in answer["caller"]["considered"][0]["reason"]
    assert told(Question("x@y.example", "bob@contoso.com", tls=True), snapshot)["reply"].startswith("250")


def test_the_story_reads_in_order() -> None:
    text = render(explain(SNAPSHOT, Question("x@y.example", "john@sales.contoso.com", ip="203.0.113.9")))
    parts = ["Who is calling?", "May he send there?", "What is the recipient?", "Which way out?", "Reply: 250 2.1.5"]
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    assert 'connector "Connector 3" to 127.0.0.10:2510, TLS opportunistic' in text
    assert '*.contoso.com of "Connector 3" is more specific' in text
    refused = render(explain(SNAPSHOT, Question("<>", "x@y.example", certificate_name="mail.fabrikam.example")))
    assert "do not match TlsSenderCertificateName *.contoso.com" in refused
    assert "x@y.example: nowhere" in refused


@pytest.mark.parametrize(
    "question",
    [
        Question("no address", "bob@contoso.com"),
        Question("<>", "bob"),
        Question("<>", "bob@contoso.com", ip="300.0.0.1"),
        Question("<>", "bob@contoso.com", certificate_name="*"),
        Question("<>", "bob@contoso.com", listener="admin"),
        Question("<>", "bob@contoso.com", auth="bob"),
    ],
)
def test_questions_that_make_no_sense(question: Question) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        explain(SNAPSHOT, question)


def test_it_says_what_changes_when_it_leaves() -> None:
    connector = outbound("Out", "*", cloud_services_mail_enabled=True, sender_rewriting_enabled=True, remove_internal_received_headers=True)
    contact = recipient(RecipientKind.MAIL_CONTACT, "c@contoso.com", external="sun@example.net")
    directory = Directory([AcceptedDomain("contoso.com", default=True)], [contact, mailbox("bob@contoso.com")])
    snapshot = Snapshot(1, "contoso", directory, ConnectorTable((), [connector]))
    story = told(Question("moon@example.org", "c@contoso.com"), snapshot)
    text = render(explain(snapshot, Question("moon@example.org", "c@contoso.com")))
    for words in (
        "cross as X-MS-Exchange-CrossPremises-*",
        "RemoveInternalReceivedHeaders",
        "moon@example.org becomes an address in contoso.com",
    ):
        assert any(words in one for one in story["route"]["changes"]), words
        assert words in text
    assert not any("becomes" in one for one in told(Question("bob@contoso.com", "c@contoso.com"), snapshot)["route"]["changes"])
    assert told(Question("moon@example.org", "bob@contoso.com"), snapshot)["route"]["changes"] == []
    plain = told(Question("bob@contoso.com", "x@y.example", auth="bob@contoso.com"), Snapshot(1, "contoso", directory, ConnectorTable()))
    assert plain["route"]["changes"] == [
        "X-MS-Exchange-Organization-* headers do not leave (no CloudServicesMailEnabled of an OnPremises connector)"
    ]


def test_a_bounce_to_a_rewritten_sender_is_explained() -> None:
    rewriting = SenderRewriting(b"the secret of this installation", 21)
    directory = Directory([AcceptedDomain("contoso.com", default=True)])
    snapshot = Snapshot(1, "contoso", directory, ConnectorTable())
    address = rewriting.wrap(parse_address("sun@example.net"), "contoso.com", 0.0)
    answer = explain(snapshot, Question("<>", str(address)), unwrap=lambda one: rewriting.unwrap(one, 0.0))
    assert (answer.reply.code, answer.routes[0].domain) == (250, "example.net")
    assert "rewritten and signed here (SRS)" in render(answer)
    assert explain(snapshot, Question("<>", str(address))).reply.code == 550  # without the secret nobody knows it
