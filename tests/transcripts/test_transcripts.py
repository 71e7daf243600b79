"""Every `*.smtp` file against the protocol machine, and against a listening server that is only a machine behind a socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailwye.smtp.reply import Reply
from mailwye.smtp.server import ServerConfig
from tests.transcripts.dialogue import MachinePeer, SocketPeer, Transcript, matches, read, run
from tests.unit.smtp.driver import Driver

FILES = sorted(Path(__file__).parent.glob("*.smtp"))


def configured(transcript: Transcript) -> ServerConfig:
    return ServerConfig("mx.test", **transcript.needs)  # type: ignore[arg-type]  # a wrong field or type fails the test at once


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript_on_the_machine(path: Path) -> None:
    transcript = read(path)
    run(transcript, MachinePeer(configured(transcript)))


@pytest.mark.parametrize("path", [path for path in FILES if not path.stem.startswith("sync")], ids=lambda path: path.stem)
def test_transcript_octet_by_octet(path: Path) -> None:
    """Where no synchronization point is tested, the network's cuts must not matter."""
    transcript = read(path)
    run(transcript, MachinePeer(configured(transcript), width=1))


@contextmanager
def listening(config: ServerConfig) -> Iterator[int]:
    """One connection's server on a free port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            driver = Driver(config)
            driver.connection.greet()
            driver.pump()
            while True:
                connection.sendall(driver.sent)
                driver.sent = b""
                if driver.ended or not (data := connection.recv(65_536)):
                    return
                driver.connection.receive_data(data, 0.0)
                driver.pump()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def _needs_more(path: Path) -> bool:
    """True for what this small server cannot do: TLS, and waiting."""
    return any(step.kind in {"TLS", "SILENCE"} for step in read(path).steps)


@pytest.mark.parametrize("path", [path for path in FILES if not _needs_more(path)], ids=lambda path: path.stem)
def test_transcript_over_a_socket(path: Path) -> None:
    transcript = read(path)
    with listening(configured(transcript)) as port:
        peer = SocketPeer("127.0.0.1", port)
        try:
            run(transcript, peer)
        finally:
            peer.close()


def test_a_transcript_that_is_not_kept_fails_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "wrong.smtp"
    path.write_text("S: 220\nC: NOOP\nS: 251\n")
    with pytest.raises(AssertionError, match=r"wrong\.smtp:3.*250 2\.0\.0 Ok"):
        run(read(path), MachinePeer(ServerConfig("mx.test")))
    path.write_text("X: what\n")
    with pytest.raises(ValueError, match=r"wrong\.smtp:1"):
        read(path)


def test_matches() -> None:
    reply = Reply(250, "2.1.0", "a\nOk so")
    assert [matches(reply, text) for text in ("250", "250 2.1.0", "250 2.1.0 Ok*", "250 2.1", "25", "550")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
