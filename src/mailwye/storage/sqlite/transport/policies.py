"""MTA-STS policies in transport.sqlite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.storage.sqlite.transport.file import TransportFile
from mailwye.transport.mta_sts import CachedPolicy, PolicyError, parse_policy
from mailwye.transport.policy_store import PolicyStoreError

_GET = "SELECT domain, id, fetched_at, text FROM policies WHERE domain = ?"
_OLD = "SELECT domain, id, fetched_at, text FROM policies WHERE fetched_at < ? AND expires_at > ? ORDER BY fetched_at, domain LIMIT ?"
_PUT = "INSERT OR REPLACE INTO policies(domain, id, fetched_at, expires_at, text) VALUES(?, ?, ?, ?, ?)"
_TRIM = (
    "DELETE FROM policies WHERE domain IN (SELECT domain FROM policies ORDER BY expires_at, domain "
    "LIMIT max(0, (SELECT count(*) FROM policies) - ?))"
)


class SqlitePolicyStore:
    """Implements transport.policy_store.PolicyStore on `path`; at most `limit` policies. :raises PolicyStoreError: see TransportFile."""

    def __init__(self, path: Path, *, limit: int = 100_000) -> None:
        self._limit = limit
        try:
            self._file = TransportFile(path)
        except DatabaseError as error:
            raise PolicyStoreError(str(error)) from error

    def get(self, domain: str) -> CachedPolicy | None:
        """See PolicyStore."""
        with self._file.errors(PolicyStoreError) as db:
            row: Any = db.execute(_GET, (domain,)).fetchone()
        return None if row is None else _policy(row)

    def put(self, policy: CachedPolicy) -> None:
        """See PolicyStore."""
        row = (policy.domain, policy.id, policy.fetched_at, policy.expires_at, policy.text)
        with self._file.errors(PolicyStoreError) as db, db:
            db.execute(_PUT, row)
            db.execute(_TRIM, (self._limit,))

    def older_than(self, fetched_before: float, now: float, limit: int) -> Sequence[CachedPolicy]:
        """See PolicyStore."""
        with self._file.errors(PolicyStoreError) as db:
            rows: Any = db.execute(_OLD, (fetched_before, now, limit)).fetchall()
        return [policy for row in rows if (policy := _policy(row)) is not None]

    def close(self) -> None:
        """See PolicyStore."""
        self._file.close()


def _policy(row: tuple[str, str, float, str]) -> CachedPolicy | None:
    domain, identity, fetched_at, text = row
    try:
        return CachedPolicy(domain, identity, parse_policy(text.encode("utf-8")), fetched_at, text)
    except PolicyError:
        return None  # written by a Mailwye that read more than this one: it is fetched again
