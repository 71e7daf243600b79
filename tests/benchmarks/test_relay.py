"""The benchmark works, with both systems, and counts what it says it counts. No timing is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.image import only_one
from benchmarks.load import SINK, Load, Sink, Stuck, refuse_if_taken, send
from benchmarks.runs import timed_run, verify
from benchmarks.systems import Nothing
from tests.counterparts.process import REPOSITORY, missing, need_root, program

pytestmark = [pytest.mark.xdist_group("benchmarks"), pytest.mark.timeout(180)]  # fixed ports


@pytest.fixture(autouse=True)
def tools() -> None:
    for name in ("smtp-source", "smtp-sink", "postfix", "strace"):
        program(name)
    need_root()
    try:
        with only_one():
            refuse_if_taken(SINK)
    except SystemExit as taken:
        missing(str(taken))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where Postfix's users may go, as they may not into pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def relay(folder: Path, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    command = [sys.executable, "benchmarks/relay.py", *arguments, "--quick", "--runs", "1", "--json", "--where", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return answer


def test_both_systems_relay_every_message_and_pay_for_it(folder: Path) -> None:
    rows = {row["system"]: row for row in relay(folder, "kept", "--messages", "2000")["kept"]}
    assert list(rows) == ["nothing between", "Postfix", "Mailwye"]
    for row in rows.values():
        figures = {name: value["median"] for name, value in row["figures"].items()}
        assert row["messages"] == 100
        assert 0 < figures["delivered_per_second"] <= figures["accepted_per_second"] < 1e6
        assert figures["cpu_seconds_per_1000"] > 0
    assert rows["nothing between"]["counted"] is None
    assert 0.9 <= rows["Postfix"]["counted"]["syncs_per_message"] < 4
    assert 0 < rows["Mailwye"]["counted"]["syncs_per_message"] <= 2
    for name in ("Postfix", "Mailwye"):
        assert 10 < rows[name]["counted"]["peak_megabytes"] < 2000
    assert os.listdir(folder) == []


@pytest.mark.parametrize("workload", ["tls-each", "many"])
def test_other_loads_arrive_too(folder: Path, workload: str) -> None:
    rows = relay(folder, workload, "--messages", "400", "--no-count")[workload]
    assert [row["messages"] for row in rows] == [20, 20, 20]


def test_a_sink_that_got_another_number_is_told(folder: Path) -> None:
    with Sink() as sink:
        send(Load(7, sessions=2), SINK)
        sink.wait_until(7)
        verify(sink, Nothing(), 7)
        for wrong in (6, 8):
            with pytest.raises(Stuck, match=f"7 messages arrived of {wrong}"):
                verify(sink, Nothing(), wrong)
        with pytest.raises(Stuck, match="7 of 8 messages arrived"):
            sink.wait_until(8, patience=0.1)


def test_a_system_that_keeps_messages_is_told(folder: Path) -> None:
    class Keeping(Nothing):
        def waiting(self) -> int:
            return 3

    with pytest.raises(Stuck, match="3 deliveries still wait"):
        timed_run(lambda _, __: Keeping(), Load(10, sessions=2), folder)


def test_a_second_sink_on_the_port_is_refused() -> None:
    with Sink(), pytest.raises(SystemExit, match=r"listens on 127\.0\.0\.30:2630 already"):
        Sink()
