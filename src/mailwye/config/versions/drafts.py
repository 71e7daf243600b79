"""Drafts: a branch from a version that several saves build up, until it is activated as one version."""

from __future__ import annotations

from typing import TypedDict

from mailwye.config.versions.changes import ChangeSet
from mailwye.value import dataclass

DRAFT_NAME_LIMIT = 64  # characters, as names of objects


def draft_name(text: str) -> str:
    """The name itself, where a new draft may have it; those of earlier releases may have others. :raises ValueError: with the remedy."""
    if not 0 < len(text) <= DRAFT_NAME_LIMIT or not text.isprintable():
        raise ValueError(f"the name of a draft has 1 to {DRAFT_NAME_LIMIT} printable characters")
    if text != text.strip():
        raise ValueError("the name of a draft begins and ends with something that can be seen: leave out the spaces around it")
    if text in (".", ".."):
        raise ValueError(f"{text} means a folder wherever there are paths, and the draft could not be named there: call it otherwise")
    return text


class DraftRow(TypedDict):
    """A DraftInfo as JSON."""

    name: str
    base: int
    revision: int
    author: str
    at: float
    comment: str


class DraftSaveRow(TypedDict):
    """A DraftSave as JSON."""

    revision: int
    author: str
    at: float
    comment: str


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

    def to_dict(self) -> DraftRow:
        """For JSON."""
        return {
            "name": self.name,
            "base": self.base,
            "revision": self.revision,
            "author": self.author,
            "at": self.at,
            "comment": self.comment,
        }


@dataclass(frozen=True, slots=True)
class DraftSave:
    """One save into a draft: who, when, why. They stay with the version that the draft becomes."""

    revision: int
    author: str
    at: float
    comment: str

    def to_dict(self) -> DraftSaveRow:
        """For JSON."""
        return {"revision": self.revision, "author": self.author, "at": self.at, "comment": self.comment}


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """`changes`: what the draft makes of its base."""

    info: DraftInfo
    changes: ChangeSet
    saves: tuple[DraftSave, ...]
