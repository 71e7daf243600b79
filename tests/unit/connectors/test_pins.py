"""Ways that are kept as they were decided."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.model import (
    ConnectorType,
    Credential,
    MtaStsMode,
    OutboundConnector,
    SmartHost,
    SmartHostAuthMechanism,
    SmtpDaneMode,
    TlsSettings,
)
from mailwye.connectors.pins import kept_way, pin_in_words, pin_of
from mailwye.connectors.selection import Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.smtp.address import parse_address

SUN, MOON = parse_address("sun@example.net"), parse_address("moon@example.org")
PLAIN = Route(RouteKind.CONNECTOR, SUN, "Out", (SmartHost("192.0.2.10", look_up_mx=False),), "example.net")
FULL = replace(
    PLAIN,
    smart_hosts=(SmartHost("mail.contoso.com", 2525, 5, 7), SmartHost("2001:db8::1", look_up_mx=False)),
    tls_settings=TlsSettings.DOMAIN_VALIDATION,
    tls_domain="mail.contoso.com",
    client_certificate="ours",
    cloud_services_mail_enabled=True,
    remove_internal_received_headers=True,
    rewrites_sender=True,
    mta_sts_mode=MtaStsMode.NONE,
    smtp_dane_mode=SmtpDaneMode.MANDATORY,
    credential=Credential("bob", "v1:sealed", "OutboundConnector:out"),
    hello_name="hello.example",
    max_message_size=1_000,
    tls_field="TlsAuthLevel",
)
BY_MX = replace(FULL, smart_hosts=(), credential=None)
NOT_KEPT = {"kind", "recipient", "domain", "mailbox", "failure_enhanced", "failure", "reasons", "considered", "tls_wish", "kept_as"}


def kept(route: Route) -> Route:
    found = kept_way(pin_of(route), route.recipient)
    assert found is not None
    return found


@pytest.mark.parametrize("route", [PLAIN, FULL, BY_MX])
def test_all_that_decides_about_a_connection_is_kept(route: Route) -> None:
    names = {field.name for field in fields(Route)} - NOT_KEPT
    assert {name: getattr(kept(route), name) for name in names} == {name: getattr(route, name) for name in names}
    assert pin_of(kept(route)) == pin_of(route)


def test_everything_that_a_route_has_is_named_by_the_test() -> None:
    """A field that is new must be kept, or named in NOT_KEPT."""
    names = {field.name for field in fields(Route)} - NOT_KEPT
    assert all(getattr(FULL, name) != getattr(Route(RouteKind.MX, SUN), name) for name in names)


def test_it_has_a_next_hop_of_its_own() -> None:
    """Old hosts that are down rest no new mail of the connector, and each domain of a connector by MX is another host."""
    elsewhere = kept_way(pin_of(BY_MX), MOON)
    assert elsewhere is not None
    hops = [route.next_hop for route in (PLAIN, FULL, BY_MX, kept(PLAIN), kept(FULL), kept(BY_MX), elsewhere)]
    assert hops[3].endswith(":Out")
    assert hops[5].endswith(":Out:example.net")
    assert hops[6].endswith(":Out:example.org")
    assert len(set(hops)) == 6  # PLAIN and FULL are one connector's


def test_what_has_no_connector() -> None:
    assert pin_of(Route(RouteKind.MX, SUN, domain="example.net")) == "mx"
    assert pin_of(Route(RouteKind.MAILBOX, SUN)) == pin_of(Route(RouteKind.NONE, SUN)) == ""
    assert kept_way("mx", SUN) is kept_way("connector:Out", SUN) is None


@pytest.mark.parametrize("pin", ["way:", "way:{}", 'way:["A"]', "way:[1,2"])
def test_a_pin_that_cannot_be_read_lets_the_message_wait(pin: str) -> None:
    route = decide_route(Directory((), ()), ConnectorTable((), ()), SUN, from_on_premises=False, pinned=pin)
    assert (route.kind, route.failure_enhanced) == (RouteKind.NONE, "5.4.4")
    assert "cannot read" in route.failure
    assert "cannot read" in pin_in_words(pin)


def test_the_words_hold_no_password() -> None:
    told = pin_in_words(pin_of(FULL))
    assert told == "connector:Out by mail.contoso.com:2525, [2001:db8::1], TlsSettings DomainValidation"
    assert pin_in_words(pin_of(replace(BY_MX, tls_settings=TlsSettings.OPPORTUNISTIC))) == "connector:Out by MX records, TlsSettings null"
    assert (pin_in_words("mx"), pin_in_words("connector:Out"), pin_in_words("")) == ("mx", "connector:Out", "")


def test_the_password_is_that_of_now_where_the_same_account_logs_in_at_the_same_hosts() -> None:
    """With an old one the account would be locked; and new passwords are not for old hosts."""
    mechanism = SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS
    old, new, other = (Credential(user, f"v1:{text}", "OutboundConnector:out") for user, text in (("bob", "a"), ("bob", "b"), ("eve", "c")))
    out = OutboundConnector("Out", recipient_domains=("*",), use_mx_record=False, smart_hosts=FULL.smart_hosts)
    out = replace(out, smart_host_auth_mechanism=mechanism, authentication_credential=old)
    directory = Directory((), ())
    pin = pin_of(decide_route(directory, ConnectorTable((), (out,)), SUN, from_on_premises=False))
    moved = replace(out, authentication_credential=new, smart_hosts=PLAIN.smart_hosts)
    for connector, expected in (
        (out, old),
        (replace(out, authentication_credential=new), new),
        (replace(out, authentication_credential=new, enabled=False), new),
        (replace(out, authentication_credential=other), old),
        (replace(out, smart_host_auth_mechanism=SmartHostAuthMechanism.NONE), old),
        (moved, old),
        (replace(out, name="Other", authentication_credential=new), old),
    ):
        route = decide_route(directory, ConnectorTable((), (connector,)), SUN, from_on_premises=False, pinned=pin)
        assert (route.credential, route.smart_hosts) == (expected, FULL.smart_hosts)


def test_what_the_settings_say_now_does_not_count() -> None:
    directory = Directory((), ())
    old = OutboundConnector("Out", connector_type=ConnectorType.PARTNER, recipient_domains=("*",), smart_hosts=PLAIN.smart_hosts)
    old = replace(old, use_mx_record=False, tls_settings=TlsSettings.ENCRYPTION_ONLY)
    was = decide_route(directory, ConnectorTable((), (old,)), SUN, from_on_premises=False)
    new = replace(old, smart_hosts=(SmartHost("192.0.2.99"),), tls_settings=TlsSettings.OPPORTUNISTIC)
    for connectors in ((new,), (replace(old, enabled=False),), (replace(old, test_mode=True),), ()):
        route = decide_route(directory, ConnectorTable((), connectors), SUN, from_on_premises=False, pinned=pin_of(was))
        assert (route.connector, route.smart_hosts, route.tls_settings) == ("Out", old.smart_hosts, TlsSettings.ENCRYPTION_ONLY)
        assert "as it was then (pinned)" in route.reasons[0]
