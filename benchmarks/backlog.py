"""A queue full of messages that wait for a later time, made by the engine's own `accept`.

Usage: python -m benchmarks.backlog MAILWYE.TOML MESSAGES
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from benchmarks.organizations import BACKLOG_DOMAIN
from mailwye.config.installation.file import read_installation
from mailwye.message.content import InlineContent
from mailwye.message.envelope import Notify
from mailwye.queue.item import NewDelivery, NewMessage, Origin
from mailwye.smtp.address import Address
from mailwye.stores import open_queue

_BATCH = 2_000
_CONTENT = InlineContent(b"Subject: later\r\n\r\n" + (b"X" * 62 + b"\r\n") * 4)
_SENDER, _RECIPIENT = Address("sender", "example.net"), Address("later", BACKLOG_DOMAIN)
_LATER_SECONDS = 3_000
"""Below the longest retry delay (3,600 s): a queue due later than that counts as left by a wrong clock, and is tried at once."""


async def fill(config: Path, messages: int) -> None:
    """Accept them: 274 octets each, for one recipient by the same way as the load, due in 50 minutes. Raises QueueError."""
    parsed = read_installation(config)
    if parsed.value is None:
        raise SystemExit("\n".join(str(problem) for problem in parsed.problems))
    engine = open_queue(parsed.value, 0, print)
    now = time.time()
    try:
        for start in range(0, messages, _BATCH):
            await asyncio.gather(*(engine.accept(_message(number, now)) for number in range(start, min(start + _BATCH, messages))))
    finally:
        await engine.close()


def _message(number: int, now: float) -> NewMessage:
    delivery = NewDelivery(_RECIPIENT, _RECIPIENT, "connector:To the sink", Notify.FAILURE, "")
    origin = Origin("backlog", "connector", "Backlog", "", "127.0.0.1", "source.example.net", "mx")
    return NewMessage(
        id=f"backlog{number:017}",
        received_at=now,
        sender=_SENDER,
        deliveries=(delivery,),
        content=_CONTENT,
        origin=origin,
        config_version=1,
        first_attempt_at=now + _LATER_SECONDS,
    )


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))
