"""Which settings a question is about: those in force, an older version, or a draft."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from mailwye.admin.api.guarded import Context
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.reading import NUMBER_LIMIT, etag
from mailwye.config.plan import draft_version
from mailwye.config.store import StoredVersion

VersionNumber = Annotated[int | None, Field(ge=0, le=NUMBER_LIMIT)]
"""In a body."""

DraftName = Annotated[str, Field(max_length=64)]
"""In a body."""

OfVersion = Annotated[int | None, Query(ge=0, le=NUMBER_LIMIT, description="An older version; the one in force otherwise.")]
OfDraft = Annotated[str, Query(max_length=64, description="A draft instead.")]


def expect_one(version: int | None, draft: str) -> None:
    """:raises ApiError: 422: both are given."""
    if draft and version is not None:
        raise ApiError(422, "version and draft are two different settings: give one of them")


def chosen(context: Context, version: int | None, draft: str) -> tuple[StoredVersion, str]:
    """The settings and their ETag. Blocks: for Services.with_settings. :raises NoSuchVersion, NoSuchDraft:"""
    store = context.services.store
    if draft:
        stored = store.draft(draft)
        return draft_version(store, stored), etag(stored.info.revision, draft=True)
    found = store.current() if version is None else store.load(version)
    return found, etag(found.version)
