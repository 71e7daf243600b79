"""The demo's surroundings on loopback: an address range of its own, an authority, DNS, the own servers, Sun's server, and the files
of a real installation. The service itself is the real `mailwye serve` in its own process.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from mailwye.runtime.clock import Clock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ServerTlsContext
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.dns_server import DnsServer, Zone
from mailwye.testing.peers import PeerServer

HOSTNAME = "mx.mailwye.example"
BOB_PASSWORD = "bobs demo password"  # noqa: S105 - lives as long as the demo, on loopback
START_SECONDS = 30.0
STOP_SECONDS = 15.0

MX_PORT, SUBMISSION_PORT, ADMIN_PORT, DNS_PORT = 2525, 2587, 8443, 5353
CONNECTOR_2_PORT, CONNECTOR_3_PORT = 2510, 2511

INSTALLATION = """\
hostname = "{hostname}"
data_directory = "data"
workers = 0

[[listener]]
name = "mx"
kind = "mx"
address = "{service}"
port = {mx_port}

[[listener]]
name = "submission"
kind = "submission"
address = "{service}"
port = {submission_port}

[[listener]]
name = "admin"
kind = "admin"
address = "{service}"
port = {admin_port}

[tls]
certificate = "mx.pem"
private_key = "mx.key"
trusted_authorities = ["ca.pem"]

[dns]
nameservers = ["{dns}:{dns_port}"]

[delivery]
mx_port = {mx_port}
smart_host_port = {mx_port}
allow_private_mx = true                # Sun's server is on loopback too
"""

# The page's own example: four accepted domains, Connector 1, 2 and 3, John, Bob, and the way in.
ORGANIZATION = """\
Organization:
  Name: contoso

AcceptedDomain:
  - {{DomainName: contoso.com, DomainType: Authoritative, Default: true}}
  - {{DomainName: sales.contoso.com}}
  - {{DomainName: fabrikam.com}}
  - {{DomainName: contoso.onmicrosoft.com}}

Mailbox:                                # hosted here
  - PrimarySmtpAddress: bob@contoso.com
    EmailAddresses: [robert@contoso.com]

MailUser:                               # known here, mailbox on the own servers
  - {{PrimarySmtpAddress: john@contoso.com}}
  - {{PrimarySmtpAddress: john@sales.contoso.com}}
  - {{PrimarySmtpAddress: john@fabrikam.com}}

InboundConnector:
  - Name: From our servers
    ConnectorType: OnPremises
    SenderDomains: ["*"]
    RequireTls: true
    TlsSenderCertificateName: "*.contoso.com"

OutboundConnector:
  - Name: Connector 1
    ConnectorType: OnPremises
    AllAcceptedDomains: true
    UseMXRecord: false
    SmartHosts: ["mail.contoso.com"]
    TlsSettings: DomainValidation
    TlsDomain: mail.contoso.com
  - Name: Connector 2
    ConnectorType: OnPremises
    RecipientDomains: [contoso.com]
    UseMXRecord: false
    SmartHosts: ["{own}:{connector_2_port}"]
    TlsSettings: EncryptionOnly
  - Name: Connector 3
    ConnectorType: OnPremises
    RecipientDomains: ["*.contoso.com"]
    UseMXRecord: false
    SmartHosts: ["{sales}:{connector_3_port}"]
"""


class DemoError(Exception):
    """The demo could not be set up; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who lives where in 127.A.B.0/24."""

    prefix: str

    def of(self, host: int) -> str:
        """One address of the range."""
        return f"{self.prefix}.{host}"

    @property
    def service(self) -> str:
        """Mailwye."""
        return self.of(2)

    @property
    def own(self) -> str:
        """John's server, behind Connector 2."""
        return self.of(10)

    @property
    def sales(self) -> str:
        """The server behind Connector 3."""
        return self.of(11)

    @property
    def main(self) -> str:
        """mail.contoso.com, behind Connector 1."""
        return self.of(12)

    @property
    def sun(self) -> str:
        """Sun's server on the Internet."""
        return self.of(20)

    @property
    def stranger(self) -> str:
        """Somebody."""
        return self.of(66)

    @property
    def dns(self) -> str:
        """The name server."""
        return self.of(53)


def free_addresses(rng: random.Random) -> Addresses:
    """A loopback range in which every port of the demo is free. :raises DemoError: none found in 20 tries."""
    for _ in range(20):
        addresses = Addresses(f"127.{rng.randrange(16, 240)}.{rng.randrange(1, 250)}")
        wanted = [
            (addresses.service, MX_PORT),
            (addresses.service, SUBMISSION_PORT),
            (addresses.service, ADMIN_PORT),
            (addresses.dns, DNS_PORT),
            (addresses.own, CONNECTOR_2_PORT),
            (addresses.sales, CONNECTOR_3_PORT),
            (addresses.main, MX_PORT),
            (addresses.sun, MX_PORT),
        ]
        if all(_is_free(address, port) for address, port in wanted):
            return addresses
    raise DemoError(
        "no loopback addresses with free ports were found. The demo needs addresses like 127.16.1.2, which Linux has by itself; "
        "on another system add some to the loopback interface."
    )


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


