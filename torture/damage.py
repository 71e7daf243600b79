"""A small queue file, cut off and flipped everywhere: it always starts, and no altered body is delivered (reliability.md, row 14).

Each trial damages a copy of a spool (its file or its write-ahead log), opens it, delivers all that can be delivered, and audits it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from mailwye.message.content import Content
from mailwye.message.envelope import BodyType
from mailwye.queue.engine import QueueError
from mailwye.queue.item import NewDelivery, NewMessage, Origin, QueueQuery, Result, Settlement
from mailwye.smtp.address import Address
from mailwye.storage.sqlite.audit.spool import SpoolSnapshot
from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
from mailwye.storage.sqlite.rescue.spool import CORRUPT_FOLDER
from torture.report import Result as Report
from torture.report import Row

MESSAGES = 24
LARGE_OCTETS = 400_000
NOW = 2_000_000_000.0
STUCK_SECONDS = 30.0


@dataclass(slots=True)
class DamageResult:
    """Sums over all trials. `unaccounted`: deliveries that were neither delivered, nor kept as corrupt, nor said to be lost."""

    trials: int = 0
    refused: int = 0
    altered: int = 0
    misdirected: int = 0
    unaccounted: int = 0
    unbalanced: int = 0
    rescued: int = 0
    delivered: int = 0
    corrupt: int = 0
    lost: int = 0
    unseen: int = 0
    restarted: int = 0
    slowest: float = 0.0
    where: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """What may never happen did not."""
        return not (self.refused or self.altered or self.misdirected or self.unaccounted or self.unbalanced)


@dataclass(frozen=True, slots=True)
class Spool:
    """What was accepted, (message id, recipient) → sha256 of the content, and which of these have ended."""

    files: dict[str, bytes]
    accepted: dict[tuple[str, str], str]
    ended: frozenset[tuple[str, str]]


def _content(number: int) -> bytes:
    body = random.Random(number).randbytes(LARGE_OCTETS if number % 12 == 5 else 200 + 937 * (number % 9))
    return b"Subject: %d\r\n\r\n" % number + body


def _message(number: int, content: Content) -> NewMessage:
    recipients = [Address(f"r{place}", f"d{number}.example") for place in range(1 + number % 3)]
    deliveries = tuple(NewDelivery(one, one, f"mx:{number % 4}") for one in recipients)
    sender, origin = Address("a", "b.example"), Origin("s", "anonymous")
    return NewMessage(f"M{number:03}", 1.0e9, sender, deliveries, content, origin, 1, BodyType.EIGHT_BIT_MIME)


def _engine(directory: Path, alarm: asyncio.Event | None = None) -> SqliteQueueEngine:
    """`alarm` is set where the engine says that it needs a restart: SQLite met the damage while it wrote."""

    def told(text: str) -> None:
        if alarm is not None and "Restart the service" in text:
            alarm.set()

    path = directory / "worker-0.sqlite"
    return SqliteQueueEngine(path, on_alert=told, free_space_minimum=0, free_inodes_minimum=0, ballast_octets=4096, inline_octets=100_000)


async def make(directory: Path) -> Spool:
    """A spool as a killed service leaves it: part of it in the file, part in the write-ahead log."""
    engine = _engine(directory)
    accepted: dict[tuple[str, str], str] = {}
    for number in range(MESSAGES):
        if number == MESSAGES // 2:
            await engine.close()
            engine = _engine(directory)
        data = _content(number)
        writer = engine.content_writer()
        for at in range(0, len(data), 65_536):
            if (waiting := writer.write(data[at : at + 65_536])) is not None:
                await waiting
        message = _message(number, writer.finish())
        await engine.accept(message)
        for one in message.deliveries:
            accepted[message.id, str(one.recipient)] = hashlib.sha256(data).hexdigest()
    ended: set[tuple[str, str]] = set()
    for lease in await engine.lease(NOW, limit=4):  # some ended: their rows may not come back unnoticed
        await engine.settle(lease, [Settlement(one.id, Result.DELIVERED) for one in lease.deliveries])
        ended.update((lease.message.id, str(one.recipient)) for one in lease.deliveries)
    files = {name: (directory / name).read_bytes() for name in ("worker-0.sqlite", "worker-0.sqlite-wal")}
    await engine.close()
    return Spool(files, accepted, frozenset(ended))


async def _deliver_all(engine: SqliteQueueEngine, sent: dict[tuple[str, str], list[str]]) -> None:
    """Adds to `sent`: (message id, recipient) → sha256 of what would have been sent, each time."""
    for turn in range(4):
        for lease in await engine.lease(NOW + 100 * turn, limit=10_000):
            digest = hashlib.sha256()
            try:
                async for piece in lease.content.chunks():
                    digest.update(piece)
            except QueueError:
                await engine.settle(lease, [Settlement(one.id, Result.DEFERRED, due=NOW + 100 * turn + 50) for one in lease.deliveries])
                continue
            for one in lease.deliveries:
                sent.setdefault((lease.message.id, str(one.recipient)), []).append(digest.hexdigest())
            await engine.settle(lease, [Settlement(one.id, Result.DELIVERED) for one in lease.deliveries])


def _lay_out(directory: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for file, data in files.items():
        (directory / file).write_bytes(data)


async def _trial(spool: Spool, files: dict[str, bytes], what: str, name: str, result: DamageResult, directory: Path) -> None:
    _lay_out(directory, files)
    result.trials += 1
    started = time.monotonic()
    try:
        alarm = asyncio.Event()
        engine = _engine(directory, alarm)
    except QueueError as error:
        if "schema version" not in str(error) and "not a queue" not in str(error):  # may be another program's: a person decides
            result.refused += 1
            result.failures.append(f"{what}: refused to start: {error}")
        return
    result.slowest = max(result.slowest, time.monotonic() - started)
    sent: dict[tuple[str, str], list[str]] = {}
    corrupt: set[tuple[str, int]] = set()
    for _ in range(3):
        working = asyncio.create_task(_deliver_all(engine, sent))
        stuck = asyncio.create_task(alarm.wait())
        await asyncio.wait({working, stuck}, timeout=STUCK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            stuck.cancel()
            corrupt = {(row.message.id, row.delivery.id) for row in await engine.inspect(QueueQuery(limit=10_000))}
            break
        working.cancel()
        result.restarted += 1
        await engine.close()
        alarm = asyncio.Event()
        engine = _engine(directory, alarm)
    else:
        result.refused += 1
        result.failures.append(f"{what}: the queue does not come to its end")
    await engine.close()
    result.rescued += (directory / CORRUPT_FOLDER).exists()
    with SpoolSnapshot(directory / "worker-0.sqlite") as snapshot:
        audit = snapshot.audit()
    _judge(spool, sent, len(corrupt), audit.tally.lost, what, name, result)
    if audit.tally.missing:
        result.unbalanced += 1
        result.failures.append(f"{what}: the ledger does not balance: {audit.tally}")


def _judge(
    spool: Spool, sent: dict[tuple[str, str], list[str]], corrupt: int, lost: int, what: str, name: str, result: DamageResult
) -> None:
    delivered = 0
    for key, found in sent.items():
        expected = spool.accepted.get(key)
        if expected is None:
            result.misdirected += 1
            result.failures.append(f"{what}: {key} was never to be delivered")
        elif set(found) != {expected}:
            result.altered += 1
            result.failures.append(f"{what}: {key} was altered")
        delivered += key not in spool.ended
    missing = len(spool.accepted) - len(spool.ended) - delivered - corrupt - lost
    result.delivered += delivered
    result.corrupt += corrupt
    result.lost += lost
    if missing > 0 and name.endswith("-wal"):
        result.unseen += missing
        result.where.append(what)
    elif missing > 0:
        result.unaccounted += missing
        result.failures.append(f"{what}: {missing} of {len(spool.accepted)} deliveries are unaccounted for")


Trial = tuple[str, str, dict[str, bytes]]  # what, which file, the files


def flips(spool: Spool, count: int, rng: random.Random) -> list[Trial]:
    """One bit each, anywhere."""
    trials: list[Trial] = []
    for _ in range(count):
        name = rng.choice(sorted(spool.files))
        data = bytearray(spool.files[name])
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        data[at] ^= 1 << bit
        trials.append((f"{name} octet {at} bit {bit}", name, {**spool.files, name: bytes(data)}))
    return trials


def cuts(spool: Spool, step: int) -> list[Trial]:
    """Each file cut off every `step` octets."""
    return [
        (f"{name} cut at {at}", name, {**spool.files, name: data[:at]})
        for name, data in spool.files.items()
        for at in range(0, len(data), step)
    ]


async def trials(flipped: int, step: int, seed: int, where: Path | None) -> tuple[DamageResult, DamageResult]:
    """What came of `flipped` flips, and of cuts at every `step` octets."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        place = Path(folder)
        (place / "spool").mkdir()
        spool = await make(place / "spool")
        results = DamageResult(), DamageResult()
        for result, todo in zip(results, (flips(spool, flipped, random.Random(seed)), cuts(spool, step)), strict=True):
            for what, name, files in todo:
                await _trial(spool, files, what, name, result, place / "trial")
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See torture/__main__.py."""
    parser.add_argument("--flips", type=int, default=1000, help="single bits")
    parser.add_argument("--step", type=int, default=4096, help="octets between the places where the files are cut off")


async def run(options: argparse.Namespace) -> Report:
    """See torture/__main__.py."""
    flipped, cut = await trials(options.flips, options.step, options.seed, options.where)
    rows = tuple(row for how, one in (("flip", flipped), ("cut", cut)) for row in _rows(how, one))
    notes = tuple((flipped.failures + cut.failures)[:20])
    return Report("damage", rows, (f"{MESSAGES} messages, 48 deliveries", f"seed {options.seed}"), notes)


def _rows(how: str, one: DamageResult) -> tuple[Row, ...]:
    def none(what: str, count: int) -> Row:
        return Row(f"{how}: {what}", str(count), "0", count == 0)

    return (
        Row(f"{how}: trials", str(one.trials)),
        Row(f"{how}: files that were set aside and rescued", str(one.rescued)),
        Row(f"{how}: restarts that were needed, as SQLite met the damage while it wrote", str(one.restarted)),
        none("starts refused", one.refused),
        none("bodies altered", one.altered),
        none("messages to somebody else", one.misdirected),
        none("deliveries unaccounted for (the file damaged)", one.unaccounted),
        Row(
            f"{how}: deliveries unseen (the end of the log damaged)",
            str(one.unseen),
            "0" if how == "flip" else "",
            how == "cut" or not one.unseen,
        ),
        none("ledgers that do not balance", one.unbalanced),
        Row(f"{how}: deliveries delivered, corrupt, lost and counted", f"{one.delivered}, {one.corrupt}, {one.lost}"),
        Row(f"{how}: slowest start", f"{one.slowest:.2f} s", "at most 5 s", one.slowest <= 5),
    )
