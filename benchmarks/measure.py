"""What a system of processes costs: CPU, memory, syncs; and whether others use the machine meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a family of processes, with that of its ended children."""
    return sum(sum(int(field) for field in fields[11:15]) for fields in map(_stat, family(pid)) if fields) / TICKS


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def proportional_megabytes(pids: Sequence[int]) -> float:
    """Memory of processes now: a page that n processes share counts 1/n for each (Pss), so a program's code counts once."""
    kilobytes = 0
    for member in pids:
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


class MemoryWatch:
    """The highest memory of what `pid` started, while the block runs, looked at every 0.2 s. It takes CPU: not for timed runs.

    `pid` is the program that watches the system, so it does not count itself.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_megabytes = 0.0

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.peak_megabytes = max(self.peak_megabytes, proportional_megabytes(family(self._pid)[1:]))
            if self._ended.wait(0.2):
                return


@dataclass(frozen=True, slots=True)
class Machine:
    """How busy the machine is with others' work: shares of all its cores."""

    busy: float
    stolen: float

    @property
    def quiet(self) -> bool:
        """Whether figures taken now can be trusted."""
        return self.busy < 0.08 and self.stolen < 0.02


def others_now(seconds: float = 0.5) -> Machine:
    """Look for `seconds` while nothing of the benchmark runs. (A load average would remember the run before.)"""
    before = _cpu_line()
    time.sleep(seconds)
    spent = [now - then for now, then in zip(_cpu_line(), before, strict=True)]
    total = max(1, sum(spent[:8]))
    return Machine(busy=(total - spent[3] - spent[4]) / total, stolen=spent[7] / total)


def _cpu_line() -> list[int]:
    """User, nice, system, idle, iowait, irq, softirq, steal, … in ticks."""
    return [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
