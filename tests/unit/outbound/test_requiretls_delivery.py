"""Messages that ask for REQUIRETLS, and those that say TLS-Required: No, over real TLS (RFC 8689)."""

from __future__ import annotations

import time

import pytest

from mailwye.connectors.model import SmartHost, SmtpDaneMode, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import judge
from mailwye.outbound.settling import hop_failed
from mailwye.queue.item import Result
from mailwye.testing.authority import Authority, KeyPair
from tests.unit.outbound.protected import DOMAIN, encrypted, mx_route, plain, protected
from tests.unit.outbound.scripted_server import JOHN
from tests.unit.outbound.test_dane_delivery import ee

MX = "mx.example.com"
SECOND = "second.example.com"
REQUIRED, OPTIONAL = TlsWish.REQUIRED, TlsWish.OPTIONAL


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("mx", [MX, SECOND])


@pytest.mark.parametrize("mode", ["enforce", "testing"])
async def test_a_host_of_an_mta_sts_policy_gets_it(authority: Authority, pair: KeyPair, mode: str) -> None:
    async with protected(authority, [(MX, encrypted(pair, b"REQUIRETLS"))]) as world:
        world.announce(mode, MX)
        attempt = await world.send(tls=REQUIRED)
        assert judge(attempt).result is Result.DELIVERED
        assert "MAIL FROM:<sun@example.org> REQUIRETLS" in world.servers[MX].lines
        await world.send()
        assert "MAIL FROM:<sun@example.org>" in world.servers[MX].lines  # others do not ask for it


@pytest.mark.parametrize("by_record", [True, False])
async def test_a_host_of_signed_records_gets_it(authority: Authority, pair: KeyPair, by_record: bool) -> None:
    strange = authority.issue("strange", ["other.example"], self_signed=True)
    presented = strange if by_record else pair
    async with protected(authority, [(MX, encrypted(presented, b"REQUIRETLS"))], signed=True) as world:
        if by_record:
            world.tlsa(MX, ee(strange))
        attempt = await world.send(tls=REQUIRED)
        assert judge(attempt).result is Result.DELIVERED
        assert world.arrived == {MX: 1}


async def test_a_host_that_nobody_vouches_for_gets_nothing(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair, b"REQUIRETLS"))]) as world:
        attempt = await world.send(tls=REQUIRED)
        assert (attempt.reply.code, attempt.reply.enhanced) == (550, "5.7.30")
        assert "neither DNSSEC nor an MTA-STS policy vouches for it" in attempt.reply.text
        assert judge(attempt).result is Result.FAILED
        assert hop_failed([attempt]) is None
        assert world.servers[MX].connections == 0


async def test_a_policy_that_cannot_be_had_just_now_is_waited_for(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair, b"REQUIRETLS"))]) as world:
        world.announce("enforce", MX)
        world.served.body = None
        attempt = await world.send(tls=REQUIRED)
        assert (attempt.reply.code, attempt.reply.enhanced) == (450, "4.7.30")
        assert judge(attempt).result is Result.DEFERRED


async def test_whether_there_is_a_policy_must_be_known(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair, b"REQUIRETLS"))]) as world:
        world.resolver.unknown[f"_mta-sts.{DOMAIN}"] = "SERVFAIL"
        attempt = await world.send(tls=REQUIRED)
        assert (attempt.reply.code, attempt.reply.enhanced) == (450, "4.7.30")
        assert judge(await world.send()).result is Result.DELIVERED  # other mail goes on (RFC 8461 section 3.1)


async def test_a_host_that_does_not_offer_it_gets_nothing(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair)), (SECOND, encrypted(pair, b"REQUIRETLS"))]) as world:
        world.announce("enforce", "*.example.com")
        assert judge(await world.send(tls=REQUIRED)).result is Result.DELIVERED
        assert world.arrived == {SECOND: 1}
        world.resolver.zone[DOMAIN]["MX"] = [(10, MX)]
        attempt = await world.send(tls=REQUIRED)
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.PROTECTION, 550, "5.7.30")
        assert "REQUIRETLS support required" in attempt.reply.text
        assert judge(attempt).result is Result.FAILED
        assert hop_failed([attempt]) is None  # other mail goes on
        assert judge(await world.send()).result is Result.DELIVERED


async def test_a_host_that_could_not_be_asked_is_waited_for(authority: Authority, pair: KeyPair) -> None:
    """One host is down, the other one does not offer REQUIRETLS: the first may."""
    async with protected(authority, [(SECOND, plain), (MX, encrypted(pair))]) as world:
        world.announce("enforce", "*.example.com")
        attempt = await world.send(tls=REQUIRED)
        assert judge(attempt).result is Result.DEFERRED
        assert world.arrived == {}


async def test_no_tls_no_certificate_no_mail(authority: Authority) -> None:
    wrong = authority.issue("wrong", ["wrong.example"])
    for talk in (plain, encrypted(wrong, b"REQUIRETLS")):
        async with protected(authority, [(MX, talk)], signed=True) as world:
            attempt = await world.send(tls=REQUIRED)
            assert attempt.stage is Stage.TLS
            assert "REQUIRETLS of the message (RFC 8689)" in attempt.reply.text
            assert judge(attempt).result is Result.DEFERRED
            assert world.arrived == {}


async def test_smart_hosts_prove_their_name(authority: Authority, pair: KeyPair) -> None:
    wrong = authority.issue("wrong", ["wrong.example"])
    for presented, delivered in ((pair, True), (wrong, False)):
        async with protected(authority, [(MX, encrypted(presented, b"REQUIRETLS"))]) as world:
            host = SmartHost(MX, world.servers[MX].port, look_up_mx=False)
            attempt = await world.send(Route(RouteKind.CONNECTOR, JOHN, "Own", (host,), DOMAIN), tls=REQUIRED)
            assert (judge(attempt).result is Result.DELIVERED) is delivered
            if not delivered:
                assert "asked for by REQUIRETLS of the message" in attempt.reply.text


async def test_smart_hosts_behind_unsigned_mx_prove_nothing(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair, b"REQUIRETLS"))]) as world:
        host = SmartHost(DOMAIN, world.servers[MX].port)
        attempt = await world.send(Route(RouteKind.CONNECTOR, JOHN, "Own", (host,), DOMAIN), tls=REQUIRED)
        assert judge(attempt).result is Result.DEFERRED
        assert "DNSSEC does not vouch for the MX records" in attempt.reply.text
        named = Route(RouteKind.CONNECTOR, JOHN, "Named", (host,), DOMAIN, tls_domain=MX)
        assert judge(await world.send(named, tls=REQUIRED)).result is Result.DELIVERED


async def test_tls_required_no_lets_policies_be(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, plain)], signed=True) as world:
        world.announce("enforce", "elsewhere.example.com")
        world.tlsa(MX, ee(pair))
        assert judge(await world.send()).result is Result.DEFERRED
        attempt = await world.send(tls=OPTIONAL)
        assert judge(attempt).result is Result.DELIVERED
        assert any("TLS-Required: No" in reason for reason in attempt.reasons)


@pytest.mark.parametrize(
    "route", [mx_route(tls=TlsSettings.ENCRYPTION_ONLY), mx_route(dane=SmtpDaneMode.MANDATORY)], ids=["TlsSettings", "SmtpDaneMode"]
)
async def test_tls_required_no_does_not_undo_what_a_connector_insists_on(authority: Authority, route: Route) -> None:
    async with protected(authority, [(MX, plain)], signed=True) as world:
        assert judge(await world.send(route, tls=OPTIONAL)).result is Result.DEFERRED
        assert world.arrived == {}
