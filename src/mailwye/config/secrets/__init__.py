"""Passwords within the settings: sealed before they are saved, kept where a file says so, opened by nobody here.

A password that somebody writes into a file is sealed as soon as the file is to become settings, so that versions, snapshots and routes hold
nothing else. What is printed holds a placeholder; applied again, it stands for the password that is saved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Protocol

from mailwye.config.parsed import Parsed
from mailwye.config.problem import Problem, Severity
from mailwye.config.schema import KINDS, ConfigObject, Organization
from mailwye.config.schema.credential import SAVED, AuthenticationCredential, Password
from mailwye.connectors.model import Credential

FIELD = "authentication_credential"
_FIELD = "AuthenticationCredential"


class SecretError(Exception):
    """A secret cannot be sealed or opened; the text names the key file and the remedy, never the secret."""


class Vault(Protocol):
    """Seals and opens secrets. `owner` is bound to the sealed text: moved to another object, it does not open."""

    def seal(self, secret: str, owner: str) -> str:
        """Encrypt. Makes the key where there is none yet. :raises SecretError:"""
        ...

    def open(self, sealed: str, owner: str) -> str:
        """Decrypt. :raises SecretError: no key, another key, another owner, or damaged."""
        ...


def owner_of(thing: ConfigObject) -> str:
    """What a secret of `thing` is bound to. An object that is renamed needs its secret anew."""
    return f"{thing.kind}:{thing.identity}"


def credentials(organization: Organization) -> Iterator[tuple[str, int, ConfigObject, AuthenticationCredential]]:
    """Every object that has one: kind, place in the list of the kind, object, credential."""
    for kind, described in KINDS.items():
        if FIELD not in described.model.fields:
            continue
        for index, thing in enumerate(organization.objects(kind)):
            credential = getattr(thing, FIELD, None)
            if isinstance(credential, AuthenticationCredential):
                yield kind, index, thing, credential


def all_sealed(organization: Organization) -> bool:
    """Whether no password stands there as it is: what has to hold of whatever is stored, of drafts with errors too."""
    return all(credential.password.sealed for _, _, _, credential in credentials(organization))


def compiled_credential(thing: ConfigObject) -> Credential | None:
    """As routes carry it."""
    credential = getattr(thing, FIELD, None)
    if not isinstance(credential, AuthenticationCredential):
        return None
    return Credential(credential.user_name, credential.password.sealed, owner_of(thing))


def seal_secrets(current: Organization, file: Parsed[Organization], vault: Vault | None) -> tuple[Parsed[Organization], list[Problem]]:
    """The same file with every password sealed; errors where one cannot be, or where none is saved that could be kept.

    A password that is the saved one keeps its sealed form, so that applying a file twice changes nothing.
    """
    if file.value is None:
        return file, []
    saved = {owner_of(thing): credential.password for _, _, thing, credential in credentials(current)}
    problems: list[Problem] = []
    replaced: dict[str, dict[int, ConfigObject]] = {}
    for kind, index, thing, credential in credentials(file.value):
        password = _settled(credential.password, saved.get(owner_of(thing)), owner_of(thing), vault)
        if isinstance(password, Password):
            if password != credential.password:
                sealed = dataclasses.replace(credential, password=password)
                replaced.setdefault(kind, {})[index] = thing.changed(**{FIELD: sealed})
            continue
        message, remedy = password
        line, column = file.places.find((kind, index, _FIELD, "Password"))
        problems.append(Problem(message, remedy, file.places.file, line, column, thing.label, _FIELD))
    if not replaced:
        return file, problems
    update: dict[str, Any] = {}
    for kind, changed in replaced.items():
        things = file.value.objects(kind)
        update[KINDS[kind].attribute] = tuple(changed.get(index, thing) for index, thing in enumerate(things))
    return dataclasses.replace(file, value=file.value.changed(**update)), problems


def _settled(password: Password, saved: Password | None, owner: str, vault: Vault | None) -> Password | tuple[str, str]:
    """The sealed form of one password; or what is wrong with it, and the remedy."""
    if password.sealed:
        return password
    if not password.given:
        if saved is not None:
            return saved
        return f"Password is {SAVED}, but none is saved for it", "Write the password itself, once"
    if vault is None:
        return "Password cannot be saved without the installation's key", "Apply the file with `mailwye apply`"
    try:
        if saved is not None and _is_same(vault, saved, password.given, owner):
            return saved
        return Password(sealed=vault.seal(password.given, owner))
    except SecretError as error:
        return f"Password cannot be encrypted: {error}", ""


def _is_same(vault: Vault, saved: Password, given: str, owner: str) -> bool:
    try:
        return vault.open(saved.sealed, owner) == given
    except SecretError:
        return False  # whatever it was, it is of no use any more


def check_secrets(organization: Organization, vault: Vault | None) -> list[Problem]:
    """A warning for each password that cannot be opened: mail of that connector waits, everything else works."""
    found: list[Problem] = []
    if vault is None:
        return found
    for _, _, thing, credential in credentials(organization):
        if not credential.password.sealed:
            continue
        try:
            vault.open(credential.password.sealed, owner_of(thing))
        except SecretError as error:
            message = f"the saved password of {credential.user_name} cannot be opened, so its mail waits: {error}"
            found.append(Problem(message, "", object=thing.label, field=_FIELD, severity=Severity.WARNING))
    return found
