"""Postfix's test programs: smtp-source sends many messages, smtp-sink takes them and writes each into a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.counterparts.process import Process, program


class SmtpSink:
    """A server that takes everything. `options`: such as "-8" for one that does not offer 8BITMIME. It never offers SMTPUTF8."""

    def __init__(self, directory: Path, *, address: str, port: int, options: tuple[str, ...] = ()) -> None:
        self.address, self.port = address, port
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o777)
        self._command = [program("smtp-sink"), *options, "-u", "mail", "-d", "message.", f"{address}:{port}", "100"]
        self._process: Process | None = None

    def start(self) -> None:
        """Start it."""
        self._process = Process(self._command, directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    def messages(self) -> list[bytes]:
        """All that it took, each with the X- fields and the Received field that it puts before them; LF line ends."""
        return [path.read_bytes() for path in sorted(self.directory.glob("message.*"))]


def smtp_source(address: str, port: int, *, sender: str, recipient: str, messages: int, sessions: int, octets: int) -> None:
    """Send `messages` of `octets` octets in `sessions` parallel sessions. Fails when one of them is not taken."""
    subprocess.run(
        [
            *(program("smtp-source"), "-s", str(sessions), "-m", str(messages), "-l", str(octets), "-M", "source.example"),
            *("-f", sender, "-t", recipient, f"inet:{address}:{port}"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
