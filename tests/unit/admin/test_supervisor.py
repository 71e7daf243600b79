"""The supervisor over workers that are scripted, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from mailwye.admin.supervisor import RESTART_SECONDS, Supervisor
from mailwye.config.parse import read_organization
from mailwye.config.schema import Organization
from mailwye.config.versions.memory import MemoryConfigStore
from mailwye.runtime.channel import ChannelError, ChannelGone
from mailwye.testing.loop import VirtualLoop, run_virtual
from mailwye.testing.versions import save_whole

T = TypeVar("T")


class ScriptedWorker:
    """A worker that remembers what it was asked. `refuses`: operations that fail; `gone`: it does not answer any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.refuses: set[str] = set()
        self.gone = False
        self.hangs = False
        self.stopped_with: float | None = None
        self.in_force = 0
        self._prepared = 0
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def call(self, operation: str, **arguments: Any) -> Any:
        self.asked.append((operation, arguments))
        if self.gone:
            raise ChannelGone("gone")
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if operation in self.refuses:
            raise ChannelError(f"worker {self.number} refuses {operation}")
        match operation:
            case "prepare":
                self._prepared = arguments["version"]
            case "commit":
                self.in_force = self._prepared
            case "queue.list":
                return {"rows": [{"received_at": 10.0 - self.number, "message": f"M{self.number}"}]}
            case "queue.hold":
                return {"count": 1 + self.number, "rows": []}
            case "queue.counts":
                return {"counts": {"mailbox": {"queued": 2}, f"mx:{self.number}.example": {"held": 1}}}
        return None

    async def ended(self) -> str:
        return await asyncio.shield(self.end)

    async def stop(self, timeout: float) -> None:
        self.stopped_with = timeout


