"""`mailwye serve` as a real process that gives up root, its command line, and the people who send through it."""

from __future__ import annotations

import json
import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mailwye.testing.authority import Authority, KeyPair
from tests.counterparts.place import Place
from tests.counterparts.process import free_port, wait_until
from tests.counterparts.readable_python import readable_python

HOSTNAME = "mx.mailwye.example"
USER = "mail"
BOB_PASSWORD = "bobs password for tests"
START_SECONDS, STOP_SECONDS, COMMAND_SECONDS = 30.0, 30.0, 30.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Known before anything runs, so that the counterparts can be told."""

    mx: int
    submission: int


def free_ports(address: str) -> Ports:
    """Two of them on `address`."""
    return Ports(free_port(address), free_port(address))


@dataclass(frozen=True, slots=True)
class Certificates:
    """Of one run. `own` is John's server's and bears its name; the bad ones are bad in exactly one way."""

    authority: Path
    service: KeyPair
    own: KeyPair
    sun: KeyPair
    wrong_name: KeyPair
    expired: KeyPair
    self_signed: KeyPair
    strangers: KeyPair
    sales_authority: Path
    sales: KeyPair


def issue_certificates(directory: Path, *, now: float, service_addresses: Sequence[str]) -> Certificates:
    """All of them, below `directory`, readable for the service's user."""
    authority = Authority(directory, now=now)
    sales = Authority(directory / "sales", now=now, name="Authority of sales")  # trusted by one connector, not by the installation
    (directory / "sales").chmod(0o755)
    made = Certificates(
        authority=authority.certificate,
        service=authority.issue("mx", [HOSTNAME, *service_addresses]),
        own=authority.issue("mail.contoso.com", ["mail.contoso.com"]),
        sun=authority.issue("mail.example.net", ["mail.example.net"]),
        wrong_name=authority.issue("wrong-name", ["mail.fabrikam.example"]),
        expired=authority.issue("expired", ["mail.contoso.com"], starts_in_days=-20, ends_in_days=-2),
        self_signed=authority.issue("self-signed", ["mail.contoso.com"], self_signed=True),
        strangers=authority.issue("stranger", ["mail.contoso.com"], self_signed=True),
        sales_authority=sales.certificate,
        sales=sales.issue("sales", ["mail.sales.contoso.com"]),
    )
    directory.chmod(0o755)
    shutil.chown(made.service.private_key, USER, USER)
    return made


