"""Order audit: under strace, every 250 to content comes after the sync that saved the message, every settlement after its next hop's 250.

The real service, over 64 sessions and over 1, without TLS so that the wire is legible. At the beginning of each 250 the queue's folder is
replayed as a power cut at that moment would leave it, and opened: see order_audit and disk_replay.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from torture import traced
from torture.order_audit import Findings, OrderAudit
from torture.report import Result, Row, file_system
from torture.rig import RECIPIENTS, rig, sabotaged
from torture.sender import mixed_workload
from torture.strace_log import command

LEGIBLE = tuple(one for one in RECIPIENTS if one.endswith(("@a.example", "@c.example")))
"""Recipients whose destinations speak no TLS."""

SESSIONS = (64, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this test."""
    parser.add_argument("--messages", type=int, default=1000, help="over each number of sessions")
    parser.add_argument("--sabotage", choices=("early", "unsynced", "forgetful"), help="break the service on purpose: the audit must fail")


@dataclass(frozen=True, slots=True)
class Audited:
    """One run. `outstanding`: promised, neither arrived nor returned at its end."""

    sessions: int
    acknowledged: int
    findings: Findings
    outstanding: int

    @property
    def in_order(self) -> int:
        """Replies 250 whose message would have survived."""
        return self.findings.acknowledged - len(self.findings.early)


async def audit(messages: int, sessions: int, *, seed: int, where: Path | None, sabotage: str = "") -> Audited:
    """Send `messages` over `sessions`, let them be delivered, kill the service, read the log."""
    async with rig(where) as world:
        log = world.directory / "strace.log"
        gateway = world.gateway(prefix=command(log), **sabotaged(sabotage))
        await gateway.start()
        workload = mixed_workload(LEGIBLE, each=2, octets=4096, large_every=100)
        sender = world.sender(gateway, seed=seed, sessions=sessions, tls=False, workload=workload)
        sender.start(messages)
        await sender.finish()
        await world.drain(gateway, 60.0)
        traced.kill(gateway)
        book = {record.queue_id: record for record in world.sent.records}
        listener = f"{gateway.address}:{gateway.port}"
        findings = OrderAudit(gateway.data / "queue", listener, book).replay(traced.calls(log))
        return Audited(sessions, sender.acknowledged, findings, len(world.outstanding()))


def rows(one: Audited) -> list[Row]:
    """The figures of one run."""
    findings, name = one.findings, f"{one.sessions} session{'s' * (one.sessions > 1)}"
    seen = findings.acknowledged
    complete = seen >= one.acknowledged > 0
    return [
        Row(f"{name}: 250 after the sync that saved the message", f"{one.in_order}/{seen}", "all", complete and not findings.early),
        Row(
            f"{name}: settled after the next hop's 250",
            f"{findings.settled - len(findings.forgotten)}/{findings.settled}",
            "all",
            findings.settled > 0 and not findings.forgotten,
        ),
        Row(f"{name}: promised, but not arrived at the end", str(one.outstanding), "0", one.outstanding == 0),
        Row(
            f"{name}: syncs of the queue per message",
            f"{findings.syncs / max(seen, 1):.2f}",
            "≤ 0.3" if one.sessions > 1 else "",
            one.sessions == 1 or findings.syncs <= 0.3 * seen,
        ),
        Row(f"{name}: states of the disk that were opened", str(findings.states)),
    ]


async def run(options: argparse.Namespace) -> Result:
    """All numbers of sessions."""
    found: list[Row] = []
    notes: list[str] = []
    for sessions in SESSIONS:
        one = await audit(options.messages, sessions, seed=options.seed, where=options.where, sabotage=options.sabotage or "")
        found += rows(one)
        notes += [f"not saved: {text}" for text in one.findings.early[:3]] + [f"forgotten: {text}" for text in one.findings.forgotten[:3]]
    conditions = (
        f"{options.messages} messages of up to 4 KiB, one in 100 of 300 KiB, 2 recipients each",
        f"seed {options.seed}",
        file_system(options.where or Path("/tmp")),
        *((f"sabotaged: {options.sabotage}",) if options.sabotage else ()),
    )
    return Result("order", tuple(found), conditions, tuple(notes))
