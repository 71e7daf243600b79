"""Versions of settings without a plan: what tests and benchmarks begin with."""

from __future__ import annotations

from mailwye.config.export import in_order
from mailwye.config.schema import Organization
from mailwye.config.store import ConfigStore, VersionConflict
from mailwye.config.versions.changes import ChangeSet


def save_whole(store: ConfigStore, organization: Organization, *, expected_version: int, author: str, at: float, comment: str = "") -> int:
    """`ConfigStore.commit` of what makes `organization` out of the current version, checked by nobody."""
    current = store.current()
    if current.version != expected_version:
        raise VersionConflict(expected_version, current.version)
    changes = ChangeSet.between(current.organization, in_order(organization))
    return store.commit(changes, expected_version=expected_version, author=author, at=at, comment=comment)
