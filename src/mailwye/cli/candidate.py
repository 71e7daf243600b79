"""Settings that are not in force: which ones a command line means, and what they would do to mail that came and mail that waits."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service
from mailwye.cli.output import fail, print_problems
from mailwye.value import dataclass

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.config.parsed import Parsed
    from mailwye.config.schema import Organization
    from mailwye.config.snapshot import Snapshot
    from mailwye.config.store import ConfigStore, StoredVersion
    from mailwye.connectors.mailflow import Unwrap
    from mailwye.whatif.queued import QueuePreview
    from mailwye.whatif.replay import Report

QUEUE_LOOKED_AT = 100_000  # deliveries: what `apply` looks through before it saves; --dry-run and `replay` look through all
HOPS_PER_REQUEST = 5_000
REQUIREMENTS = ("no", "clean", "acknowledged")
GATE_OPTIONS = ("require_replay", "since", "acknowledge", "pin_queued")
"""What `gate_options` adds, as `Gate.of` takes it."""

F = TypeVar("F", bound=Callable[..., Any])

Say = Callable[[str], None]


class NotPutInForce(Exception):
    """The gate keeps a change back: nothing was saved. The text says why, and what to do. `exit_code` as sysexits.h has it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclasses.dataclass(frozen=True)
class Candidate:
    """`base`: the version in force, as it is stored. `organization`: what is to be in force instead."""

    base: StoredVersion
    organization: Organization

    @cached_property
    def snapshots(self) -> tuple[Snapshot, Snapshot]:
        """Both, as deciding functions read them: with very many objects that takes seconds, so it is done when it is needed."""
        from mailwye.config.compile import compile_snapshot

        base = self.base
        return compile_snapshot(base.organization, base.version), compile_snapshot(self.organization, base.version + 1)


def candidate_of(
    store: ConfigStore, installation: Installation, *, file: Path | None, prune: bool, version: int | None, draft: str
) -> Candidate:
    """The candidate of a command line: a file as `apply` takes it, an older version, or a draft as activating it now would leave the
    settings. What is wrong with it ends the command.
    """
    from mailwye.config.plan import Plan, plan_draft, plan_file
    from mailwye.stores import open_vault

    base = store.current()
    if version is not None:
        return Candidate(base, store.load(version).organization)
    vault = open_vault(installation)
    if draft:
        plan = plan_draft(store, store.draft(draft), installation=installation, vault=vault)
        if not isinstance(plan, Plan):
            fail(f"{plan}: nothing was compared", exit_codes.TEMPORARY_FAILURE)
    else:
        assert file is not None, "the command asked for one of them"
        parsed = read_settings(file)
        plan = plan_file(base, parsed, prune=prune, installation=installation, vault=vault)
    print_problems(plan.problems)
    if plan.has_errors:
        fail("it cannot be put in force, see above: nothing was compared", exit_codes.DATA_ERROR)
    return Candidate(base, plan.organization)


def read_settings(file: Path) -> Parsed[Organization]:
    """The file that an option names, - for standard input."""
    from mailwye.config.parse import ORGANIZATION_FILE_LIMIT, read_organization

    if str(file) == "-":
        return read_organization(sys.stdin.buffer.read(ORGANIZATION_FILE_LIMIT + 1), "standard input")
    return read_organization(file.absolute())


def replay_report(installation: Installation, candidate: Candidate, *, since: float, examples: int) -> Report:
    """Recorded traffic against the candidate; see whatif/replay.py. :raises NotPutInForce: it cannot be read."""
    from mailwye.cli.replaying import Job, compare
    from mailwye.config.export import to_json
    from mailwye.runtime.store_error import StoreError
    from mailwye.whatif.evaluate import Evaluation
    from mailwye.whatif.replay import Report

    before, after = candidate.snapshots
    unwrap = unwrap_of(installation)
    base, other = Evaluation(before, unwrap), Evaluation(after, unwrap)
    ask_service(installation, "flush")
    try:
        outcome = compare(Job(installation, base, other, since, examples))
    except (StoreError, OSError) as error:
        raise NotPutInForce(str(error), exit_codes.IO_ERROR) from error
    return Report(outcome, base, other, outcome.digest(before.version, to_json(candidate.organization)), since)


def unwrap_of(installation: Installation) -> Unwrap:
    """Knows the senders that this installation rewrote."""
    from mailwye.message.sender_rewriting import SenderRewriting
    from mailwye.runtime.clock import SystemClock
    from mailwye.stores import installation_secret

    rewriting = SenderRewriting(installation_secret(installation), installation.limits.rewritten_sender_days)
    now = SystemClock().now()
    return lambda address: rewriting.unwrap(address, now) if address.local[:3].lower() == "srs" else None


