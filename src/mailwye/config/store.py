"""The port of the versioned store of settings: every saved version stays, a save names the version that it was made from.

Implementations: config/memory.py, storage/sqlite/config_store.py. Both pass tests/conformance/test_config_store.py.
Calls are short and synchronous; a save returns when it is durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mailwye.config.schema import Organization


class ConfigStoreError(Exception):
    """The store cannot be read or written; the text names it and the remedy. Nothing was changed."""


class VersionConflict(ConfigStoreError):
    """Somebody saved in between. `current` is the version now; look at its difference and save again on top of it."""

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(
            f"the settings are at version {current} now, this change was made from version {expected}; load {current} and repeat it"
        )
        self.expected = expected
        self.current = current


class NoSuchVersion(ConfigStoreError):
    """There is no version of this number."""

    def __init__(self, version: int) -> None:
        super().__init__(f"there is no version {version}; `mailwye history` lists those that exist")
        self.version = version


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """Who saved what when. `parent`: the version that it was made from (0: the empty one). `at`: Unix seconds."""

    version: int
    parent: int
    author: str
    at: float
    comment: str


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version with its content. Version 0 is the empty organization of a fresh installation: never saved, always there."""

    info: VersionInfo
    organization: Organization

    @property
    def version(self) -> int:
        """Its number; they count from 1 and only grow."""
        return self.info.version


EMPTY = StoredVersion(VersionInfo(0, 0, "", 0.0, ""), Organization())


class ConfigStore(Protocol):
    """Versions of the organization, and beside them the passwords of mailboxes (never part of a version or an export)."""

    def version(self) -> int:
        """The number of the current version, cheap enough to ask several times a second: 0 in a fresh installation."""
        ...

    def current(self) -> StoredVersion:
        """The current version. :raises ConfigStoreError: it cannot be read."""
        ...

    def load(self, version: int) -> StoredVersion:
        """One version. :raises NoSuchVersion: there is none. :raises ConfigStoreError: it cannot be read."""
        ...

    def history(self, limit: int = 100) -> Sequence[VersionInfo]:
        """The latest versions, newest first, without version 0."""
        ...

    def save(self, organization: Organization, *, expected_version: int, author: str, at: float, comment: str = "") -> int:
        """Make `organization` the current version if `expected_version` still is; the new number.

        All or nothing: after a crash at any moment the old or the new version is current.
        :raises VersionConflict: somebody was faster. :raises ConfigStoreError: it is not durable.
        """
        ...

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """Keep the argon2 hash of the mailbox with this PrimarySmtpAddress (in any case)."""
        ...

    def password_hash(self, mailbox: str) -> str | None:
        """The hash, None where no password was set."""
        ...

    def remove_password(self, mailbox: str) -> bool:
        """Forget it. False where there was none."""
        ...

    def close(self) -> None:
        """Give back files. Harmless when repeated."""
        ...
