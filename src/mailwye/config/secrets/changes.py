"""Changes of the passwords with which connectors log in: set, removed, sealed anew. For `mailwye secrets` and the API."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mailwye.access.accounts import AccountStore
from mailwye.access.second_factor import owner_of as factor_owner
from mailwye.config.schema import KINDS, ConfigObject, Organization
from mailwye.config.schema.credential import Password, read_credential
from mailwye.config.secrets import FIELD, SecretError, Vault, credentials, owner_of
from mailwye.config.store import ConfigStore
from mailwye.connectors.model import SmartHostAuthMechanism

_MECHANISM = "smart_host_auth_mechanism"


class KeyedVault(Vault, Protocol):
    """A vault whose key can be changed."""

    def alone(self) -> AbstractContextManager[None]:
        """No other process changes keys meanwhile. :raises SecretError:"""
        ...

    def rotate(self) -> None:
        """A new key seals from now on, the old ones still open. :raises SecretError:"""
        ...

    def drop_old_keys(self) -> int:
        """Only the key that seals is left; how many went. :raises SecretError:"""
        ...


class NoSuchLogin(Exception):
    """No connector of that name could log in, or several could; the text names those there are."""


@dataclass(frozen=True, slots=True)
class Login:
    """A connector that logs in, as whom, and why its password cannot be opened ("": it can)."""

    object: str
    name: str
    user_name: str
    problem: str


def name_of(thing: ConfigObject) -> str:
    """As people call it."""
    return str(getattr(thing, "name", thing.identity))


def logins(organization: Organization, vault: Vault) -> list[Login]:
    """All of them, in the order of the settings."""
    found = []
    for kind, _, thing, credential in credentials(organization):
        problem = ""
        try:
            vault.open(credential.password.sealed, owner_of(thing))
        except SecretError as error:
            problem = str(error)
        found.append(Login(kind, name_of(thing), credential.user_name, problem))
    return found


def find_connector(organization: Organization, name: str) -> tuple[str, ConfigObject]:
    """The kind and the object of the connector `name`, in any case, that could log in. :raises NoSuchLogin:"""
    kinds = [kind for kind, entry in KINDS.items() if FIELD in entry.model.fields]
    known = [(kind, one) for kind in kinds for one in organization.objects(kind)]
    found = [entry for entry in known if entry[1].identity == name.lower()]
    if len(found) != 1:
        names = ", ".join(f"{kind} {name_of(one)}" for kind, one in known) or "none"
        many = f"{len(found)} connectors that log in are" if found else "no connector that could log in is"
        raise NoSuchLogin(f"{many} called {name!r}; there are: {names}")
    return found[0]


def with_password(connector: ConfigObject, user_name: str | None, password: str) -> ConfigObject:
    """It logs in with this password; `user_name` None: as whom it did before. The password is not sealed yet.

    :raises ValueError: it is no user name or no password; the text does not repeat it.
    """
    known: Any = getattr(connector, FIELD)
    name = user_name or (known.user_name if known is not None else "")
    credential = read_credential({"UserName": name, "Password": password})
    return connector.changed(**{FIELD: credential, _MECHANISM: SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS})


def without_password(connector: ConfigObject) -> ConfigObject:
    """It does not log in any more."""
    return connector.changed(**{FIELD: None, _MECHANISM: SmartHostAuthMechanism.NONE})


def sealed_anew(organization: Organization, vault: Vault) -> Organization:
    """Every password under the newest key. :raises SecretError: one cannot be opened."""
    changed: dict[str, dict[int, ConfigObject]] = {}
    for kind, index, thing, credential in credentials(organization):
        owner = owner_of(thing)
        password = Password(sealed=vault.seal(vault.open(credential.password.sealed, owner), owner))
        changed.setdefault(kind, {})[index] = thing.changed(**{FIELD: replace(credential, password=password)})
    update = {
        KINDS[kind].attribute: tuple(things.get(index, one) for index, one in enumerate(organization.objects(kind)))
        for kind, things in changed.items()
    }
    return organization.changed(**update)


PINNED = (
    "the passwords with which {count} pinned deliveries log in would be lost with the old keys: let them follow the settings "
    "(`mailwye queue follow`), or wait until they are delivered"
)


def drafts_with_passwords(store: ConfigStore) -> list[str]:
    """Drafts whose passwords would be lost with the old keys, as they are not sealed anew."""
    return [one.name for one in store.drafts() if any(getattr(each.after, FIELD, None) for each in store.draft(one.name).changes)]


@dataclass(frozen=True, slots=True)
class OpenedFactor:
    """The secret of a user's second factor, and how it was sealed."""

    user: str
    sealed: str
    secret: str


def open_factors(accounts: AccountStore, vault: Vault) -> list[OpenedFactor]:
    """Of all users; before a key is made that would seal them anew. :raises SecretError: one cannot be opened; says whose."""
    found = []
    for user in accounts.users():
        factor = accounts.second_factor(user.name)
        if factor is None:
            continue
        try:
            found.append(OpenedFactor(user.name, factor.sealed, vault.open(factor.sealed, factor_owner(user.name))))
        except SecretError as error:
            remedy = f"or take it from him: `mailwye user totp disable {user.name}`"
            raise SecretError(
                f"the second factor of {user.name} cannot be opened, so the key was not changed: {error}, {remedy}"
            ) from error
    return found


def seal_factors(accounts: AccountStore, vault: Vault, opened: Iterable[OpenedFactor]) -> None:
    """Under the newest key. One that was changed meanwhile stays as it is. :raises SecretError:"""
    for one in opened:
        accounts.reseal_second_factor(one.user, one.sealed, vault.seal(one.secret, factor_owner(one.user)))
