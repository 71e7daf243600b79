"""A settings' file of form 1, as the release before versions became changes wrote it, is brought to today's form with all it holds."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from mailwye.config.export import to_json
from mailwye.config.store import ConfigStoreError, VersionInfo
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.storage.sqlite.settings.schema import SCHEMA_VERSION

DUMP = Path(__file__).with_name("config_form_1.sql")  # `SELECT organization` of it is what that release exported


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "config.sqlite"
    connection = apsw.Connection(str(made))
    connection.execute(DUMP.read_text(encoding="utf-8"))
    connection.close()
    return made


def texts(path: Path) -> dict[int, str]:
    """What form 1 holds of each version."""
    connection = apsw.Connection(str(path))
    found = dict(list(connection.execute("SELECT version, organization FROM versions")))
    connection.close()
    return found


def test_every_version_and_password_stays(path: Path) -> None:
    before = texts(path)
    store = SqliteConfigStore(path)
    assert store.version() == max(before) == 4
    assert {version: to_json(store.load(version).organization) for version in before} == before
    assert store.history()[2] == VersionInfo(2, 1, "bob", 1764000100.5, "the old server retires; isn't it")
    assert [len(store.changes(version - 1, version)) for version in range(1, 5)] == [11, 1, 2, 5]
    assert store.password_hash("bob@contoso.com") == "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA"
    store.commit(store.changes(4, 1), expected_version=4, author="ann", at=5.0, restores=1)
    store.close()
    again = SqliteConfigStore(path)
    assert to_json(again.current().organization) == before[1]
    assert again._db.pragma("user_version") == SCHEMA_VERSION
    assert {name for (name,) in again._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} >= {"objects", "drafts"}
    assert not list(again._db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%\\_1' ESCAPE '\\'"))
    assert again._db.pragma("integrity_check") == "ok"
    again.close()


def test_a_version_that_nobody_understands_is_carried_over_and_told(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute('INSERT INTO versions VALUES (5, 4, \'x\', 0, \'\', \'{"Organization": {"Name": "n"}, "Future": [{"Name": "f"}]}\')')
    connection.close()
    store = SqliteConfigStore(path)
    with pytest.raises(ConfigStoreError, match=r"version 5 cannot be understood .*Future"):
        store.current()
    assert store.load(4).organization.name == "Contoso Ä"
    store.close()


@pytest.mark.parametrize("statement", ["ALTER", "CREATE TABLE objects", "INSERT", "UPDATE", "DROP", "COMMIT"])
def test_a_migration_that_fails_leaves_the_old_form(path: Path, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = texts(path)
    opened = SqliteConfigStore._prepare

    def failing(store: SqliteConfigStore) -> None:
        def fail(cursor: object, sql: str, bindings: object) -> bool:
            if sql.lstrip().startswith(statement):
                raise OSError(28, "No space left on device")
            return True

        store._db.exec_trace = fail
        opened(store)

    monkeypatch.setattr(SqliteConfigStore, "_prepare", failing)
    with pytest.raises(ConfigStoreError, match="no space left"):
        SqliteConfigStore(path)
    monkeypatch.undo()
    assert texts(path) == before
    store = SqliteConfigStore(path)
    assert store.version() == 4
    store.close()
