"""What sessions met, and which reports are done, in transport.sqlite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mailwye.storage.sqlite.connection import DatabaseError
from mailwye.storage.sqlite.transport.file import TransportFile
from mailwye.transport.failures import FailureType
from mailwye.transport.policy_store import PolicyStoreError
from mailwye.transport.result_store import Counts, in_order
from mailwye.transport.tls_report import PolicyResults, PolicyType, ReportedPolicy, SessionResult

_COUNT = (
    "INSERT INTO results(day, domain, policy, failure, detail, count) SELECT ?1, ?2, ?3, ?4, ?5, ?6 "
    "WHERE ?4 = '' OR EXISTS (SELECT 1 FROM results WHERE day = ?1 AND domain = ?2 AND policy = ?3 AND failure = ?4 AND detail = ?5) "
    "OR (SELECT count(*) FROM results WHERE day = ?1 AND domain = ?2 AND failure != '') < ?7 "
    "ON CONFLICT DO UPDATE SET count = count + excluded.count"
)


class SqliteResultStore:
    """Implements transport.result_store.ResultStore. `failures_per_domain`: different ones that are kept for one day and domain."""

    def __init__(self, path: Path, *, failures_per_domain: int = 1_000) -> None:
        """:raises PolicyStoreError: see TransportFile."""
        self._limit = failures_per_domain
        try:
            self._file = TransportFile(path)
        except DatabaseError as error:
            raise PolicyStoreError(str(error)) from error

    def add(self, counts: Counts) -> None:
        """See ResultStore."""
        rows = [(day, result.policy.domain, *_packed(result), count, self._limit) for (day, result), count in counts.items()]
        with self._file.errors(PolicyStoreError) as db, db:
            db.executemany(_COUNT, rows)

    def days(self) -> Sequence[str]:
        """See ResultStore."""
        return self._texts("SELECT DISTINCT day FROM results ORDER BY day")

    def domains(self, day: str) -> Sequence[str]:
        """See ResultStore."""
        return self._texts("SELECT DISTINCT domain FROM results WHERE day = ? ORDER BY domain", day)

    def results(self, day: str, domain: str) -> Sequence[PolicyResults]:
        """See ResultStore."""
        with self._file.errors(PolicyStoreError) as db:
            rows: Any = db.execute(
                "SELECT policy, failure, detail, count FROM results WHERE day = ? AND domain = ? ORDER BY rowid", (day, domain)
            ).fetchall()
        return in_order([(_unpacked(domain, policy, failure, detail), count) for policy, failure, detail, count in rows])

    def is_done(self, day: str, domain: str, address: str) -> bool:
        """See ResultStore."""
        return bool(self._texts("SELECT day FROM reports WHERE day = ? AND domain = ? AND address = ?", day, domain, address))

    def mark_done(self, day: str, domain: str, address: str) -> None:
        """See ResultStore."""
        with self._file.errors(PolicyStoreError) as db, db:
            db.execute("INSERT OR IGNORE INTO reports(day, domain, address) VALUES(?, ?, ?)", (day, domain, address))

    def forget_before(self, day: str) -> None:
        """See ResultStore."""
        with self._file.errors(PolicyStoreError) as db, db:
            db.execute("DELETE FROM results WHERE day < ?", (day,))
            db.execute("DELETE FROM reports WHERE day < ?", (day,))

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _texts(self, statement: str, *values: str) -> list[str]:
        with self._file.errors(PolicyStoreError) as db:
            rows: Any = db.execute(statement, values).fetchall()
        return [row[0] for row in rows]


def _packed(result: SessionResult) -> tuple[str, str, str]:
    policy = json.dumps([result.policy.type.value, result.policy.strings, result.policy.mx])
    if result.failure is None:
        return policy, "", ""
    return policy, result.failure.value, json.dumps([result.mx, result.receiving_ip, result.sending_ip, result.reason])


def _unpacked(domain: str, policy: str, failure: str, detail: str) -> SessionResult:
    kind, strings, mx = json.loads(policy)
    reported = ReportedPolicy(domain, PolicyType(kind), tuple(strings), tuple(mx))
    return SessionResult(reported) if not failure else SessionResult(reported, FailureType(failure), *json.loads(detail))
