"""DANE through a real validating resolver in front of a real signed zone (RFC 7672): only what DNSSEC vouches for counts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.model import SmtpDaneMode
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Attempt
from mailwye.outbound.outcomes import judge
from mailwye.outbound.resolve import RouteResolver
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.item import Result
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.entropy import system_random
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.resolver import DnsResolver
from mailwye.runtime.tls import ClientTlsContext
from mailwye.testing.authority import Authority, KeyPair
from tests.counterparts.dns import Nsd, Unbound
from tests.counterparts.process import free_port, need_root
from tests.unit.outbound.protected import encrypted
from tests.unit.outbound.scripted_server import JOHN, carry, scripted, work_for

pytestmark = [pytest.mark.counterpart("nsd"), pytest.mark.counterpart("unbound")]


@dataclass(frozen=True, slots=True)
class SignedWorld:
    """`good`: the certificate of the TLSA records; `other`: one from a trusted authority. All MX are at `port` of 127.0.0.1."""

    authority: Authority
    good: KeyPair
    other: KeyPair
    unbound: Unbound
    port: int
    directory: Path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedWorld]:
    need_root()
    directory = tmp_path_factory.mktemp("signed")
    authority = Authority(directory / "ca", now=time.time())
    good, other = authority.issue("good", ["mx.signed.example"], self_signed=True), authority.issue("other", ["mx.signed.example"])
    certificate = x509.load_pem_x509_certificate(good.certificate.read_bytes())
    key = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest, port = hashlib.sha256(key).hexdigest(), free_port("127.0.0.1")
    records = f"@ MX 10 mx\nmx A 127.0.0.1\n_{port}._tcp.mx TLSA 3 1 1 {digest}"
    zones = {"signed.example": records, "unsigned.example": records, "forged.example": records}
    zones["plain.example"] = "@ MX 10 mx\nmx A 127.0.0.1"
    signed_zones = {"signed.example", "forged.example", "plain.example"}

    def forge(text: str) -> str:
        """The TLSA record of forged.example holds another digest than the one that was signed."""
        return text.replace(digest, "0" * 64) if "forged.example" in text else text

    with ExitStack() as running:
        nsd = Nsd(directory / "nsd", address="127.0.0.1", zones=zones, signed=signed_zones, tamper=forge)
        nsd.start()
        running.callback(nsd.stop)
        unbound = Unbound(directory / "unbound", address="127.0.0.1", nsd=nsd)
        unbound.start()
        running.callback(unbound.stop)
        yield SignedWorld(authority, good, other, unbound, port, directory)


async def deliver(world: SignedWorld, domain: str, pair: KeyPair, *, validating: bool = True) -> tuple[Attempt, int]:
    """One message to `domain`, whose MX presents `pair` → the attempt, and how many messages arrived."""
    clock = SystemClock()
    resolver = DnsResolver(clock=clock, nameservers=[f"{world.unbound.address}:{world.unbound.port}"], validating=validating)
    settings = DeliverySettings(mx_port=world.port, allow_private_mx=True, command_timeout=10.0, connection_idle=0.1)
    context = ClientTlsContext(trusted_authorities=(str(world.authority.certificate),))
    courier = SmtpCourier(
        network=SystemNetwork(),
        resolver=RouteResolver(resolver=resolver, settings=settings, rng=system_random()),
        tls_contexts=lambda _name: context,
        clock=clock,
        settings=settings,
        hostname="me.example",
    )
    async with scripted(encrypted(pair), port=world.port) as server:
        (attempt,) = await carry(courier, work_for(JOHN, route=Route(RouteKind.MX, JOHN, domain=domain)))
        await courier.close()
        await resolver.close()
        return attempt, len(server.contents)


def test_a_signed_record_vouches_for_a_certificate(signed: SignedWorld) -> None:
    attempt, arrived = asyncio.run(deliver(signed, "signed.example", signed.good))
    assert judge(attempt).result is Result.DELIVERED
    assert arrived == 1
    assert any("matches the server's own certificate (DANE-EE)" in reason for reason in attempt.reasons)


def test_a_trusted_certificate_that_the_record_does_not_name_gets_nothing(signed: SignedWorld) -> None:
    attempt, arrived = asyncio.run(deliver(signed, "signed.example", signed.other))
    assert (attempt.reply.code, attempt.reply.enhanced, arrived) == (450, "4.7.323", 0)


def test_a_forged_record_closes_the_host(signed: SignedWorld) -> None:
    attempt, arrived = asyncio.run(deliver(signed, "forged.example", signed.good))
    assert (attempt.reply.code, attempt.reply.enhanced, arrived) == (450, "4.7.324", 0)
    assert "SERVFAIL" in attempt.reply.text
    assert judge(attempt).result is Result.DEFERRED


@pytest.mark.parametrize(("domain", "validating"), [("unsigned.example", True), ("plain.example", True), ("signed.example", False)])
def test_without_a_vouched_record_nothing_is_demanded(signed: SignedWorld, domain: str, validating: bool) -> None:
    """An unsigned zone, a signed one without TLSA, and a resolver whose AD bit was not declared trustworthy."""
    attempt, arrived = asyncio.run(deliver(signed, domain, signed.other, validating=validating))
    assert judge(attempt).result is Result.DELIVERED
    assert arrived == 1
    assert not any("TLSA" in reason for reason in attempt.reasons)


def test_explain_says_what_the_records_demand(signed: SignedWorld) -> None:
    configuration = signed.directory / "mailwye.toml"
    configuration.write_text(
        f"""hostname = "mx.mailwye.example"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "127.0.0.3"
port = 2525
[dns]
nameservers = ["{signed.unbound.address}:{signed.unbound.port}"]
validating = true
[delivery]
mx_port = {signed.port}
allow_private_mx = true
"""
    )
    organization = signed.directory / "organization.yaml"
    organization.write_text(
        """AcceptedDomain: [{DomainName: contoso.com}]
Mailbox: [{PrimarySmtpAddress: bob@contoso.com}]
OutboundConnector:
  - {Name: Strict, RecipientDomains: [plain.example], SmtpDaneMode: Mandatory}
"""
    )

    def mailwye(*arguments: str) -> str:
        command = [sys.executable, "-m", "mailwye", *arguments, "--config", str(configuration)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    mailwye("apply", "-f", str(organization))
    ask = ("explain", "--from", "bob@contoso.com", "--auth", "bob@contoso.com", "--resolve", "--json", "--to")
    route = json.loads(mailwye(*ask, "sun@signed.example"))["route"]
    assert route["resolved"] == [f"mx.signed.example[127.0.0.1]:{signed.port}"]
    assert any(f"the TLSA records of _{signed.port}._tcp.mx.signed.example (3 1 1" in reason for reason in route["resolution"])
    route = json.loads(mailwye(*ask, "sun@plain.example"))["route"]
    assert "dane-required" in route["resolved"][0] or "SmtpDaneMode Mandatory" in route["resolved"][0]
    assert SmtpDaneMode.MANDATORY.value in route["resolved"][0]
