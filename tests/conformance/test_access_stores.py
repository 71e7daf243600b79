"""What every store of users and tokens, and every audit log, promises: for memory and SQLite alike. What only a file can show is in
tests/unit/storage/test_access.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mailwye.access.accounts import TOKENS_PER_USER, AccountError, AccountStore, NoSuchAccount, Token, User
from mailwye.access.audit import BEGINNING, AuditLog, Event, broken_at, digest_of
from mailwye.access.memory import MemoryAccounts, MemoryAuditLog
from mailwye.access.roles import Permission, Role
from mailwye.access.second_factor import SecondFactor
from mailwye.storage.sqlite.access.accounts import SqliteAccounts
from mailwye.storage.sqlite.access.audit import SqliteAuditLog

ANN = User("ann", (Role.HELP_DESK, Role.VIEW_ONLY), 1.0)
BOB = User("bob", (), 2.5)
KEY = Token("1f2e3d4c", "ann", "provisioning", frozenset({Permission.OWN, Permission.QUEUE_READ}), 5.0, 10.5)
EVENT = Event(1.5, "ann", "192.0.2.1", "settings.save", "x", "version 1")


@pytest.fixture(params=["memory", "sqlite"])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccountStore]:
    made: AccountStore = MemoryAccounts() if request.param == "memory" else SqliteAccounts(tmp_path / "accounts.sqlite")
    yield made
    made.close()


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AuditLog]:
    made: AuditLog = MemoryAuditLog() if request.param == "memory" else SqliteAuditLog(tmp_path / "audit.sqlite")
    yield made
    made.close()


def test_nobody_is_there_at_first(accounts: AccountStore) -> None:
    assert (list(accounts.users()), list(accounts.tokens()), list(accounts.tokens("ann"))) == ([], [], [])
    assert (accounts.user("ann"), accounts.password_hash("ann"), accounts.token("d")) == (None, None, None)


def test_users_are_kept_by_name(accounts: AccountStore) -> None:
    accounts.add_user(BOB, "hash of bob")
    accounts.add_user(ANN, "hash of ann")
    assert list(accounts.users()) == [ANN, BOB]
    assert accounts.user("ann") == ANN
    assert accounts.user("Ann") is None  # names are canonical before they come here
    assert (accounts.password_hash("ann"), accounts.password_hash("bob")) == ("hash of ann", "hash of bob")


def test_a_name_is_given_once(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    with pytest.raises(AccountError, match="there is a user ann already"):
        accounts.add_user(replace(ANN, roles=(Role.ORGANIZATION_MANAGEMENT,)), "another")
    assert (accounts.user("ann"), accounts.password_hash("ann")) == (ANN, "hash")


def test_what_changes_of_a_user_leaves_the_others_and_the_rest(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash of ann")
    accounts.add_user(BOB, "hash of bob")
    accounts.set_roles("bob", [Role.RECIPIENT_MANAGEMENT])
    accounts.set_password("ann", "new")
    assert list(accounts.users()) == [ANN, replace(BOB, roles=(Role.RECIPIENT_MANAGEMENT,))]
    assert (accounts.password_hash("ann"), accounts.password_hash("bob")) == ("new", "hash of bob")
    accounts.set_roles("bob", ())
    assert accounts.user("bob") == BOB


def test_a_user_goes_with_his_tokens(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_user(BOB, "hash")
    accounts.add_token(KEY, "d1")
    other = replace(KEY, id="2", user="bob")
    accounts.add_token(other, "d2")
    accounts.remove_user("ann")
    assert (accounts.user("ann"), accounts.password_hash("ann"), accounts.token("d1")) == (None, None, None)
    assert (list(accounts.users()), list(accounts.tokens())) == ([BOB], [other])
    accounts.add_user(ANN, "hash")
    assert list(accounts.tokens("ann")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.set_roles("eve", ()),
        lambda store: store.set_password("eve", "hash"),
        lambda store: store.remove_user("eve"),
        lambda store: store.set_second_factor("eve", SecondFactor("sealed")),
        lambda store: store.remove_second_factor("eve"),
        lambda store: store.add_token(replace(KEY, user="eve"), "d"),
        lambda store: store.remove_token("none"),
    ],
)
def test_who_is_not_there_is_named(accounts: AccountStore, change: Callable[[AccountStore], None]) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_token(KEY, "digest")
    with pytest.raises(NoSuchAccount, match=r"there is no (user eve|token none)"):
        change(accounts)
    assert (list(accounts.users()), list(accounts.tokens())) == ([ANN], [KEY])


def test_a_second_factor_is_kept_until_it_is_removed(accounts: AccountStore) -> None:
    accounts.add_user(replace(ANN, totp=True), "hash")  # by setting one alone
    accounts.add_user(BOB, "hash")
    assert (accounts.second_factor("ann"), accounts.user("ann")) == (None, ANN)
    accounts.set_second_factor("ann", SecondFactor("sealed", 5))
    assert accounts.second_factor("ann") == SecondFactor("sealed", 5)
    assert accounts.user("ann") == replace(ANN, totp=True)
    assert list(accounts.users()) == [replace(ANN, totp=True), BOB]
    accounts.set_second_factor("ann", SecondFactor("another"))
    assert accounts.second_factor("ann") == SecondFactor("another", 0)
    accounts.remove_second_factor("ann")
    assert (accounts.second_factor("ann"), accounts.user("ann")) == (None, ANN)
    with pytest.raises(NoSuchAccount, match="ann has no second factor"):
        accounts.remove_second_factor("ann")


def test_a_step_is_taken_once_and_never_backwards(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    factor = SecondFactor("sealed")
    assert not accounts.take_step("ann", factor, 7)
    accounts.set_second_factor("ann", factor)
    assert [accounts.take_step("ann", factor, step) for step in (7, 7, 6, 8, 8)] == [True, False, False, True, False]
    assert accounts.second_factor("ann") == SecondFactor("sealed", 8)
    accounts.set_second_factor("ann", SecondFactor("another"))
    assert not accounts.take_step("ann", factor, 9)
    assert not accounts.take_step("bob", factor, 9)


def test_a_secret_that_is_sealed_anew_leaves_taken_what_was_taken(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.set_second_factor("ann", SecondFactor("sealed", 7))
    assert not accounts.reseal_second_factor("ann", "another", "new")
    assert not accounts.reseal_second_factor("bob", "sealed", "new")
    assert accounts.reseal_second_factor("ann", "sealed", "new")
    assert accounts.second_factor("ann") == SecondFactor("new", 7)


def test_a_removed_user_leaves_no_second_factor(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.set_second_factor("ann", SecondFactor("sealed"))
    accounts.remove_user("ann")
    assert accounts.second_factor("ann") is None
    accounts.add_user(ANN, "hash")
    assert (accounts.second_factor("ann"), accounts.user("ann")) == (None, ANN)


def test_a_token_is_found_by_its_digest_only(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_token(KEY, "digest")
    assert (accounts.token("digest"), accounts.token("DIGEST"), accounts.token(KEY.id), accounts.token("")) == (KEY, None, None, None)


def test_tokens_are_in_order_of_their_making(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_user(BOB, "hash")
    late, early, same = replace(KEY, id="1", created=7.0), replace(KEY, id="3", user="bob"), replace(KEY, id="2")
    for one in (late, early, same):
        accounts.add_token(one, f"digest {one.id}")
    assert list(accounts.tokens()) == [same, early, late]
    assert list(accounts.tokens("ann")) == [same, late]
    assert list(accounts.tokens("eve")) == []


def test_a_token_that_is_revoked_is_gone_alone(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    other = replace(KEY, id="other", scopes=frozenset())
    accounts.add_token(KEY, "d1")
    accounts.add_token(other, "d2")
    accounts.remove_token(KEY.id)
    assert (accounts.token("d1"), accounts.token("d2")) == (None, other)


def test_tokens_of_one_user_have_a_limit(accounts: AccountStore) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_user(BOB, "hash")
    for number in range(TOKENS_PER_USER):
        accounts.add_token(replace(KEY, id=f"{number}"), f"d{number}")
    with pytest.raises(AccountError, match="revoke"):
        accounts.add_token(KEY, "d")
    accounts.add_token(replace(KEY, user="bob"), "d")
    accounts.remove_token("7")
    accounts.add_token(replace(KEY, id="7"), "d7 again")
    assert len(accounts.tokens("ann")) == TOKENS_PER_USER


@pytest.mark.parametrize(("token_id", "digest"), [("1f2e3d4c", "another"), ("another", "digest")])
def test_two_tokens_are_never_one(accounts: AccountStore, token_id: str, digest: str) -> None:
    accounts.add_user(ANN, "hash")
    accounts.add_user(BOB, "hash")
    accounts.add_token(KEY, "digest")
    with pytest.raises(AccountError, match=f"there is a token {token_id} already"):
        accounts.add_token(replace(KEY, id=token_id, user="bob"), digest)
    assert list(accounts.tokens()) == [KEY]
    assert accounts.token("digest") == KEY


def test_an_empty_log_is_intact(log: AuditLog) -> None:
    assert (list(log.entries()), log.verify()) == ([], 0)


def test_entries_form_a_chain(log: AuditLog) -> None:
    first, second = log.record(EVENT), log.record(replace(EVENT, who="bob"))
    assert (first.number, second.number) == (1, 2)
    assert first.digest == digest_of(BEGINNING, EVENT)
    assert second.digest == digest_of(first.digest, replace(EVENT, who="bob"))
    assert list(log.entries()) == [second, first]
    assert (log.verify(), broken_at([first, second])) == (0, 0)


def test_entries_are_asked_for_page_by_page(log: AuditLog) -> None:
    for _ in range(5):
        log.record(EVENT)
    assert [entry.number for entry in log.entries(limit=2)] == [5, 4]
    assert [entry.number for entry in log.entries(before=4, limit=2)] == [3, 2]
    assert [entry.number for entry in log.entries(before=2)] == [1]
    assert list(log.entries(before=1)) == []
    assert len(log.entries(before=99)) == 5


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"who": "ann"}, [3, 1]),
        ({"who": "ann (token 1)"}, [3]),
        ({"who": "an"}, []),
        ({"who": "Ann"}, []),
        ({"who": "%"}, []),
        ({"action": "queue"}, [3, 2]),
        ({"action": "queue.delete"}, [2]),
        ({"action": "que"}, []),
        ({"who": "ann", "action": "queue"}, [3]),
        ({"who": "ann", "before": 3}, [1]),
    ],
)
def test_entries_are_asked_for_by_who_and_what(log: AuditLog, asked: dict[str, str], numbers: list[int]) -> None:
    """A user's tokens count as him; the beginning of an action as far as a dot."""
    log.record(EVENT)
    log.record(replace(EVENT, who="annabel", action="queue.delete"))
    log.record(replace(EVENT, who="ann (token 1)", action="queue.deleted"))
    assert [entry.number for entry in log.entries(**asked)] == numbers  # type: ignore[arg-type]  # of both kinds


def test_texts_of_any_kind_are_kept_within_the_limit(log: AuditLog) -> None:
    kept = log.record(Event(1.0, "a\ud800", "x\x00y", "z" * 5000, "\n", ""))
    assert list(log.entries()) == [kept]
    assert kept.event == Event(1.0, "a\\ud800", "x\x00y", "z" * 1024, "\n", "")
    assert log.verify() == 0
