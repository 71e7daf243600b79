"""Where the time of one message goes: py-spy looks at every thread of the service under the `kept` load; the shares are scaled by the
CPU time that the same load takes without it.

Usage: python benchmarks/microseconds.py [--messages N] [--write]. Needs py-spy (`pip install py-spy`), and rights to look at a process.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

if __name__ == "__main__":  # as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import report
from benchmarks.image import measured_place
from benchmarks.load import Load, Sink, send
from benchmarks.runs import spreads, timed_run
from benchmarks.systems import Mailwye

RATE = 500
"""Looks a second: at each one the service stands still for about a millisecond."""

_WAITING = ("threading.py", "selectors.py", "queue.py")
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("queue: commit thread (WAL pages, fdatasync, checkpoints)", ("storage/sqlite/commit_thread.py",)),
    ("trace: its thread", ("_work (mailwye/storage/sqlite/trace_store.py",)),
    ("octets out to senders: `send` with the kernel's TCP", ("Session._write (mailwye/inbound/session.py",)),
    ("octets out to next hops: `send` with the kernel's TCP", ("Line.flush (mailwye/outbound/session/line.py",)),
    ("queue: rows, statements, leases, index", ("mailwye/storage/", "mailwye/queue/")),
    ("SMTP, receiving side", ("mailwye/smtp/server", "mailwye/smtp/command.py", "mailwye/smtp/wire.py", "mailwye/smtp/extensions.py")),
    ("SMTP, sending side", ("mailwye/smtp/client", "mailwye/smtp/transfer.py", "mailwye/smtp/reply.py")),
    ("who calls, which recipient, which way", ("mailwye/directory/", "mailwye/connectors/")),
    ("header, Received, ids", ("mailwye/message/",)),
    ("trace: making events", ("mailwye/trace/", "inbound/recording.py", "outbound/delivery_trace.py")),
    ("inbound: sessions, acceptance", ("mailwye/inbound/",)),
    ("outbound: dispatcher, pools, settling", ("mailwye/outbound/",)),
    ("event loop: poll, `recv`, callbacks", ("asyncio/runners.py", "asyncio/")),
)
"""The first whose text stands in the innermost frame that any of them names (for the first two: anywhere in the stack)."""


def area_of(stack: str) -> str:
    """The area of one stack as py-spy writes it, outermost frame first; "" for a thread that only waits, "other" for what none names."""
    frames = stack.split(";")
    if any(one in frames[-1] for one in _WAITING):
        return ""
    for name, marks in AREAS[:2]:
        if any(mark in stack for mark in marks):
            return name
    for frame in reversed(frames):
        for name, marks in AREAS[2:]:
            if any(mark in frame for mark in marks):
                return name
    return "other"


def shares(lines: Iterable[str]) -> dict[str, float]:
    """From lines `frame;frame;frame count` to the share of each area, greatest first; waiting counts for nothing."""
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        counts[area_of(stack)] += int(count)
    del counts[""]
    total = sum(counts.values())
    return {area: count / total for area, count in counts.most_common()}


def sampled(load: Load, where: Path) -> dict[str, float]:
    """One load under py-spy."""
    with tempfile.TemporaryDirectory(dir=where) as name, tempfile.NamedTemporaryFile() as raw:
        folder = Path(name)
        folder.chmod(0o755)
        with Sink(tls=False) as sink, contextlib.ExitStack() as stack:
            system = _mailwye(folder, ())
            stack.callback(system.stop)
            send(Load(500), system.address)
            sink.wait_until(500)
            command = (_py_spy(), "record", "-r", str(RATE), "-f", "raw", "-o", raw.name, "-d", "600", "-p", str(system.pid))
            spy = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            send(load, system.address)
            sink.wait_until(500 + load.messages)
            spy.send_signal(signal.SIGINT)
            spy.wait(60)
            return shares(Path(raw.name).read_text().splitlines())


def _mailwye(folder: Path, prefix: tuple[str, ...]) -> Mailwye:
    return Mailwye(folder, 0, prefix)


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    return found


def table(found: dict[str, float], microseconds: float) -> str:
    """For people: each area's share of `microseconds`, the CPU time of one message."""
    rows = [f"| {area} | {share:.1%} | {share * microseconds:.0f} |" for area, share in found.items()]
    return "\n".join(("| where | share | µs a message |", "|---|--:|--:|", *rows, f"| **all** | 100 % | {microseconds:.0f} |"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=15_000)
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    options = parser.parse_args()
    with measured_place(None) as place:
        timed = [timed_run(_mailwye, Load(options.messages), place.folder) for _ in range(3)]
        microseconds = spreads(timed)["cpu_seconds_per_1000"].median * 1000
        text = table(sampled(Load(options.messages), place.folder), microseconds)
        text += "\n\n" + report.conditions(place.description, 3, report.unquiet_words([one.others for one in timed]))
    print(text)
    if options.write:
        report.write("microseconds", text)


if __name__ == "__main__":
    main()
