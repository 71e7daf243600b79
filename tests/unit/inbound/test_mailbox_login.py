from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.config.store import ConfigStoreError
from mailwye.config.versions.memory import MemoryConfigStore
from mailwye.inbound import mailbox_login
from mailwye.inbound.authenticator import Unknown
from mailwye.inbound.mailbox_login import MailboxLogin
from mailwye.runtime.passwords import PasswordCheckFailed, hash_password

PASSWORD = "correct horse battery"
ORGANIZATION = """\
AcceptedDomain: [{DomainName: contoso.com}]
Mailbox: [{PrimarySmtpAddress: bob@contoso.com, EmailAddresses: [robert@contoso.com]}, {PrimarySmtpAddress: new@contoso.com}]
MailUser: [{PrimarySmtpAddress: john@contoso.com}]
"""


@pytest.fixture
def store() -> MemoryConfigStore:
    store = MemoryConfigStore()
    store.set_password("bob@contoso.com", hash_password(PASSWORD))
    store.set_password("john@contoso.com", hash_password(PASSWORD))
    return store


@pytest.fixture
def login(store: MemoryConfigStore) -> Iterator[MailboxLogin]:
    organization = read_organization(ORGANIZATION, "test").value
    assert organization is not None
    login = MailboxLogin(store, ActiveSnapshot(compile_snapshot(organization, 1)))
    yield login
    login.close()


@pytest.mark.parametrize("username", ["bob@contoso.com", "BOB@Contoso.COM", "robert@contoso.com"])
async def test_a_mailbox_proves_itself_under_all_its_names(login: MailboxLogin, username: str) -> None:
    assert await login.authenticate(username, PASSWORD) == "bob@contoso.com"


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("bob@contoso.com", "wrong"),
        ("bob@contoso.com", ""),
        ("bob@contoso.com", "\udcff"),
        ("bob", PASSWORD),
        ("", PASSWORD),
        ("nobody@contoso.com", PASSWORD),
        ("john@contoso.com", PASSWORD),  # known, with a password even, but no mailbox of ours
        ("new@contoso.com", PASSWORD),  # no password yet
        ("bob@contoso.com\r\nx", PASSWORD),
    ],
)
async def test_everything_else_is_refused(login: MailboxLogin, username: str, password: str) -> None:
    assert await login.authenticate(username, password) is None


async def test_who_does_not_exist_costs_as_much_as_who_does(login: MailboxLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def verify(stored: str | None, _password: str) -> bool:
        asked.append(stored)
        return False

    monkeypatch.setattr(mailbox_login, "verify_password", verify)
    await login.authenticate("nobody@contoso.com", "x")
    await login.authenticate("bob@contoso.com", "x")
    assert len(asked) == 2
    assert asked[0] is None
    assert asked[1] is not None


async def test_a_store_that_cannot_be_read_is_not_a_wrong_password(
    login: MailboxLogin, store: MemoryConfigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_mailbox: str) -> str:
        raise ConfigStoreError("the disk is gone")

    monkeypatch.setattr(store, "password_hash", unreadable)
    assert await login.authenticate("bob@contoso.com", PASSWORD) == Unknown("the disk is gone")


async def test_want_of_memory_is_not_a_wrong_password(login: MailboxLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(_hash: str | None, _password: str) -> bool:
        raise PasswordCheckFailed("out of memory")

    monkeypatch.setattr(mailbox_login, "verify_password", starved)
    assert await login.authenticate("bob@contoso.com", PASSWORD) == Unknown("out of memory")


async def test_too_many_checks_at_once_are_put_off(login: MailboxLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_login, "WAITING_LIMIT", 3)
    gate = threading.Event()

    def slow(_hash: str | None, _password: str) -> bool:
        assert gate.wait(20)
        return True

    monkeypatch.setattr(mailbox_login, "verify_password", slow)
    waiting = [asyncio.ensure_future(login.authenticate("bob@contoso.com", PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)
    refused = await login.authenticate("bob@contoso.com", PASSWORD)
    assert isinstance(refused, Unknown)
    assert "3" in refused.reason
    gate.set()
    assert await asyncio.gather(*waiting) == ["bob@contoso.com"] * 3
    assert await login.authenticate("bob@contoso.com", PASSWORD) == "bob@contoso.com"  # counted down again


async def test_a_service_that_ends_cannot_tell(login: MailboxLogin) -> None:
    login.close()
    assert isinstance(await login.authenticate("bob@contoso.com", PASSWORD), Unknown)
