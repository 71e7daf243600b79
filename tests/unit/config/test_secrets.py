"""Passwords within the settings: never in an output, sealed before they are saved, kept where a file says so."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from mailwye.cmdlets.write import write as write_cmdlets
from mailwye.config.compile import compile_snapshot
from mailwye.config.diff import as_dicts, as_text, diff
from mailwye.config.export import organization_to_plain, to_json, to_yaml
from mailwye.config.parse import read_organization
from mailwye.config.parsed import Parsed
from mailwye.config.plan import Plan, plan_file, plan_organization
from mailwye.config.schema import Organization, Unreadable
from mailwye.config.secrets import SecretError, check_secrets
from mailwye.config.store import ConfigStore
from mailwye.config.versions.memory import MemoryConfigStore
from mailwye.config.versions.stored_form import from_stored, stored_text
from mailwye.importing.exchange.write import to_exchange_json
from mailwye.storage.sqlite.config_store import SqliteConfigStore

SECRET = "correct horse battery staple"
WAY = "UseMXRecord: false, SmartHosts: smtp.example.com, RecipientDomains: '*', TlsSettings: CertificateValidation"


class Caesar:
    """A Vault that hides things from children. `lost`: it opens nothing."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.lost = False

    def seal(self, secret: str, owner: str) -> str:
        return f"{next(self._numbers)}|{owner}|{secret[::-1]}"

    def open(self, sealed: str, owner: str) -> str:
        _, sealed_for, turned = sealed.split("|")
        if self.lost or sealed_for != owner:
            raise SecretError("the key file k does not exist. Restore it")
        return turned[::-1]


def file(password: str = SECRET, *, user: str = "apikey", name: str = "Relay") -> Parsed[Organization]:
    return read_organization(
        f"OutboundConnector:\n- {{Name: {name}, {WAY}, SmartHostAuthMechanism: basicauthrequiretls,\n"
        f"   AuthenticationCredential: {{username: {user}, PASSWORD: '{password}'}}}}\n",
        "f.yaml",
    )


def apply(store: ConfigStore, parsed: Parsed[Organization], vault: Caesar | None) -> Plan:
    plan = plan_file(store.current(), parsed, vault=vault)
    plan.save(store, author="ann", at=1.0)
    return plan


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ConfigStore:
    return MemoryConfigStore() if request.param == "memory" else SqliteConfigStore(tmp_path / "config.sqlite")


def test_a_password_is_in_no_output(store: ConfigStore) -> None:
    vault = Caesar()
    parsed = file()
    plan = apply(store, parsed, vault)
    saved = store.current().organization
    for text in (
        repr(parsed),
        repr(plan),
        repr(saved),
        as_text(plan.changes),
        str(as_dicts(plan.changes)),
        to_yaml(saved),
        to_json(saved),
        to_exchange_json(saved),
        write_cmdlets(saved),
        str(organization_to_plain(saved)),
        repr(compile_snapshot(saved, 1).connectors.outbound),
    ):
        assert SECRET not in text
        assert SECRET[::-1] not in text  # not even sealed
        assert "apikey" in text
    assert "Password: (saved)" in to_yaml(saved)
    login = compile_snapshot(saved, 1).connectors.outbound[0].login
    assert login is not None
    assert vault.open(login.sealed_password, login.owner) == SECRET
    store.close()


def test_applying_twice_changes_nothing_and_neither_does_an_export(store: ConfigStore) -> None:
    vault = Caesar()
    apply(store, file(), vault)
    again = plan_file(store.current(), file(), vault=vault)
    assert (again.changes, again.problems) == ((), ())
    exported = read_organization(to_yaml(store.current().organization))
    kept = plan_file(store.current(), exported, vault=vault, prune=True)
    assert (kept.changes, kept.problems) == ((), ())
    store.close()


def test_the_placeholder_keeps_the_saved_password_while_other_things_change(store: ConfigStore) -> None:
    vault = Caesar()
    apply(store, file(), vault)
    plan = apply(store, file("(saved)", user="other"), vault)
    assert as_text(plan.changes).splitlines()[1] == (
        "    AuthenticationCredential: {UserName: apikey, Password: (saved)} → {UserName: other, Password: (saved)}"
    )
    (connector,) = store.current().organization.outbound_connectors
    assert connector.authentication_credential is not None
    assert vault.open(connector.authentication_credential.password.sealed, "OutboundConnector:relay") == SECRET
    store.close()


def test_a_new_password_is_a_change_that_tells_nothing() -> None:
    store, vault = MemoryConfigStore(), Caesar()
    apply(store, file(), vault)
    plan = apply(store, file("another"), vault)
    assert as_text(plan.changes) == (
        '~ OutboundConnector "Relay"\n'
        "    AuthenticationCredential: {UserName: apikey, Password: (saved)} → {UserName: apikey, Password: (changed)}\n"
    )
    old, new = store.load(1).organization, store.load(2).organization
    assert diff(old, old) == ()
    assert len(diff(old, new)) == 1
    plan_organization(store.current(), old, vault=vault).save(store, author="ann", at=2.0)  # version 1 again, with its password
    assert store.current().organization == old


