"""The load: who sends (smtp-source) and who receives (smtp-sink), both from Postfix's package: C, since they share the cores.

They know no TLS: tls_source.py and tls_sink.py take their places where it is on.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mailwye.testing.authority import Authority, KeyPair

Address = tuple[str, int]
SINK: Address = ("127.0.0.30", 2630)
ROOT = Path(__file__).resolve().parents[1]
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


class Stuck(RuntimeError):
    """Nothing arrives any more, or what arrives is not what was sent."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run sends. `octets` is the size of the message's content."""

    messages: int
    sessions: int = 20
    octets: int = 4096
    recipients: int = 1
    kept: bool = True
    """Whether a session goes on with its connection, or makes one for each message."""
    tls: bool = False
    """STARTTLS in and out; then `recipients` is 1."""


@dataclass(frozen=True, slots=True)
class Span:
    """When the sending began and when the last reply came, on the clock that all processes share (time.monotonic)."""

    started: float
    ended: float


def tool(name: str) -> str:
    """Where a program is. Raises SystemExit with the remedy."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise SystemExit(f"{name} is not installed: sh tests/counterparts/install.sh")
    return found


def send(load: Load, to: Address) -> Span:
    """Send all; returns when the last message has its reply. Raises CalledProcessError when one was refused."""
    if load.tls:
        return _send_with_tls(load, to)
    command = [tool("smtp-source"), "-s", str(load.sessions), "-m", str(load.messages), "-l", str(load.octets)]
    command += ["-r", str(load.recipients)] if load.recipients > 1 else []
    command += ["-d"] if load.kept else []
    command += ["-f", "sender@example.net", "-t", "foo@example.com", f"{to[0]}:{to[1]}"]
    started = time.monotonic()
    subprocess.run(command, check=True, timeout=300)
    return Span(started, time.monotonic())


def _send_with_tls(load: Load, to: Address) -> Span:
    """That program says itself when it began: starting Python takes as long as some hundred messages."""
    numbers = (to[1], load.messages, load.sessions, load.octets)
    command = [*_module("tls_source"), to[0], *map(str, numbers), "kept" if load.kept else "each"]
    said = subprocess.run(command, check=True, timeout=300, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    started, ended = map(float, said.split())
    return Span(started, ended)


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}"]


class Sink:
    """smtp-sink, or one with TLS.

    Its running counter goes to a file in memory: a pipe would need a reader, which takes CPU for each message.
    """

    def __init__(self, *, tls: bool = False, address: Address = SINK) -> None:
        refuse_if_taken(address)  # smtp-sink sets SO_REUSEPORT: with a forgotten one on the port, each would get a part of the mail
        self._counter = tempfile.TemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: SIM115 — closed in __exit__
        self._keys = tempfile.TemporaryDirectory()
        command = self._with_tls(address) if tls else self._plain(address)
        self._process = subprocess.Popen(command, stdout=self._counter, cwd=ROOT)
        self._address = address
        self.pid = self._process.pid

    def _plain(self, address: Address) -> list[str]:
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return [tool("smtp-sink"), "-c", "-m", "4000", *as_user, f"{address[0]}:{address[1]}", "1024"]

    def _with_tls(self, address: Address) -> list[str]:
        pair = issue_certificate(Path(self._keys.name), "sink.example")
        return [*_module("tls_sink"), address[0], str(address[1]), str(pair.certificate), str(pair.private_key)]

    def __enter__(self) -> Sink:
        wait_for_greeting(self._address, self._process)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._counter.close()
        self._keys.cleanup()

    @property
    def received(self) -> int:
        """Messages that were answered with 250 so far."""
        file = self._counter.fileno()
        tail = os.pread(file, 200, max(0, os.fstat(file).st_size - 200))
        counts = re.findall(rb"mesg=(\d+)\r", tail)
        return int(counts[-1]) if counts else 0

    def wait_until(self, messages: int, patience: float = 30) -> None:
        """Until `messages` were received. Raises Stuck when `patience` seconds bring none."""
        last, since = self.received, time.monotonic()
        while last < messages:
            time.sleep(0.004)
            now = self.received
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                raise Stuck(f"{last} of {messages} messages arrived, then none for {patience:.0f} s")


def issue_certificate(folder: Path, name: str) -> KeyPair:
    """A fresh P-256 certificate."""
    return Authority(folder, now=time.time()).issue("server", [name])


def refuse_if_taken(address: Address) -> None:
    """Raises SystemExit when something listens there."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return
    raise SystemExit(f"something listens on {address[0]}:{address[1]} already: ss -ltnp 'sport = :{address[1]}' names it; end it first")


def wait_for_greeting(address: Address, process: subprocess.Popen[bytes], seconds: float = 300) -> None:
    """Until a client there is greeted with 220 (a port may listen long before). Raises Stuck, at once when `process` has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(address, timeout=5) as client:
                if client.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.02)
    state = "still runs" if process.poll() is None else f"ended with {process.returncode}"
    raise Stuck(f"nobody greets at {address[0]}:{address[1]}: {process.args!r} {state}")
