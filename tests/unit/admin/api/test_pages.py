"""Lists page by page: every row once, while rows come and go; cursors of others, or of another question, are refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailwye.queue.item import QueueQuery
from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
from mailwye.trace.event import EventKind, TraceEvent
from tests.conformance.queue_samples import new_message
from tests.unit.admin.api.office import Office

T0 = 1_789_999_000.0


def pages(office: Office, path: str, limit: int, between: Callable[[], Any] = lambda: None, **filters: str) -> list[dict[str, Any]]:
    """All items, asked for page by page. `between` is called after each page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = office.ask("GET", path, params={"limit": limit, **filters, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        assert 0 < len(answer.json()["items"]) <= limit
        if cursor is None:
            return found
        between()


async def fill(office: Office, *names: str, at: float = 1000.0) -> None:
    """Messages with two recipients, in the queues by turns."""
    for number, name in enumerate(names):
        message = replace(new_message(name, "sun@example.org", "moon@example.org"), received_at=at + number)
        await office.queues[number % 2].accept(message)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1000])
async def test_a_queue_page_by_page(office: Office, limit: int) -> None:
    await fill(office, "A", "B", "C")
    rows = [(row["message"], row["recipient"]) for row in pages(office, "/queue", limit)]
    assert rows == [(name, who) for name in "ABC" for who in ("sun@example.org", "moon@example.org")]


async def test_a_queue_page_by_page_where_the_clock_was_set_back(office: Office) -> None:
    await fill(office, "A", "B", at=5000.0)
    await fill(office, "C", "D", at=1000.0)
    for limit in range(1, 6):
        assert sorted(row["message"] for row in pages(office, "/queue", limit)) == [*"AABBCCDD"]


async def test_rows_that_come_and_go_between_pages(office: Office) -> None:
    await fill(office, *"ABCDEF")
    new = iter("GHI")

    async def change() -> None:
        for queue in office.queues:
            await queue.delete(QueueQuery(message_id="A"))  # told already
            await queue.delete(QueueQuery(message_id="F"))  # not yet
        for name in new:
            await fill(office, name, at=9000.0)
            break

    def between() -> None:
        asyncio.run(change())

    seen = [row["message"] for row in await in_thread(lambda: pages(office, "/queue", 2, between))]
    assert seen == [*"AABBCCDDEE", "G", "G", "H", "H", "I", "I"]


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def record(office: Office, *messages: tuple[str, float]) -> None:
    recorder = SqliteTraceRecorder(office.installation.data_directory / "trace", 0, free_space_minimum=0)
    for name, at in messages:
        for who in ("sun@example.org", "moon@example.org"):
            recorder.record(TraceEvent(at, EventKind.RECEIVE, f"s-{name}", name, "john@contoso.com", who, status="Pending"))
    await recorder.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_a_trace_page_by_page(office: Office, limit: int) -> None:
    """Two days, and three messages of one moment."""
    moments = [("A", T0), ("B", T0), ("C", T0), ("D", T0 - 86_400.0), ("E", T0 + 1)]
    await record(office, *moments)
    whole = pages(office, "/trace", 1000)
    assert [row["message"] for row in whole] == [*"EEAABBCCDD"]
    assert pages(office, "/trace", limit) == whole
    assert [row["message"] for row in pages(office, "/trace", limit, recipient="sun@example.org")] == [*"EABCD"]


async def test_messages_that_come_between_pages_of_the_trace_move_nothing(office: Office) -> None:
    await record(office, ("A", T0), ("B", T0 - 1))
    first = office.ask("GET", "/trace?limit=1").json()
    await record(office, ("C", T0 + 5))
    rest = office.ask("GET", "/trace", params={"cursor": first["next"]}).json()
    assert [row["message"] for row in first["items"] + rest["items"]] == [*"AABB"]
    assert rest["next"] is None


def test_versions_that_are_saved_between_pages_move_nothing(office: Office) -> None:
    def save() -> None:
        office.ask("PATCH", "/objects/organization", json={"Name": f"Contoso {office.store.version()}"}, headers={"If-Match": "*"})

    save()
    save()
    assert [row["version"] for row in pages(office, "/versions", 1, between=save)] == [3, 2, 1]
    assert office.store.version() == 5


async def test_a_cursor_that_is_none_of_ours_is_refused(office: Office) -> None:
    await fill(office, *"ABC")
    await record(office, ("A", T0), ("B", T0))
    office.ask("PATCH", "/objects/organization", json={"Name": "Contoso"}, headers={"If-Match": "*"})
    good = office.ask("GET", "/queue?limit=1").json()["next"]
    octets = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    forged = [octets[:12] + json.dumps({"0/0": 10**30}).encode(), octets[:-1] + b"9", octets[:11], b"", b"\xff" * 40]
    cursors = [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in forged]
    for path in ("/queue", "/trace", "/versions", "/audit", "/objects/mailboxes"):
        for cursor in (*(one for one in cursors if one), "!", "é", "MTA", good if path != "/queue" else "x"):
            answer = office.ask("GET", path, params={"cursor": cursor})
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), (path, cursor)
    narrower = office.ask("GET", "/queue", params={"cursor": good, "sender": "john@contoso.com"})
    assert narrower.status_code == 400
    assert office.ask("GET", "/queue", params={"cursor": good, "limit": 2}).status_code == 200
    assert office.ask("GET", "/queue", params={"cursor": "x" * 10_000}).status_code == 422