def test_a_placeholder_for_nothing_is_an_error_with_its_line() -> None:
    plan = plan_file(MemoryConfigStore().current(), file("(saved)"), vault=Caesar())
    (problem,) = plan.problems
    assert str(problem) == (
        'f.yaml:3: OutboundConnector "Relay": AuthenticationCredential: Password is (saved), but none is saved for it. '
        "Write the password itself, once."
    )
    store, vault = MemoryConfigStore(), Caesar()
    apply(store, file(), vault)
    assert plan_file(store.current(), file("(saved)", name="Renamed"), vault=vault).has_errors


def test_without_a_key_nothing_is_saved() -> None:
    plan = plan_file(MemoryConfigStore().current(), file())
    assert plan.has_errors
    assert "cannot be saved without the installation's key" in str(plan.problems[0])

    class Broken(Caesar):
        def seal(self, secret: str, owner: str) -> str:
            raise SecretError("the key file k cannot be made: no space")

    plan = plan_file(MemoryConfigStore().current(), file(), vault=Broken())
    assert str(plan.problems[0]).endswith("Password cannot be encrypted: the key file k cannot be made: no space.")
    organization = file().value
    assert organization is not None
    with pytest.raises(ValueError, match="not sealed"):
        stored_text(organization.outbound_connectors[0])


def test_a_password_that_cannot_be_opened_is_a_warning_and_can_be_written_anew() -> None:
    store, vault = MemoryConfigStore(), Caesar()
    apply(store, file(), vault)
    vault.lost = True
    (problem,) = check_secrets(store.current().organization, vault)
    assert str(problem) == (
        'OutboundConnector "Relay": AuthenticationCredential: the saved password of apikey cannot be opened, so its mail waits: '
        "the key file k does not exist. Restore it."
    )
    other = plan_file(store.current(), read_organization("AcceptedDomain: {DomainName: contoso.com}"), vault=vault)
    assert [each.is_error for each in other.problems] == [False]
    vault.lost = False
    sealed = store.current().organization.outbound_connectors[0].authentication_credential
    vault.lost = True
    apply(store, file("new"), vault)
    assert store.current().organization.outbound_connectors[0].authentication_credential != sealed


def test_the_store_gets_it_sealed_and_gives_it_back() -> None:
    plan = plan_file(MemoryConfigStore().current(), file(), vault=Caesar())
    (connector,) = plan.organization.outbound_connectors
    text = stored_text(connector)
    assert SECRET not in text
    assert json.loads(text)["AuthenticationCredential"]["Password"].keys() == {"Sealed"}
    assert from_stored("OutboundConnector", text) == connector


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ("hunter2", "must be a mapping"),
        ("{UserName: a}", "has no Password"),
        ("{UserName: a, Password: }", "has no Password"),
        ("{UserName: a, Password: ''}", "has no Password"),
        ("{Password: hunter2}", "has no UserName"),
        ("{UserName: a, Passwort: hunter2}", '"Passwort" is no key of a credential. Did you mean Password?'),
        ("{UserName: a, Password: 4711}", "Password must be text. Put it in quotes."),
        ("{UserName: a, Password: [hunter2]}", "Password must be text"),
        ("{UserName: a, Password: {Sealed: 5}}", "Password must be text"),
        ('{UserName: a, Password: "hunter2\\u0007"}', "Password holds the character U+0007"),
        ('{UserName: a, Password: "hunter2\\U0001F600"}', "Password holds the character U+1F600"),
        ('{UserName: a, Password: "\\u00ad"}', "holds nothing but characters that do not count"),
        ('{UserName: "a\\u202eb", Password: hunter2}', "holds a control character"),
        (f"{{UserName: {'a' * 400}, Password: hunter2}}", "UserName is longer than 320 characters"),
        (f"{{UserName: a, Password: {'hunter2' * 200}}}", "Password is longer than 1024 characters"),
        ("{UserName: true, Password: hunter2}", "must be text"),
    ],
)
def test_credentials_that_are_none_are_told_without_the_password(credential: str, words: str) -> None:
    parsed = read_organization(f"OutboundConnector:\n- Name: Relay\n  AuthenticationCredential: {credential}\n", "f.yaml")
    (problem,) = parsed.problems
    assert words in str(problem)
    assert str(problem).startswith('f.yaml:3: OutboundConnector "Relay": AuthenticationCredential: ')
    assert "hunter2" not in str(problem)


def test_errors_of_values_do_not_repeat_what_was_given() -> None:
    with pytest.raises(Unreadable) as caught:
        Organization.of({"OutboundConnector": [{"Name": "x", "AuthenticationCredential": {"UserName": "a", "Password": 4711}}]})
    assert "4711" not in str(caught.value)
    assert "4711" not in repr(caught.value)


@pytest.mark.parametrize(
    ("mechanism", "words"),
    [
        ("BasicAuth", "BasicAuth would send the password over plain text too. Use BasicAuthRequireTLS, or None."),
        ("ExchangeServer", "is for Exchange servers of one organization"),
        ("ExternalAuthoritative", "cannot be checked"),
        ("BasicAuthRequireTSL", "Did you mean BasicAuthRequireTLS?"),
    ],
)
def test_mechanisms_of_exchange_that_are_none_here(mechanism: str, words: str) -> None:
    (problem,) = read_organization(f"OutboundConnector: {{Name: x, SmartHostAuthMechanism: {mechanism}}}").problems
    assert words in str(problem)
