"""The audit of the queue and corrupt messages over the API."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from mailwye.access.roles import Role
from mailwye.admin.queue_operations import merged, nothing_of
from mailwye.queue.audit import Finding, FindingKind, QueueAudit, SpoolAudit, Tally, TraceAudit
from tests.unit.admin.api.office import Office

FOUND = Finding(FindingKind.LOST, "it is gone", "restore it", "m1", "bob@contoso.com")
AUDIT = QueueAudit((SpoolAudit("worker-0.sqlite", Tally(accepted=2, delivered=1), 1, 0, (FOUND,)),), TraceAudit(compared=2))


def test_an_audit_says_what_the_command_says(office: Office) -> None:
    asked: list[tuple[bool, bool, bool]] = []

    def audit(contents: bool, trace: bool, flush: Callable[[], bool]) -> QueueAudit:
        asked.append((contents, trace, flush()))
        return AUDIT

    office.audits = audit
    answer = office.ask("POST", "/queue/fsck", json={}).json()
    assert (answer["clean"], answer["spools"][0]["missing"], answer["trace"]["compared"]) == (False, 1, 2)
    assert answer["spools"][0]["findings"][0] | {"note": False} == {
        "kind": "lost",
        "note": False,
        "message": "m1",
        "recipient": "bob@contoso.com",
        "what": "it is gone",
        "remedy": "restore it",
    }
    office.ask("POST", "/queue/fsck", json={"fast": True, "trace": False})
    assert asked == [(True, True, True), (False, False, True)]
    assert ("flush", {}) in office.asked
    assert office.audit.entries(limit=1)[0].event.result == "not clean"
    assert office.ask("POST", "/queue/fsck", json={"fast": "perhaps"}).status_code == 422
    assert office.ask("POST", "/queue/fsck", json={}, role=Role.HELP_DESK).status_code == 403


def test_an_audit_that_fails_is_an_answer(office: Office) -> None:
    class Broken(Exception):
        pass

    def audit(contents: bool, trace: bool, flush: Callable[[], bool]) -> QueueAudit:
        raise Broken("worker-0.sqlite cannot be read")

    office.audits = audit
    assert office.ask("POST", "/queue/fsck", json={}).status_code == 500
    office.audits = lambda _contents, _trace, _flush: AUDIT
    assert office.ask("POST", "/queue/fsck", json={}).status_code == 200  # the place is free again


async def test_one_audit_at_a_time_and_others_are_answered_meanwhile(office: Office) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def audit(contents: bool, trace: bool, flush: Callable[[], bool]) -> QueueAudit:
        begun.set()
        may_end.wait(30)
        ended.set()
        return AUDIT

    office.audits = audit
    headers = {"Authorization": f"Bearer {office.token()}"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(office.app), base_url="http://x/api/v1", headers=headers) as client:
        first = asyncio.ensure_future(client.post("/queue/fsck", json={}))
        await asyncio.to_thread(begun.wait, 30)
        second = await client.post("/queue/fsck", json={})
        assert (second.status_code, second.headers["retry-after"]) == (503, "10")
        assert (await client.get("/me")).status_code == 200
        first.cancel()  # he goes away: the audit goes on, and keeps its place
        await asyncio.gather(first, return_exceptions=True)
        assert (await client.post("/queue/fsck", json={})).status_code == 503
        may_end.set()
        await asyncio.to_thread(ended.wait, 30)
        statuses = [(await client.post("/queue/fsck", json={})).status_code for _ in range(20)]  # the loop hears of the end in between
        assert statuses[-1] == 200


def test_corrupt_messages_are_listed_read_and_deleted(office: Office) -> None:
    office.contents = {"m1": b"Subject: x\r\n\r\n" + bytes(range(256)) * 8192, "m2": b"y", "m 3/\r\n": b"z"}
    first = office.ask("GET", "/queue/corrupt?limit=1").json()
    assert ([row["message"] for row in first["items"]], first["next"] is None) == (["m1"], False)
    content = office.ask("GET", "/queue/corrupt/m1")
    assert (content.content, content.headers["content-type"]) == (office.contents["m1"], "message/rfc822")
    assert content.headers["content-disposition"] == 'attachment; filename="m1.eml"'
    assert office.audit.entries(limit=1)[0].event.action == "content.read"
    odd = office.ask("GET", "/queue/corrupt/m%203%2F%0D%0A")
    assert (odd.content, odd.headers["content-disposition"]) == (b"z", 'attachment; filename="m_3___.eml"')
    assert office.ask("DELETE", "/queue/corrupt/m1").json() == {"count": 1, "missing": []}
    assert office.ask("GET", "/queue/corrupt/m1").status_code == 404
    assert office.ask("DELETE", "/queue/corrupt/m1").status_code == 404
    assert office.ask("DELETE", "/queue/corrupt").status_code == 422
    assert office.ask("DELETE", "/queue/corrupt?all=true").json()["count"] == 2
    assert office.audit.entries(limit=1)[0].event.target == "states=corrupt"
    asked = [arguments for operation, arguments in office.asked if operation == "queue.delete"]
    assert all(arguments["states"] == ["corrupt"] for arguments in asked)


@pytest.mark.parametrize("role", [Role.VIEW_ONLY, Role.HELP_DESK])
def test_content_is_for_who_may_read_it(office: Office, role: Role) -> None:
    office.contents = {"m1": b"x"}
    assert office.ask("GET", "/queue/corrupt", role=role).status_code == 200
    assert office.ask("GET", "/queue/corrupt/m1", role=role).status_code == 403
    assert office.ask("DELETE", "/queue/corrupt/m1", role=role).status_code == 403


def test_mail_that_is_whole_is_not_read_this_way(office: Office) -> None:
    """The content is there, but the message is not set aside."""
    office.services.export_content = lambda _message_id, file: int(file.write(b"private"))
    assert office.ask("GET", "/queue/corrupt/m1").status_code == 404
    assert office.audit.entries(action="content") == []


def test_what_may_be_with_a_worker_that_is_started_again_is_not_said_to_be_gone(office: Office) -> None:
    """All workers are: the answer of the supervisor is that of one that has nothing."""

    async def control(operation: str, arguments: dict[str, Any]) -> Any:
        return {**merged([nothing_of(operation.removeprefix("queue."))], arguments), "missing": [0]}

    office.services.control = control
    assert office.ask("GET", "/queue").json() == {"items": [], "next": None, "missing": [0]}
    assert office.ask("GET", "/queue/counts").json() == {"counts": {}, "missing": [0]}
    assert office.ask("POST", "/queue/hold", json={"all": True}).json() == {"count": 0, "missing": [0]}
    for method, path in (("GET", "/queue/m1"), ("GET", "/queue/corrupt/m1"), ("DELETE", "/queue/corrupt/m1")):
        answer = office.ask(method, path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
