"""Versions and drafts as rows: reading and writing within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apsw

from mailwye.config.schema import DEFAULT_SETTINGS, KINDS, NO_OBJECTS, ConfigObject, Organization
from mailwye.config.store import DraftConflict, NoSuchDraft, mailbox_of
from mailwye.config.versions.changes import SETTINGS, ChangeSet, ObjectChange
from mailwye.config.versions.drafts import DraftInfo, DraftSave
from mailwye.config.versions.stored_form import from_stored, stored_text
from mailwye.storage.sqlite.settings.schema import FOREVER

_WHOLE = "SELECT kind, identity, value FROM objects WHERE since <= ?1 AND until > ?1"  # in the order of the primary key
_TOUCHED = """
SELECT touched.kind, touched.identity, old.value, new.value
FROM (SELECT kind, identity FROM objects WHERE since > ?1 AND since <= ?2
      UNION SELECT kind, identity FROM objects WHERE until > ?1 AND until <= ?2) AS touched
LEFT JOIN objects AS old ON old.kind = touched.kind AND old.identity = touched.identity AND old.since <= ?3 AND old.until > ?3
LEFT JOIN objects AS new ON new.kind = touched.kind AND new.identity = touched.identity AND new.since <= ?4 AND new.until > ?4
"""
_CLOSE = "UPDATE objects SET until = ? WHERE kind = ? AND identity = ? AND until = ?"
_OPEN = "INSERT INTO objects (kind, identity, since, until, value) VALUES (?, ?, ?, ?, ?)"


def whole(db: apsw.Connection, version: int) -> Organization:
    """A version from its rows. :raises ValueError: an object cannot be understood."""
    found: dict[str, list[ConfigObject]] = {kind: [] for kind in KINDS}
    settings: ConfigObject = DEFAULT_SETTINGS
    for kind, _, text in db.execute(_WHOLE, (version,)):
        thing = from_stored(kind, text)
        if kind == SETTINGS:
            settings = thing
        else:
            found[kind].append(thing)
    lists = {KINDS[kind].attribute: tuple(things) for kind, things in found.items() if things}
    return NO_OBJECTS.changed(**{"organization": settings, **lists})


def between(db: apsw.Connection, old: int, new: int) -> ChangeSet:
    """What makes version `new` out of `old`, by the rows that begin or end between them. :raises ValueError: see `whole`."""
    rows = list(db.execute(_TOUCHED, (min(old, new), max(old, new), old, new)))
    return ChangeSet.of(ObjectChange(kind, identity, _read(kind, before), _read(kind, after)) for kind, identity, before, after in rows)


def write_version(db: apsw.Connection, version: int, changes: ChangeSet) -> None:
    """The objects of a new version."""
    db.executemany(_CLOSE, ((version, each.kind, each.identity, FOREVER) for each in changes))
    written = ((each.kind, each.identity, version, FOREVER, text) for each in changes if (text := _text(each)) is not None)
    db.executemany(_OPEN, written)


def keep_passwords(db: apsw.Connection, changes: ChangeSet, version: int, restores: int) -> None:
    """Removed mailboxes lose their password, restored ones get it back, new ones never have an old one."""
    for change in changes:
        mailbox = mailbox_of(change)
        if mailbox and change.after is None:
            db.execute("UPDATE passwords SET removed = ? WHERE mailbox = ? AND removed = 0", (version, mailbox))
        elif mailbox and change.before is None:
            if restores:
                db.execute("UPDATE passwords SET removed = 0 WHERE mailbox = ? AND removed > ?", (mailbox, restores))
            db.execute("DELETE FROM passwords WHERE mailbox = ? AND removed > 0", (mailbox,))


def draft_info(db: apsw.Connection, name: str) -> DraftInfo:
    """:raises NoSuchDraft: there is none."""
    rows = list(db.execute("SELECT name, base, revision, author, at, comment FROM drafts WHERE name = ?", (name,)))
    if not rows:
        raise NoSuchDraft(name)
    return DraftInfo(*rows[0])


def expect_revision(db: apsw.Connection, name: str, revision: int) -> DraftInfo:
    """The draft, where it is as the caller knows it. :raises NoSuchDraft, DraftConflict: it is not."""
    info = draft_info(db, name)
    if info.revision != revision:
        raise DraftConflict(name, revision, info.revision)
    return info


def draft_objects(db: apsw.Connection, name: str) -> list[tuple[str, str, ConfigObject | None]]:
    """(kind, identity, object or None: removed) as the draft wants them. :raises ValueError: one cannot be understood."""
    rows = list(db.execute("SELECT kind, identity, value FROM draft_objects WHERE draft = ?", (name,)))
    return [(kind, identity, _read(kind, value)) for kind, identity, value in rows]


def write_draft(db: apsw.Connection, name: str, changes: ChangeSet) -> None:
    """What the draft makes of its base from now on."""
    db.execute("DELETE FROM draft_objects WHERE draft = ?", (name,))
    rows = ((name, each.kind, each.identity, None if each.after is None else stored_text(each.after)) for each in changes)
    db.executemany("INSERT INTO draft_objects VALUES (?, ?, ?, ?)", rows)


def draft_saves(db: apsw.Connection, name: str, version: int) -> tuple[DraftSave, ...]:
    """The saves of a draft (version 0), or of what became `version` (name "")."""
    statement = "SELECT revision, author, at, comment FROM draft_saves WHERE draft = ? AND version = ? ORDER BY revision"
    return tuple(DraftSave(*row) for row in db.execute(statement, (name, version)))


def forget_draft(db: apsw.Connection, name: str, version: int) -> None:
    """The draft became `version` (its saves go there), or (0) was discarded."""
    db.execute("DELETE FROM drafts WHERE name = ?", (name,))
    db.execute("DELETE FROM draft_objects WHERE draft = ?", (name,))
    if version:
        db.execute("UPDATE draft_saves SET draft = '', version = ? WHERE draft = ?", (version, name))
    else:
        db.execute("DELETE FROM draft_saves WHERE draft = ?", (name,))


def find(organization: Organization, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ConfigObject]:
    """Those objects of an organization that are asked for, by (kind, identity)."""
    asked = set(wanted)
    return {place: thing for place, thing in _places(organization, {kind for kind, _ in asked}) if place in asked}


def _places(organization: Organization, kinds: set[str]) -> Iterator[tuple[tuple[str, str], ConfigObject]]:
    if SETTINGS in kinds:
        yield (SETTINGS, ""), organization.organization
    for kind in kinds - {SETTINGS}:
        for thing in organization.objects(kind):
            yield (kind, thing.identity), thing


def _read(kind: str, text: str | None) -> Any:
    if text is not None:
        return from_stored(kind, text)
    return DEFAULT_SETTINGS if kind == SETTINGS else None  # settings without a row are all default


def _text(change: ObjectChange) -> str | None:
    if change.after is None or (change.kind == SETTINGS and change.after == DEFAULT_SETTINGS):
        return None
    return stored_text(change.after)
