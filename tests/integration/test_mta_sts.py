"""A whole worker under an MTA-STS policy: DNS, HTTPS, SMTP and the policy file on disk are real, all on loopback (RFC 8461)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailwye.app import Worker
from mailwye.config.installation import DeliverySettings, DnsSettings, Installation, ListenerSettings, TlsFileSettings, TransportSettings
from mailwye.message.content import InlineContent
from mailwye.queue.item import NewDelivery, NewMessage, Origin
from mailwye.smtp.address import parse_address
from mailwye.stores import open_result_store, open_trace
from mailwye.testing.authority import Authority
from mailwye.testing.dns_server import DnsServer, Zone
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.transport.failures import FailureType
from mailwye.transport.tls_report import day_of
from tests.unit.outbound.protected import encrypted
from tests.unit.outbound.scripted_server import ScriptedServer, scripted
from tests.unit.transport.https_server import https_server, text

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 86400\r\n"
SUN = parse_address("sun@example.com")


class Loopback:
    """The world of example.com. `dns` may lie at any time."""

    def __init__(self, directory: Path, dns: DnsServer, policy_port: int, mx: ScriptedServer) -> None:
        self.directory = directory
        self.dns = dns
        self.mx = mx
        self.installation = Installation(
            "mx.mailwye.example",
            directory / "data",
            (ListenerSettings("mx", "mx", "127.0.0.3", 0),),
            tls=TlsFileSettings(trusted_authorities=(directory / "ca" / "ca.pem",)),
            dns=DnsSettings((dns.nameserver,), cache_ttl_max=0.001),
            delivery=DeliverySettings(mx_port=mx.port, allow_private_mx=True, connection_idle=0.01, command_timeout=10.0),
            transport=TransportSettings(policy_port=policy_port),
        )

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """One life of the service."""
        worker = Worker(self.installation, alert=print)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop(10)

    async def send(self, worker: Worker, name: str) -> TraceEvent:
        """Queue a message to sun, and wait for what becomes of it."""
        delivery = NewDelivery(SUN, SUN, "mx:example.com")
        origin = Origin(f"S{name}", "internal")
        content = InlineContent(b"Subject: x\r\n\r\nhello\r\n")
        await worker.engines[0].accept(NewMessage(name, worker.clock.now(), None, (delivery,), content, origin, 0))
        trace = open_trace(self.installation)
        async with asyncio.timeout(30):
            while True:
                found = [event for event in trace.events(name) if event.kind in (EventKind.SEND, EventKind.DEFER)]
                if found:
                    return found[0]
                await asyncio.sleep(0)

    async def explain(self) -> list[str]:
        """What `mailwye explain --resolve` says of the way to sun."""
        configuration = self.directory / "mailwye.toml"
        configuration.write_text(
            f"""hostname = "mx.mailwye.example"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "127.0.0.3"
port = 2525
[tls]
trusted_authorities = ["ca/ca.pem"]
[dns]
nameservers = ["{self.dns.nameserver}"]
[delivery]
mx_port = {self.mx.port}
allow_private_mx = true
[transport]
policy_port = {self.installation.transport.policy_port}
"""
        )
        (self.directory / "organization.yaml").write_text(
            "AcceptedDomain: [{DomainName: contoso.com}]\nMailbox: [{PrimarySmtpAddress: bob@contoso.com}]\n"
        )
        await self._run("apply", "-f", str(self.directory / "organization.yaml"))
        answer = await self._run(
            "explain", "--from", "bob@contoso.com", "--auth", "bob@contoso.com", "--to", str(SUN), "--resolve", "--json"
        )
        resolution: list[str] = json.loads(answer)["route"]["resolution"]
        return resolution

    async def _run(self, *arguments: str) -> bytes:
        command = [sys.executable, "-m", "mailwye", *arguments, "--config", str(self.directory / "mailwye.toml")]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output


@pytest.fixture
async def loopback(tmp_path: Path) -> AsyncIterator[Loopback]:
    authority = Authority(tmp_path / "ca", now=time.time())
    zone: Zone = {
        "example.com": {"MX": [(10, "mx.example.com")]},
        "mx.example.com": {"A": ["127.0.0.1"]},
        "mx.evil.example": {"A": ["127.0.0.1"]},
        "mta-sts.example.com": {"A": ["127.0.0.1"]},
        "_mta-sts.example.com": {"TXT": ["v=STSv1; id=20261128;"]},
    }
    dns = DnsServer(zone, ttl=0, negative_ttl=0)
    await dns.start()
    pair = authority.issue("mx", ["mx.example.com", "mx.evil.example"])
    web = authority.issue("web", ["mta-sts.example.com"])
    async with https_server(web, text(POLICY)) as policy, scripted(encrypted(pair)) as mx:
        yield Loopback(tmp_path, dns, policy.port, mx)
    await dns.stop()


async def test_a_policy_is_kept_over_a_restart_and_no_lie_of_the_dns_undoes_it(loopback: Loopback) -> None:
    async with loopback.worker() as worker:
        sent = await loopback.send(worker, "A")
    told = " | ".join(sent.reasons)
    assert sent.kind is EventKind.SEND, told
    assert "MTA-STS policy of example.com (mode enforce, id 20261128, mx mx.example.com)" in told
    assert "TLS with a trusted certificate for mx.example.com, as the MTA-STS policy of example.com" in told
    assert len(loopback.mx.contents) == 1

    # R5: the record and the policy host are hidden, the MX is another one, with a certificate of a trusted authority.
    for name in ("_mta-sts.example.com", "mta-sts.example.com"):
        del loopback.dns.zone[name]
    loopback.dns.zone["example.com"] = {"MX": [(10, "mx.evil.example")]}
    async with loopback.worker() as worker:
        deferred = await loopback.send(worker, "B")
    assert deferred.kind is EventKind.DEFER
    assert "450 4.7.5 MX hosts of example.com failed MTA-STS validation: mx.evil.example is not an mx of" in deferred.reply
    assert any("The policy is kept: _mta-sts.example.com has no TXT record any more" in reason for reason in deferred.reasons)
    assert len(loopback.mx.contents) == 1

    explained = await loopback.explain()
    assert any("MTA-STS policy of example.com (mode enforce" in reason and "fetched" in reason for reason in explained)
    assert any("mx.evil.example is not an mx of" in reason for reason in explained)

    results = open_result_store(loopback.installation)
    (found,) = results.results(day_of(time.time()), "example.com")
    results.close()
    assert found.successes == 1
    assert [result.failure for result in found.failures] == [FailureType.VALIDATION_FAILURE]
