"""What every ConfigStore promises, for memory and SQLite alike; what only a file can show is at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from mailwye.config.schema import AcceptedDomain, Mailbox, Organization
from mailwye.config.store import (
    ConfigStore,
    ConfigStoreError,
    DraftConflict,
    DraftExists,
    NoSuchDraft,
    NoSuchVersion,
    VersionConflict,
    VersionInfo,
)
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.config.versions.drafts import DraftInfo, DraftSave, StoredDraft
from mailwye.config.versions.memory import MemoryConfigStore
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.testing.versions import save_whole


def organization(*names: str) -> Organization:
    return Organization.of({"AcceptedDomain": [{"DomainName": name} for name in names]})


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConfigStore]:
    opened: ConfigStore = MemoryConfigStore() if request.param == "memory" else SqliteConfigStore(tmp_path / "config.sqlite")
    yield opened
    opened.close()


def test_a_fresh_store_has_the_empty_version_0(store: ConfigStore) -> None:
    assert store.version() == 0
    assert store.current().organization == Organization()
    assert store.load(0) == store.current()
    assert list(store.history()) == []


def test_a_saved_version_is_current_and_stays(store: ConfigStore) -> None:
    assert save_whole(store, organization("b.com", "a.com"), expected_version=0, author="ann", at=1.5, comment="first") == 1
    assert save_whole(store, organization("c.com"), expected_version=1, author="bob", at=2.5) == 2
    assert store.version() == store.current().version == 2
    assert store.current().organization == organization("c.com")
    first = store.load(1)
    assert first.info == VersionInfo(1, 0, "ann", 1.5, "first")
    assert first.organization == organization("a.com", "b.com")  # in the order of identities, however it was written
    assert list(store.history()) == [VersionInfo(2, 1, "bob", 2.5, ""), VersionInfo(1, 0, "ann", 1.5, "first")]
    assert [info.version for info in store.history(limit=1)] == [2]


def test_a_sealed_password_comes_back_as_it_was(store: ConfigStore) -> None:
    """The placeholder of an export in its place would lose it."""
    saved = Organization.of(
        {"OutboundConnector": [{"Name": "a", "AuthenticationCredential": {"UserName": "u", "Password": {"Sealed": "v1.x"}}}]}
    )
    save_whole(store, saved, expected_version=0, author="ann", at=1.0)
    assert store.load(1).organization == saved
    credential = store.current().organization.outbound_connectors[0].authentication_credential
    assert credential is not None
    assert credential.password.sealed == "v1.x"


def test_a_save_from_an_old_version_is_refused(store: ConfigStore) -> None:
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    with pytest.raises(VersionConflict, match="at version 1 now") as caught:
        save_whole(store, organization("b.com"), expected_version=0, author="bob", at=2.0)
    assert (caught.value.expected, caught.value.current) == (0, 1)
    with pytest.raises(VersionConflict):
        save_whole(store, organization("b.com"), expected_version=2, author="bob", at=2.0)
    assert store.current().organization == organization("a.com")
    assert save_whole(store, organization("b.com"), expected_version=1, author="bob", at=3.0) == 2


def test_any_author_and_comment_can_be_kept(store: ConfigStore) -> None:
    save_whole(store, organization("a.com"), expected_version=0, author="Ann \udcff", at=1.0, comment="\x00'; -- \u202e")
    assert store.load(1).organization == organization("a.com")
    assert store.version() == 1


def test_a_version_that_never_was(store: ConfigStore) -> None:
    for version in (1, -1, 10**12, 2**63 - 1, 10**30):
        with pytest.raises(NoSuchVersion, match=f"no version {version}"):
            store.load(version)


def test_an_older_version_is_made_active_by_saving_it_again(store: ConfigStore) -> None:
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    save_whole(store, organization("b.com"), expected_version=1, author="ann", at=2.0)
    save_whole(store, store.load(1).organization, expected_version=2, author="ann", at=3.0, comment="version 1 again")
    assert store.current().organization == organization("a.com")
    assert store.version() == 3


def test_passwords_are_kept_apart_from_versions(store: ConfigStore) -> None:
    assert store.password_hash("bob@contoso.com") is None
    store.set_password("Bob@contoso.com", "$argon2id$1")
    store.set_password("bob@Contoso.com", "$argon2id$2")
    assert store.password_hash("BOB@contoso.com") == "$argon2id$2"
    assert store.version() == 0
    assert store.remove_password("bob@CONTOSO.com")
    assert not store.remove_password("bob@contoso.com")
    assert store.password_hash("bob@contoso.com") is None


def test_every_field_survives(store: ConfigStore) -> None:
    from mailwye.config.parse import read_organization

    parsed = read_organization(Path(__file__).resolve().parents[1] / "scenarios" / "contoso.yaml")
    assert parsed.value is not None
    save_whole(store, parsed.value, expected_version=0, author="ann", at=1.0)
    assert store.current().organization.outbound_connectors == parsed.value.outbound_connectors
    assert store.current().organization.name == "contoso"


def test_of_many_savers_one_wins_each_version(store: ConfigStore, tmp_path: Path) -> None:
    def open_store() -> ConfigStore:
        return store if isinstance(store, MemoryConfigStore) else SqliteConfigStore(tmp_path / "config.sqlite")

    won: list[int] = []

    def saver(name: str) -> None:
        mine = open_store()
        for _ in range(5):
            while True:
                try:
                    won.append(save_whole(mine, organization(f"{name}.com"), expected_version=mine.version(), author=name, at=0.0))
                    break
                except VersionConflict:
                    continue
        if mine is not store:
            mine.close()

    threads = [threading.Thread(target=saver, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(1, 16))
    assert [info.parent for info in store.history()] == list(range(14, -1, -1))


def domain(name: str, **fields: object) -> AcceptedDomain:
    return AcceptedDomain.of({"DomainName": name, **fields})


def added(*names: str) -> ChangeSet:
    return ChangeSet.of(ObjectChange("AcceptedDomain", name, None, domain(name)) for name in names)


def test_a_commit_of_some_objects_leaves_the_others(store: ConfigStore) -> None:
    save_whole(store, organization("a.com", "c.com"), expected_version=0, author="ann", at=1.0)
    before = store.current().organization.accepted_domains
    changed = ObjectChange("AcceptedDomain", "a.com", before[0], domain("a.com", Default=True))
    removed = ObjectChange("AcceptedDomain", "c.com", before[1], None)
    changes = ChangeSet.of([*added("b.com"), changed, removed])
    assert store.commit(changes, expected_version=1, author="bob", at=2.0, comment="three") == 2
    assert store.current().organization.accepted_domains == (domain("a.com", Default=True), domain("b.com"))
    assert store.load(1).organization == organization("a.com", "c.com")
    assert store.changes(1, 2) == changes
    assert store.changes(2, 1) == changes.reversed()
    assert store.changes(2, 2) == ChangeSet()
    with pytest.raises(VersionConflict):
        store.commit(added("x.com"), expected_version=1, author="bob", at=3.0)
    with pytest.raises(NoSuchVersion):
        store.changes(1, 7)


def test_objects_that_did_not_change_are_the_same_objects(store: ConfigStore) -> None:
    """Comparing, checking and compiling rely on it to be quick."""
    save_whole(store, organization("a.com", "b.com"), expected_version=0, author="ann", at=1.0)
    first = store.current().organization
    store.commit(added("c.com"), expected_version=1, author="ann", at=2.0)
    second = store.current().organization
    assert second.accepted_domains[0] is first.accepted_domains[0]
    assert second.mailboxes is first.mailboxes
    assert store.load(1).organization.accepted_domains[1] is second.accepted_domains[1]


def test_settings_of_the_organization_are_an_object_like_others(store: ConfigStore) -> None:
    save_whole(store, Organization.of({"Organization": {"Name": "contoso"}}), expected_version=0, author="ann", at=1.0)
    save_whole(store, Organization(), expected_version=1, author="ann", at=2.0)
    assert store.current().organization == Organization()
    assert store.load(1).organization.name == "contoso"
    (change,) = store.changes(1, 2)
    assert change.before is not None
    assert change.after == Organization().organization


def test_a_version_says_what_it_restores(store: ConfigStore) -> None:
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    save_whole(store, organization("b.com"), expected_version=1, author="ann", at=2.0)
    store.commit(store.changes(2, 1), expected_version=2, author="ann", at=3.0, comment="back", restores=1)
    assert store.current().info == VersionInfo(3, 2, "ann", 3.0, "back", 1)
    assert store.current().organization == organization("a.com")


def mailbox(name: str) -> Mailbox:
    return Mailbox.of({"PrimarySmtpAddress": name})


def test_a_removed_mailbox_opens_to_nobody_and_a_restored_one_to_its_owner(store: ConfigStore) -> None:
    made = ChangeSet.of([ObjectChange("Mailbox", "bob@a.com", None, mailbox("Bob@a.com"))])
    store.commit(made, expected_version=0, author="ann", at=1.0)
    store.set_password("Bob@a.com", "$argon2id$1")
    store.commit(made.reversed(), expected_version=1, author="ann", at=2.0)
    assert store.password_hash("bob@a.com") is None
    store.commit(made, expected_version=2, author="ann", at=3.0, restores=1)
    assert store.password_hash("bob@a.com") == "$argon2id$1"
    store.commit(made.reversed(), expected_version=3, author="ann", at=4.0)
    store.commit(made, expected_version=4, author="ann", at=5.0)  # made again, for somebody else
    assert store.password_hash("bob@a.com") is None
    store.commit(made.reversed(), expected_version=5, author="ann", at=6.0)
    store.commit(made, expected_version=6, author="ann", at=7.0, restores=1)
    assert store.password_hash("bob@a.com") is None


def test_a_draft_is_built_by_several_saves_and_becomes_one_version(store: ConfigStore) -> None:
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    info = store.new_draft("move", base=1, author="ann", at=2.0, comment="the move")
    assert store.draft("move") == StoredDraft(info, ChangeSet(), ())
    store.save_draft("move", added("b.com"), expected_revision=0, author="ann", at=3.0, comment="b")
    store.save_draft("move", added("b.com").then(added("c.com")), expected_revision=1, author="bob", at=4.0)
    assert store.current().organization == organization("a.com")
    stored = store.draft("move")
    saves = (DraftSave(1, "ann", 3.0, "b"), DraftSave(2, "bob", 4.0, ""))
    assert (stored.info.revision, stored.changes, stored.saves) == (2, added("b.com", "c.com"), saves)
    assert list(store.drafts()) == [stored.info]
    assert store.commit(stored.changes, expected_version=1, author="eve", at=5.0, draft=stored.info) == 2
    assert store.current().organization == organization("a.com", "b.com", "c.com")
    assert store.current().info == VersionInfo(2, 1, "eve", 5.0, "", 0, "move")
    assert tuple(store.saves(2)) == saves
    assert tuple(store.saves(1)) == ()
    assert list(store.drafts()) == []
    again = store.new_draft("move", base=2, author="ann", at=6.0)  # its name is free again, its saves are the version's
    assert store.draft("move") == StoredDraft(again, ChangeSet(), ())


def test_a_draft_keeps_what_its_base_had(store: ConfigStore) -> None:
    save_whole(store, organization("a.com", "b.com"), expected_version=0, author="ann", at=1.0)
    store.new_draft("d", base=1, author="ann", at=2.0)
    before = store.load(1).organization.accepted_domains
    changes = ChangeSet.of(
        [
            ObjectChange("AcceptedDomain", "a.com", before[0], None),
            ObjectChange("AcceptedDomain", "b.com", before[1], domain("b.com", Default=True)),
        ]
    )
    store.save_draft("d", changes, expected_revision=0, author="ann", at=3.0)
    save_whole(store, organization("c.com"), expected_version=1, author="bob", at=4.0)
    assert store.draft("d").changes == changes


def test_two_savers_of_one_draft_and_drafts_that_never_were(store: ConfigStore) -> None:
    info = store.new_draft("d", base=0, author="ann", at=1.0)
    with pytest.raises(DraftExists, match="there is a draft d already"):
        store.new_draft("d", base=0, author="bob", at=1.0)
    store.save_draft("d", added("a.com"), expected_revision=0, author="ann", at=2.0)
    with pytest.raises(DraftConflict, match="at revision 1 now"):
        store.save_draft("d", added("b.com"), expected_revision=0, author="bob", at=2.0)
    with pytest.raises(DraftConflict):
        store.commit(added("a.com"), expected_version=0, author="bob", at=2.0, draft=info)
    assert store.draft("d").changes == added("a.com")
    assert store.version() == 0
    for call in (
        lambda: store.draft("none"),
        lambda: store.save_draft("none", ChangeSet(), expected_revision=0, author="", at=0.0),
        lambda: store.commit(added("a.com"), expected_version=0, author="", at=0.0, draft=DraftInfo("none", 0, 0, "", 0.0, "")),
    ):
        with pytest.raises(NoSuchDraft, match="there is no draft none"):
            call()
    with pytest.raises(NoSuchVersion):
        store.new_draft("e", base=7, author="ann", at=1.0)
    assert store.discard_draft("d")
    assert not store.discard_draft("d")
    assert list(store.drafts()) == []
    assert store.version() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.sqlite"


def test_another_process_sees_the_new_version_at_once(path: Path) -> None:
    service, command = SqliteConfigStore(path), SqliteConfigStore(path)
    assert service.current().version == 0
    save_whole(command, organization("a.com"), expected_version=0, author="ann", at=1.0)
    assert service.version() == 1
    assert service.current().organization == organization("a.com")
    service.close()
    command.close()
    reopened = SqliteConfigStore(path)
    assert reopened.current().organization == organization("a.com")
    reopened.close()
    reopened.close()
    with pytest.raises(ConfigStoreError, match="closed"):
        reopened.version()


def test_the_file_is_private_and_durable(path: Path) -> None:
    store = SqliteConfigStore(path)
    store.set_password("bob@contoso.com", "$argon2id$")
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("config.sqlite", "config.sqlite-wal", "config.sqlite-shm"), 0o600)
    assert store._db.pragma("synchronous") == 2  # FULL: NORMAL loses the latest saves at a power cut
    assert store._db.pragma("journal_mode") == "wal"
    store.close()


def foreign(path: Path) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE t (x)")


def newer(path: Path) -> None:
    SqliteConfigStore(path).close()
    with apsw.Connection(str(path)) as connection:
        connection.pragma("user_version", 99)


def no_database(path: Path) -> None:
    path.write_bytes(b"hostname = 'mx.contoso.com'\n" * 100)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [(foreign, "not a settings file of Mailwye"), (newer, "its form is 99"), (no_database, "config.sqlite"), (a_folder, "config.sqlite")],
)
def test_files_that_are_no_store_of_ours(path: Path, prepare: Callable[[Path], None], words: str) -> None:
    prepare(path)
    with pytest.raises(ConfigStoreError, match=words):
        SqliteConfigStore(path)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigStoreError, match="cannot be opened"):
        SqliteConfigStore(tmp_path / "none" / "config.sqlite")


def test_a_version_that_cannot_be_understood_is_told_and_the_others_stay(path: Path) -> None:
    store = SqliteConfigStore(path)
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    store._db.execute("INSERT INTO versions (version, parent, author, at, comment) VALUES (2, 1, 'x', 0, '')")
    store._db.execute("INSERT INTO objects VALUES ('Future', 'x', 2, 9223372036854775807, '{}')")
    with pytest.raises(ConfigStoreError, match=r"version 2 cannot be understood .* newer Mailwye"):
        store.current()
    assert store.load(1).organization == organization("a.com")
    store.close()


def test_a_writer_that_blocks_for_too_long_is_an_error(path: Path) -> None:
    store = SqliteConfigStore(path, busy_seconds=0.01)
    blocker = apsw.Connection(str(path))
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(ConfigStoreError, match="another process"):
        save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)
    assert store.version() == 0
    blocker.execute("ROLLBACK")
    assert save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0) == 1
    blocker.close()
    store.close()


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT", "COMMIT"])
def test_a_save_that_fails_at_any_statement_leaves_the_old_version(path: Path, statement: str) -> None:
    store = SqliteConfigStore(path)
    save_whole(store, organization("a.com"), expected_version=0, author="ann", at=1.0)

    def fail(cursor: object, sql: str, bindings: object) -> bool:
        if sql.startswith(statement):
            raise OSError(28, "No space left on device")
        return True

    store._db.exec_trace = fail
    with pytest.raises(ConfigStoreError, match="no space left"):
        save_whole(store, organization("b.com"), expected_version=1, author="ann", at=2.0)
    store._db.exec_trace = None
    assert store.current().organization == organization("a.com")
    assert save_whole(store, organization("c.com"), expected_version=1, author="ann", at=3.0) == 2
    store.close()


_CHILD = """
import os, signal, sys
from pathlib import Path
from mailwye.config.schema import Organization
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.testing.versions import save_whole
store = SqliteConfigStore(Path(sys.argv[1]))
def stop(cursor, sql, bindings):
    if sql.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return True
