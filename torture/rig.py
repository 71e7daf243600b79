"""The real service as processes, with destinations and a sender around it, on loopback addresses of its own.

    async with rig(options.where) as world:                  # addresses, certificates, sinks; everything ends with the block
        gateway = world.gateway(workers=0)                   # mailwye.toml and organization applied; data below options.where
        await gateway.start()                                # seconds until the first 220
        sender = world.sender(gateway, seed=options.seed)    # 20 sessions, half of them with TLS
        sender.start()
        ...                                                  # gateway.kill(), world.receiver.sinks["b"].faults = Faults(end="451 Later")
        await sender.stop()
        await world.drain(gateway)                           # until everything promised arrived
        verdict = await world.verdict(gateway)               # with what is still queued, and `mailwye queue fsck`

Books and logs are in `world.directory`, which is never on the file system under test (`where`, or `gateway(data_directory=...)`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import yaml

from mailwye.testing.authority import Authority
from torture.gateway import PORT, Command, Gateway, RigError
from torture.ledger import Pair, ReceiverBook, SenderBook, Verdict, judge, outstanding
from torture.receiver import Receiver, Sink
from torture.sender import Sender, Workload, mixed_workload

__all__ = ["DESTINATIONS", "PORT", "RECIPIENTS", "Command", "Gateway", "Rig", "RigError", "Settings", "rig", "sabotaged"]

DESTINATIONS = {"a": False, "b": True, "c": False, "d": True, "senders": False}
"""Sinks by name, and whether they speak TLS. Each takes the mail of NAME.example; "senders" gets the notices."""

RECIPIENTS = tuple(f"user{number}@{name}.example" for number in range(1, 6) for name in "abcd")
UNDER_WAY = 10
"""Deliveries to one destination at a time, from one worker: on the wire, or with a result that is not committed yet."""

Settings = Mapping[str, Mapping[str, object]]
"""Tables of mailwye.toml: {"queue": {"expire_after": 60}}."""

_SETTINGS: Settings = {
    "limits": {"connections_per_address": 2000},
    "delivery": {"connections_per_destination": 5, "concurrency_per_destination": UNDER_WAY},  # 20 outbound sessions to a, b, c, d
    "queue": {"retry_delays": [1, 2, 5]},
}


class Rig:
    """Sinks, certificates and books. Made by `rig`."""

    def __init__(self, directory: Path, where: Path, prefix: str) -> None:
        self.directory = directory
        self.where = where
        self.prefix = prefix
        authority = Authority(directory / "certificates", now=time.time(), days=400)  # nobody is warned that they expire
        self._authority = authority.certificate
        self._pair = authority.issue("gateway", ["mx.torture.example"])
        sink_pair = authority.issue("sink", ["sink.torture.example"])
        sink_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        sink_tls.load_cert_chain(sink_pair.certificate, sink_pair.private_key)
        self.client_tls = ssl.create_default_context(cafile=str(authority.certificate))
        self.client_tls.check_hostname = False
        self.sent = SenderBook(directory / "sent.jsonl")
        book = ReceiverBook(directory / "received.jsonl")
        sinks = {
            name: Sink(name, f"{prefix}.{host}", PORT, book, tls=sink_tls if tls else None)
            for host, (name, tls) in enumerate(DESTINATIONS.items(), 10)
        }
        self.receiver = Receiver(book, sinks)
        self.gateways: list[Gateway] = []

    def gateway(
        self,
        *,
        workers: int = 0,
        settings: Settings | None = None,
        organization: Mapping[str, object] | None = None,
        data_directory: Path | None = None,
        prefix: Sequence[str] = (),
        module: str = "mailwye",
        environment: Mapping[str, str] | None = None,
    ) -> Gateway:
        """Configure a service (not started). `settings` goes over the rig's tables of mailwye.toml, key by key ("": the top);
        `organization` over its kinds of objects, kind by kind.
        """
        number = len(self.gateways)
        home = self.directory / f"gateway{number}"
        home.mkdir()
        data = data_directory or self.where / f"data{number}"
        address = f"{self.prefix}.{2 + number}"
        gateway = Gateway(home, data, address, prefix=prefix, module=module, environment=environment)
        gateway.config.write_text(self._toml(gateway, workers, settings or {}))
        (home / "organization.yaml").write_text(yaml.safe_dump({**self.organization(), **(organization or {})}))
        self.gateways.append(gateway)
        self.apply(gateway)
        return gateway

    def apply(self, gateway: Gateway) -> None:
        """`mailwye apply` of its organization.yaml. :raises RigError: with the command's words."""
        words = [sys.executable, "-m", "mailwye", "apply", "-f", str(gateway.home / "organization.yaml"), "--config", str(gateway.config)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RigError(f"apply: {done.stdout}{done.stderr}")

    def organization(self) -> dict[str, object]:
        """Four accepted domains, each routed by a connector of its own to its sink; the senders' domain likewise, for notices."""
        connectors: list[dict[str, object]] = []
        for name, sink in self.receiver.sinks.items():
            smart_host: dict[str, object] = {"Name": f"To {name}", "ConnectorType": "OnPremises", "RecipientDomains": [f"{name}.example"]}
            way: dict[str, object] = {"UseMXRecord": False, "SmartHosts": [f"{sink.address}:{sink.port}"]}
            tls: dict[str, object] = {} if sink.tls is None else {"TlsSettings": "DomainValidation", "TlsDomain": "sink.torture.example"}
            connectors.append({**smart_host, **way, **tls})
        return {
            "Organization": {"Name": "torture"},
            "AcceptedDomain": [{"DomainName": f"{name}.example", "Default": name == "a"} for name in "abcd"],
            "MailUser": [{"PrimarySmtpAddress": address} for address in RECIPIENTS],
            "OutboundConnector": connectors,
        }

    def sender(
        self,
        gateway: Gateway,
        *,
        seed: int,
        sessions: int = 20,
        tls: bool = True,
        rate: float = 0.0,
        workload: Workload | None = None,
        kept: int = 50,
        source: str = "",
    ) -> Sender:
        """A sender (not started) to this service. More than one in a run need workloads with names of their own."""
        workload = workload or mixed_workload(RECIPIENTS)
        context = self.client_tls if tls else None
        return Sender(
            gateway.address,
            gateway.port,
            self.sent,
            workload,
            seed=seed,
            sessions=sessions,
            tls=context,
            rate=rate,
            kept=kept,
            source=source,
        )

    def outstanding(self) -> set[Pair]:
        """What was promised and has not arrived anywhere."""
        return outstanding(self.sent, self.receiver.book)

    async def drain(self, gateway: Gateway, seconds: float = 120.0) -> float:
        """Wait until everything promised arrived, or the queue is empty, or `seconds` passed; the seconds that it took."""
        began = time.monotonic()
        arrived, moved = -1, began
        while self.outstanding() and time.monotonic() < began + seconds:
            if len(self.receiver.book.records) != arrived:
                arrived, moved = len(self.receiver.book.records), time.monotonic()
            elif time.monotonic() > moved + 3.0:
                moved = time.monotonic()
                if not await gateway.queued():
                    break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)  # what comes twice comes late
        return time.monotonic() - began

    async def verdict(self, gateway: Gateway) -> Verdict:
        """Hold the books against each other, against the queue and against `mailwye queue fsck`."""
        self.sent.sync()
        self.receiver.book.sync()
        return judge(self.sent, self.receiver.book, await gateway.queued(), await gateway.fsck())

    def _toml(self, gateway: Gateway, workers: int, settings: Settings) -> str:
        tls: dict[str, object] = {
            "certificate": str(self._pair.certificate),
            "private_key": str(self._pair.private_key),
            "trusted_authorities": [str(self._authority)],
        }
        tables: dict[str, dict[str, object]] = {"tls": tls}
        for source in (_SETTINGS, settings):
            for table, values in source.items():
                tables.setdefault(table, {}).update(values)
        top = {"hostname": "mx.torture.example", "data_directory": str(gateway.data), "workers": workers, **tables.pop("", {})}
        lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
        listener = {"name": "mx", "kind": "mx", "address": gateway.address, "port": gateway.port}
        lines += ["[[listener]]", *(f"{key} = {json.dumps(value)}" for key, value in listener.items())]
        for table, values in tables.items():
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
        return "\n".join(lines) + "\n"


