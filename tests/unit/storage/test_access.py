"""accounts.sqlite and audit.sqlite: for their owner only, durable, and the log only ever added to. tests/conformance has the rest."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from mailwye.access.accounts import AccountError, User, check_password, user_name
from mailwye.access.audit import AuditError, Event
from mailwye.access.new_token import make_token
from mailwye.access.roles import Permission, Role
from mailwye.access.second_factor import SecondFactor
from mailwye.storage.sqlite.access.accounts import SqliteAccounts
from mailwye.storage.sqlite.access.audit import SqliteAuditLog


def event(action: str) -> Event:
    return Event(1.5, "ann", "192.0.2.1", action, "x", "version 1")


def chance(count: int) -> bytes:
    return b"x" * count


def test_users_and_tokens_outlive_the_object(tmp_path: Path) -> None:
    store = SqliteAccounts(tmp_path / "accounts.sqlite")
    store.add_user(User("ann", (Role.HELP_DESK, Role.VIEW_ONLY), 1.0), "hash")
    token, secret, digest = make_token("ann", frozenset({Permission.OWN}), "c", days=1, now=5.0, secret=chance)
    store.add_token(token, digest)
    store.close()
    store = SqliteAccounts(tmp_path / "accounts.sqlite")
    assert store.users() == [User("ann", (Role.HELP_DESK, Role.VIEW_ONLY), 1.0)]
    assert (store.password_hash("ann"), store.password_hash("bob")) == ("hash", None)
    assert (store.token(digest), store.token(secret)) == (token, None)
    store.close()


def test_a_file_of_the_first_form_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    store = SqliteAccounts(path)
    store.add_user(User("ann", (Role.HELP_DESK,), 1.0), "hash")
    store.close()
    db = apsw.Connection(str(path))
    db.execute("DROP TABLE second_factors; PRAGMA user_version = 1")
    db.close()
    for _ in range(2):
        store = SqliteAccounts(path)
        assert (store.users(), store.password_hash("ann")) == ([User("ann", (Role.HELP_DESK,), 1.0)], "hash")
        store.set_second_factor("ann", SecondFactor("sealed"))
        store.remove_second_factor("ann")
        store.close()


def test_a_file_of_a_later_form_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    SqliteAccounts(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    db.close()
    with pytest.raises(AccountError, match="newer Mailwye"):
        SqliteAccounts(path)


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    SqliteAccounts(tmp_path / "accounts.sqlite").close()
    SqliteAuditLog(tmp_path / "audit.sqlite").close()
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


@pytest.mark.parametrize("name", ["", " ", "a b", "a:b", "a/b", "x" * 65, "a\nb", 'a"b'])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(AccountError):
        user_name(name)


@pytest.mark.parametrize("password", ["", "short", "x" * 513, "twelve\x00letters"])
def test_passwords_that_are_none(password: str) -> None:
    with pytest.raises(AccountError):
        check_password(password)


def test_the_log_is_a_chain_that_nobody_alters(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    log = SqliteAuditLog(path)
    for number in range(5):
        assert log.record(event(f"queue.{number}")).number == number + 1
    assert log.verify() == 0
    db = apsw.Connection(str(path))
    for statement in ("UPDATE entries SET who = 'eve'", "DELETE FROM entries"):
        with pytest.raises(apsw.ConstraintError, match="only added to"):
            db.execute(statement)
    db.execute("DROP TRIGGER no_update")
    db.execute("UPDATE entries SET who = 'eve' WHERE number = 3")
    assert log.verify() == 3
    db.execute("DROP TRIGGER no_delete")
    db.execute("DELETE FROM entries WHERE number = 2")
    assert log.verify() == 2
    db.close()
    log.close()


def test_a_file_that_is_none_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(AccountError, match=r"x\.sqlite"):
        SqliteAccounts(path)
    with pytest.raises(AuditError, match=r"x\.sqlite"):
        SqliteAuditLog(path)
