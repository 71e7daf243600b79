"""The work of a replay, shared out among the processors where there is much of it."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwye.stores import open_traffic
from mailwye.whatif.replay import Comparison, Outcome
from mailwye.whatif.traffic import EVERYTHING, Part

if TYPE_CHECKING:
    from mailwye.config.installation import Installation
    from mailwye.whatif.evaluate import Evaluation

MUCH = 50_000  # envelopes, which take some seconds: below that a second process would cost more than it brings
PROCESSES = 8  # at most: a replay is not worth the whole machine


@dataclass(frozen=True, slots=True)
class Job:
    """What to compare. `since`: Unix seconds; `examples` of each difference."""

    installation: Installation
    base: Evaluation
    candidate: Evaluation
    since: float
    examples: int

    def part(self, part: Part) -> Outcome:
        """One part of it."""
        comparison = Comparison(self.base, self.candidate, examples=self.examples)
        return comparison.add_all(open_traffic(self.installation).read(self.since, part))


_jobs: list[Job] = []  # for the processes that are forked with it: settings of a million domains need not be sent


def compare(job: Job) -> Outcome:
    """The outcome. :raises DatabaseError: a file of recorded traffic cannot be read."""
    processes = min(len(os.sched_getaffinity(0)), PROCESSES)
    if processes < 2 or open_traffic(job.installation).envelopes(job.since) < MUCH:
        return job.part(EVERYTHING)
    _jobs.append(job)
    try:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
            outcomes = list(pool.map(_part, [Part(number, processes) for number in range(processes)]))
    finally:
        _jobs.clear()
    total = outcomes[0]
    for other in outcomes[1:]:
        total.add(other, job.examples)
    return total


def _part(part: Part) -> Outcome:
    return _jobs[-1].part(part)
