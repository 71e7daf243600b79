"""What the outage tests share: sinks of their own on the rig, the organization that routes to them, a clock that can be told, and sums."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mailwye.config.installation.file import read_installation
from mailwye.stores import open_trace
from mailwye.trace.event import EventKind
from torture.gateway import PORT, Gateway, RigError
from torture.receiver import Sink
from torture.report import Row
from torture.rig import Rig
from torture.sender import Mail, Workload

SENDER = "sender@senders.example"
DEFAULT_DELAYS = (60, 120, 240, 480, 900, 1800, 3600)
USERS = 5
_FIRST_HOST = 40
_TICKS = os.sysconf("SC_CLK_TCK")


class CountedSink(Sink):
    """A sink that also knows its most connections at a time, and how often it took a message and hung up without saying so."""

    peak = 0
    unsaid = 0

    def opened(self, session: object) -> None:
        """A connection was made."""
        super().opened(session)  # type: ignore[arg-type]  # the session's class is receiver.py's own affair
        self.peak = max(self.peak, self.sessions)

    def take(self, recipients: tuple[str, ...], content: bytes) -> str:
        """Note one message."""
        self.unsaid += self.faults.drop == "taken"
        return super().take(recipients, content)


async def add_sinks(world: Rig, names: Sequence[str]) -> list[CountedSink]:
    """Further sinks on the rig, listening; each takes the mail of NAME.example, where `organization` routes it."""
    sinks = []
    for host, name in enumerate(names, _FIRST_HOST + len(world.receiver.sinks)):
        sink = CountedSink(name, f"{world.prefix}.{host}", PORT, world.receiver.book)
        world.receiver.sinks[name] = sink
        await sink.start()
        sinks.append(sink)
    return sinks


def addresses(names: Iterable[str]) -> tuple[str, ...]:
    """The users that `organization` knows behind the sinks of these names, so that neighbours are at different ones."""
    known = tuple(names)
    return tuple(f"user{number}@{name}.example" for number in range(USERS) for name in known)


def organization(world: Rig, names: Sequence[str]) -> dict[str, object]:
    """Accepted domains and users for the added sinks, beside the rig's own."""
    base = world.organization()
    domains, users = base["AcceptedDomain"], base["MailUser"]
    assert isinstance(domains, list)
    assert isinstance(users, list)
    return {
        **base,
        "AcceptedDomain": [*domains, *({"DomainName": f"{name}.example"} for name in names)],
        "MailUser": [*users, *({"PrimarySmtpAddress": address} for address in addresses(names))],
    }


def in_turn(prefix: str, recipients: Sequence[str], *, octets: int = 2048, sender: str = SENDER) -> Workload:
    """Mail named PREFIX-NUMBER, each to one of `recipients` in turn."""
    body = b"Torture for the gateway, on loopback only.\r\n" * (octets // 44 + 1)

    def make(_rng: random.Random, number: int) -> Mail:
        return Mail(f"{prefix}-{number}", sender, (recipients[number % len(recipients)],), body)

    return make


def fake_clock(rate: float = 1.0, *, offset_file: Path | None = None) -> dict[str, str]:
    """The environment in which time runs `rate` times as fast for the service, all clocks alike; or in which its wall clock alone is off
    by what `offset_file` says ("+3600"), which may change at any time. :raises RigError: libfaketime is not installed.
    """
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
    if library is None:
        raise RigError("libfaketime is not installed; on Debian: apt install faketime")
    if offset_file is None:
        return {"LD_PRELOAD": str(library), "FAKETIME": f"+0 x{rate:g}"}
    clock = {"FAKETIME_TIMESTAMP_FILE": str(offset_file), "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(library), **clock}


def sabotaged(name: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What Rig.gateway needs for a service that is broken on purpose, "" for a good one; `environment` goes along."""
    if not name:
        return {"environment": environment}
    return {"environment": {**(environment or {}), "MAILWYE_SABOTAGE": name}, "module": "torture.outage_sabotage"}


def patient(factor: float) -> dict[str, dict[str, object]]:
    """Tables of mailwye.toml that make the timeouts of connections as long in the harness's time as they are by default, so that only
    schedules are compressed.
    """
    limits = {"command_timeout": 300 * factor, "content_timeout": 180 * factor, "handshake_timeout": 30 * factor, "minimum_rate": 1}
    delivery = {
        "connect_timeout": 30 * factor,
        "command_timeout": 300 * factor,
        "content_timeout": 600 * factor,
        "connection_idle": 10 * factor,
    }
    return {"limits": {**limits, "idle_commands_per_session": 1_000_000}, "delivery": dict(delivery)}


def set_offset(offset_file: Path, seconds: int) -> None:
    """Tell the clock of `fake_clock`; the service sees it within a second."""
    new = offset_file.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    new.replace(offset_file)


async def until(condition: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Wait until `condition` holds; False when it did not within `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(every)
    return True


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def latencies(world: Rig, prefix: str) -> list[float]:
    """Seconds from the 250 to the arrival, of the messages named PREFIX-…"""
    found = []
    for pair, record in world.sent.promised.items():
        if record.attempt.startswith(f"{prefix}-") and (arrivals := world.receiver.book.arrivals.get(pair)):
            found.append(max(0.0, arrivals[0].at - record.at))
    return found


def processes(gateway: Gateway) -> list[int]:
    """All processes of the service."""
    group = gateway.pid
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            found.append(int(path.parent.name))
    return found


def cpu_seconds(gateway: Gateway) -> float:
    """User and system time of all its processes so far."""
    ticks = 0
    for pid in processes(gateway):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def resident(gateway: Gateway) -> int:
    """Octets of memory of all its processes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes(gateway))
    return pages * os.sysconf("SC_PAGE_SIZE")


def attempts(gateway: Gateway, queue_ids: Iterable[str]) -> Mapping[str, list[float]]:
    """When each message was tried in vain, by the service's own clock, from its trace."""
    installation = read_installation(gateway.config).value
    assert installation is not None
    search = open_trace(installation)
    return {one: [event.at for event in search.events(one) if event.kind is EventKind.DEFER] for one in queue_ids}


def verdict_rows(verdict: object) -> tuple[Row, ...]:
    """What every outage test ends with: nothing lost or altered, and the service's own books agree."""
    from torture.ledger import Verdict

    assert isinstance(verdict, Verdict)
    return (
        Row("promised (message, recipient) pairs", str(verdict.promised), "more than 0", verdict.promised > 0),
        Row("lost", str(len(verdict.lost)), "0", not verdict.lost),
        Row("altered", str(len(verdict.altered)), "0", not verdict.altered),
        Row("`mailwye queue fsck`", verdict.fsck, "clean", verdict.fsck == "clean"),
    )
