"""Users and API tokens as values, and the port of their store. Passwords are kept as argon2id hashes, tokens as SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

from mailwye.access.roles import Permission, Role, permissions_of
from mailwye.access.second_factor import SecondFactor

PASSWORD_MINIMUM = 12  # characters
PASSWORD_OCTETS = 512
NAME_LIMIT = 64  # characters
TOKEN_PREFIX = "mwt_"  # noqa: S105 - by which a token is known when it turns up somewhere
TOKEN_DAYS = 366  # that a token may be good for, at most
TOKENS_PER_USER = 100


class AccountError(Exception):
    """An account cannot be read, made or changed; the text says why and what to do. Nothing was changed."""


class NoSuchAccount(AccountError):
    """There is no such user or token."""


class UserRow(TypedDict):
    """`roles`: as Exchange calls its role groups. `created`: Unix seconds. `totp`: he has a second factor."""

    name: str
    roles: list[str]
    created: float
    totp: bool


@dataclass(frozen=True, slots=True)
class User:
    """`name` in lower case. `created`: Unix seconds. `totp`: whether he has a second factor."""

    name: str
    roles: tuple[Role, ...]
    created: float
    totp: bool = False

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the roles permit."""
        return permissions_of(self.roles)

    def to_dict(self) -> UserRow:
        """For JSON."""
        return {"name": self.name, "roles": [role.value for role in self.roles], "created": self.created, "totp": self.totp}


@dataclass(frozen=True, slots=True)
class Token:
    """`id`: names it, opens nothing. `scopes`: what of its user's permissions it carries. Times in Unix seconds."""

    id: str
    user: str
    comment: str
    scopes: frozenset[Permission]
    created: float
    expires: float


def token_digest(secret: str) -> str:
    """What the store keeps of a token. It has 256 bits of chance, so that a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_name(text: str) -> str:
    """The canonical name. :raises AccountError: no name of a user."""
    name = text.strip().lower()
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or any(sign in name for sign in ':/\\ "'):
        raise AccountError(f"a user's name has 1 to {NAME_LIMIT} printable characters, none of them a space or one of : / \\ \"")
    return name


def new_user_name(text: str) -> str:
    """The canonical name of a user who is to be made. :raises AccountError: no name, or none that every client can put in a path."""
    name = user_name(text)
    if name in (".", ".."):
        raise AccountError(f"{name} means a folder wherever there are paths, and the user could not be named there: call him otherwise")
    return name


def check_password(password: str) -> str:
    """The password itself. :raises AccountError: too short, too long, or not printable."""
    if len(password) < PASSWORD_MINIMUM:
        raise AccountError(f"the password has fewer than {PASSWORD_MINIMUM} characters; nothing was changed")
    if len(password.encode("utf-8", "surrogateescape")) > PASSWORD_OCTETS or not password.isprintable():
        raise AccountError(f"the password has more than {PASSWORD_OCTETS} octets or a control character; nothing was changed")
    return password


class AccountStore(Protocol):
    """Users and tokens. Calls are short and synchronous; a change is durable when they return. :raises AccountError: everywhere."""

    def users(self) -> Sequence[User]:
        """All of them, by name."""
        ...

    def user(self, name: str) -> User | None:
        """One user."""
        ...

    def password_hash(self, name: str) -> str | None:
        """The user's hash."""
        ...

    def add_user(self, user: User, password_hash: str) -> None:
        """:raises AccountError: there is one of this name."""
        ...

    def set_roles(self, name: str, roles: Sequence[Role]) -> None:
        """:raises NoSuchAccount:"""
        ...

    def set_password(self, name: str, password_hash: str) -> None:
        """:raises NoSuchAccount:"""
        ...

    def remove_user(self, name: str) -> None:
        """With his tokens and his second factor. :raises NoSuchAccount:"""
        ...

    def second_factor(self, name: str) -> SecondFactor | None:
        """The user's, where he has one."""
        ...

    def set_second_factor(self, name: str, factor: SecondFactor) -> None:
        """Instead of what he had. :raises NoSuchAccount:"""
        ...

    def remove_second_factor(self, name: str) -> None:
        """:raises NoSuchAccount: no such user, or he has none."""
        ...

    def take_step(self, name: str, factor: SecondFactor, step: int) -> bool:
        """Take a code of that step, once: False where one of it or of a later step was taken before, or the secret is another by now."""
        ...

    def reseal_second_factor(self, name: str, old: str, new: str) -> bool:
        """The same secret under another key; steps stay taken. False where it is another by now."""
        ...

    def tokens(self, user: str = "") -> Sequence[Token]:
        """All tokens, or those of one user; expired ones too."""
        ...

    def token(self, digest: str) -> Token | None:
        """The token of which this is `token_digest`."""
        ...

    def add_token(self, token: Token, digest: str) -> None:
        """:raises AccountError: there are too many, or one of this id or digest. :raises NoSuchAccount: no such user."""
        ...

    def remove_token(self, token_id: str) -> None:
        """:raises NoSuchAccount:"""
        ...

    def close(self) -> None:
        """Give back the file."""
        ...
