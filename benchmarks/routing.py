"""What a decision costs: microseconds of decide_sender, decide_recipient and decide_route among many domains and connectors.

CPU time in process, with 5,000 recipients taken at random, so that no memory of the last answer helps.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `python benchmarks/routing.py`

from benchmarks.organizations import organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import decide_recipient, decide_route, decide_sender
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address

LIMIT_MICROSECONDS = 10.0
"""Of decide_recipient and of decide_route: design/ARCHITECTURE.md, section 5."""

SIZES = ((10, 10), (10_000, 10), (1_000_000, 10), (10, 100), (10, 1_000), (10, 10_000), (1_000_000, 10_000))
RECIPIENTS = 5_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of 7 rounds, in microseconds of CPU a call; `build_seconds`: from the saved version to the tables that are asked."""

    domains: int
    connectors: int
    sender: float
    recipient: float
    route: float
    build_seconds: float


def cost(domains: int, connectors: int) -> Cost:
    """Build the tables and ask. Raises AssertionError when an answer is wrong: a fast refusal is no route."""
    saved = organization(domains, connectors)
    started = time.perf_counter()
    snapshot = compile_snapshot(saved, 1)
    built = time.perf_counter() - started
    del saved
    chance = random.Random(1)
    recipients = [Address(f"user{number}", f"d{chance.randrange(domains - 2)}.example") for number in range(RECIPIENTS)]
    facts = SessionFacts("session", "mx", "mx", "127.0.0.1", 40_000, "source.example.net", True)
    sender = Address("sender", "example.net")
    caller = decide_sender(snapshot.directory, snapshot.connectors, facts, sender).caller
    _check(snapshot, facts, sender, recipients[0])
    return Cost(
        domains,
        connectors,
        _microseconds(lambda one: decide_sender(snapshot.directory, snapshot.connectors, facts, sender), recipients),
        _microseconds(lambda one: decide_recipient(snapshot.directory, snapshot.connectors, facts, caller, sender, one), recipients),
        _microseconds(lambda one: decide_route(snapshot.directory, snapshot.connectors, one, from_on_premises=False), recipients),
        built,
    )


def _check(snapshot: Snapshot, facts: SessionFacts, sender: Address, recipient: Address) -> None:
    caller = decide_sender(snapshot.directory, snapshot.connectors, facts, sender).caller
    decision = decide_recipient(snapshot.directory, snapshot.connectors, facts, caller, sender, recipient)
    assert decision.reply.code == 250, decision.reply
    assert decision.routes[0].next_hop.startswith("connector:"), decision.routes


def _microseconds(ask: Callable[[Address], object], recipients: Sequence[Address]) -> float:
    """The call through `ask` is part of it: about 0.05 µs."""
    rounds = []
    gc.collect()
    gc.disable()  # a collection looks at a million domains; the service freezes them at start, and what it pays is in messages a second
    try:
        for _ in range(7):
            started = time.process_time()
            for recipient in recipients:
                ask(recipient)
            rounds.append((time.process_time() - started) / len(recipients) * 1e6)
    finally:
        gc.enable()
    return statistics.median(rounds)


def table(costs: Sequence[Cost]) -> str:
    """Markdown. MAIL: who is calling. RCPT: may he, resolve, route."""
    heads = ("accepted domains", "connectors each way", "MAIL, µs", "RCPT, µs", "route alone, µs", "tables built in s")
    rows = [f"| {' | '.join(heads)} |"]
    rows.append("|--:" * 6 + "|")
    for one in costs:
        figures = f"{one.sender:.2f} | {one.recipient:.2f} | {one.route:.2f} | {one.build_seconds:.2f}"
        rows.append(f"| {one.domains:,} | {one.connectors:,} | {figures} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print the table; exit 1 where a decision takes longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the million")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = [cost(*size) for size in SIZES if not (options.quick and size[0] > 10_000)]
    print(json.dumps([asdict(one) for one in costs], indent=2) if options.json else table(costs))
    if not options.json and any(max(one.recipient, one.route) >= LIMIT_MICROSECONDS for one in costs):
        raise SystemExit(f"a decision takes {LIMIT_MICROSECONDS:.0f} µs or more")


if __name__ == "__main__":
    main()
