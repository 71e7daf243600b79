"""OpenSSL's own server as an SMTP server that staples whatever it is told to. (Exim's GnuTLS staples nothing that is revoked or old.)

`openssl s_server` knows no STARTTLS: what comes before the handshake is said here, and what is said inside of TLS goes through its pipes.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from mailwye.testing.authority import KeyPair
from tests.counterparts.process import accepts_connections, free_port, program, wait_until

ANSWERS = {b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"DATA": b"354 go", b"QUIT": b"221 bye", b"EHLO": b"250 stapler"}


class Stapler:
    """Listens on `address`:`port`, one connection after the other. `messages`: how many it took."""

    def __init__(self, address: str, port: int, pair: KeyPair, staple: Path) -> None:
        self.messages = 0
        self._behind = (address, free_port(address))
        self._options = ["-accept", f"{address}:{self._behind[1]}", "-cert_chain", str(pair.certificate), "-status_file", str(staple)]
        self._options += ["-cert", str(pair.certificate), "-key", str(pair.private_key), "-quiet", "-naccept", "1000"]
        self._listening = socket.create_server((address, port))
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._accept, self._answer)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to accept."""
        self._process = subprocess.Popen(
            [program("openssl"), "s_server", *self._options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: accepts_connections(*self._behind), "openssl s_server accepting")
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            for thread in self._threads:
                thread.join(10)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # stopped
                return
            with client, suppress(OSError), client.makefile("rb") as lines:
                client.settimeout(20)
                for reply in (b"220 stapler", b"250-stapler\r\n250 STARTTLS", b"220 go"):
                    client.sendall(reply + b"\r\n")
                    if not reply.endswith(b"go") and not lines.readline():
                        break
                else:
                    self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        with socket.create_connection(self._behind, timeout=20) as behind:
            other = threading.Thread(target=_carry, args=(client, behind), daemon=True)
            other.start()
            _carry(behind, client)
            other.join()

    def _answer(self) -> None:
        """The SMTP inside of TLS: s_server prints what the client says, and sends what it reads."""
        assert self._process is not None
        said, told = self._process.stdout, self._process.stdin
        assert said is not None
        assert told is not None
        with suppress(OSError, ValueError):
            for line in said:
                if (answer := ANSWERS.get(line[:4].upper())) is not None:
                    _tell(told, answer)
                    if answer.startswith(b"354"):
                        self.messages += self._take(said)
                        _tell(told, b"250 taken")

    def _take(self, said: IO[bytes]) -> int:
        for line in said:
            if line == b".\r\n":
                return 1
        return 0


def _tell(pipe: IO[bytes], answer: bytes) -> None:
    pipe.write(answer + b"\r\n")
    pipe.flush()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
