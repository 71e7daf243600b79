"""The systems under test, each in a folder of its own and relaying everything to a smart host: Postfix, Mailwye, and nothing at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from benchmarks.load import PATH, SINK, Address, Stuck, issue_certificate, refuse_if_taken, tool, wait_for_greeting

LISTENS: Address = ("127.0.0.31", 2631)


LISTED = 1_000
"""Deliveries that Mailwye is asked for at most."""


class System(Protocol):
    """A running system."""

    name: str
    address: Address
    pid: int
    """Ancestor of all its processes; 0: it has none."""

    def waiting(self) -> int:
        """How many messages it still has."""

    def stop(self) -> None:
        """End all its processes."""


class Nothing:
    """The generator speaks to the sink: what the load itself can do."""

    name = "nothing between"
    address = SINK
    pid = 0

    def waiting(self) -> int:
        return 0

    def stop(self) -> None:
        pass


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
smtp_tls_security_level = may
smtp_tls_CApath = /etc/ssl/certs
smtp_tls_session_cache_database = btree:${{data_directory}}/smtp_scache
smtpd_tls_security_level = may
smtpd_tls_cert_file = {keys.certificate}
smtpd_tls_key_file = {keys.private_key}
"""


class Postfix:
    """Debian's settings: what is not in MAIN_CF is as packaged, TLS as its installation sets it. master.cf is Debian's but for the
    listener's address and chroot.
    """

    name = "Postfix"
    address = LISTENS

    def __init__(self, directory: Path, prefix: tuple[str, ...] = ()) -> None:
        refuse_if_taken(LISTENS)
        self._config, self._log = directory / "config", directory / "maillog"
        for name in ("spool", "data", "config"):
            (directory / name).mkdir()
        shutil.chown(directory / "data", "postfix")
        keys = issue_certificate(directory / "keys", "postfix.example")
        (self._config / "main.cf").write_text(MAIN_CF.format(directory=directory, sink=SINK, keys=keys))
        (self._config / "master.cf").write_text(f"{LISTENS[0]}:{LISTENS[1]} inet n - n - - smtpd\n" + services_without_chroot())
        self._environment = {**os.environ, "PATH": PATH}
        command = [*prefix, tool("postfix"), "-c", str(self._config), "start-fg"]
        with self._log.open("ab") as log:  # its shell says on standard error that it was terminated
            self._process = subprocess.Popen(command, env=self._environment, start_new_session=True, stdout=log, stderr=log)
        self.pid = self._process.pid
        _wait_ready(self._process, self._log)

    def waiting(self) -> int:
        listed = subprocess.run([tool("postqueue"), "-c", str(self._config), "-j"], env=self._environment, capture_output=True, check=True)
        return len(listed.stdout.splitlines())

    def stop(self) -> None:
        subprocess.run([tool("postfix"), "-c", str(self._config), "stop"], env=self._environment, check=False, stderr=subprocess.DEVNULL)
        _end(self._process)


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


TOML = """\
hostname = "mailwye.example"
data_directory = "data"
workers = {workers}
[[listener]]
name = "mx"
kind = "mx"
address = "{listens[0]}"
port = {listens[1]}
[tls]
certificate = "{keys.certificate}"
private_key = "{keys.private_key}"
[limits]
connections_per_address = 4000
"""

YAML = """\
Organization: {{Name: bench}}
AcceptedDomain:
  - {{DomainName: example.com, Default: true}}
MailUser:
  - {{PrimarySmtpAddress: foo@example.com}}
{users}
OutboundConnector:
  - Name: To the sink
    ConnectorType: OnPremises
    AllAcceptedDomains: true
    UseMXRecord: false
    SmartHosts: ["{sink[0]}:{sink[1]}"]
"""


class Mailwye:
    """The real service with the real path: attribution, recipient check, routing, trace, Received."""

    address = LISTENS

    def __init__(
        self, directory: Path, workers: int = 0, prefix: tuple[str, ...] = (), prepare: Callable[[Path], None] | None = None
    ) -> None:
        """`prepare` saves an organization, and may do more, before the start; it gets the path of mailwye.toml."""
        refuse_if_taken(LISTENS)
        self.name = mailwye_name(workers)
        self._config, log = directory / "mailwye.toml", directory / "log"
        keys = issue_certificate(directory / "keys", "mailwye.example")
        self._config.write_text(TOML.format(listens=LISTENS, workers=workers, keys=keys))
        (prepare or self._apply)(self._config)
        started = time.monotonic()
        with log.open("ab") as file:
            command = [*prefix, sys.executable, "-m", "mailwye", "serve", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        self.pid = self._process.pid
        _wait_ready(self._process, log)
        self.ready_seconds = time.monotonic() - started

    def _apply(self, config: Path) -> None:
        users = "\n".join(f"  - {{PrimarySmtpAddress: {number}foo@example.com}}" for number in range(1, 101))
        file = config.with_name("organization.yaml")
        file.write_text(YAML.format(sink=SINK, users=users))
        self._run("apply", "-f", str(file))

    def _run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "mailwye", *arguments, "--config", str(self._config)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def waiting(self, recipient: str = "*@example.com") -> int:
        """Deliveries to `recipient`, at most LISTED."""
        return len(json.loads(self._run("queue", "list", "--recipient", recipient, "--limit", str(LISTED), "--json")))

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        _end(self._process)


def mailwye_name(workers: int) -> str:
    """As tables name it."""
    return "Mailwye" if workers == 0 else f"Mailwye, {workers} worker{'s' * (workers > 1)}"


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    try:
        wait_for_greeting(LISTENS, process)
    except Stuck as stuck:
        _end(process)
        raise SystemExit(f"{stuck}; the end of its log:\n{log.read_text()[-2000:]}") from stuck


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait; after 20 s end its whole group."""
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
