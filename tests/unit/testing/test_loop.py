"""Virtual time, and machines whose power is cut between any two callbacks."""

from __future__ import annotations

import asyncio

import pytest

from mailwye.testing.loop import Power, SimulationDeadlock, VirtualClock, VirtualLoop, run_virtual


def test_a_day_passes_at_once() -> None:
    async def main(loop: VirtualLoop) -> float:
        await loop.pass_time(86_400)
        return loop.time()

    assert run_virtual(main) == pytest.approx(86_400)


def test_waiting_for_what_cannot_come_is_a_deadlock() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(SimulationDeadlock):
        run_virtual(main)


def test_a_clock_jumps_alone() -> None:
    async def main(loop: VirtualLoop) -> tuple[float, float]:
        clock = VirtualClock(loop, epoch=100.0)
        clock.jump(50.0)
        await loop.pass_time(1)
        return clock.now(), clock.monotonic()

    assert run_virtual(main) == (151.0, 1.0)


def test_nothing_runs_without_power_not_even_what_was_under_way() -> None:
    done: list[str] = []

    async def machine(loop: VirtualLoop) -> None:
        try:
            for number in range(10):
                await loop.pass_time(1)
                done.append(f"step {number}")
        finally:
            done.append("cleaned up")

    async def main(loop: VirtualLoop) -> list[str]:
        cuts: list[float] = []
        power = Power(lambda: cuts.append(loop.time()))
        task = loop.create_task(machine(loop), context=power.context())
        loop.call_later(2, done.append, "timer", context=power.context())
        loop.call_later(3.5, power.cut)
        loop.call_later(4, done.append, "timer without power", context=power.context())
        await loop.pass_time(20)
        power.cut()
        assert cuts == [3.5]
        assert not task.done()
        return list(done)

    assert run_virtual(main) == ["step 0", "timer", "step 1", "step 2"]
    assert "cleaned up" in done, "at the end of the world its tasks are ended"


@pytest.mark.parametrize("cut_at", range(1, 6))
def test_the_power_can_be_cut_before_any_step(cut_at: int) -> None:
    async def main(loop: VirtualLoop) -> int:
        power = Power(lambda: None, cut_at=cut_at)
        done: list[int] = []

        async def machine() -> None:
            for number in range(10):
                done.append(number)
                await asyncio.sleep(0)

        loop.create_task(machine(), context=power.context())
        await loop.pass_time(1)
        return len(done)

    assert run_virtual(main) == cut_at - 1


def test_what_callbacks_raise_is_noted() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        loop.call_soon(lambda: 1 / 0)
        await loop.pass_time(1)
        return loop.faults

    (fault,) = run_virtual(main)
    assert "ZeroDivisionError" in fault
