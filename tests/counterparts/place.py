"""Where the counterparts live: a loopback range of their own, and a folder that every one of their users may enter."""

from __future__ import annotations

import random
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """`prefix`: 127.A.B. Who lives where is fixed by the properties, so that every process can be told before it runs."""

    directory: Path
    prefix: str

    def address(self, host: int) -> str:
        """One address of the range."""
        return f"{self.prefix}.{host}"

    @property
    def service(self) -> str:
        """Mailwye."""
        return self.address(2)

    @property
    def second_service(self) -> str:
        """The Mailwye that delivers by LMTP."""
        return self.address(3)

    @property
    def own(self) -> str:
        """Postfix: John's server."""
        return self.address(10)

    @property
    def sales(self) -> str:
        """Exim: the second own server, known by this address."""
        return self.address(11)

    @property
    def sun(self) -> str:
        """Sun's server on the Internet."""
        return self.address(20)

    @property
    def bobs_computer(self) -> str:
        """Where Bob writes."""
        return self.address(30)

    @property
    def dns(self) -> str:
        """NSD and Unbound."""
        return self.address(53)

    @property
    def stranger(self) -> str:
        """Somebody."""
        return self.address(66)


def make_place() -> Place:
    """A new one; `remove_place` ends it. Not below pytest's own folder, which only its user may enter."""
    rng = random.SystemRandom()
    while True:
        prefix = f"127.{rng.randrange(16, 250)}.{rng.randrange(1, 250)}"
        try:
            with socket.socket() as probe:  # a range in which another run has a fixed neighbour is improbable, not impossible
                probe.bind((f"{prefix}.250", 2525))
        except OSError:
            continue
        directory = Path(tempfile.mkdtemp(prefix="mailwye-integration-"))
        directory.chmod(0o755)
        return Place(directory, prefix)


def remove_place(place: Place) -> None:
    """Delete its folder."""
    shutil.rmtree(place.directory, ignore_errors=True)
