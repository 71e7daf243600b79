"""How a change is to be made, as the query of a request says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

DryRun = Annotated[bool, Query(description="Answer with the difference and the findings; save nothing.")]
Draft = Annotated[str, Query(max_length=64, description="Work in this draft.")]
Comment = Annotated[str, Query(max_length=1024, description="Why; kept with the version.")]
Acknowledge = Annotated[str, Query(max_length=128, description="The difference that a replay showed and that is accepted.")]


@dataclass(frozen=True, slots=True)
class Wish:
    """How a change is made. `draft`: save into this draft. `goes_back`: to settings that were in force, which wait for no replay."""

    dry_run: bool = False
    comment: str = ""
    acknowledge: str = ""
    draft: str = ""
    goes_back: bool = False
    status: int = 200


def _at_once(dry_run: DryRun = False, comment: Comment = "", acknowledge: Acknowledge = "") -> Wish:
    return Wish(dry_run, comment, acknowledge)


def _or_into_draft(dry_run: DryRun = False, draft: Draft = "", comment: Comment = "", acknowledge: Acknowledge = "") -> Wish:
    return Wish(dry_run, comment, acknowledge, draft)


Wished = Annotated[Wish, Depends(_at_once)]
"""The parameter of a handler that puts settings in force."""

WishedMaybeInDraft = Annotated[Wish, Depends(_or_into_draft)]
"""The parameter of a handler that puts settings in force, or saves them into a draft."""
