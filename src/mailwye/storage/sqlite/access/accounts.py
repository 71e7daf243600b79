"""Users and tokens in accounts.sqlite. A wrong word of chance opens nothing: only hashes are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from mailwye.access.accounts import TOKENS_PER_USER, AccountError, NoSuchAccount, Token, User
from mailwye.access.roles import Permission, Role
from mailwye.access.second_factor import SecondFactor
from mailwye.storage.sqlite.access.file import AccessFile
from mailwye.storage.sqlite.connection import DatabaseError

_SCHEMA = """
CREATE TABLE users (name TEXT PRIMARY KEY, roles TEXT NOT NULL, hash TEXT NOT NULL, created REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, user TEXT NOT NULL, comment TEXT NOT NULL, scopes TEXT NOT NULL,
  created REAL NOT NULL, expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_user ON tokens(user);
"""
_SECOND_FACTORS = "CREATE TABLE second_factors (user TEXT PRIMARY KEY, sealed TEXT NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
_USERS = "SELECT name, roles, created, EXISTS (SELECT 1 FROM second_factors WHERE user = name) FROM users"
_SELECT = "SELECT id, user, comment, scopes, created, expires FROM tokens"


class SqliteAccounts:
    """Implements access.accounts.AccountStore."""

    def __init__(self, path: Path) -> None:
        """:raises AccountError: the file cannot be used; says what to do."""
        try:
            self._file = AccessFile(path, (_SCHEMA, _SECOND_FACTORS))
        except (DatabaseError, OSError) as error:
            raise AccountError(str(error)) from error

    def users(self) -> Sequence[User]:
        """See AccountStore."""
        with self._reading() as db:
            return [_user(row) for row in db.execute(f"{_USERS} ORDER BY name")]

    def user(self, name: str) -> User | None:
        """See AccountStore."""
        with self._reading() as db:
            row = db.execute(f"{_USERS} WHERE name = ?", (name,)).fetchone()
        return _user(row) if row else None

    def password_hash(self, name: str) -> str | None:
        """See AccountStore."""
        with self._reading() as db:
            found: Any = db.execute("SELECT hash FROM users WHERE name = ?", (name,)).get
        return None if found is None else str(found)

    def add_user(self, user: User, password_hash: str) -> None:
        """See AccountStore."""
        with self._changing() as db:
            if db.execute("SELECT 1 FROM users WHERE name = ?", (user.name,)).get:
                raise AccountError(f"there is a user {user.name} already")
            db.execute("INSERT INTO users VALUES (?, ?, ?, ?)", (user.name, _roles(user.roles), password_hash, user.created))

    def set_roles(self, name: str, roles: Sequence[Role]) -> None:
        """See AccountStore."""
        self._change(f"no user {name}", "UPDATE users SET roles = ? WHERE name = ?", (_roles(roles), name))

    def set_password(self, name: str, password_hash: str) -> None:
        """See AccountStore."""
        self._change(f"no user {name}", "UPDATE users SET hash = ? WHERE name = ?", (password_hash, name))

    def remove_user(self, name: str) -> None:
        """See AccountStore."""
        with self._changing() as db:
            db.execute("DELETE FROM tokens WHERE user = ?", (name,))
            db.execute("DELETE FROM second_factors WHERE user = ?", (name,))
            _changed(db, f"no user {name}", "DELETE FROM users WHERE name = ?", (name,))

    def second_factor(self, name: str) -> SecondFactor | None:
        """See AccountStore."""
        with self._reading() as db:
            row: Any = db.execute("SELECT sealed, used FROM second_factors WHERE user = ?", (name,)).fetchone()
        return SecondFactor(*row) if row else None

    def set_second_factor(self, name: str, factor: SecondFactor) -> None:
        """See AccountStore."""
        with self._changing() as db:
            _expect_user(db, name)
            db.execute("INSERT OR REPLACE INTO second_factors VALUES (?, ?, ?)", (name, factor.sealed, factor.used))

    def remove_second_factor(self, name: str) -> None:
        """See AccountStore."""
        with self._changing() as db:
            _expect_user(db, name)
            db.execute("DELETE FROM second_factors WHERE user = ?", (name,))
            if not db.changes():
                raise NoSuchAccount(f"{name} has no second factor")

    def take_step(self, name: str, factor: SecondFactor, step: int) -> bool:
        """See AccountStore."""
        statement = "UPDATE second_factors SET used = ?3 WHERE user = ?1 AND sealed = ?2 AND used < ?3"
        with self._changing() as db:
            db.execute(statement, (name, factor.sealed, step))
            return bool(db.changes())

    def reseal_second_factor(self, name: str, old: str, new: str) -> bool:
        """See AccountStore."""
        with self._changing() as db:
            db.execute("UPDATE second_factors SET sealed = ? WHERE user = ? AND sealed = ?", (new, name, old))
            return bool(db.changes())

    def tokens(self, user: str = "") -> Sequence[Token]:
        """See AccountStore."""
        with self._reading() as db:
            return [_token(row) for row in db.execute(f"{_SELECT} WHERE ?1 = '' OR user = ?1 ORDER BY created, id", (user,))]

    def token(self, digest: str) -> Token | None:
        """See AccountStore."""
        with self._reading() as db:
            row = db.execute(f"{_SELECT} WHERE digest = ?", (digest,)).fetchone()
        return _token(row) if row else None

    def add_token(self, token: Token, digest: str) -> None:
        """See AccountStore."""
        with self._changing() as db:
            _expect_user(db, token.user)
            known: Any = db.execute("SELECT count(*) FROM tokens WHERE user = ?", (token.user,)).get
            if known >= TOKENS_PER_USER:
                raise AccountError(f"{token.user} has {known} tokens already; revoke those that nobody uses")
            if db.execute("SELECT 1 FROM tokens WHERE id = ? OR digest = ?", (token.id, digest)).get:
                raise AccountError(f"there is a token {token.id} already; make another")
            scopes = ",".join(sorted(scope.value for scope in token.scopes))
            values = (token.id, digest, token.user, token.comment, scopes, token.created, token.expires)
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def remove_token(self, token_id: str) -> None:
        """See AccountStore."""
        self._change(f"no token {token_id}", "DELETE FROM tokens WHERE id = ?", (token_id,))

    def close(self) -> None:
        """See AccountStore."""
        self._file.close()

    def _change(self, missing: str, statement: str, values: tuple[Any, ...]) -> None:
        with self._changing() as db:
            _changed(db, missing, statement, values)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        try:
            with self._file.reading() as db:
                yield db
        except DatabaseError as error:
            raise AccountError(str(error)) from error

    @contextmanager
    def _changing(self) -> Iterator[apsw.Connection]:
        try:
            with self._file.transaction() as db:
                yield db
        except DatabaseError as error:
            raise AccountError(str(error)) from error


def _changed(db: apsw.Connection, missing: str, statement: str, values: tuple[Any, ...]) -> None:
    db.execute(statement, values)
    if not db.changes():
        raise NoSuchAccount(f"there is {missing}")


def _expect_user(db: apsw.Connection, name: str) -> None:
    if not db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).get:
        raise NoSuchAccount(f"there is no user {name}")


def _roles(roles: Sequence[Role]) -> str:
    return ",".join(role.value for role in roles)


def _user(row: Any) -> User:
    known = {role.value: role for role in Role}
    roles = tuple(known[word] for word in row[1].split(",") if word in known)  # what is unknown permits nothing
    return User(row[0], roles, row[2], bool(row[3]))


def _token(row: Any) -> Token:
    known = {scope.value: scope for scope in Permission}
    return Token(row[0], row[1], row[2], frozenset(known[word] for word in row[3].split(",") if word in known), row[4], row[5])
