"""Errors of the disk: fsync, fdatasync and writes of the queue fail by strace's injection, at the N-th call and again and again.

For each case the real service runs under load. Then it is killed, what a power cut would leave is put in its place (disk_replay: what a
failed sync should have saved is gone, whatever later syncs said), and a service is started on that: everything acknowledged must arrive.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from torture import traced
from torture.gateway import Gateway, RigError
from torture.ledger import Verdict
from torture.order import LEGIBLE
from torture.order_audit import Findings, OrderAudit
from torture.report import Result, Row, file_system
from torture.rig import Rig, rig, sabotaged
from torture.sender import Sender, mixed_workload
from torture.strace_log import command

SESSIONS = 8
RATE = 200.0
INJECTION_SECONDS = 10.0
"""How long a case waits for its error; one whose error did not come counts as nothing."""

RECOVERY_SECONDS = 5.0
_INJECTED = b"(INJECTED)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this test."""
    parser.add_argument("--first", type=int, default=1, help="fail the N-th sync, from this N")
    parser.add_argument("--last", type=int, default=60, help="to this N; 1 to 60")
    parser.add_argument("--skip-writes", action="store_true", help="syncs only")
    parser.add_argument("--sabotage", choices=("lying",), help="break the service on purpose: the test must fail")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case. `inject`: for strace. `refused_start`: the words of a service that would not start, else "". `errors`: injected.
    `recovery`: the longest time from an error to the next 250 where no other error came between (or to the end), seconds.
    `recovered_by_itself`: a 250 came after the last error.
    `ended`: the service ended by itself, its words. `replies`: other than 250 to content or MAIL. `unanswered`: connections that ended
    after 354 without a reply to the content. `refused`: replies 5xx.
    """

    inject: str
    refused_start: str = ""
    errors: int = 0
    acknowledged: int = 0
    recovery: float = 0.0
    recovered_by_itself: bool = False
    ended: str = ""
    replies: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    refused: int = 0
    findings: Findings = field(default_factory=Findings)
    missing: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def saved(self) -> bool:
        """No 250 whose commit failed; nothing lost on what is left of the disk."""
        return not self.findings.early and not self.missing and (self.verdict is None or self.verdict.kept)

    @property
    def told(self) -> bool:
        """Everybody whose mail was not taken heard 4xx; nobody was left without an answer or refused for good."""
        return not self.refused and not self.unanswered and all(reply.startswith("4") for reply in self.replies)

    @property
    def recovered(self) -> bool:
        """It went on by itself in time, or ended (or did not start) in time with words that name a remedy."""
        words = self.refused_start or self.ended
        if words:
            return any(remedy in words for remedy in ("Check", "Free", "restore"))
        return self.recovery <= RECOVERY_SECONDS


class _Watch:
    """Counts errors in the growing log of strace, and notes when 250s came."""

    def __init__(self, log: Path, sender: Sender) -> None:
        self._log = log
        self._position = 0
        self._sender = sender
        self.errors = 0
        self.acknowledged: list[float] = []
        self._error_times: list[float] = []
        sender.on_acknowledged = lambda record: self.acknowledged.append(record.at)

    def look(self) -> bool:
        """Whether there was another error since the last look."""
        with self._log.open("rb") as file:
            file.seek(self._position)
            new = file.read()
        self._position += new.rfind(b"\n") + 1
        found = new[: new.rfind(b"\n") + 1].count(_INJECTED)
        self.errors += found
        if found:
            self._error_times.append(time.monotonic())
        return bool(found)

    def recovery(self) -> float:
        """The longest time from an error to the next 250 without another error between; where none came since the last, until now."""
        longest = 0.0
        for error, following in zip(self._error_times, [*self._error_times[1:], float("inf")], strict=True):
            later = bisect.bisect_left(self.acknowledged, error)
            if later < len(self.acknowledged) and self.acknowledged[later] <= following:
                longest = max(longest, self.acknowledged[later] - error)
            elif following == float("inf"):
                longest = max(longest, time.monotonic() - error)
        return longest

    @property
    def recovered(self) -> bool:
        """Whether a 250 came after the last error."""
        return bool(self._error_times and self.acknowledged and self.acknowledged[-1] > self._error_times[-1])


async def one_case(inject: str, *, seed: int, where: Path | None, sabotage: str = "", after: float = 1.2) -> Outcome:
    """Run the service with this injection, and `after` seconds more after the first error; judge what is left."""
    async with rig(where) as world:
        log = world.directory / "strace.log"
        gateway = world.gateway(prefix=command(log, inject=[inject]), **sabotaged(sabotage))
        began = time.monotonic()
        try:
            await gateway.start()
        except RigError as error:
            late = time.monotonic() - began > RECOVERY_SECONDS + 5
            return Outcome(inject, refused_start=f"(late) {error}" if late else str(error), errors=1)
        workload = mixed_workload(LEGIBLE, each=2, octets=4096, large_every=40)
        sender = world.sender(gateway, seed=seed, sessions=SESSIONS, tls=False, rate=RATE, workload=workload)
        watch = _Watch(log, sender)
        sender.start()
        await _until_error(watch, gateway)
        until = time.monotonic() + after
        while gateway.running and time.monotonic() < until + 2 * RECOVERY_SECONDS:
            watch.look()
            if time.monotonic() > until and watch.recovered:
                break
            await asyncio.sleep(0.05)
        ended = "" if gateway.running else gateway.log.read_text(errors="replace")[-1500:]
        await sender.stop()
        watch.look()
        recovery = watch.recovery()
        traced.kill(gateway)
        book = {record.queue_id: record for record in world.sent.records}
        audit = OrderAudit(gateway.data / "queue", f"{gateway.address}:{gateway.port}", book, mirror=False)
        findings = audit.replay(traced.calls(log))
        verdict = await _verdict_after_power_cut(world, gateway, audit)
        return Outcome(
            inject,
            errors=watch.errors,
            acknowledged=sender.acknowledged,
            recovery=recovery,
            recovered_by_itself=watch.recovered,
            ended=ended,
            replies=sender.replies,
            unanswered=0 if ended else audit.findings.unanswered,
            refused=len(sender.refused),
            findings=findings,
            missing=tuple(audit.missing()),
            verdict=verdict,
        )


async def _until_error(watch: _Watch, gateway: Gateway) -> None:
    """Wait for the first error."""
    deadline = time.monotonic() + INJECTION_SECONDS
    while time.monotonic() < deadline and gateway.running:
        if watch.look():
            break
        await asyncio.sleep(0.02)


async def _verdict_after_power_cut(world: Rig, gateway: Gateway, audit: OrderAudit) -> Verdict:
    """Put the survivors in place of the queue, start a service that nobody disturbs, drain, judge."""
    queue = gateway.data / "queue"
    shutil.rmtree(queue)
    queue.mkdir(mode=0o750)
    audit.disk.survivors(queue)
    again = Gateway(gateway.home, gateway.data, gateway.address)
    world.gateways.append(again)
    await again.start()
    await world.drain(again, 60.0)
    verdict = await world.verdict(again)
    again.kill()
    return verdict


def cases(first: int, last: int, *, writes: bool) -> list[str]:
    """What is injected: each sync from the `first` to the `last`, some that fail again and again, and writes that fail."""
    found = [f"fsync,fdatasync:error=EIO:when={n}" for n in range(first, last + 1)]
    if not writes:
        return found
    found += [f"fsync,fdatasync:error=EIO:when={n}+{step}" for n, step in ((8, 2), (9, 3), (10, 5), (12, 9), (7, 20))]
    found += [f"fsync,fdatasync:error=EIO:when={n}..{n + more}" for n, more in ((8, 1), (9, 3), (12, 6))]
    for error in ("ENOSPC", "EIO"):
        found += [f"pwrite64:error={error}:when={n}" for n in (30, 31, 40, 57, 58, 75, 120, 201)]
        found += [f"pwrite64:error={error}:when={n}+{step}" for n, step in ((40, 37), (41, 60))]
        found += [f"pwrite64:error={error}:when=60..90"]
    found += ["ftruncate:error=EIO:when=4", "fsync,fdatasync:error=ENOSPC:when=12", "fsync,fdatasync:error=EDQUOT:when=13"]
    return found


def result(outcomes: list[Outcome], conditions: tuple[str, ...]) -> Result:
    """The figures of all cases."""
    hit = [one for one in outcomes if one.errors]
    started = [one for one in hit if not one.refused_start]
    early = sum(len(one.findings.early) for one in started)
    lost = sum(len(one.verdict.lost) + len(one.missing) for one in started if one.verdict is not None)
    fsck = sum(one.verdict is not None and one.verdict.fsck != "clean" for one in started)
    replies: Counter[str] = sum((one.replies for one in started), Counter())
    slowest = max((one.recovery for one in started), default=0.0)
    rows = (
        Row("cases whose error came", f"{len(hit)}/{len(outcomes)}", "most", len(hit) * 10 >= len(outcomes) * 8),
        Row("errors injected", str(sum(one.errors for one in hit))),
        Row("acknowledged with 250", str(sum(one.acknowledged for one in started))),
        Row("250 whose commit's sync had failed", str(early), "0", early == 0),
        Row("lost after a power cut (recipients)", str(lost), "0", lost == 0),
        Row("spools that `queue fsck` complains about then", str(fsck), "0", fsck == 0),
        Row("replies to those who were not served", _listed(replies), "4xx only", all(one.told for one in started)),
        Row("accepted again by itself", f"{sum(one.recovered_by_itself for one in started)}/{len(started)}", "the rest: errors to the end"),
        Row("ended by itself", str(sum(bool(one.ended) for one in started))),
        Row(
            "longest time from an error to the next 250",
            f"{slowest:.2f} s",
            f"≤ {RECOVERY_SECONDS:.0f} s",
            all(one.recovered for one in started),
        ),
        Row(
            "starts that failed, and said what to do",
            f"{sum(one.recovered for one in hit if one.refused_start)}/{sum(bool(one.refused_start) for one in hit)}",
            "all",
            all(one.recovered for one in hit if one.refused_start),
        ),
    )
    notes = tuple(note for one in hit for note in _notes(one))[:20]
    return Result("sync-errors", rows, conditions, notes)


def _listed(replies: Counter[str]) -> str:
    return ", ".join(f"{number} × {reply}" for reply, number in replies.most_common()) or "none"


def _notes(one: Outcome) -> list[str]:
    """What is wrong about a case."""
    found = []
    if not one.saved:
        fsck = one.verdict.fsck[:300] if one.verdict is not None else ""
        found.append(f"{one.inject}: not saved: {(*one.findings.early[:2], *one.missing[:2], fsck)}")
    if not one.told:
        found.append(f"{one.inject}: replies {_listed(one.replies)}, {one.refused} times 5xx, {one.unanswered} unanswered")
    if not one.recovered:
        found.append(f"{one.inject}: {one.recovery:.2f} s to the next 250; {(one.refused_start or one.ended)[-300:]}")
    return found


async def run(options: argparse.Namespace) -> Result:
    """All cases, one after the other."""
    rng = random.Random(options.seed)
    outcomes = []
    for inject in cases(options.first, options.last, writes=not options.skip_writes):
        one = await one_case(inject, seed=rng.randrange(1_000_000), where=options.where, sabotage=options.sabotage or "")
        words = "start refused" if one.refused_start else f"{one.acknowledged} acknowledged, {one.recovery:.2f} s to the next 250"
        good = one.saved and one.told and one.recovered
        print(f"{'ok    ' if good else 'FAILED'} {inject}: {one.errors} errors, {words}", *_notes(one), sep="\n    ", flush=True)
        outcomes.append(one)
    conditions = (
        f"{SESSIONS} sessions, at most {RATE:.0f} messages a second, 2 recipients each",
        f"seed {options.seed}",
        file_system(options.where or Path("/tmp")),
        *((f"sabotaged: {options.sabotage}",) if options.sabotage else ()),
    )
    return result(outcomes, conditions)
