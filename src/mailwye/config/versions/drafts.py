"""Drafts: a branch from a version that several saves build up, until it is activated as one version."""

from __future__ import annotations

from mailwye.config.versions.changes import ChangeSet
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class DraftInfo:
    """`base`: the version that the draft was begun from. `revision`: counts its saves, 0 before the first. `at`: Unix seconds of its
    beginning.
    """

    name: str
    base: int
    revision: int
    author: str
    at: float
    comment: str


@dataclass(frozen=True, slots=True)
class DraftSave:
    """One save into a draft: who, when, why. They stay with the version that the draft becomes."""

    revision: int
    author: str
    at: float
    comment: str


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """`changes`: what the draft makes of its base."""

    info: DraftInfo
    changes: ChangeSet
    saves: tuple[DraftSave, ...]
