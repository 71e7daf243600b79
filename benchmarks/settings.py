"""What settings cost as they grow: loading, checking, saving one object, until it is in force in the workers of a running service.

Each figure is the median of several rounds, on the clock and of the CPU (of the measuring process or the command; not of the service).
Usage: python benchmarks/settings.py [--domains 100000] [--connectors 10000] [--write]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/settings.py`

from benchmarks.organizations import save
from benchmarks.report import surroundings, write
from mailwye.config.compile import KeptTables, compile_snapshot
from mailwye.config.installation.file import read_installation
from mailwye.config.plan import Plan, plan_changes
from mailwye.config.schema import AcceptedDomain, ConfigObject
from mailwye.config.store import ConfigStore, StoredVersion
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.runtime.channel import call
from mailwye.stores import open_config_store

ROUNDS = 5
START_SECONDS = 120.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, and of the CPU: of this process and of those that it started and that have ended."""

    clock: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.clock + other.clock, self.cpu + other.cpu)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: a cost, or octets."""

    what: str
    value: Cost | int

    def __str__(self) -> str:
        if isinstance(self.value, Cost):
            return f"| {self.what} | {self.value.clock:,.3f} s | {self.value.cpu:,.3f} s |"
        return f"| {self.what} | {self.value:,} octets | |"


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], _T]) -> tuple[Cost, _T]:
    """(cost, what it returned)."""
    began, used = time.perf_counter(), _cpu()
    result = work()
    return Cost(time.perf_counter() - began, _cpu() - used), result


def median(work: Callable[[], Any]) -> Cost:
    """Of ROUNDS, each by itself."""
    costs = [timed(work)[0] for _ in range(ROUNDS)]
    return Cost(statistics.median(one.clock for one in costs), statistics.median(one.cpu for one in costs))


class Editor:
    """Changes one object at a time, as the API does: planned on the current version, checked, saved."""

    def __init__(self, store: ConfigStore) -> None:
        self.store = store
        self._number = 0
        self._known = KeptTables()

    def edit(self, current: StoredVersion, kind: str) -> ChangeSet:
        """Another object of the kind each time."""
        self._number += 1
        if kind == "AcceptedDomain":
            new: ConfigObject = AcceptedDomain.of({"DomainName": f"new{self._number}.example"})
            return ChangeSet.of([ObjectChange(kind, new.identity, None, new)])
        before = current.organization.outbound_connectors[self._number]
        return ChangeSet.of([ObjectChange(kind, before.identity, before, before.changed(comment=f"edit {self._number}"))])

    def plan(self, kind: str) -> Plan:
        """One change, checked."""
        current = self.store.current()
        return plan_changes(current, self.edit(current, kind), known=self._known)

    def save(self, kind: str) -> int:
        """One change, checked and saved."""
        return self.plan(kind).save(self.store, author="benchmark", at=time.time())


def in_one_process(config: Path) -> list[Row]:
    """A process that keeps its store open: the control process, the API."""
    installation = read_installation(config).value
    assert installation is not None
    size = (installation.data_directory / "config.sqlite").stat().st_size
    opened, store = timed(lambda: open_config_store(installation))
    loaded, current = timed(store.current)
    compiled, snapshot = timed(lambda: compile_snapshot(current.organization, 1))
    editor = Editor(store)
    rows = [Row("open the store and load the current version", opened + loaded), Row("build all look-up tables", compiled)]
    first, _ = timed(lambda: editor.plan("AcceptedDomain"))
    rows.append(Row("plan and check a change, the first in a process", first))
    for kind in ("AcceptedDomain", "OutboundConnector"):
        rows.append(Row(f"plan and check a change of one {kind}", median(lambda kind=kind: editor.plan(kind))))  # type: ignore[misc]  # bound now
        rows.append(Row(f"plan, check and save one {kind}", median(lambda kind=kind: editor.save(kind))))  # type: ignore[misc]  # bound now
    version = editor.save("OutboundConnector")
    plan, new = store.load(version), None
    again, new = timed(lambda: compile_snapshot(plan.organization, version, previous=(current.organization, snapshot)))
    assert new.version == version
    rows.append(Row("build the look-up tables that one changed connector needs", again))
    store.close()  # the write-ahead log goes into the file
    grown = (installation.data_directory / "config.sqlite").stat().st_size - size
    return [*rows, Row("file: the first version", size), Row(f"file: {version - 1} further versions", grown)]


def command(config: Path, *words: str) -> None:
    """One command line, in its own process."""
    subprocess.run([sys.executable, "-m", "mailwye", *words, "--config", str(config)], check=True, stdout=subprocess.DEVNULL)


def by_commands(config: Path) -> list[Row]:
    """A process for each save, no service running."""
    rows = []
    file = config.with_name("one.yaml")
    numbers = count()

    def apply() -> None:
        file.write_text(f"AcceptedDomain: {{DomainName: command{next(numbers)}.example}}\n")
        command(config, "apply", "-f", str(file))

    rows.append(Row("`mailwye apply` of one AcceptedDomain, the whole command", median(apply)))
    rows.append(Row("`mailwye config log`, the whole command", median(lambda: command(config, "config", "log"))))
    return rows


def in_force(config: Path, workers: int) -> list[Row]:
    """From the begin of a save until the service says that all its workers use it."""
    installation = read_installation(config).value
    assert installation is not None
    control = str(installation.data_directory / "run" / "control.sock")
    service = subprocess.Popen(
        [sys.executable, "-m", "mailwye", "serve", "--config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        started, _ = timed(lambda: _until_ready(control))
        store = open_config_store(installation)
        editor = Editor(store)
        editor.plan("AcceptedDomain")
        rows = [Row(f"start of the service with {workers} workers", started)]
        for kind in ("AcceptedDomain", "OutboundConnector"):

            def flip(plan: Plan) -> None:
                version = plan.save(store, author="benchmark", at=time.time())
                assert call(control, "activate")["version"] >= version

            costs = [timed(partial(flip, editor.plan(kind)))[0] for _ in range(ROUNDS)]
            middle = Cost(statistics.median(one.clock for one in costs), statistics.median(one.cpu for one in costs))
            rows.append(Row(f"from the save of a checked {kind} until it is in force in {workers} workers", middle))
        store.close()
    finally:
        service.terminate()
        service.wait()
    return rows


def _until_ready(control: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if call(control, "status")["ready"]:
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def main() -> None:
    """Measure, print the table, with --write into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=100_000)
    parser.add_argument("--connectors", type=int, default=10_000, help="each way")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mailwye.toml"
        listener = '[[listener]]\nname = "mx"\nkind = "mx"\naddress = "127.0.0.1"\nport = 0\n'
        config.write_text(f'hostname = "mx.example"\ndata_directory = "data"\nworkers = {options.workers}\n{listener}')
        saved, _ = timed(lambda: save(config, options.domains, options.connectors))
        rows = [Row("make the organization and save it as the first version", saved)]
        rows += in_one_process(config) + by_commands(config) + in_force(config, options.workers)
    crowded = os.getloadavg()[1] > (os.cpu_count() or 1) + 1
    warning = "**Others used the machine**: do not quote the clock, only the CPU.  \n" if crowded else ""
    size = f"{options.domains:,} accepted domains, {options.connectors:,} connectors each way"
    head = f"{size}. Medians of {ROUNDS}.  \n{warning}" + "  \n".join(surroundings())
    text = f"{head}\n\n| what | clock | CPU |\n|---|--:|--:|\n" + "".join(f"{row}\n" for row in rows)
    print(text)
    if options.write:
        write("settings", text)


if __name__ == "__main__":
    main()
