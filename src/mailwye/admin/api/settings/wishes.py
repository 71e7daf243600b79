"""How a change is to be made, as the query of a request says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated

from fastapi import Depends, Query

from mailwye.admin.api.problems import ApiError

DryRun = Annotated[bool, Query(description="Answer with the difference and the findings; save nothing.")]
Draft = Annotated[str, Query(max_length=64, description="Work in this draft.")]
Comment = Annotated[str, Query(max_length=1024, description="Why; kept with the version.")]
Acknowledge = Annotated[str, Query(max_length=128, description="The difference that a replay showed and that is accepted.")]
PinQueued = Annotated[bool, Query(description="What waits in the queue stays on the way that it has.")]
Seconds = Annotated[int, Query(ge=1, le=31_622_400, description="How far back a replay goes.")]
DAY = 86_400


class Requirement(Enum):
    """What a replay of recorded traffic has to show: no difference at all, or the one that `acknowledge` names."""

    CLEAN = "clean"
    ACKNOWLEDGED = "acknowledged"


RequireReplay = Annotated[Requirement | None, Query(description="Refuse where recorded traffic would be answered differently.")]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a change is made. `draft`: save into this draft. `goes_back`: to settings that were in force, which wait for no replay unless it
    is asked for. `require_replay`, `acknowledge`, `seconds`, `pin_queued`: as the options of `mailwye apply`.
    """

    dry_run: bool = False
    comment: str = ""
    acknowledge: str = ""
    draft: str = ""
    goes_back: bool = False
    status: int = 200
    require_replay: Requirement | None = None
    seconds: int = DAY
    pin_queued: bool = False

    @property
    def asks(self) -> bool:
        """It asks for more than [replay] does."""
        return bool(self.acknowledge) or self.require_replay is not None or self.pin_queued


def _at_once(
    dry_run: DryRun = False,
    comment: Comment = "",
    acknowledge: Acknowledge = "",
    require_replay: RequireReplay = None,
    seconds: Seconds = DAY,
    pin_queued: PinQueued = False,
) -> Wish:
    return Wish(dry_run, comment, acknowledge, require_replay=require_replay, seconds=seconds, pin_queued=pin_queued)


def _or_into_draft(wish: Annotated[Wish, Depends(_at_once)], draft: Draft = "") -> Wish:
    if draft and wish.asks:
        raise ApiError(422, "a draft puts nothing in force: ask for acknowledge, require_replay and pin_queued when it is activated")
    return replace(wish, draft=draft)


Wished = Annotated[Wish, Depends(_at_once)]
"""The parameter of a handler that puts settings in force."""

WishedMaybeInDraft = Annotated[Wish, Depends(_or_into_draft)]
"""The parameter of a handler that puts settings in force, or saves them into a draft."""
