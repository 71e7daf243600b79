"""Does a certificate count for this connector? Its authorities and its pins (SEMANTICS section 3, rule 1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.connectors.attribution import CallerKind
from mailwye.connectors.certificates import certificate_missing, trust_in
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import AuthorityVerdict, PeerCertificate, SessionFacts
from tests.unit.connectors.world import PARTNER, ask, inbound, session

LEAF, OWN_CA, OTHER_CA, PUBLIC_CA = "1" * 64, "2" * 64, "3" * 64, "4" * 64


def presented(*, by: str, names: tuple[str, ...] = ("mail.contoso.com",)) -> SessionFacts:
    """A peer whose certificate is signed by "public" (trusted for everybody), "own", "other" (sets of [tls.authorities]) or "nobody"."""
    facts = session(*names, trusted=by == "public")
    assert facts.tls is not None
    assert facts.tls.certificate is not None
    keys = {"own": OWN_CA, "other": OTHER_CA}
    verdicts = tuple(
        AuthorityVerdict(name, by == name, f"chain to {name}" if by == name else "not among them", (LEAF, key) if by == name else ())
        for name, key in keys.items()
    )
    path = (LEAF, PUBLIC_CA) if by == "public" else ()
    certificate = replace(facts.tls.certificate, public_key=LEAF, path=path, verdicts=verdicts)
    return replace(facts, tls=replace(facts.tls, certificate=certificate))


def certificate_of(facts: SessionFacts) -> PeerCertificate:
    assert facts.tls is not None
    assert facts.tls.certificate is not None
    return facts.tls.certificate


def connector(name: str = "C", *authorities: str, pins: tuple[str, ...] = ()) -> InboundConnector:
    return inbound(name, tls_sender_certificate_name="*.contoso.com", trusted_authorities=authorities, tls_sender_certificate_pins=pins)


@pytest.mark.parametrize(
    ("authorities", "pins", "by", "trusted"),
    [
        ((), (), "public", True),
        ((), (), "own", False),
        ((), (), "nobody", False),
        (("own",), (), "own", True),
        (("own",), (), "other", False),
        (("own",), (), "public", True),  # beside, not instead (docs/decisions/0007)
        (("own",), (), "nobody", False),
        (("own", "other"), (), "other", True),
        (("gone",), (), "own", False),
        (("gone",), (), "public", True),
        ((), (LEAF,), "public", True),
        ((), (PUBLIC_CA,), "public", True),
        ((), (OWN_CA,), "public", False),
        ((), (LEAF,), "nobody", False),  # a pin trusts nobody by itself
        ((), (LEAF,), "own", False),
        (("own",), (OWN_CA,), "own", True),
        (("own",), (OWN_CA,), "public", False),  # pinning an authority leaves only that one
        (("own", "other"), (OWN_CA,), "other", False),
        (("own",), (OTHER_CA, LEAF), "own", True),  # several: one is enough
    ],
)
def test_authorities_and_pins(authorities: tuple[str, ...], pins: tuple[str, ...], by: str, trusted: bool) -> None:
    one, facts = connector("C", *authorities, pins=pins), presented(by=by)
    found = trust_in(one, certificate_of(facts))
    assert found.trusted is trusted
    assert found.reason
    assert (certificate_missing(one, facts) == "") is trusted
    caller = ask(facts, "john@contoso.com", "x@y.example", ConnectorTable([one])).caller
    assert caller.kind is (CallerKind.CONNECTOR if trusted else CallerKind.ANONYMOUS)


def test_an_authority_of_one_connector_identifies_nobody_for_another() -> None:
    a = inbound("A", tls_sender_certificate_name="*.contoso.com", trusted_authorities=("own",))
    b = inbound("B", tls_sender_certificate_name="*.fabrikam.com", trusted_authorities=("other",))
    table = ConnectorTable([a, b])
    assert ask(presented(by="own"), "<>", "x@y.example", table).caller.connector == a
    forged = ask(presented(by="own", names=("mail.fabrikam.com",)), "<>", "x@y.example", table)
    assert forged.caller.kind is CallerKind.ANONYMOUS
    assert forged.reply.enhanced == "5.7.64"
    assert "TrustedAuthorities other: not among them" in forged.reply.text
    both = ask(presented(by="own", names=("mail.contoso.com", "mail.fabrikam.com")), "<>", "x@y.example", table)
    assert both.caller.connector == a


def test_the_more_specific_connector_is_passed_over_where_it_does_not_trust() -> None:
    narrow = inbound("Narrow", tls_sender_certificate_name="mail.contoso.com", trusted_authorities=("other",))
    wide = inbound("Wide", tls_sender_certificate_name="*.contoso.com", trusted_authorities=("own",))
    assert ask(presented(by="own"), "john@contoso.com", "x@y.example", ConnectorTable([narrow, wide])).caller.connector == wide


@pytest.mark.parametrize(
    ("one", "by", "words"),
    [
        (connector("C", "own"), "nobody", ("C", "mail.contoso.com is not trusted (self-signed; TrustedAuthorities own: not among them)")),
        (connector("C", "gone"), "own", ("TrustedAuthorities gone: the installation has no [tls.authorities] of this name",)),
        (connector("C", pins=(OWN_CA,)), "public", ("is in TlsSenderCertificatePins", f"renewed with a new key, add {LEAF}")),
    ],
)
def test_the_reply_says_what_was_missing(one: InboundConnector, by: str, words: tuple[str, ...]) -> None:
    reply = ask(presented(by=by), "<>", "x@y.example", ConnectorTable([one])).reply
    assert reply.enhanced == "5.7.64"
    for word in words:
        assert word in reply.text


def test_a_partner_restricts_with_its_own_authorities_and_pins() -> None:
    lock = inbound(
        "Lock",
        connector_type=PARTNER,
        tls_sender_certificate_name="*.contoso.com",
        restrict_domains_to_certificate=True,
        trusted_authorities=("own",),
        tls_sender_certificate_pins=(OWN_CA,),
    )
    table = ConnectorTable([lock])
    assert ask(presented(by="own"), "x@y.example", "bob@contoso.com", table).reply.code == 250
    for by in ("other", "public", "nobody"):
        reply = ask(presented(by=by), "x@y.example", "bob@contoso.com", table).reply
        assert (reply.code, reply.enhanced) == (550, "5.7.51")
    assert ask(presented(by="own"), "x@y.example", "sun@y.example", table).reply.enhanced == "5.7.64"  # it grants nothing


def test_the_nearest_connector_is_the_one_of_which_something_was_proved() -> None:
    wide = inbound("A", tls_sender_certificate_name="*.contoso.com")
    both = inbound("B", tls_sender_certificate_name="mail.contoso.com", sender_ip_addresses=("192.0.2.7",), trusted_authorities=("own",))
    reply = ask(presented(by="own"), "john@contoso.com", "x@y.example", ConnectorTable([wide, both])).reply
    assert 'Connector "B" nearly matched: the address 203.0.113.5 is not in SenderIPAddresses.' in reply.text
