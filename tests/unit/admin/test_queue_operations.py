from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailwye.admin import queue_operations
from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.queue.engine import QueueEngine
from mailwye.queue.item import DeliveryState
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.trace.event import EventKind
from mailwye.trace.memory import MemoryTrace
from tests.conformance.queue_samples import new_message


class Noon:
    """A clock that stands."""

    def now(self) -> float:
        return 5000.0

    def monotonic(self) -> float:
        return 5000.0


async def two_engines() -> list[QueueEngine]:
    """A queue of two messages and one of one with two recipients."""
    one, two = MemoryQueueEngine(), MemoryQueueEngine()
    await one.accept(new_message("A", "sun@example.org"))
    await one.accept(new_message("B", "moon@example.org", sender="bob@contoso.com"))
    await two.accept(new_message("C", "sun@example.org", "star@example.net", hops=("mx:example.org", "mx:example.net")))
    return [one, two]


async def run(operation: str, engines: list[QueueEngine], trace: MemoryTrace | None = None, **arguments: Any) -> dict[str, Any]:
    return await queue_operations.run(operation, arguments, engines, clock=Noon(), trace=trace)


def recipients(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["message"], row["recipient"]) for row in answer["rows"]]


async def test_list_is_one_list_of_all_engines() -> None:
    engines = await two_engines()
    assert recipients(await run("list", engines)) == [
        ("A", "sun@example.org"),
        ("B", "moon@example.org"),
        ("C", "sun@example.org"),
        ("C", "star@example.net"),
    ]
    assert recipients(await run("list", engines, recipient="*@example.net")) == [("C", "star@example.net")]
    assert recipients(await run("list", engines, sender="bob@contoso.com")) == [("B", "moon@example.org")]
    assert recipients(await run("list", engines, limit=1)) == [("A", "sun@example.org")]


async def test_rows_are_plain_values() -> None:
    row = (await run("list", await two_engines(), message_id="A"))["rows"][0]
    assert row["state"] == "queued"
    assert row["sender"] == "john@contoso.com"
    assert row["connector"] == "Own Servers"
    assert all(type(value) in (str, int, float) for value in row.values())


async def test_show_has_the_header_and_no_body() -> None:
    engines = await two_engines()
    shown = await run("show", engines, message_id="C")
    assert len(shown["rows"]) == 2
    assert shown["header"] == "Subject: test"
    assert await run("show", engines, message_id="Z") == {"rows": [], "header": ""}


@pytest.mark.parametrize(
    ("operation", "kind", "state"),
    [("hold", EventKind.HOLD, DeliveryState.HELD), ("retry", EventKind.RETRY, DeliveryState.QUEUED)],
)
async def test_changes_count_and_are_traced(operation: str, kind: EventKind, state: DeliveryState) -> None:
    engines, trace = await two_engines(), MemoryTrace()
    answer = await run(operation, engines, trace, recipient="sun@example.org")
    assert answer["count"] == 2
    listed = (await run("list", engines, recipient="sun@example.org"))["rows"]
    assert {row["state"] for row in listed} == {state.value}
    assert [(event.kind, event.message, event.recipient) for event in trace.recorded] == [
        (kind, "A", "sun@example.org"),
        (kind, "C", "sun@example.org"),
    ]


async def test_held_mail_is_released_and_only_held_mail() -> None:
    engines, trace = await two_engines(), MemoryTrace()
    assert (await run("release", engines, trace))["count"] == 0
    await run("hold", engines, message_id="B")
    assert (await run("release", engines, trace))["count"] == 1
    assert [(event.kind, event.message) for event in trace.recorded] == [(EventKind.RELEASE, "B")]


async def test_deleted_mail_is_gone_and_its_trace_says_so() -> None:
    engines, trace = await two_engines(), MemoryTrace()
    assert recipients(await run("delete", engines, trace, message_id="C")) == [("C", "sun@example.org"), ("C", "star@example.net")]
    assert recipients(await run("list", engines)) == [("A", "sun@example.org"), ("B", "moon@example.org")]
    assert {event.status for event in trace.recorded} == {"Deleted"}


