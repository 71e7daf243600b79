"""Watches every 250 to content as it is written, and asks what a power cut at that moment would be certain to leave (D1)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import apsw

from mailwye.testing.gateway import Gateway

_QUEUED = re.compile(rb"^250 2\.0\.0 Ok: queued as (\S+)\r\n", re.MULTILINE)


class AcknowledgementWatch:
    """Begins with its making. `seen`: the queue ids that were acknowledged. `early`: those that were not durable when they were."""

    def __init__(self, gateway: Gateway, directory: Path) -> None:
        self._gateway = gateway
        self._directory = directory
        self.seen: list[str] = []
        self.early: list[str] = []
        gateway.wire.taps.append(self._written)

    def _written(self, address: str, octets: bytes) -> None:
        if address != self._gateway.settings.address:
            return
        for found in _QUEUED.finditer(octets):
            queue_id = found[1].decode()
            self.seen.append(queue_id)
            if not self._is_durable(queue_id):
                self.early.append(queue_id)

    def _is_durable(self, queue_id: str) -> bool:
        """Whether the message with all its deliveries is in the image of the last syncs: read as after a cut, by SQLite itself."""
        image = self._directory / f"image-{len(self.seen)}"
        self._gateway.disk.copy_durable(image)
        connection = apsw.Connection(str(image / "worker-0.sqlite"))
        try:
            row = connection.execute("SELECT count(*) FROM message WHERE id = ?", (queue_id,)).fetchone()
            return row == (1,)
        except apsw.SQLError:  # not even its tables are durable
            return False
        finally:
            connection.close()
            shutil.rmtree(image)