store._db.exec_trace = stop
new = Organization.of({"AcceptedDomain": {"DomainName": "new.com"}})
save_whole(store, new, expected_version=1, author="child", at=2.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("statement", "survives"),
    [
        ("INSERT INTO versions", "old.com"),
        ("UPDATE", "old.com"),
        ("INSERT INTO objects", "old.com"),
        ("COMMIT", "old.com"),
        ("nothing", "new.com"),
    ],
)
def test_a_process_killed_within_a_save_leaves_the_old_or_the_new_version(path: Path, statement: str, survives: str) -> None:
    store = SqliteConfigStore(path)
    save_whole(store, organization("old.com"), expected_version=0, author="ann", at=1.0)
    store.close()
    child = subprocess.run([sys.executable, "-c", _CHILD, str(path), statement], env={**os.environ}, check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    store = SqliteConfigStore(path)
    assert store.current().organization == organization(survives)
    assert store.load(1).organization == organization("old.com")
    assert store._db.pragma("integrity_check") == "ok"
    store.close()


def test_a_version_costs_what_it_changes(path: Path) -> None:
    store = SqliteConfigStore(path)
    save_whole(store, organization(*(f"d{number}.com" for number in range(500))), expected_version=0, author="ann", at=1.0)
    for number in range(10):
        store.commit(added(f"e{number}.com"), expected_version=1 + number, author="ann", at=2.0)
    assert list(store._db.execute("SELECT count(*) FROM objects")) == [(510,)]
    store.close()
    reopened = SqliteConfigStore(path)
    assert len(reopened.load(6).organization.accepted_domains) == 505
    assert len(reopened.current().organization.accepted_domains) == 510
    assert len(reopened.load(1).organization.accepted_domains) == 500
    reopened.close()