class DemoWorld:
    """Everything around the service, and the service. `async with` starts and stops it all."""

    def __init__(self, directory: Path, addresses: Addresses, clock: Clock) -> None:
        self.directory = directory
        self.addresses = addresses
        self.clock = clock
        self.configuration = directory / "mailwye.toml"
        self.organization = directory / "contoso.yaml"
        self.authority = Authority(directory, now=clock.now(), days=400)
        self.mx = self.authority.issue("mx", [HOSTNAME, addresses.service])
        self.own_pair = self.authority.issue("mail.contoso.com", ["mail.contoso.com"])
        network = SystemNetwork()
        tls = ServerTlsContext(certificate=str(self.own_pair.certificate), private_key=str(self.own_pair.private_key))
        self.own = PeerServer("mail.contoso.com", network, clock, tls)
        self.sales = PeerServer("mail.sales.contoso.com", network, clock, tls)
        self.main = PeerServer("mail.contoso.com", network, clock, tls)
        self.sun = PeerServer("mail.example.net", network, clock)
        self._dns = DnsServer(self._zone())
        self._service: asyncio.subprocess.Process | None = None
        self.log = directory / "mailwye.log"

    @property
    def bobs_maildir(self) -> Path:
        """Where mail for Bob arrives."""
        return self.directory / "data" / "mailboxes" / "contoso.com" / "bob"

    @property
    def john_pair(self) -> KeyPair:
        """The certificate by which Mailwye knows the own servers."""
        return self.own_pair

    async def __aenter__(self) -> DemoWorld:
        at = self.addresses
        try:
            await self._dns.start(at.dns, DNS_PORT)
            await self.own.start(at.own, CONNECTOR_2_PORT)
            await self.sales.start(at.sales, CONNECTOR_3_PORT)
            await self.main.start(at.main, MX_PORT)
            await self.sun.start(at.sun, MX_PORT)
            self._write_files()
            await self.command("apply", "-f", str(self.organization))
            await self.command("mailbox", "add", "bob@contoso.com", "--password-stdin", stdin=BOB_PASSWORD)
            await self._start_service()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._service is not None and self._service.returncode is None:
            self._service.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._service.wait()
            except TimeoutError:
                self._service.kill()
                await self._service.wait()
        for peer in (self.own, self.sales, self.main, self.sun):
            peer.stop()
        await self._dns.stop()

    async def command(self, *arguments: str, stdin: str = "") -> str:
        """Run `mailwye ARGUMENTS --config …` as a user would; its output. :raises DemoError: it failed; with its words."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailwye", *arguments, "--config", str(self.configuration)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(stdin.encode())
        if process.returncode != 0:
            words = (output + errors).decode(errors="replace").strip()
            raise DemoError(f"mailwye {' '.join(arguments)} ended with {process.returncode}: {words}")
        return output.decode()

    def _write_files(self) -> None:
        at = self.addresses
        self.configuration.write_text(
            INSTALLATION.format(
                hostname=HOSTNAME,
                service=at.service,
                dns=at.dns,
                mx_port=MX_PORT,
                submission_port=SUBMISSION_PORT,
                admin_port=ADMIN_PORT,
                dns_port=DNS_PORT,
            )
        )
        self.organization.write_text(
            ORGANIZATION.format(own=at.own, sales=at.sales, connector_2_port=CONNECTOR_2_PORT, connector_3_port=CONNECTOR_3_PORT)
        )

    async def _start_service(self) -> None:
        """Start `mailwye serve` and wait for its READY=1 (sd_notify). :raises DemoError: it ended or was not ready in time."""
        notify_path = self.directory / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as notify, self.log.open("ab") as log:
            notify.bind(str(notify_path))
            self._service = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mailwye", "serve", "--config", str(self.configuration)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(notify_path)},
            )
            ended = asyncio.ensure_future(self._service.wait())
            ready = asyncio.ensure_future(_read_until_ready(notify))
            await asyncio.wait({ended, ready}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            was_ready = ready.done()
            for waiting in (ended, ready):
                waiting.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)
        if not was_ready:
            raise DemoError(f"mailwye serve did not become ready. It printed:\n{self.log.read_text(errors='replace')}")

    def _zone(self) -> Zone:
        at = self.addresses
        return {
            "contoso.com": {"MX": [(10, HOSTNAME)]},
            "sales.contoso.com": {"MX": [(10, HOSTNAME)]},
            "fabrikam.com": {"MX": [(10, HOSTNAME)]},
            "contoso.onmicrosoft.com": {"MX": [(10, HOSTNAME)]},
            HOSTNAME: {"A": [at.service]},
            "mail.contoso.com": {"A": [at.main]},
            "example.net": {"MX": [(10, "mail.example.net")]},
            "mail.example.net": {"A": [at.sun]},
        }


async def _read_until_ready(notify: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in await loop.sock_recv(notify, 4096):
        pass
