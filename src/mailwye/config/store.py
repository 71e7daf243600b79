"""The port of the versioned store of settings: every saved version stays, a save names the version that it was made from.

A version is what it changes: a save of one object costs the same however many there are. Drafts are changes beside the versions.

Implementations: config/versions/memory.py, storage/sqlite/config_store.py. Both pass tests/conformance/test_config_store.py.
Calls are short and synchronous; a save returns when it is durable. An implementation keeps what it read last, so that objects which did not
change between two versions are the same Python objects in both: comparing, checking and compiling rely on it to be quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict

from mailwye.config.schema import NO_OBJECTS, Mailbox, Organization
from mailwye.config.store_errors import (
    ConfigStoreError,
    DraftConflict,
    DraftExists,
    NoSuchDraft,
    NoSuchVersion,
    VersionConflict,
)
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.config.versions.drafts import DraftInfo, DraftSave, StoredDraft
from mailwye.value import dataclass


class VersionRow(TypedDict):
    """A VersionInfo as JSON."""

    version: int
    parent: int
    author: str
    at: float
    comment: str
    restores: int
    draft: str


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """Who saved what when. `parent`: the version that it was made from (0: the empty one). `at`: Unix seconds.

    `restores`: the older version whose content this one has again, 0 for none. `draft`: the name of the draft that became it, "" for none.
    """

    version: int
    parent: int
    author: str
    at: float
    comment: str
    restores: int = 0
    draft: str = ""

    def to_dict(self) -> VersionRow:
        """For JSON."""
        return {
            "version": self.version,
            "parent": self.parent,
            "author": self.author,
            "at": self.at,
            "comment": self.comment,
            "restores": self.restores,
            "draft": self.draft,
        }


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version with its content. Version 0 is the empty organization of a fresh installation: never saved, always there."""

    info: VersionInfo
    organization: Organization

    @property
    def version(self) -> int:
        """Its number; they count from 1 and only grow."""
        return self.info.version


EMPTY = StoredVersion(VersionInfo(0, 0, "", 0.0, ""), NO_OBJECTS)


def mailbox_of(change: ObjectChange) -> str:
    """The mailbox that a change adds, removes or alters, as passwords are kept; "" where it is about something else."""
    thing = change.after or change.before
    return str(thing.primary_smtp_address).lower() if isinstance(thing, Mailbox) else ""


class ConfigStore(Protocol):
    """Versions of the organization and drafts, and beside them the passwords of mailboxes (never part of a version or an export)."""

    def version(self) -> int:
        """The number of the current version, cheap enough to ask several times a second: 0 in a fresh installation."""
        ...

    def current(self) -> StoredVersion:
        """The current version. :raises ConfigStoreError: it cannot be read."""
        ...

    def load(self, version: int) -> StoredVersion:
        """One version. :raises NoSuchVersion: there is none. :raises ConfigStoreError: it cannot be read."""
        ...

    def history(self, limit: int = 100, *, before: int | None = None) -> Sequence[VersionInfo]:
        """The latest versions, newest first, without version 0. `before`: only older ones than this version."""
        ...

    def changes(self, old: int, new: int) -> ChangeSet:
        """What makes version `new` out of `old`; in either direction. Reads only what changed. :raises NoSuchVersion:"""
        ...

    def commit(
        self,
        changes: ChangeSet,
        *,
        expected_version: int,
        author: str,
        at: float,
        comment: str = "",
        restores: int = 0,
        draft: DraftInfo | None = None,
    ) -> int:
        """Make the current version changed by `changes` the next one if `expected_version` still is current; the new number.

        All or nothing: after a crash at any moment the old or the new version is current. The password of a mailbox that is removed opens
        nothing any more; it comes back only where `restores` names a version from before the removal. `draft`: is gone with the save, and
        its saves stay with the version.
        :raises VersionConflict, DraftConflict, NoSuchDraft: somebody was faster. :raises ConfigStoreError: it is not durable.
        """
        ...

    def saves(self, version: int) -> Sequence[DraftSave]:
        """The saves of the draft that became `version`, oldest first; empty where it was saved at once."""
        ...

    def drafts(self) -> Sequence[DraftInfo]:
        """All drafts, by name."""
        ...

    def draft(self, name: str) -> StoredDraft:
        """One draft. :raises NoSuchDraft: there is none."""
        ...

    def new_draft(self, name: str, *, base: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """Begin one, from version `base`. :raises DraftExists, NoSuchVersion: nothing was changed."""
        ...

    def save_draft(self, name: str, changes: ChangeSet, *, expected_revision: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """`changes`: what the draft makes of its base from now on, all of it. Mail is not touched. All or nothing.

        :raises NoSuchDraft, DraftConflict: somebody was faster. :raises ConfigStoreError: it is not durable.
        """
        ...

    def discard_draft(self, name: str) -> bool:
        """Forget a draft and its saves. False where there was none."""
        ...

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """Keep the argon2 hash of the mailbox with this PrimarySmtpAddress (in any case)."""
        ...

    def password_hash(self, mailbox: str) -> str | None:
        """The hash, None where no password was set, or the mailbox was removed since."""
        ...

    def remove_password(self, mailbox: str) -> bool:
        """Forget it for good. False where there was none."""
        ...

    def close(self) -> None:
        """Give back files. Harmless when repeated."""
        ...


__all__ = [
    "EMPTY",
    "ConfigStore",
    "ConfigStoreError",
    "DraftConflict",
    "DraftExists",
    "NoSuchDraft",
    "NoSuchVersion",
    "StoredVersion",
    "VersionConflict",
    "VersionInfo",
    "mailbox_of",
]
