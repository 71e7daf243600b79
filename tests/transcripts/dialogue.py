"""Reads `*.smtp` files and plays them to a server: README.md tells the format."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from mailwye.smtp.reply import Reply, ReplyParser
from mailwye.smtp.server import ServerConfig
from tests.unit.smtp.driver import Driver


@dataclass(frozen=True, slots=True)
class Step:
    """One line: what it does, with what, and where it stands."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole file. `needs`: the fields of ServerConfig that it sets."""

    path: Path
    needs: dict[str, str | int | bool]
    steps: tuple[Step, ...]


class Peer(Protocol):
    """The server's side of a dialogue."""

    def send(self, data: bytes) -> None:
        """Octets of the client."""

    def receive(self) -> Reply | None:
        """The next reply; None when the server is silent or gone."""

    def start_tls(self) -> None:
        """Begin TLS."""

    def wait(self, seconds: float) -> bool:
        """Let time pass; False where that cannot be done."""

    def is_closed(self) -> bool:
        """True when the server closed."""


def read(path: Path) -> Transcript:
    """:raises ValueError: a line that is none, with its place."""
    needs: dict[str, str | int | bool] = {}
    steps: list[Step] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        kind, _, text = line.partition(" ")
        if not line.strip() or kind == "#":
            continue
        if kind == "@":
            name, _, value = (part.strip() for part in text.partition("="))
            needs[name] = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
        elif kind in {"C:", "C+", "C=", "S:", "S?", "TLS", "WAIT", "SILENCE", "END"}:
            steps.append(Step(kind, text, number))
        else:
            raise ValueError(f"{path.name}:{number}: not a line of a transcript: {line}")
    return Transcript(path, needs, tuple(steps))


def run(transcript: Transcript, peer: Peer) -> None:
    """Play it. :raises AssertionError: naming file and line where the server says something else."""
    reply: Reply | None = None
    segment = b""
    for step in transcript.steps:
        place = f"{transcript.path.name}:{step.line}: {step.kind} {step.text}"
        match step.kind:
            case "C+":
                segment += step.text.encode() + b"\r\n"
            case "C:":
                peer.send(segment + step.text.encode() + b"\r\n")
                segment = b""
            case "C=":
                peer.send(segment + step.text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1"))
                segment = b""
            case "S:":
                reply = peer.receive()
                assert reply is not None, f"{place}: the server is silent"
                assert matches(reply, step.text), f"{place}: the server says {reply}"
            case "S?":
                assert reply is not None, f"{place}: no reply came before"
                assert any(line.startswith(step.text) for line in reply.text.split("\n")), f"{place}: {reply}"
            case "TLS":
                peer.start_tls()
            case "WAIT":
                if not peer.wait(float(step.text)):
                    return
            case "SILENCE":
                assert (said := peer.receive()) is None, f"{place}: the server says {said}"
            case _:
                assert peer.is_closed(), f"{place}: the connection is open"


def matches(reply: Reply, expected: str) -> bool:
    """`250`, `250 2.1.0`, `250 2.1.0 Ok*` against a reply."""
    last = f"{reply.code} {reply.enhanced} {reply.text.split(chr(10))[-1]}".replace("  ", " ")
    return last == expected or last.startswith(f"{expected} ") or fnmatchcase(last, expected)


@dataclass(slots=True)
class MachinePeer:
    """The protocol machine with the policy of `Driver`. `width`: octets given to it at once, 0 for all."""

    config: ServerConfig
    width: int = 0
    driver: Driver = field(init=False)
    _replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.driver = Driver(self.config).greet()

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), self.width or len(data)):
            self.driver.connection.receive_data(data[start : start + (self.width or len(data))], self.driver.now)
            self.driver.pump()

    def receive(self) -> Reply | None:
        self._replies += self.driver.replies()
        return self._replies.pop(0) if self._replies else None

    def start_tls(self) -> None:
        self.driver.connection.tls_started(self.driver.now)

    def wait(self, seconds: float) -> bool:
        self.driver.now += seconds
        self.driver.connection.handle_deadline(self.driver.now)
        self.driver.pump()
        return True

    def is_closed(self) -> bool:
        return bool(self.driver.ended)


class SocketPeer:
    """A server that listens at `host` and `port`. `patience`: seconds after which it counts as silent."""

    def __init__(self, host: str, port: int, *, patience: float = 5.0) -> None:
        self._socket = socket.create_connection((host, port), timeout=patience)
        self._replies = ReplyParser()
        self._closed = False

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> Reply | None:
        while (reply := self._replies.next_reply()) is None:
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                return None
            except ConnectionError:
                data = b""
            if not data:
                self._closed = True
                return None
            self._replies.receive_data(data)
        return reply

    def start_tls(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def wait(self, seconds: float) -> bool:
        return False

    def is_closed(self) -> bool:
        return self._closed or (self.receive() is None and self._closed)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
