"""How long a replay of a million recorded messages takes: `mailwye replay` as its user calls it, on traffic that the real recorder wrote.

Usage: python benchmarks/replay.py [--messages N] [--runs N] [--write]. The change that is replayed: one of ten own domains is gone, and the
connector of another asks for TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import report
from mailwye.config.compile import compile_snapshot
from mailwye.config.installation.file import read_installation
from mailwye.config.parse import read_organization
from mailwye.stores import open_config_store, open_traffic_store
from mailwye.testing.versions import save_whole
from mailwye.whatif.evaluate import Evaluation
from mailwye.whatif.traffic import Envelope, Occurrence, Peer

OWN = 10
"""Own domains, each with a connector of its own."""

DOMAINS = "\n".join(f"  - {{DomainName: d{n}.example, DomainType: InternalRelay, Default: {str(not n).lower()}}}" for n in range(OWN))
CONNECTORS = "\n".join(
    f'  - {{Name: Out {n}, ConnectorType: OnPremises, RecipientDomains: d{n}.example, UseMXRecord: false, SmartHosts: "192.0.2.{n + 1}"}}'
    for n in range(OWN)
)
INBOUND = 'InboundConnector: {Name: In, ConnectorType: OnPremises, SenderIPAddresses: "198.51.100.0/24"}\n'
RULES = "TransportRule:\n" + "\n".join(
    f"  - {{Name: Rule {n}, SenderDomainIs: s{n}.example, RouteMessageOutboundConnector: Out {n % OWN}, Mode: Audit}}" for n in range(20)
)
BEFORE = f"AcceptedDomain:\n{DOMAINS}\nOutboundConnector:\n{CONNECTORS}\n{INBOUND}"
AFTER = BEFORE.replace("  - {DomainName: d9.example, DomainType: InternalRelay, Default: false}\n", "").replace(
    'RecipientDomains: d3.example, UseMXRecord: false, SmartHosts: "192.0.2.4"',
    'RecipientDomains: d3.example, UseMXRecord: false, SmartHosts: "192.0.2.4", TlsSettings: EncryptionOnly',
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """A kind of traffic: `envelopes` different ones, which make up all messages; `rules` more text of the organization."""

    name: str
    envelopes: int
    rules: str = ""


def kinds(messages: int) -> tuple[Traffic, ...]:
    """What is measured, for so many messages."""
    return (
        Traffic("20,000 envelopes again and again", min(20_000, messages)),
        Traffic("all different", messages),
        Traffic("all different, 20 mail flow rules", messages, RULES),
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """One kind of envelope for the recorder."""

    one: Occurrence

    def occurrence(self) -> Occurrence:
        """See whatif/traffic.Countable."""
        return self.one


def traffic(kind: Traffic, messages: int, evaluation: Evaluation, now: float) -> Iterator[Seen]:
    """Strangers from everywhere to users of own domains; every tenth from an own server to somebody outside."""
    times = messages // kind.envelopes
    for number in range(kind.envelopes):
        peer = Peer("mx", "mx", f"{20 + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "TLSv1.3")
        envelope = Envelope((f"user{number}", f"s{number % 1000}.example"), (f"someone{number}", f"d{number % OWN}.example"), ())
        if not number % 10:
            peer = Peer("mx", "mx", f"198.51.100.{number // 10 % 256}", "TLSv1.3")
            envelope = Envelope((f"user{number}", "d1.example"), (f"someone{number}", f"x{number}.example.net"), ())
        yield Seen(Occurrence(peer, envelope, evaluation.answer(peer, envelope), 1, times, now - number % 72_000, f"M{number}"))


async def record(config: Path, kind: Traffic, messages: int) -> tuple[float, int]:
    """Store it as a worker does; (CPU seconds for each 1,000 occurrences, octets on the disk)."""
    installation, organization = read_installation(config).value, read_organization(BEFORE + kind.rules, "before").value
    assert installation is not None
    assert organization is not None
    config_store = open_config_store(installation)
    save_whole(config_store, organization, expected_version=0, author="benchmark", at=time.time())
    store = open_traffic_store(installation, 0, report.say)
    made = traffic(kind, messages, Evaluation(compile_snapshot(organization, 1)), time.time())
    spent = 0.0
    while some := [one for _, one in zip(range(5_000), made, strict=False)]:
        begun = time.process_time()
        store.add(some)
        await store.flush()
        spent += time.process_time() - begun
    await store.close()
    assert not store.dropped, f"{store.dropped} occurrences were not recorded"
    return spent / kind.envelopes * 1_000, sum(path.stat().st_size for path in (installation.data_directory / "traffic").iterdir())


def replay(config: Path, candidate: Path) -> tuple[float, float, str]:
    """Seconds, CPU seconds, and the first line that it printed."""
    begun, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "mailwye", "replay", "--config", str(config), "-f", str(candidate), "--prune", "--since", "24h"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 2:
        raise SystemExit(f"the replay ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, cpu, done.stdout.splitlines()[0]


def measured(kind: Traffic, messages: int, runs: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, candidate = folder / "mailwye.toml", folder / "after.yaml"
        config.write_text('hostname = "mx.bench.example"\ndata_directory = "data"\n[[listener]]\nname = "mx"\nkind = "mx"\n')
        with config.open("a") as file:
            file.write('address = "127.0.0.1"\nport = 2525\n[replay]\noctets = 8589934592\n')
        candidate.write_text(AFTER + kind.rules)
        cpu, octets = asyncio.run(record(config, kind, messages))
        found = [replay(config, candidate) for _ in range(runs)]
    report.say(f"{kind.name}: {found[0][2]}")
    times = [seconds for seconds, _, _ in found]
    spread = f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
    spent = statistics.median([spent for _, spent, _ in found])
    return f"| {kind.name} | {spread} | {spent:.1f} | {octets / 2**20:.0f} | {cpu * 1_000:.0f} |"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    wanted = parser.parse_args()
    lines = [
        f"{wanted.messages:,} recorded messages, medians of {wanted.runs} (least to greatest):",
        "",
        "| traffic | seconds | CPU seconds | MiB on disk | recording: CPU µs for each kind of envelope and hour |",
        "|---|---|---|---|---|",
        *(measured(kind, wanted.messages, wanted.runs) for kind in kinds(wanted.messages)),
        "",
        "  \n".join(report.surroundings()),
    ]
    print("\n".join(lines))
    if wanted.write:
        report.write("replay", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
