"""Users, tokens and the audit log in memory, for tests and simulations. For one thread; nothing outlives the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailwye.access.accounts import TOKENS_PER_USER, AccountError, NoSuchAccount, Token, User
from mailwye.access.audit import BEGINNING, Entry, Event, broken_at, digest_of, shortened
from mailwye.access.roles import Role
from mailwye.access.second_factor import SecondFactor


class MemoryAccounts:
    """Implements accounts.AccountStore."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._hashes: dict[str, str] = {}
        self._factors: dict[str, SecondFactor] = {}
        self._tokens: dict[str, Token] = {}  # by digest

    def users(self) -> Sequence[User]:
        """See AccountStore."""
        return [self._shown(self._users[name]) for name in sorted(self._users)]

    def user(self, name: str) -> User | None:
        """See AccountStore."""
        return self._shown(self._users[name]) if name in self._users else None

    def password_hash(self, name: str) -> str | None:
        """See AccountStore."""
        return self._hashes.get(name)

    def add_user(self, user: User, password_hash: str) -> None:
        """See AccountStore."""
        if user.name in self._users:
            raise AccountError(f"there is a user {user.name} already")
        self._users[user.name], self._hashes[user.name] = replace(user, totp=False), password_hash

    def set_roles(self, name: str, roles: Sequence[Role]) -> None:
        """See AccountStore."""
        self._users[name] = replace(self._known(name), roles=tuple(roles))

    def set_password(self, name: str, password_hash: str) -> None:
        """See AccountStore."""
        self._hashes[self._known(name).name] = password_hash

    def remove_user(self, name: str) -> None:
        """See AccountStore."""
        del self._users[self._known(name).name], self._hashes[name]
        self._factors.pop(name, None)
        self._tokens = {digest: token for digest, token in self._tokens.items() if token.user != name}

    def second_factor(self, name: str) -> SecondFactor | None:
        """See AccountStore."""
        return self._factors.get(name)

    def set_second_factor(self, name: str, factor: SecondFactor) -> None:
        """See AccountStore."""
        self._factors[self._known(name).name] = factor

    def remove_second_factor(self, name: str) -> None:
        """See AccountStore."""
        if self._known(name).name not in self._factors:
            raise NoSuchAccount(f"{name} has no second factor")
        del self._factors[name]

    def take_step(self, name: str, factor: SecondFactor, step: int) -> bool:
        """See AccountStore."""
        now = self._factors.get(name)
        if now is None or now.sealed != factor.sealed or now.used >= step:
            return False
        self._factors[name] = replace(now, used=step)
        return True

    def reseal_second_factor(self, name: str, old: str, new: str) -> bool:
        """See AccountStore."""
        now = self._factors.get(name)
        if now is None or now.sealed != old:
            return False
        self._factors[name] = replace(now, sealed=new)
        return True

    def tokens(self, user: str = "") -> Sequence[Token]:
        """See AccountStore."""
        found = [token for token in self._tokens.values() if not user or token.user == user]
        return sorted(found, key=lambda token: (token.created, token.id))

    def token(self, digest: str) -> Token | None:
        """See AccountStore."""
        return self._tokens.get(digest)

    def add_token(self, token: Token, digest: str) -> None:
        """See AccountStore."""
        known = len(self.tokens(self._known(token.user).name))
        if known >= TOKENS_PER_USER:
            raise AccountError(f"{token.user} has {known} tokens already; revoke those that nobody uses")
        if digest in self._tokens or any(token.id == one.id for one in self._tokens.values()):
            raise AccountError(f"there is a token {token.id} already; make another")
        self._tokens[digest] = token

    def remove_token(self, token_id: str) -> None:
        """See AccountStore."""
        for digest, token in self._tokens.items():
            if token.id == token_id:
                del self._tokens[digest]
                return
        raise NoSuchAccount(f"there is no token {token_id}")

    def close(self) -> None:
        """Nothing is open."""

    def _shown(self, user: User) -> User:
        return replace(user, totp=user.name in self._factors)

    def _known(self, name: str) -> User:
        if name not in self._users:
            raise NoSuchAccount(f"there is no user {name}")
        return self._users[name]


class MemoryAuditLog:
    """Implements audit.AuditLog."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def record(self, event: Event) -> Entry:
        """See AuditLog."""
        event = shortened(event)
        before = self._entries[-1].digest if self._entries else BEGINNING
        entry = Entry(len(self._entries) + 1, event, digest_of(before, event))
        self._entries.append(entry)
        return entry

    def entries(self, *, before: int = 0, limit: int = 100, who: str = "", action: str = "") -> Sequence[Entry]:
        """See AuditLog."""
        older = self._entries[: before - 1] if before else self._entries
        return [one for one in reversed(older) if _of(one.event.who, who, " (") and _of(one.event.action, action, ".")][:limit]

    def verify(self) -> int:
        """See AuditLog."""
        return broken_at(self._entries)

    def close(self) -> None:
        """Nothing is open."""


def _of(text: str, wanted: str, end: str) -> bool:
    return not wanted or text == wanted or text.startswith(wanted + end)
