"""The service broken on purpose, to prove that the outage tests can fail: MAILWYE_SABOTAGE names what breaks.

`restless`: a transaction looks at the newest settings again at each recipient. `credulous`: expiry believes whatever the clock says.
`hasty`: a name server that fails is taken for a host that does not exist. `mute`: nobody is told of a delay. `twofold`: a connection that
breaks within the content is taken for a delivery. Run as `python -m torture.outage_sabotage serve --config FILE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from mailwye.__main__ import main
from mailwye.inbound import recipients
from mailwye.outbound import bounces, settling
from mailwye.outbound.courier import Attempt, Stage
from mailwye.outbound.outcomes import Outcome, judge
from mailwye.queue.item import Result
from mailwye.queue.schedule import decide_after_failure


def _restless() -> None:
    add = recipients.Transaction.add

    def add_anew(self: recipients.Transaction, event: Any, context: Any) -> Any:
        self.snapshot = context.snapshot.current
        self.known = context.decisions.sender(self.snapshot, self.facts, self.mail.sender)
        return add(self, event, context)

    recipients.Transaction.add = add_anew  # type: ignore[method-assign]  # that is what sabotage is


def _credulous() -> None:
    def believe(delivery: Any, message: Any, now: float, settings: Any, **_: Any) -> Any:
        tried = replace(delivery, attempts=max(1, delivery.attempts), last_attempt_at=now)
        return decide_after_failure(tried, message, now, settings)

    settling.decide_after_failure = believe  # type: ignore[attr-defined]  # that is what sabotage is


def _judged(stage: Stage, result: Result) -> None:
    def judge_wrongly(attempt: Attempt) -> Outcome:
        outcome = judge(attempt)
        wrong = outcome.result is Result.DEFERRED and attempt.stage is stage
        return replace(outcome, result=result) if wrong else outcome

    settling.judge = judge_wrongly  # type: ignore[attr-defined]  # that is what sabotage is


def _mute() -> None:
    owed = bounces.action_owed

    def say_nothing(message: Any, ended: Any) -> Any:
        return None if ended.settlement.result is Result.DEFERRED else owed(message, ended)

    bounces.action_owed = say_nothing


SABOTAGES: dict[str, Callable[[], None]] = {
    "restless": _restless,
    "credulous": _credulous,
    "hasty": partial(_judged, Stage.RESOLVE, Result.FAILED),
    "mute": _mute,
    "twofold": partial(_judged, Stage.CONTENT, Result.DELIVERED),
}

if __name__ == "__main__":
    SABOTAGES[os.environ["MAILWYE_SABOTAGE"]]()
    main()
