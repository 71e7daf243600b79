"""Mailwye beside Postfix in one run: smtp-source → system → sink.py, durable before 250, every message relayed to a smart host.

Runs the two in turn, A B A B, on this machine, and prints for each the median of messages accepted per second, delivered end to end per
second, and CPU seconds (user + system, every process of the system) per 1,000 messages; then the ratios. Needs root and Postfix's package
(`sh tests/counterparts/install.sh`). Generator and sink share the machine with the system: trust ratios, not digits.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

PATH = os.environ.get("PATH", "") + ":/usr/sbin"
SINK, SYSTEM = ("127.0.0.30", 2630), ("127.0.0.31", 2631)
TICKS = os.sysconf("SC_CLK_TCK")

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {directory}/spool
data_directory = {directory}/data
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = postfix.example
mydestination =
mynetworks = 127.0.0.0/8
relayhost = [{sink[0]}]:{sink[1]}
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
alias_maps =
local_recipient_maps =
smtp_tls_security_level = none
"""

TOML = """\
hostname = "mailwye.example"
data_directory = "data"
workers = {workers}
[[listener]]
name = "mx"
kind = "mx"
address = "{system[0]}"
port = {system[1]}
[limits]
connections_per_address = 2000
"""

YAML = """\
Organization: {{Name: bench}}
AcceptedDomain:
  - {{DomainName: example.com, Default: true}}
MailUser:
{users}
OutboundConnector:
  - Name: To the sink
    ConnectorType: OnPremises
    AllAcceptedDomains: true
    UseMXRecord: false
    SmartHosts: ["{sink[0]}:{sink[1]}"]
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What smtp-source sends."""

    messages: int
    sessions: int
    octets: int
    recipients: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """One run."""

    accepted_per_second: float
    delivered_per_second: float
    cpu_seconds_per_1000: float
    peak_megabytes: float


class Postfix:
    """Debian's settings, relaying everything."""

    name = "postfix"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in ("spool", "data", "config"):
            (directory / name).mkdir()
        shutil.chown(directory / "data", "postfix")
        (directory / "config/main.cf").write_text(MAIN_CF.format(directory=directory, sink=SINK))
        (directory / "config/master.cf").write_text(f"{SYSTEM[0]}:{SYSTEM[1]} inet n - n - - smtpd\n" + services_without_chroot())
        subprocess.run(["postfix", "-c", str(directory / "config"), "start"], env={**os.environ, "PATH": PATH}, check=True)
        self.pid = int((directory / "spool/pid/master.pid").read_text())

    def stop(self) -> None:
        subprocess.run(["postfix", "-c", str(self._directory / "config"), "stop"], env={**os.environ, "PATH": PATH}, check=False)


def services_without_chroot() -> str:
    """Debian's master.cf but for its SMTP listener; without chroot, which a private queue directory has no files for."""
    lines = []
    for line in Path("/etc/postfix/master.cf.proto").read_text().splitlines():
        columns = line.split()
        if len(columns) >= 8 and not line.startswith((" ", "#", "smtp      inet")):
            lines.append(" ".join([*columns[:4], "n", *columns[5:]]))
        elif line.startswith(" "):
            lines.append(line)
    return "\n".join(lines) + "\n"


class Mailwye:
    """The real service with the real path: attribution, recipient check, routing, trace, Received."""

    name = "mailwye"

    def __init__(self, directory: Path, workers: int = 0) -> None:
        config = directory / "mailwye.toml"
        config.write_text(TOML.format(system=SYSTEM, workers=workers))
        users = (
            "\n".join(f"  - {{PrimarySmtpAddress: {n}foo@example.com}}" for n in range(1, 101))
            + "\n  - {PrimarySmtpAddress: foo@example.com}"
        )
        (directory / "organization.yaml").write_text(YAML.format(sink=SINK, users=users))
        run = [sys.executable, "-m", "mailwye"]
        subprocess.run(
            [*run, "apply", "-f", str(directory / "organization.yaml"), "--config", str(config)], check=True, stdout=subprocess.DEVNULL
        )
        log = (directory / "log").open("ab")
        self._process = subprocess.Popen([*run, "serve", "--config", str(config)], stdout=log, stderr=log)
        self.pid = self._process.pid

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def wait_for(address: tuple[str, int], seconds: float = 20) -> None:
    """Until something listens there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {address[0]}:{address[1]}")


def family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a family of processes, with that of its ended children."""
    total = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def peak_megabytes(pid: int) -> float:
    """The sum of the processes' peak resident sizes (shared pages count for each)."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return total / 1024


def run_once(make: Callable[[Path], Postfix | Mailwye], load: Load, where: Path | None) -> Figures:
    """One system, one load."""
    with tempfile.TemporaryDirectory(prefix="mailwye-bench-", dir=where) as name:
        directory = Path(name)
        directory.chmod(0o755)
        arguments = (SINK[0], str(SINK[1]), str(load.messages))
        sink = subprocess.Popen([sys.executable, str(Path(__file__).with_name("sink.py")), *arguments])
        wait_for(SINK)
        system = make(directory)
        try:
            wait_for(SYSTEM)
            before = cpu_seconds(system.pid)
            started = time.monotonic()
            source = [
                shutil.which("smtp-source", path=PATH) or "smtp-source",
                "-s",
                str(load.sessions),
                "-m",
                str(load.messages),
                "-l",
                str(load.octets),
            ]
            source += ["-r", str(load.recipients)] if load.recipients > 1 else []
            source += ["-d"] if load.kept else []
            source += ["-f", "sender@example.net", "-t", "foo@example.com", f"{SYSTEM[0]}:{SYSTEM[1]}"]
            subprocess.run(source, check=True, timeout=300)
            accepted = time.monotonic() - started
            sink.wait(300)
            delivered = time.monotonic() - started
            cpu = cpu_seconds(system.pid) - before
            peak = peak_megabytes(system.pid)
        finally:
            system.stop()
            if sink.poll() is None:
                sink.kill()
                sink.wait()
        return Figures(load.messages / accepted, load.messages / delivered, cpu / load.messages * 1000, peak)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--connection-per-message", action="store_true")
    parser.add_argument("--only", choices=("postfix", "mailwye"))
    parser.add_argument("--where", type=Path, help="a folder on the file system to measure on")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    load = Load(options.messages, options.sessions, options.octets, options.recipients, not options.connection_per_message)
    makers: dict[str, Callable[[Path], Postfix | Mailwye]] = {
        "postfix": Postfix,
        "mailwye": lambda directory: Mailwye(directory, options.workers),
    }
    if options.only:
        makers = {options.only: makers[options.only]}
    results: dict[str, list[Figures]] = {name: [] for name in makers}
    for _ in range(options.runs):
        for name, make in makers.items():
            results[name].append(run_once(make, load, options.where))
    medians = {
        name: {field: statistics.median(asdict(run)[field] for run in runs) for field in Figures.__dataclass_fields__}
        for name, runs in results.items()
    }
    if options.json:
        print(json.dumps({"load": asdict(load), "runs": options.runs, "medians": medians}, indent=2))
        return
    print(f"{load}, medians of {options.runs}")
    for name, row in medians.items():
        print(f"{name:>8}: " + ", ".join(f"{field} {value:,.2f}" for field, value in row.items()))
    if len(medians) == 2:
        ratios = {field: medians["mailwye"][field] / medians["postfix"][field] for field in Figures.__dataclass_fields__}
        print("   ratio: " + ", ".join(f"{field} {value:.2f}" for field, value in ratios.items()))


if __name__ == "__main__":
    main()
