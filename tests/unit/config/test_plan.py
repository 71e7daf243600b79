from __future__ import annotations

import pytest

from mailwye.config.memory import MemoryConfigStore
from mailwye.config.parse import read_organization
from mailwye.config.plan import ChangeRefused, plan_file, plan_organization
from mailwye.config.store import VersionConflict

FILE = "AcceptedDomain: {DomainName: contoso.com}\nOutboundConnector: {Name: a, RecipientDomains: example.net}\n"


def test_a_file_is_applied_once() -> None:
    store = MemoryConfigStore()
    for _ in range(2):
        plan = plan_file(store.current(), read_organization(FILE))
        assert not plan.has_errors
        assert plan.save(store, author="ann", at=1.0, comment="first") == 1
    assert [info.comment for info in store.history()] == ["first"]
    assert plan.changes == ()


def test_errors_of_the_file_and_of_the_whole_forbid_saving() -> None:
    store = MemoryConfigStore()
    unreadable = plan_file(store.current(), read_organization("Mailbox: 5", "f.yaml"))
    assert (unreadable.has_errors, unreadable.changes) == (True, ())
    orphan = plan_file(store.current(), read_organization("Mailbox: {PrimarySmtpAddress: a@contoso.com}", "f.yaml"))
    assert len(orphan.changes) == 1
    for plan in (unreadable, orphan):
        with pytest.raises(ChangeRefused, match=r"f\.yaml:1: Mailbox"):
            plan.save(store, author="ann", at=1.0)
    assert store.version() == 0


def test_a_file_may_need_what_is_active_already() -> None:
    store = MemoryConfigStore()
    plan_file(store.current(), read_organization(FILE)).save(store, author="ann", at=1.0)
    plan = plan_file(store.current(), read_organization("Mailbox: {PrimarySmtpAddress: a@contoso.com}"))
    assert plan.save(store, author="ann", at=2.0) == 2
    removal = plan_file(store.current(), read_organization("AcceptedDomain: []"), prune=True)
    assert [problem.field for problem in removal.problems if problem.is_error] == ["PrimarySmtpAddress"]


def test_somebody_else_was_faster() -> None:
    store = MemoryConfigStore()
    slow = plan_file(store.current(), read_organization(FILE))
    plan_file(store.current(), read_organization("AcceptedDomain: {DomainName: fabrikam.com}")).save(store, author="bob", at=1.0)
    with pytest.raises(VersionConflict):
        slow.save(store, author="ann", at=2.0)


def test_an_older_version_again() -> None:
    store = MemoryConfigStore()
    plan_file(store.current(), read_organization(FILE)).save(store, author="ann", at=1.0)
    plan = plan_organization(store.current(), store.load(0).organization)
    assert [change.kind.name for change in plan.changes] == ["REMOVED", "REMOVED"]
    assert plan.save(store, author="ann", at=2.0) == 2
    assert store.current().organization == store.load(0).organization


def test_a_mailbox_that_goes_takes_its_password_with_it() -> None:
    store = MemoryConfigStore()
    domain = "AcceptedDomain: {DomainName: contoso.com}\n"
    plan_file(store.current(), read_organization(domain + "Mailbox: {PrimarySmtpAddress: Bob@contoso.com}\n")).save(
        store, author="ann", at=1.0
    )
    store.set_password("bob@contoso.com", "hash")
    plan = plan_file(store.current(), read_organization(domain + "Mailbox: []\n"), prune=True)
    plan.save(store, author="ann", at=2.0)
    assert store.password_hash("bob@contoso.com") is None
