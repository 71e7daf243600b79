"""Mailwye beside Postfix in one run: smtp-source → system → smtp-sink, durable before 250, every message relayed to a smart host.

Runs them in turn, A B A B, on a journalled file system made for it, and prints for each workload the medians and their ratios.
Needs Postfix's package (`sh tests/counterparts/install.sh`) and root (Postfix does not start without). Generator and sink share the
machine with the system: trust ratios, not digits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/relay.py`

from benchmarks.image import Place, measured_place
from benchmarks.load import Load
from benchmarks.report import DOCUMENT, Result, conditions, say, table, unquiet_words, write
from benchmarks.runs import Counted, Make, Timed, counted_run, spreads, timed_run
from benchmarks.systems import Mailwye, Nothing, Postfix, mailwye_name
from benchmarks.verdicts import verdicts
from benchmarks.workloads import WORKLOADS, Workload

REFERENCE = "Postfix"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A system to measure, how much faster than the reference it may be, and whether it is a system at all."""

    name: str
    make: Make
    paces: int
    real: bool = True


def candidates(options: argparse.Namespace) -> list[Candidate]:
    """In the order in which they take turns."""
    known = {
        "nothing": Candidate("nothing between", lambda _, __: Nothing(), 2, real=False),
        "postfix": Candidate("Postfix", Postfix, 0),
    }
    for workers in options.workers:
        known[f"mailwye{workers}"] = Candidate(mailwye_name(workers), partial(_mailwye, workers), 1)
    return [candidate for name, candidate in known.items() if options.only in (None, name.rstrip("0123456789"))]


def _mailwye(workers: int, folder: Path, prefix: tuple[str, ...]) -> Mailwye:
    return Mailwye(folder, workers, prefix)


def load_for(workload: Workload, candidate: Candidate, options: argparse.Namespace) -> Load:
    """The workload's load in the size that keeps the candidate busy for some seconds, with what the command line says otherwise."""
    load = workload.load
    messages = options.messages or load.messages * workload.pace**candidate.paces
    load = replace(load, messages=max(load.sessions, messages // 20) if options.quick else messages)
    changes = {name: value for name in ("sessions", "octets", "recipients") if (value := getattr(options, name)) is not None}
    return replace(load, **changes, kept=load.kept and not options.connection_per_message)


def measure(workload: Workload, options: argparse.Namespace, place: Place) -> list[Result]:
    """A B A B, then one counted run each."""
    systems = candidates(options)
    loads = {candidate.name: load_for(workload, candidate, options) for candidate in systems}
    runs: dict[str, list[Timed]] = {candidate.name: [] for candidate in systems}
    for number in range(options.runs):
        for candidate in systems:
            run = timed_run(candidate.make, loads[candidate.name], place.folder)
            runs[candidate.name].append(run)
            say(f"  {workload.name} {number + 1}/{options.runs} {candidate.name}: {run.delivered_per_second:,.0f}/s{_others(run)}")
    counted: dict[str, Counted] = {}
    for candidate in systems:
        if candidate.real and not options.no_count:
            counted[candidate.name] = counted_run(candidate.make, loads[candidate.name], place.folder)
    return [Result(name, loads[name].messages, tuple(taken), counted.get(name)) for name, taken in runs.items()]


def _others(run: Timed) -> str:
    return "" if run.others.quiet else f"  (others used {run.others.busy:.0%} of the machine before, {run.others.stolen:.0%} was stolen)"


def as_json(results: Sequence[Result]) -> Iterator[dict[str, object]]:
    """One object for each system."""
    for result in results:
        yield {
            "system": result.system,
            "messages": result.messages,
            "figures": {name: asdict(value) for name, value in spreads(result.runs).items()},
            "counted": asdict(result.counted) if result.counted else None,
        }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="*", help=f"of {', '.join(WORKLOADS)}; all if none is named")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the messages: shows that it works, not how fast")
    parser.add_argument("--only", choices=("nothing", "postfix", "mailwye"))
    parser.add_argument("--workers", type=int, nargs="+", default=[0], help="of Mailwye; each number is a system")
    parser.add_argument("--messages", type=int, help="for every system")
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--octets", type=int)
    parser.add_argument("--recipients", type=int)
    parser.add_argument("--connection-per-message", action="store_true")
    parser.add_argument("--where", type=Path, help="a folder on the file system to measure on, in place of an image")
    parser.add_argument("--no-count", action="store_true", help="without the runs that count syncs and memory")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    unknown = [name for name in options.workload if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return options


def main() -> None:
    """Run and print."""
    options = arguments()
    selected = [WORKLOADS[name] for name in options.workload or WORKLOADS]
    with measured_place(options.where) as place:
        results = {workload.name: measure(workload, options, place) for workload in selected}
        text = conditions(
            place.description, options.runs, unquiet_words([run.others for found in results.values() for one in found for run in one.runs])
        )
    if options.json:
        print(json.dumps({name: list(as_json(found)) for name, found in results.items()}, indent=2))
    else:
        print(text)
        for name, found in results.items():
            print(f"{WORKLOADS[name].title}\n\n{table(found, REFERENCE)}")
    if options.write:
        write("conditions", text)
        for name, found in results.items():
            write(name, f"**{WORKLOADS[name].title}**\n\n{table(found, REFERENCE)}")
        write("verdicts", verdicts(DOCUMENT.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
