"""Bounces to senders that were rewritten here: a decision table, through the same function as the live path."""

from __future__ import annotations

import pytest

from mailwye.connectors.attribution import Caller, CallerKind
from mailwye.connectors.mailflow import RecipientDecision, decide_recipient
from mailwye.connectors.model import AS_IT_IS, ConnectorType, DirectDelivery, OutboundConnector, SmartHost
from mailwye.connectors.selection import RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DomainType
from mailwye.message.facts import SessionFacts
from mailwye.message.sender_rewriting import DAY_SECONDS, SenderRewriting
from mailwye.smtp.address import Address, parse_address
from tests.unit.connectors.world import mailbox

NOW = 1_780_000_000.0
OURS = SenderRewriting(b"the secret of this installation", 21)
SUN = parse_address("sun@example.net")
OWN = OutboundConnector(
    "Own",
    connector_type=ConnectorType.ON_PREMISES,
    all_accepted_domains=True,
    use_mx_record=False,
    smart_hosts=(SmartHost("192.0.2.10", look_up_mx=False),),
)


def wrapped(sender: Address = SUN) -> Address:
    found = OURS.wrap(sender, "contoso.com", NOW)
    assert isinstance(found, Address)
    return found


def ask(
    recipient: Address,
    sender: str | None = None,
    *,
    domain_type: DomainType = DomainType.AUTHORITATIVE,
    days: int = 0,
    known: tuple[str, ...] = (),
    kind: CallerKind = CallerKind.ANONYMOUS,
) -> RecipientDecision:
    directory = Directory([AcceptedDomain("contoso.com", domain_type, default=True)], [mailbox(one) for one in known])
    return decide_recipient(
        directory,
        ConnectorTable((), (OWN,)),
        SessionFacts("s", "mx", "mx", "203.0.113.9"),
        Caller(kind),
        parse_address(sender) if sender else None,
        recipient,
        unwrap=lambda address: OURS.unwrap(address, NOW + days * DAY_SECONDS),
    )


@pytest.mark.parametrize("domain_type", list(DomainType))
@pytest.mark.parametrize("fold", [str, str.lower, str.upper])
def test_a_bounce_goes_to_the_sender_of_old(domain_type: DomainType, fold: type[str]) -> None:
    address = wrapped()
    decision = ask(Address(fold(address.local), address.domain), domain_type=domain_type)
    assert decision.reply.code == 250
    (route,) = decision.routes
    assert route.kind is RouteKind.MX
    assert (route.recipient.key, route.domain) == ("sun@example.net", "example.net")
    assert decision.resolution.kind == "RewrittenSender"
    assert any("rewritten and signed here" in reason for reason in decision.reasons)


FORGED = parse_address("SRS0=AAAAAA=AA=example.net=sun@contoso.com")


@pytest.mark.parametrize(
    ("recipient", "sender", "days", "reply"),
    [
        (wrapped(), "spammer@example.org", 0, "550 5.7.1"),  # no relay, even with a real address
        (wrapped(), "sun@example.net", 0, "550 5.7.1"),
        (wrapped(), None, 22, "550 5.1.1"),
        (FORGED, None, 0, "550 5.7.1"),
        (FORGED, "spammer@example.org", 0, "550 5.7.1"),
        (parse_address("SRS0=x@contoso.com"), None, 0, "550 5.7.1"),
        (parse_address("unknown@contoso.com"), None, 0, "550 5.4.1"),
    ],
)
def test_what_is_refused(recipient: Address, sender: str | None, days: int, reply: str) -> None:
    decision = ask(recipient, sender, days=days)
    assert str(decision.reply).startswith(reply), decision.reply
    assert decision.routes == ()
    assert decision.reasons


@pytest.mark.parametrize(
    ("recipient", "sender", "days", "code"),
    [(FORGED, None, 0, 250), (FORGED, "sun@example.net", 0, 250), (wrapped(), "x@example.org", 0, 550), (wrapped(), None, 22, 550)],
)
def test_in_a_relayed_domain_what_is_not_ours_may_be_the_own_servers(recipient: Address, sender: str | None, days: int, code: int) -> None:
    decision = ask(recipient, sender, days=days, domain_type=DomainType.INTERNAL_RELAY)
    assert decision.reply.code == code
    assert [route.connector for route in decision.routes] == (["Own"] if code == 250 else [])


def test_who_really_has_such_an_address_keeps_it() -> None:
    decision = ask(FORGED, "sun@example.net", known=(str(FORGED),))
    assert [route.kind for route in decision.routes] == [RouteKind.MAILBOX]


def test_a_sender_who_has_moved_in_since_is_looked_up_here() -> None:
    at_home = ask(wrapped(parse_address("bob@contoso.com")), known=("bob@contoso.com",))
    assert [route.kind for route in at_home.routes] == [RouteKind.MAILBOX]
    assert str(ask(wrapped(parse_address("gone@contoso.com"))).reply).startswith("550 5.4.1")


def test_a_mailbox_user_sends_only_notices_there_too() -> None:
    assert ask(wrapped(), "bob@contoso.com", known=("bob@contoso.com",), kind=CallerKind.MAILBOX).reply.code == 550


def test_settings_for_mail_that_leaves_without_a_connector() -> None:
    assert DirectDelivery(sender_rewriting_enabled=False, remove_internal_received_headers=False) == AS_IT_IS