class Log:
    """Remembers events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, **_: Any) -> None:
        self.events.append(event)

    error = warning = info


class World:
    """`workers`: all that were ever started, by number; `fails`: how often the start of a number fails from now on."""

    def __init__(self, loop: VirtualLoop, count: int) -> None:
        self.loop = loop
        self.store = MemoryConfigStore()
        self.log = Log()
        self.workers: dict[int, list[ScriptedWorker]] = {}
        self.fails: dict[int, int] = {}
        self.supervisor = Supervisor(self._start, range(count), self.store, log=self.log)

    async def _start(self, number: int) -> ScriptedWorker:
        if self.fails.get(number, 0):
            self.fails[number] -= 1
            raise ChannelError(f"worker {number} cannot start")
        worker = ScriptedWorker(number)
        worker.in_force = self.store.version()
        self.workers.setdefault(number, []).append(worker)
        return worker

    def newest(self, number: int) -> ScriptedWorker:
        return self.workers[number][-1]

    def save(self) -> int:
        version = self.store.version()
        return save_whole(self.store, _organization(), expected_version=version, author="me", at=1.0)

    async def pass_time(self, seconds: float) -> None:
        future = self.loop.create_future()
        self.loop.call_later(seconds, future.set_result, None)
        await future
        for _ in range(20):
            await asyncio.sleep(0)


def _organization() -> Organization:
    value = read_organization("AcceptedDomain:\n  - {DomainName: contoso.com}\n", "test").value
    assert value is not None
    return value


def in_world(story: Callable[[World], Coroutine[Any, Any, T]], *, workers: int = 2, start: bool = True) -> T:
    async def main(loop: VirtualLoop) -> T:
        world = World(loop, workers)
        if start:
            await world.supervisor.start()
        result = await story(world)
        await world.supervisor.stop(1.0)
        return result

    return run_virtual(main)


def test_a_saved_version_is_loaded_by_all_before_any_switches() -> None:
    async def story(world: World) -> None:
        version = world.save()
        assert await world.supervisor.activate() == version
        for number in (0, 1):
            names = [name for name, _ in world.newest(number).asked]
            assert names == ["prepare", "commit"]
            assert world.newest(number).in_force == version
        assert world.supervisor.version == version

    in_world(story)


def test_one_worker_that_cannot_load_it_stops_the_switch_everywhere() -> None:
    async def story(world: World) -> None:
        world.newest(1).refuses.add("prepare")
        world.save()
        with pytest.raises(ChannelError, match="worker 1 refuses prepare"):
            await world.supervisor.activate()
        assert [world.newest(number).in_force for number in (0, 1)] == [0, 0]
        assert world.supervisor.version == 0

    in_world(story)


def test_a_version_that_nobody_announced_is_found() -> None:
    async def story(world: World) -> None:
        version = world.save()
        await world.pass_time(1.0)
        assert [world.newest(number).in_force for number in (0, 1)] == [version, version]

    in_world(story)


def test_a_version_that_cannot_be_loaded_is_said_once_and_tried_on() -> None:
    async def story(world: World) -> None:
        world.newest(0).refuses.add("prepare")
        version = world.save()
        await world.pass_time(10.0)
        assert len([event for event in world.log.events if "not activated" in event]) == 1
        world.newest(0).refuses.clear()
        await world.pass_time(1.0)
        assert world.supervisor.version == version

    in_world(story)


def test_a_worker_that_ends_is_started_again() -> None:
    async def story(world: World) -> None:
        world.newest(1).end.set_result("signal 9")
        await world.pass_time(0.0)
        assert world.supervisor.missing == [1]
        assert not (await world.supervisor.handle("status", {}))["ready"]
        await world.pass_time(RESTART_SECONDS[1] + 0.1)
        assert world.supervisor.is_ready
        assert len(world.workers[1]) == 2
        assert len(world.workers[0]) == 1
        status = await world.supervisor.handle("status", {})
        assert (status["restarts"], status["ready"]) == (1, True)

    in_world(story)


def test_the_pause_grows_while_a_worker_keeps_failing_and_the_others_serve() -> None:
    async def story(world: World) -> None:
        world.fails[1] = 3
        world.newest(1).end.set_result("exit code 70")
        await world.pass_time(sum(RESTART_SECONDS[1:4]) + 0.1)  # three tries, each later than the one before
        assert world.log.events.count("worker cannot be started") == 3
        assert (await world.supervisor.handle("queue.list", {}))["rows"] == [{"received_at": 10.0, "message": "M0"}]
        await world.pass_time(RESTART_SECONDS[4] + 0.1)
        assert world.supervisor.is_ready

    in_world(story)


def test_a_worker_that_is_gone_does_not_stop_a_switch() -> None:
    async def story(world: World) -> None:
        world.newest(1).gone = True
        version = world.save()
        assert await world.supervisor.activate() == version
        assert world.newest(0).in_force == version

    in_world(story)


def test_a_worker_that_hangs_is_an_error_not_a_wait_without_end() -> None:
    async def story(world: World) -> None:
        world.newest(0).hangs = True
        with pytest.raises(ChannelError, match="worker 0 did not answer"):
            await world.supervisor.handle("queue.list", {})

    in_world(story)


def test_answers_about_queues_are_put_together() -> None:
    async def story(world: World) -> None:
        listed = await world.supervisor.handle("queue.list", {"limit": 10})
        assert [row["message"] for row in listed["rows"]] == ["M1", "M0"]  # by time of arrival
        assert [row["message"] for row in (await world.supervisor.handle("queue.list", {"limit": 1}))["rows"]] == ["M1"]
        assert (await world.supervisor.handle("queue.hold", {"sender": "a@b.example"}))["count"] == 3
        assert world.newest(0).asked[-1] == ("queue.hold", {"sender": "a@b.example"})
        counts = (await world.supervisor.handle("queue.counts", {}))["counts"]
        assert counts == {"mailbox": {"queued": 4}, "mx:0.example": {"held": 1}, "mx:1.example": {"held": 1}}

    in_world(story)


def test_while_all_workers_are_gone_queues_are_told_of_all_the_same() -> None:
    async def story(world: World) -> None:
        for number in range(2):
            world.newest(number).gone = True
        told = [await world.supervisor.handle(f"queue.{one}", {"message_id": "M1"}) for one in ("list", "show", "counts", "hold")]
        changed = {"count": 0, "rows": [], "unfinished": False, "after": []}
        assert [{name: value for name, value in one.items() if name != "missing"} for one in told] == [
            {"rows": []},
            {"rows": [], "header": ""},
            {"counts": {}},
            changed,
        ]

    in_world(story)


def test_a_reload_reads_certificates_and_settings() -> None:
    async def story(world: World) -> None:
        version = world.save()
        assert (await world.supervisor.handle("reload", {}))["version"] == version
        assert [name for name, _ in world.newest(1).asked] == ["reload_tls", "prepare", "commit"]

    in_world(story)


def test_unknown_operations_are_refused() -> None:
    async def story(world: World) -> None:
        with pytest.raises(ValueError, match="no such operation: dance"):
            await world.supervisor.handle("dance", {})

    in_world(story)


def test_a_start_that_fails_is_raised_and_the_others_are_ended() -> None:
    async def story(world: World) -> None:
        world.fails[1] = 1
        with pytest.raises(ChannelError, match="worker 1 cannot start"):
            await world.supervisor.start()
        await world.supervisor.stop(0)
        assert world.newest(0).stopped_with == 0

    in_world(story, start=False)


def test_stopping_ends_every_worker_with_the_time_it_has() -> None:
    async def story(world: World) -> list[ScriptedWorker]:
        return [world.newest(0), world.newest(1)]

    assert [worker.stopped_with for worker in in_world(story)] == [1.0, 1.0]
