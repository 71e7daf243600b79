"""What sessions tell of themselves for TLS reports (RFC 8460 section 4.3)."""

from __future__ import annotations

import time

import pytest

from mailwye.connectors.model import SmartHost, SmtpDaneMode
from mailwye.connectors.selection import Route, RouteKind
from mailwye.testing.authority import Authority, KeyPair
from mailwye.transport.failures import FailureType
from mailwye.transport.tls_report import PolicyType
from tests.unit.outbound.protected import DOMAIN, Protected, encrypted, mx_route, plain, protected
from tests.unit.outbound.scripted_server import JOHN
from tests.unit.outbound.test_dane_delivery import ee
from tests.unit.outbound.test_mta_sts_delivery import breaks

MX = "mx.example.com"
Told = list[tuple[PolicyType, FailureType | None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("mx", [MX])


def told(world: Protected) -> Told:
    assert all(result.policy.domain == DOMAIN for result in world.results)
    return [(result.policy.type, result.failure) for result in world.results]


async def test_without_a_policy(authority: Authority, pair: KeyPair) -> None:
    for talk, failure in ((encrypted(pair), None), (plain, FailureType.STARTTLS_NOT_SUPPORTED)):
        async with protected(authority, [(MX, talk)]) as world:
            await world.send()
            assert told(world) == [(PolicyType.NONE, failure)]
            if failure is not None:
                (result,) = world.results
                assert (result.mx, result.receiving_ip) == (MX, "127.0.0.1")


async def test_a_handshake_that_breaks_and_the_plaintext_after_it(authority: Authority) -> None:
    async with protected(authority, [(MX, breaks)]) as world:
        await world.send()
        assert told(world)[0] == (PolicyType.NONE, FailureType.VALIDATION_FAILURE)


@pytest.mark.parametrize("mode", ["enforce", "testing"])
async def test_mta_sts(authority: Authority, pair: KeyPair, mode: str) -> None:
    wrong = authority.issue("wrong", ["wrong.example"])
    strange = authority.issue("strange", [MX], self_signed=True)
    expired = authority.issue("expired", [MX], starts_in_days=-9, ends_in_days=-2)
    expected = (
        (encrypted(pair), None),
        (encrypted(wrong), FailureType.CERTIFICATE_HOST_MISMATCH),
        (encrypted(strange), FailureType.CERTIFICATE_NOT_TRUSTED),
        (encrypted(expired), FailureType.CERTIFICATE_EXPIRED),
        (plain, FailureType.STARTTLS_NOT_SUPPORTED),
    )
    for talk, failure in expected:
        async with protected(authority, [(MX, talk)]) as world:
            world.announce(mode, MX)
            await world.send()
            assert told(world) == [(PolicyType.STS, failure)]
            policy = world.results[0].policy
            assert policy.strings == ("version: STSv1", f"mode: {mode}", f"mx: {MX}", "max_age: 86400")
            assert policy.mx == (MX,)


async def test_a_policy_that_cannot_be_had_and_hosts_outside_it(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [("mx.evil.example", plain), (MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        await world.send()
        assert told(world) == [(PolicyType.STS, FailureType.VALIDATION_FAILURE), (PolicyType.STS, None)]
        assert world.results[0].mx == "mx.evil.example"
    async with protected(authority, [(MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        world.served.body = None
        await world.send()
        assert told(world) == [(PolicyType.STS, FailureType.STS_POLICY_FETCH_ERROR), (PolicyType.NONE, None)]


async def test_dane(authority: Authority, pair: KeyPair) -> None:
    other = authority.issue("other", [MX])
    for presented, failure in ((pair, None), (other, FailureType.TLSA_INVALID)):
        async with protected(authority, [(MX, encrypted(presented))], signed=True) as world:
            world.tlsa(MX, ee(pair))
            await world.send()
            assert told(world) == [(PolicyType.TLSA, failure)]
            assert world.results[0].policy.strings == (f"3 1 1 {ee(pair)[3].hex()}",)
    async with protected(authority, [(MX, encrypted(pair))], signed=True) as world:
        await world.send(mx_route(dane=SmtpDaneMode.MANDATORY))
        world.resolver.unknown[f"_{world.servers[MX].port}._tcp.{MX}"] = "SERVFAIL"
        await world.send()
        assert told(world) == [(PolicyType.TLSA, FailureType.DANE_REQUIRED), (PolicyType.TLSA, FailureType.DNSSEC_INVALID)]


async def test_smart_hosts_are_nobodys_business(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair))]) as world:
        host = SmartHost(MX, world.servers[MX].port, look_up_mx=False)
        await world.send(Route(RouteKind.CONNECTOR, JOHN, "Own", (host,), DOMAIN))
        assert world.results == []
