"""From a damaged queue file to a new one with everything that can be read; the damaged one goes into `corrupt/` beside it, as it is.

Every step may be repeated after a crash: the new file is whole and synced before it takes the place of the old one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, closing
from pathlib import Path

import apsw

from mailwye.runtime.files import sync_and_close, sync_directories
from mailwye.storage.sqlite import queue_schema as sql
from mailwye.storage.sqlite.connection import PAGE_SIZE, open_database
from mailwye.storage.sqlite.rescue.copying import Saved, copy_rows
from mailwye.storage.sqlite.rescue.pages import PageImage

CORRUPT_FOLDER = "corrupt"


def rescue(path: Path, why: str) -> str:
    """Put a new file in the place of `path`, which is damaged because of `why`; a sentence for the administrator.

    :raises OSError, apsw.Error: it cannot be done now; nothing was changed.
    """
    aside = _set_aside(path)
    unfinished, finished = path.with_suffix(".rescuing"), path.with_suffix(".rescued")
    for old in (unfinished, unfinished.with_name(unfinished.name + "-wal"), unfinished.with_name(unfinished.name + "-shm")):
        old.unlink(missing_ok=True)
    with ExitStack() as stack:
        database = stack.enter_context(aside.open("rb"))
        log_path = aside.with_name(aside.name + "-wal")
        log = stack.enter_context(log_path.open("rb")) if log_path.exists() else None
        connection = stack.enter_context(closing(open_database(unfinished, page_size=PAGE_SIZE)))
        sql.prepare(connection)
        saved = copy_rows(PageImage(database, log), connection)
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    sync_and_close(os.open(unfinished, os.O_RDWR | os.O_CLOEXEC))
    unfinished.rename(finished)
    sync_directories((path.parent,))
    finish_rescue(path)
    return _words(path, aside, why, saved)


def finish_rescue(path: Path) -> None:
    """Take the last step of a rescue, where one was under way when the power went."""
    finished = path.with_suffix(".rescued")
    if finished.exists():
        for suffix in ("-wal", "-shm"):  # they belong to the damaged file
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync_directories((path.parent,))
        finished.replace(path)
        sync_directories((path.parent,))


def _set_aside(path: Path) -> Path:
    """A second name for the damaged file and its log, under which they stay."""
    folder = path.parent / CORRUPT_FOLDER
    folder.mkdir(mode=0o750, exist_ok=True)
    place = 1
    while (aside := folder / f"{path.stem}-{place}.sqlite").exists():
        place += 1
    for suffix in ("", "-wal"):
        old, new = path.with_name(path.name + suffix), aside.with_name(aside.name + suffix)
        try:
            os.link(old, new)
        except FileNotFoundError:
            continue
        except OSError:  # a file system without second names
            shutil.copyfile(old, new)
    sync_directories((folder, path.parent))
    return aside


def _words(path: Path, aside: Path, why: str, saved: Saved) -> str:
    return (
        f"{path} was damaged ({why}): it was set aside as {aside}. Saved from it: {saved.messages} messages with {saved.deliveries} "
        f"deliveries, {saved.corrupt} of them corrupt (`mailwye queue corrupt list`); {saved.lost} deliveries could not be saved. "
        "Check the disk and the memory of this machine; `mailwye queue fsck` says more"
    )