def queue_preview(installation: Installation, candidate: Candidate, *, limit: int = 0) -> QueuePreview:
    """What the candidate would do to what waits in all queues, the service running or not. `limit`: deliveries to look at, 0 for all.

    :raises StoreError, OSError: a queue file cannot be read.
    """
    from mailwye.stores import queued_rows
    from mailwye.whatif.queued import QueuePreview, preview

    rows = queued_rows(installation)
    first = next(rows, None)
    if first is None:
        return QueuePreview([], 0)
    return preview(islice(chain((first,), rows), limit or None), *candidate.snapshots)


def gate_options(command: F) -> F:
    """The options of commands that put settings in force, for `Gate`."""
    for option in (
        click.option("--pin-queued", is_flag=True, help="What waits in the queue stays on the way that it has."),
        click.option("--acknowledge", default="", metavar="DIGEST", help="Accept the difference of this name, as a replay showed it."),
        click.option("--since", default="24h", show_default=True, help="Replay what came since: 24h, 7d, or a date."),
        click.option(
            "--require-replay",
            type=click.Choice(REQUIREMENTS[1:]),
            default=None,
            help="Refuse where recorded traffic would be answered differently (acknowledged: unless --acknowledge names that difference).",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands between a plan and its activation: a replay where one is asked for, and the queue."""

    installation: Installation
    require: str  # one of REQUIREMENTS
    acknowledge: str
    since: float
    pin_queued: bool

    @classmethod
    def of(
        cls,
        installation: Installation,
        *,
        require_replay: str | None,
        acknowledge: str,
        since: str,
        pin_queued: bool,
        goes_back: bool = False,
    ) -> Gate:
        """From the options (`gate_options`) and `[replay] require`: the stricter counts. `goes_back`: to settings that were in force
        before, which must not wait for a replay at three in the morning: only the options count.
        """
        from mailwye.cli.output import point_in_time
        from mailwye.runtime.clock import SystemClock

        asked = require_replay or ("acknowledged" if acknowledge else "no")
        order = ("no", "acknowledged", "clean")
        standing = "no" if goes_back else installation.replay.require
        require = max(asked, standing, key=order.index)
        return cls(installation, require, acknowledge, point_in_time(since, SystemClock().now()), pin_queued)

    @classmethod
    def open(cls, installation: Installation) -> Gate:
        """For a change that no mail can notice: nothing is asked for."""
        return cls(installation, "no", "", 0.0, pin_queued=False)

    def check(self, candidate: Candidate, *, dry_run: bool, say: Say, warn: Say) -> QueuePreview:
        """Say what the candidate does to the queue. :raises NotPutInForce: it may not be put in force."""
        from mailwye.whatif.queued import words_of

        found = self.queued(candidate, dry_run=dry_run, warn=warn)
        for line in words_of(found):
            say(line)
        self.replayed(candidate, say, warn)
        return found

    def queued(self, candidate: Candidate, *, dry_run: bool, warn: Say) -> QueuePreview:
        """What the candidate does to the queue. :raises NotPutInForce: it cannot be pinned."""
        from mailwye.runtime.store_error import StoreError
        from mailwye.whatif.queued import QueuePreview

        try:
            return queue_preview(self.installation, candidate, limit=0 if dry_run or self.pin_queued else QUEUE_LOOKED_AT)
        except (StoreError, OSError) as error:
            if self.pin_queued:
                text = f"what waits in the queue cannot be pinned, so nothing was saved: {error}"
                raise NotPutInForce(text, exit_codes.IO_ERROR) from error
            # A broken queue file must not keep anybody from changing the settings: that may be what helps.
            warn(f"what waits in the queue could not be looked at: {error}")
            return QueuePreview([], 0)

    def replayed(self, candidate: Candidate, say: Say, warn: Say) -> None:
        """Replay recorded traffic, where that is asked for. :raises NotPutInForce: it says that the candidate may not be put in force."""
        if self.require == "no":
            return
        report = replay_report(self.installation, candidate, since=self.since, examples=1)
        if not report.outcome.total:
            warn("warning: no mail was recorded since then, so the replay says nothing")
        if report.outcome.is_clean or (self.require == "acknowledged" and report.digest == self.acknowledge):
            return
        for line in report.lines():
            say(line)
        if self.require == "clean":
            raise NotPutInForce("recorded traffic would be answered differently, see above; nothing was saved", exit_codes.DATA_ERROR)
        what = "that is not the difference that was acknowledged" if self.acknowledge else "recorded traffic would be answered differently"
        raise NotPutInForce(f"{what}, see above; nothing was saved. Repeat it with --acknowledge {report.digest}", exit_codes.DATA_ERROR)

    def pin(self, found: QueuePreview) -> int:
        """Keep what waits on its way, just before the change is saved; how many deliveries."""
        from mailwye.cli.queue import change_queue

        if not self.pin_queued:
            return 0
        hops = sorted({hop for group in found.groups for hop in group.hops})
        count = 0
        for at in range(0, len(hops), HOPS_PER_REQUEST):
            wanted = {"hops": hops[at : at + HOPS_PER_REQUEST], "limit": 10_000_000}
            count += int(change_queue(self.installation, "pin", wanted)["count"])
        return count