class Sabotaged(TypedDict):
    """Arguments of `Rig.gateway`."""

    module: str
    environment: dict[str, str]


def sabotaged(how: str | None) -> Sabotaged:
    """Arguments of `Rig.gateway` for a service that is broken on purpose, in a way that sabotage.py names; None: a good one."""
    return Sabotaged(module="torture.sabotage" if how else "mailwye", environment={"MAILWYE_SABOTAGE": how} if how else {})


@contextlib.asynccontextmanager
async def rig(where: Path | None = None) -> AsyncIterator[Rig]:
    """A rig whose services keep their data below `where` (default: a folder beside the books). Ends and removes everything afterwards,
    but keeps the folder with books and logs, and says so, when the block fails.
    """
    directory = Path(tempfile.mkdtemp(prefix="mailwye-torture-"))
    where = where or directory
    where.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="data-", dir=where))
    world = None
    try:
        world = Rig(directory, made, _free_prefix())
        await world.receiver.start()
        yield world
    except BaseException:
        print(f"books and logs are kept in {directory}", file=sys.stderr)
        raise
    else:
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        if world is not None:
            for gateway in world.gateways:
                gateway.kill()
            await world.receiver.stop()
            world.sent.close()
            world.receiver.book.close()
        shutil.rmtree(made, ignore_errors=True)


def _free_prefix() -> str:
    """127.A.B of loopback that no other run uses."""
    rng = random.SystemRandom()
    while True:
        prefix = f"127.{rng.randrange(16, 250)}.{rng.randrange(1, 250)}"
        with socket.socket() as probe:
            try:
                probe.bind((f"{prefix}.2", PORT))
            except OSError:
                continue
        return prefix
