"""Deliveries under DANE, over real TLS (RFC 7672; R5)."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailwye.connectors.model import SmtpDaneMode
from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import judge
from mailwye.queue.item import Result
from mailwye.testing.authority import Authority, KeyPair
from tests.unit.outbound.protected import DOMAIN, encrypted, mx_route, plain, protected

MX = "mx.example.com"
BACKUP = "backup.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def strange(authority: Authority) -> KeyPair:
    """No authority vouches for it, and it bears another name: DANE-EE does not mind."""
    return authority.issue("strange", ["other.example"], self_signed=True)


def ee(pair: KeyPair) -> tuple[int, int, int, bytes]:
    return 3, 1, 1, hashlib.sha256(key_of(pair.certificate)).digest()


def ta(authority: Authority) -> tuple[int, int, int, bytes]:
    return 2, 1, 1, hashlib.sha256(key_of(authority.certificate)).digest()


def key_of(path: Path) -> bytes:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def with_issuer(pair: KeyPair, authority: Authority) -> KeyPair:
    """The chain with its authority, as DANE-TA needs it."""
    chained = pair.certificate.with_suffix(".chain.pem")
    chained.write_bytes(pair.certificate.read_bytes() + authority.certificate.read_bytes())
    return KeyPair(chained, pair.private_key)


async def test_the_record_alone_vouches_for_the_certificate(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(strange))], signed=True) as world:
        world.tlsa(MX, ee(strange))
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        told = " | ".join(attempt.reasons)
        assert "TLSA 3 1 1" in told
        assert "matches the server's own certificate (DANE-EE), at the TLSA records of _" in told


async def test_an_authority_vouches_for_names(authority: Authority) -> None:
    good = with_issuer(authority.issue("good", [DOMAIN]), authority)
    bad = with_issuer(authority.issue("named-wrong", ["other.example"]), authority)
    for pair, delivered in ((good, True), (bad, False)):
        async with protected(authority, [(MX, encrypted(pair))], signed=True) as world:
            world.tlsa(MX, ta(authority))
            attempt = await world.send()
            assert (judge(attempt).result is Result.DELIVERED) is delivered
            if not delivered:
                assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.7.325")
                assert "certificate-host-mismatch" in attempt.reply.text


async def test_another_certificate_gets_nothing(authority: Authority, strange: KeyPair) -> None:
    """R5: an authority that everybody trusts vouches for the attacker's, the record does not."""
    forged = authority.issue("forged", [MX])
    async with protected(authority, [(MX, encrypted(forged))], signed=True) as world:
        world.tlsa(MX, ee(strange))
        attempt = await world.send()
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.7.323")
        assert "tlsa-invalid: DANE validation of mx.example.com" in attempt.reply.text
        assert world.arrived == {}


async def test_no_starttls_no_mail(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, plain), (BACKUP, encrypted(strange))], signed=True) as world:
        world.tlsa(MX, ee(strange))
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED  # by the backup, which has no records
        assert world.arrived == {BACKUP: 1}
        assert any("4.7.321 Cannot connect to remote server: starttls-not-supported" in reason for reason in attempt.reasons)


async def test_records_that_cannot_be_looked_up_close_the_host(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(strange)), (BACKUP, encrypted(strange))], signed=True) as world:
        port = world.servers[MX].port
        world.resolver.unknown[f"_{port}._tcp.{MX}"] = "SERVFAIL"
        assert judge(await world.send()).result is Result.DELIVERED
        assert world.arrived == {BACKUP: 1}
        world.resolver.unknown[f"_{port}._tcp.{BACKUP}"] = "SERVFAIL"
        attempt = await world.send()
        assert judge(attempt).result is Result.DEFERRED
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.RESOLVE, 450, "4.7.324")
        assert "cannot be looked up" in attempt.reply.text


async def test_records_that_nobody_can_match_ask_for_tls_alone(authority: Authority, strange: KeyPair) -> None:
    for talk, delivered in ((encrypted(strange), True), (plain, False)):
        async with protected(authority, [(MX, talk)], signed=True) as world:
            world.tlsa(MX, (1, 1, 1, b"x" * 32))
            attempt = await world.send()
            assert (judge(attempt).result is Result.DELIVERED) is delivered
            assert "none is usable: 1 1 1" in " | ".join((*attempt.reasons, attempt.reply.text))


async def test_unsigned_records_demand_nothing(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, plain)]) as world:
        world.tlsa(MX, ee(strange))
        assert judge(await world.send()).result is Result.DELIVERED
        assert not any(kind == "TLSA" for _, kind in world.resolver.asked)


async def test_an_alias_is_followed_to_its_records(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(strange))], signed=True) as world:
        world.resolver.zone["alias.example.com"] = {"CNAME": [MX]}
        world.resolver.zone[DOMAIN] = {"MX": [(10, "alias.example.com")]}
        world.tlsa(MX, ee(strange))
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        assert any("DANE-EE" in reason for reason in attempt.reasons)


async def test_dane_comes_before_mta_sts(authority: Authority, strange: KeyPair) -> None:
    """A failing DANE host is not saved by MTA-STS, and one that DANE vouches for needs no authority (RFC 8461 section 2)."""
    trusted = authority.issue("trusted", [MX])
    for pair, delivered in ((strange, True), (trusted, False)):
        async with protected(authority, [(MX, encrypted(pair))], signed=True) as world:
            world.announce("enforce", MX)
            world.tlsa(MX, ee(strange))
            attempt = await world.send()
            assert (judge(attempt).result is Result.DELIVERED) is delivered


async def test_mta_sts_holds_where_dane_says_nothing(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(strange))], signed=True) as world:
        world.announce("enforce", MX)
        attempt = await world.send()
        assert attempt.reply.enhanced == "4.7.320"
        world.announce("enforce", "elsewhere.example.com")
        world.resolver.zone[f"_mta-sts.{DOMAIN}"] = {"TXT": ["v=STSv1; id=2;"]}
        attempt = await world.send()
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.RESOLVE, 450, "4.7.5")
        assert judge(attempt).result is Result.DEFERRED


@pytest.mark.parametrize("signed", [True, False])
async def test_mandatory_wants_records(authority: Authority, strange: KeyPair, signed: bool) -> None:
    async with protected(authority, [(MX, encrypted(strange))], signed=signed) as world:
        route = mx_route(dane=SmtpDaneMode.MANDATORY)
        attempt = await world.send(route)
        assert judge(attempt).result is Result.DEFERRED
        assert (attempt.reply.code, attempt.reply.enhanced) == (450, "4.7.324")
        assert 'connector "Out" asks for DANE (SmtpDaneMode Mandatory)' in attempt.reply.text
        world.tlsa(MX, ee(strange))
        assert (judge(await world.send(route)).result is Result.DELIVERED) is signed


async def test_a_connector_may_do_without_dane(authority: Authority, strange: KeyPair) -> None:
    async with protected(authority, [(MX, plain)], signed=True) as world:
        world.tlsa(MX, ee(strange))
        assert judge(await world.send(mx_route(dane=SmtpDaneMode.NONE))).result is Result.DELIVERED
        assert judge(await world.send()).result is Result.DEFERRED
