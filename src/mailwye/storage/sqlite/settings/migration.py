"""Form 1 of the settings' file kept each version as one JSON text of the whole organization. Here its versions become what they changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apsw

from mailwye.config.schema import OrganizationSettings
from mailwye.config.versions.stored_form import model_of, stored_text

_Row = tuple[str, str]  # kind, identity


def from_form_1(db: apsw.Connection, forever: int) -> None:
    """Fill the new tables from versions_1 and passwords_1. A version that no Mailwye of today understands is carried over as it is: reading
    it says so, as it did before.
    """
    db.execute("INSERT INTO versions (version, parent, author, at, comment) SELECT version, parent, author, at, comment FROM versions_1")
    db.execute("INSERT INTO passwords (mailbox, hash) SELECT mailbox, hash FROM passwords_1")
    known: dict[tuple[str, str], tuple[str, str]] = {}
    before: dict[_Row, str] = {}
    for version, text in list(db.execute("SELECT version, organization FROM versions_1 ORDER BY version")):
        after = dict(_objects(text, known))
        gone = [row for row, value in before.items() if after.get(row) != value]
        come = [(*row, version, forever, value) for row, value in after.items() if before.get(row) != value]
        db.executemany(
            "UPDATE objects SET until = ? WHERE kind = ? AND identity = ? AND until = ?", [(version, *row, forever) for row in gone]
        )
        db.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", come)
        before = after


def _objects(text: str, known: dict[tuple[str, str], tuple[str, str]]) -> Iterator[tuple[_Row, str]]:
    """Each object of a version: its row, and its text as it is kept now. `known` remembers what earlier versions had too."""
    organization = json.loads(text)
    for kind, value in organization.items():
        for number, plain in enumerate(value if isinstance(value, list) else [value]):
            written = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
            found = known.get((kind, written))
            if found is None:
                found = known[kind, written] = _canonical(kind, plain, written, number)
            identity, stored = found
            if stored != "{}" or kind != OrganizationSettings.kind:  # settings that are all default need no row
                yield (kind, identity), stored


def _canonical(kind: str, plain: Any, written: str, number: int) -> tuple[str, str]:
    """(identity, text). What cannot be read keeps its text under a name of its own, so that reading its version explains it."""
    try:
        thing = model_of(kind).of(plain)
    except (KeyError, ValueError):
        return f"?{number}", written
    return thing.identity, stored_text(thing)
