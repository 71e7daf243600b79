"""A complete ConfigStore in memory: tests, simulation, `mailwye demo`."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from mailwye.config.export import in_order
from mailwye.config.schema import Organization
from mailwye.config.store import EMPTY, NoSuchVersion, StoredVersion, VersionConflict, VersionInfo


class MemoryConfigStore:
    """Implements store.ConfigStore; nothing outlives the object."""

    def __init__(self) -> None:
        self._versions = [EMPTY]
        self._passwords: dict[str, str] = {}
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

    def save(self, organization: Organization, *, expected_version: int, author: str, at: float, comment: str = "") -> int:
        """See ConfigStore."""
        with self._lock:
            current = self.version()
            if current != expected_version:
                raise VersionConflict(expected_version, current)
            self._versions.append(StoredVersion(VersionInfo(current + 1, current, author, at, comment), in_order(organization)))
            return current + 1

    def set_password(self, mailbox: str, password_hash: str) -> None:
        """See ConfigStore."""
        self._passwords[mailbox.lower()] = password_hash

    def password_hash(self, mailbox: str) -> str | None:
        """See ConfigStore."""
        return self._passwords.get(mailbox.lower())

    def remove_password(self, mailbox: str) -> bool:
        """See ConfigStore."""
        return self._passwords.pop(mailbox.lower(), None) is not None

    def close(self) -> None:
        """See ConfigStore."""