@dataclass(slots=True)
class Junction:
    """One installation in `directory`, serving on `address`. `delivery`: lines of [delivery]; `organization`: YAML; `queue`: lines of
    [queue], by default such that a test says when, by `queue retry`; `tables`: further tables of mailwye.toml.

    `program` and `environment`: how its command line is run, known after `set_up`.
    """

    place: Place
    directory: Path
    address: str
    ports: Ports
    certificates: Certificates
    nameserver: str
    organization: str
    delivery: str
    queue: str = "retry_delays = [600]"
    tables: str = ""
    program: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        """mailwye.toml."""
        return self.directory / "mailwye.toml"

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """Of the service."""
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        """What the service printed."""
        return (self.directory / "log").read_text(errors="replace")

    # --- life

    def set_up(self) -> None:
        """Write the files, apply the organization, give Bob a password."""
        self.directory.mkdir()
        self.directory.chmod(0o755)
        self.program, self.environment = readable_python(self.place.directory / "program")
        self.write(self.delivery)
        (self.directory / "organization.yaml").write_text(self.organization)
        self.run("apply", "-f", str(self.directory / "organization.yaml"))
        self.run("mailbox", "add", "bob@contoso.com", "--password-stdin", stdin=BOB_PASSWORD + "\n")

    def write(self, delivery: str, *, name: str = "mailwye.toml", data: str = "data") -> Path:
        """Write an installation's file."""
        listeners = "".join(
            f'[[listener]]\nname = "{kind}"\nkind = "{kind}"\naddress = "{self.address}"\nport = {port}\n'
            for kind, port in (("mx", self.ports.mx), ("submission", self.ports.submission))
        )
        pair = self.certificates.service
        path = self.directory / name
        path.write_text(
            f'hostname = "{HOSTNAME}"\ndata_directory = "{data}"\nuser = "{USER}"\nworkers = 0\nshutdown_timeout = 5\n{listeners}'
            f'[tls]\ncertificate = "{pair.certificate}"\nprivate_key = "{pair.private_key}"\n'
            f'trusted_authorities = ["{self.certificates.authority}"]\n'
            f'[tls.authorities]\nsales = "{self.certificates.sales_authority}"\n'
            f'[dns]\nnameservers = ["{self.nameserver}"]\ntimeout = 1\ncache_ttl_negative_max = 1\n'
            f"[queue]\n{self.queue}\n[delivery]\n{delivery}\n{self.tables}\n"
        )
        return path

    def start(self) -> None:
        """Start it as its service manager would; return when it says READY=1."""
        notify = self.directory / "notify.sock"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (self.directory / "log").open("ab") as log:
            manager.bind(str(notify))
            notify.chmod(0o777)
            self._process = process = subprocess.Popen(
                (*self.program, "serve", "--config", str(self.configuration)),
                cwd="/",
                env={**self.environment, "NOTIFY_SOCKET": str(notify)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            manager.settimeout(0.1)

            def ready() -> bool:
                if process.poll() is not None:
                    pytest.fail(f"mailwye serve ended with {process.returncode}:\n{self.log()}")
                try:
                    return b"READY=1" in manager.recv(4096)
                except TimeoutError:
                    return False

            wait_until(ready, "mailwye serve being ready", seconds=START_SECONDS)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            pytest.fail(f"mailwye serve did not end:\n{self.log()}")

    # --- the command line

    def run(self, *arguments: str, stdin: str = "", config: Path | None = None, code: int = 0) -> str:
        """`mailwye ARGUMENTS --config FILE`; what it printed."""
        done = subprocess.run(
            (*self.program, *arguments, "--config", str(config or self.configuration)),
            cwd=self.directory,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != code:
            pytest.fail(f"mailwye {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def json(self, *arguments: str, config: Path | None = None) -> Any:
        """The same with --json: the value."""
        return json.loads(self.run(*arguments, "--json", config=config))

    def queued(self, recipient: str) -> list[dict[str, Any]]:
        """Queued deliveries to `recipient`."""
        rows: list[dict[str, Any]] = self.json("queue", "list", "--recipient", recipient)
        return rows

    def deferred(self, recipient: str) -> dict[str, Any]:
        """The one delivery to `recipient`, once an attempt has failed."""

        def tried() -> list[dict[str, Any]]:
            return [row for row in self.queued(recipient) if row["attempts"] and row["last_error"]]

        wait_until(tried, f"a deferred delivery to {recipient}")
        (row,) = tried()
        return row

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """Every event of the trace about the message with this Message-ID."""
        rows = self.json("trace", "--message-id", message_id)
        assert rows, f"the trace knows nothing of {message_id}"
        events: list[dict[str, Any]] = self.json("trace", "show", rows[0]["message"] or rows[0]["session"])
        return events

    # --- people

    def client(self, source: str, *, submission: bool = False) -> smtplib.SMTP:
        """A connection from `source`."""
        port = self.ports.submission if submission else self.ports.mx
        return smtplib.SMTP(self.address, port, local_hostname="client.example", timeout=20, source_address=(source, 0))

    @contextmanager
    def bob(self) -> Iterator[smtplib.SMTP]:
        """Bob's mail program, logged in."""
        with self.client(self.place.bobs_computer, submission=True) as client:
            client.starttls(context=self.trusting())
            client.login("bob@contoso.com", BOB_PASSWORD)
            yield client

    def trusting(self, pair: KeyPair | None = None) -> ssl.SSLContext:
        """A client's context that checks our name, and presents `pair`."""
        context = ssl.create_default_context(cafile=str(self.certificates.authority))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.private_key)
        return context

    def bobs_maildir(self) -> Path:
        """Where Mailwye writes Bob's mail."""
        return self.data / "mailboxes" / "contoso.com" / "bob"
