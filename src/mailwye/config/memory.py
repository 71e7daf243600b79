"""A complete ConfigStore in memory: tests, simulation, `mailwye demo`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from mailwye.config.store import (
    EMPTY,
    DraftConflict,
    DraftExists,
    NoSuchDraft,
    NoSuchVersion,
    StoredVersion,
    VersionConflict,
    VersionInfo,
    mailbox_of,
)
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.drafts import DraftInfo, DraftSave, StoredDraft


@dataclass(frozen=True, slots=True)
class _Password:
    hash: str
    removed: int = 0  # the version that removed its mailbox


class MemoryConfigStore:
    """Implements store.ConfigStore; nothing outlives the object."""

    def __init__(self) -> None:
        self._versions = [EMPTY]
        self._saves: dict[int, tuple[DraftSave, ...]] = {}
        self._drafts: dict[str, StoredDraft] = {}
        self._passwords: dict[str, _Password] = {}
        self._lock = Lock()

    def version(self) -> int:
        """See ConfigStore."""
        return self._versions[-1].version

    def current(self) -> StoredVersion:
        """See ConfigStore."""
        return self._versions[-1]

    def load(self, version: int) -> StoredVersion:
        """See ConfigStore."""
        if not 0 <= version < len(self._versions):
            raise NoSuchVersion(version)
        return self._versions[version]

    def history(self, limit: int = 100) -> Sequence[VersionInfo]:
        """See ConfigStore."""
        return [stored.info for stored in reversed(self._versions[1:])][:limit]

    def changes(self, old: int, new: int) -> ChangeSet:
        """See ConfigStore."""
        return ChangeSet.between(self.load(old).organization, self.load(new).organization)

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
        """See ConfigStore."""
        with self._lock:
            current = self._versions[-1]
            if current.version != expected_version:
                raise VersionConflict(expected_version, current.version)
            version = current.version + 1
            if draft is not None:
                self._saves[version] = self._revision(draft.name, draft.revision).saves
                del self._drafts[draft.name]
            name = draft.name if draft is not None else ""
            info = VersionInfo(version, current.version, author, at, comment, restores, name)
            self._versions.append(StoredVersion(info, changes.applied_to(current.organization)))
            self._keep_passwords(changes, version, restores)
            return version

    def saves(self, version: int) -> Sequence[DraftSave]:
        """See ConfigStore."""
        return self._saves.get(version, ())

    def drafts(self) -> Sequence[DraftInfo]:
        """See ConfigStore."""
        return [self._drafts[name].info for name in sorted(self._drafts)]

    def draft(self, name: str) -> StoredDraft:
        """See ConfigStore."""
        if name not in self._drafts:
            raise NoSuchDraft(name)
        return self._drafts[name]

    def new_draft(self, name: str, *, base: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """See ConfigStore."""
        with self._lock:
            self.load(base)
            if name in self._drafts:
                raise DraftExists(name)
            info = DraftInfo(name, base, 0, author, at, comment)
            self._drafts[name] = StoredDraft(info, ChangeSet(), ())
            return info

    def save_draft(self, name: str, changes: ChangeSet, *, expected_revision: int, author: str, at: float, comment: str = "") -> DraftInfo:
        """See ConfigStore."""
        with self._lock:
            before = self._revision(name, expected_revision)
            info = replace(before.info, revision=before.info.revision + 1)
            self._drafts[name] = StoredDraft(info, changes, (*before.saves, DraftSave(info.revision, author, at, comment)))
            return info

    def discard_draft(self, name: str) -> bool:
        """See ConfigStore."""
        return self._drafts.pop(name, None) is not None

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """See ConfigStore."""
        self._passwords[mailbox.lower()] = _Password(password_hash)

    def password_hash(self, mailbox: str) -> str | None:
        """See ConfigStore."""
        found = self._passwords.get(mailbox.lower())
        return found.hash if found is not None and not found.removed else None

    def remove_password(self, mailbox: str) -> bool:
        """See ConfigStore."""
        found = self._passwords.pop(mailbox.lower(), None)
        return found is not None and not found.removed

    def close(self) -> None:
        """See ConfigStore."""

    def _revision(self, name: str, expected: int) -> StoredDraft:
        found = self.draft(name)
        if found.info.revision != expected:
            raise DraftConflict(name, expected, found.info.revision)
        return found

    def _keep_passwords(self, changes: ChangeSet, version: int, restores: int) -> None:
        for change in changes:
            mailbox = mailbox_of(change)
            found = self._passwords.get(mailbox)
            if found is None:
                continue
            if change.after is None and not found.removed:
                self._passwords[mailbox] = replace(found, removed=version)
            elif change.before is None and found.removed:
                if restores and restores < found.removed:
                    self._passwords[mailbox] = replace(found, removed=0)
                else:  # a mailbox that is made again one day must not open with the password of the one before
                    del self._passwords[mailbox]