async def test_counts_are_added_up() -> None:
    engines = await two_engines()
    await run("hold", engines, message_id="A")
    assert (await run("counts", engines))["counts"] == {
        "connector:Out": {"held": 1, "queued": 1},
        "mx:example.org": {"queued": 1},
        "mx:example.net": {"queued": 1},
    }


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
async def test_changes_go_page_by_page(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(queue_operations, "PAGE", page)
    engines = await two_engines()
    assert (await run("hold", engines, limit=1))["count"] == 2  # the oldest of each engine
    assert (await run("hold", engines))["count"] == 2
    assert (await run("release", engines, sender="john@contoso.com"))["count"] == 3
    answer = await run("delete", engines)
    assert (answer["count"], len(answer["rows"])) == (4, 4)
    assert (await run("delete", engines))["count"] == 0
    assert (await run("hold", engines, states=["held"]))["count"] == 0


async def test_a_long_change_answers_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again with its `after`, it goes on where it was, in each queue, and comes to an end; that of another worker is not its own."""
    monkeypatch.setattr(queue_operations, "PAGE", 1)
    monkeypatch.setattr(queue_operations, "TURN_SECONDS", -1.0)
    engines, count, answers = await two_engines(), 0, 0
    after: list[tuple[str, int]] = [("7/0", 99)]
    while True:
        answer = await run("retry", engines, after=after)
        count, answers, after = count + answer["count"], answers + 1, answer["after"]
        if not answer["unfinished"]:
            break
    assert (count, answers) == (4, 5)
    assert {name for name, _ in after} == {"/0", "/1"}


async def test_an_answer_names_a_bounded_number_of_what_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_operations, "ROWS_ANSWERED", 3)
    monkeypatch.setattr(queue_operations, "ROWS_TRACED", 1)
    engines, trace = await two_engines(), MemoryTrace()
    answer = await run("delete", engines, trace)
    assert answer["count"] == 4
    assert len(answer["rows"]) == 3
    assert len(trace.recorded) == 2  # one for each engine


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [("dance", {}), ("list", {"states": ["lost"]}), ("list", {"limit": "many"}), ("hold", {"states": ["x"]})],
)
async def test_nonsense_is_refused(operation: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says its own
        await run(operation, await two_engines(), **arguments)


def test_every_operation_is_named() -> None:
    check: Callable[[str], bool] = queue_operations.OPERATIONS.__contains__
    assert all(map(check, ("list", "show", "retry", "hold", "release", "delete", "counts")))


SITES = """
AcceptedDomain: {DomainName: contoso.com, Default: true}
MailUser: {PrimarySmtpAddress: john@contoso.com}
OutboundConnector:
  - {Name: Own, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: "192.0.2.1"}
"""


async def test_pin_and_follow() -> None:
    parsed = read_organization(SITES, "the test")
    assert parsed.value is not None, parsed.problems
    snapshot = compile_snapshot(parsed.value, 3)
    engine, trace = MemoryQueueEngine(), MemoryTrace()
    await engine.accept(new_message("A", "john@contoso.com", hop="connector:Own"))
    await engine.accept(new_message("B", "sun@example.org", hop="mx:example.org"))

    async def ask(operation: str, **arguments: Any) -> dict[str, Any]:
        return await queue_operations.run(operation, arguments, [engine], clock=Noon(), trace=trace, snapshot=snapshot)

    assert (await ask("pin", hops=["connector:Own"]))["count"] == 1
    assert (await ask("pin"))["count"] == 1, "the other one; the first is pinned already"
    first, second = (await ask("list"))["rows"]
    assert (first["pinned"], second["pinned"]) == ("connector:Own by 192.0.2.1, TlsSettings null", "mx")
    assert first["next_hop"].startswith("kept:")
    assert (await ask("pin"))["count"] == 0, "they are pinned to the very ways that they have"
    assert [event.message for event in trace.recorded if event.kind is EventKind.REROUTE] == ["A", "B"]
    assert (await ask("follow", recipient="john@contoso.com"))["count"] == 1
    rows = (await ask("list"))["rows"]
    assert [(row["pinned"], row["next_hop"]) for row in rows] == [("", "connector:Own"), ("mx", "mx:example.org")]


async def test_ways_need_the_settings() -> None:
    with pytest.raises(ValueError, match="queue pin needs the settings in force"):
        await run("pin", await two_engines())
