"""Deliveries under an MTA-STS policy, over real TLS (RFC 8461 section 5; R5, W7)."""

from __future__ import annotations

import time

import pytest

from mailwye.connectors.model import MtaStsMode, TlsSettings
from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import judge
from mailwye.queue.item import Result
from mailwye.testing.authority import Authority, KeyPair
from tests.unit.outbound.protected import DOMAIN, OWN_NAME, encrypted, mx_route, plain, protected
from tests.unit.outbound.scripted_server import Peer, Talk

MX = "mx.example.com"
EVIL = "mx.evil.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("mx", [MX])


@pytest.fixture(scope="module")
def evil(authority: Authority) -> KeyPair:
    return authority.issue("evil", [EVIL])


async def test_a_host_that_meets_the_policy_gets_the_mail(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        told = " | ".join(attempt.reasons)
        assert "MTA-STS policy of example.com (mode enforce, id 1, mx mx.example.com) from https://mta-sts.example.com/" in told
        assert "TLS with a trusted certificate for mx.example.com, as the MTA-STS policy of example.com (mode enforce, id 1) asks" in told


async def refuses(peer: Peer) -> None:
    await peer.hello(b"STARTTLS")
    await peer.line()
    await peer.send(b"454 4.7.0 TLS not available\r\n")
    await peer.serve()


async def breaks(peer: Peer) -> None:
    await peer.hello(b"STARTTLS")
    await peer.line()
    await peer.send(b"220 go\r\n")
    await peer.reader.read(1)
    await peer.send(b"no TLS at all")


@pytest.mark.parametrize(
    ("talk", "code", "says"),
    [
        (plain, "4.7.5", "does not offer it"),
        (refuses, "4.7.5", "refused it: 454"),
        (breaks, "4.7.5", "TLS is required by the MTA-STS policy of example.com (mode enforce, id 1)"),
    ],
)
async def test_enforce_never_goes_in_plaintext(authority: Authority, talk: Talk, code: str, says: str) -> None:
    async with protected(authority, [(MX, talk)]) as world:
        world.announce("enforce", MX)
        attempt = await world.send()
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, code)
        assert says in attempt.reply.text
        assert "MTA-STS policy of example.com" in attempt.reply.text
        assert world.arrived == {}


@pytest.mark.parametrize(
    ("options", "names", "says"),
    [
        ({}, [EVIL], f"expected name {MX}, presented {EVIL}"),
        ({"self_signed": True}, [MX], "self-signed"),
        ({"starts_in_days": -9, "ends_in_days": -2}, [MX], "expired"),
        ({"common_name": MX}, [], "no name at all"),
    ],
)
async def test_enforce_wants_a_good_certificate(authority: Authority, options: dict[str, object], names: list[str], says: str) -> None:
    bad = authority.issue("bad", names, **options)  # type: ignore[arg-type]  # the options are Authority's own
    async with protected(authority, [(MX, encrypted(bad))]) as world:
        world.announce("enforce", MX)
        attempt = await world.send()
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.TLS, 450, "4.7.320")
        assert says in attempt.reply.text
        assert "asked for by the MTA-STS policy of example.com (mode enforce, id 1)" in attempt.reply.text
        assert world.arrived == {}
        world.announce("testing", MX)
        world.resolver.zone[f"_mta-sts.{DOMAIN}"] = {"TXT": ["v=STSv1; id=2;"]}
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        assert any(says in reason and "but only for testing" in reason for reason in attempt.reasons)


async def test_poisoned_mx_records_lead_nowhere(authority: Authority, pair: KeyPair, evil: KeyPair) -> None:
    """R5: the attacker's host comes first, with a good certificate for its own name."""
    async with protected(authority, [(EVIL, encrypted(evil)), (MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        assert judge(await world.send()).result is Result.DELIVERED
        assert world.arrived == {MX: 1}
        assert world.servers[EVIL].connections == 0
        world.resolver.zone[DOMAIN] = {"MX": [(1, EVIL)]}  # now the true one is hidden, and the record with it
        del world.resolver.zone[f"_mta-sts.{DOMAIN}"]
        attempt = await world.send()
        assert (attempt.stage, attempt.reply.code, attempt.reply.enhanced) == (Stage.RESOLVE, 450, "4.7.5")
        assert "MX hosts of example.com failed MTA-STS validation: mx.evil.example is not an mx of" in attempt.reply.text
        assert judge(attempt).result is Result.DEFERRED
        assert world.servers[EVIL].connections == 0


async def test_a_forged_record_with_our_own_name_is_no_loop(authority: Authority, pair: KeyPair) -> None:
    """A loop would be returned to the sender for good; mail that an attacker holds up waits."""
    async with protected(authority, [(MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        world.resolver.zone[DOMAIN]["MX"].append((1, OWN_NAME))
        assert judge(await world.send()).result is Result.DELIVERED
        world.resolver.zone[DOMAIN] = {"MX": [(1, OWN_NAME)]}
        attempt = await world.send()
        assert (attempt.reply.code, attempt.reply.enhanced) == (450, "4.7.5")
        assert judge(attempt).result is Result.DEFERRED


async def test_many_poisoned_records_do_not_crowd_out_the_true_host(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [(MX, encrypted(pair))]) as world:
        world.announce("enforce", MX)
        world.resolver.zone["many.example"] = {"A": [f"127.0.1.{n}" for n in range(1, 100)]}
        world.resolver.zone[DOMAIN]["MX"] += [(1, "many.example"), (2, "missing.example")]
        assert judge(await world.send()).result is Result.DELIVERED


async def test_the_next_host_is_tried(authority: Authority, pair: KeyPair) -> None:
    async with protected(authority, [("mx1.example.com", plain), (MX, encrypted(pair))]) as world:
        world.announce("enforce", "*.example.com")
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        assert world.arrived == {MX: 1}
        assert any("mx1.example.com" in reason and "does not offer it" in reason for reason in attempt.reasons)


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_testing_and_none_deliver(authority: Authority, mode: str) -> None:
    async with protected(authority, [(EVIL, plain)]) as world:
        world.announce(mode, MX)
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        assert any("but only for testing" in reason for reason in attempt.reasons) is (mode == "testing")


async def test_a_policy_that_cannot_be_had_demands_nothing(authority: Authority) -> None:
    async with protected(authority, [(MX, plain)]) as world:
        world.announce("enforce", MX)
        world.served.body = None
        attempt = await world.send()
        assert judge(attempt).result is Result.DELIVERED
        assert any("could not be had, so none holds: status 404" in reason for reason in attempt.reasons)


async def test_a_connector_may_do_without(authority: Authority) -> None:
    async with protected(authority, [(MX, plain)]) as world:
        world.announce("enforce", MX)
        attempt = await world.send(mx_route(MtaStsMode.NONE))
        assert judge(attempt).result is Result.DELIVERED
        assert any("MtaStsMode None" in reason for reason in attempt.reasons)
        assert judge(await world.send()).result is Result.DEFERRED  # the same next hop, with the default again


async def test_what_a_connector_asks_for_stays(authority: Authority) -> None:
    strange = authority.issue("strange", [MX], self_signed=True)
    async with protected(authority, [(MX, encrypted(strange))]) as world:
        world.announce("testing", MX)
        attempt = await world.send(mx_route(tls=TlsSettings.CERTIFICATE_VALIDATION))
        assert attempt.stage is Stage.TLS
        assert 'connector "Out"' in attempt.reply.text
