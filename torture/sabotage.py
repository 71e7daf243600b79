"""The service broken on purpose, to prove that the audits can fail: MAILWYE_SABOTAGE names what breaks.

`early`: 250 before the commit. `unsynced`: commits without fsync (SQLite's synchronous=NORMAL). `forgetful`: deliveries are settled when
they are leased, before the next hop took them. `lying`: a failed commit is reported as a good one. Run as `python -m torture.sabotage
serve --config FILE`; other commands work too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import apsw

from mailwye.__main__ import main
from mailwye.queue.item import Lease, NewMessage, Receipt, Result, Settlement
from mailwye.storage.sqlite.committer import Committer
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine

EARLY_SECONDS = 0.05  # commits are so fast that a few kills would miss the gap that they leave
_PROMISES: set[asyncio.Future[Receipt]] = set()


def _early() -> None:
    accept = SqliteQueueEngine.accept

    def accept_early(self: SqliteQueueEngine, message: NewMessage) -> asyncio.Future[Receipt]:
        def accept_now() -> None:
            later = accept(self, message)
            _PROMISES.add(later)
            later.add_done_callback(_PROMISES.discard)

        asyncio.get_running_loop().call_later(EARLY_SECONDS, accept_now)
        now: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        now.set_result(Receipt(message.id))
        return now

    SqliteQueueEngine.accept = accept_early  # type: ignore[method-assign]  # that is what sabotage is


def _unsynced() -> None:
    connect = SqliteQueueEngine._connect

    def connect_unsynced(self: SqliteQueueEngine) -> apsw.Connection:
        connection = connect(self)
        connection.pragma("synchronous", "NORMAL")
        return connection

    SqliteQueueEngine._connect = connect_unsynced  # type: ignore[method-assign]  # that is what sabotage is


def _forgetful() -> None:
    lease = SqliteQueueEngine.lease

    def lease_and_forget(self: SqliteQueueEngine, *arguments: Any, **options: Any) -> asyncio.Future[Sequence[Lease]]:
        future = lease(self, *arguments, **options)

        def forget(done: asyncio.Future[Sequence[Lease]]) -> None:
            for one in done.result():
                self.settle(one, [Settlement(delivery.id, Result.DELIVERED) for delivery in one.deliveries])

        if future.done():
            forget(future)
        else:
            future.add_done_callback(forget)
        return future

    SqliteQueueEngine.lease = lease_and_forget  # type: ignore[method-assign]  # that is what sabotage is


def _lying() -> None:
    finished = Committer._finished

    def finished_well(self: Committer, error: Exception | None) -> None:
        finished(self, None if isinstance(error, apsw.IOError) else error)

    Committer._finished = finished_well  # type: ignore[method-assign]  # that is what sabotage is


SABOTAGES = {"early": _early, "unsynced": _unsynced, "forgetful": _forgetful, "lying": _lying}

if __name__ == "__main__":
    SABOTAGES[os.environ["MAILWYE_SABOTAGE"]]()
    main()
