from __future__ import annotations

import pytest

from mailwye.config.parse import read_organization
from mailwye.config.plan import (
    ChangeRefused,
    Plan,
    before_latest,
    draft_version,
    plan_draft,
    plan_edit,
    plan_file,
    plan_organization,
    plan_version,
)
from mailwye.config.store import NoSuchVersion, VersionConflict
from mailwye.config.versions.conflict import Conflict
from mailwye.config.versions.memory import MemoryConfigStore

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


def apply(store: MemoryConfigStore, text: str) -> int:
    return plan_file(store.current(), read_organization(text)).save(store, author="ann", at=1.0)


def out(domain: str) -> str:
    return f"OutboundConnector: {{Name: a, RecipientDomains: {domain}}}"


def test_an_edit_of_an_older_version_goes_on_top_of_what_others_changed() -> None:
    store = MemoryConfigStore()
    apply(store, FILE)
    mine = plan_file(store.current(), read_organization(out("other.example"))).change_set
    apply(store, "AcceptedDomain: {DomainName: fabrikam.com}")
    plan = plan_edit(store, 1, mine)
    assert isinstance(plan, Plan)
    assert plan.save(store, author="ann", at=2.0) == 3
    organization = store.current().organization
    assert [one.domain_name for one in organization.accepted_domains] == ["contoso.com", "fabrikam.com"]
    assert organization.outbound_connectors[0].recipient_domains == ("other.example",)


def test_an_edit_of_what_others_changed_is_a_conflict_with_everything_that_one_has_to_know() -> None:
    store = MemoryConfigStore()
    apply(store, FILE)
    mine = plan_file(store.current(), read_organization(out("mine.example"))).change_set
    apply(store, out("theirs.example") + "\nAcceptedDomain: {DomainName: fabrikam.com}")
    conflict = plan_edit(store, 1, mine)
    assert isinstance(conflict, Conflict)
    (field,) = conflict.fields
    assert (field.field, field.base, field.theirs, field.mine) == (
        "RecipientDomains",
        ["example.net"],
        ["theirs.example"],
        ["mine.example"],
    )
    assert "~ OutboundConnector" in conflict.difference
    assert "+ AcceptedDomain" in conflict.difference
    assert conflict.to_dict()["conflicts"][0]["object"] == 'OutboundConnector "a"'
    assert "version 2 changed the same objects" in str(conflict)
    assert store.version() == 2


def test_changes_that_fit_each_other_are_still_checked_together() -> None:
    """Different objects, but one needs what the other removed."""
    store = MemoryConfigStore()
    apply(store, FILE + "Mailbox: {PrimarySmtpAddress: a@contoso.com}")
    mine = plan_file(store.current(), read_organization("Mailbox: {PrimarySmtpAddress: b@contoso.com}")).change_set
    plan_organization(store.current(), store.load(0).organization).save(store, author="bob", at=2.0)
    plan = plan_edit(store, 1, mine)
    assert isinstance(plan, Plan)
    assert [problem.field for problem in plan.problems if problem.is_error] == ["PrimarySmtpAddress"]
    with pytest.raises(ChangeRefused):
        plan.save(store, author="ann", at=3.0)


def test_a_draft_is_activated_on_what_is_current_then() -> None:
    store = MemoryConfigStore()
    apply(store, FILE)
    store.new_draft("d", base=1, author="ann", at=2.0)
    for revision, text in enumerate((out("b.example"), "AcceptedDomain: {DomainName: tailspin.com}")):
        stored = store.draft("d")
        changes = plan_file(draft_version(store, stored), read_organization(text)).change_set
        store.save_draft("d", stored.changes.then(changes), expected_revision=revision, author="ann", at=3.0)
    apply(store, "AcceptedDomain: {DomainName: fabrikam.com}")
    stored = store.draft("d")
    plan = plan_draft(store, stored)
    assert isinstance(plan, Plan)
    assert (plan.base, plan.draft) == (2, stored.info)
    assert plan.save(store, author="bob", at=4.0) == 3
    assert len(store.current().organization.accepted_domains) == 3
    assert [save.author for save in store.saves(3)] == ["ann", "ann"]
    assert not store.drafts()


def test_a_rollback_without_a_number_goes_back_and_never_forth() -> None:
    store = MemoryConfigStore()
    for number in range(1, 5):
        apply(store, f"AcceptedDomain: {{DomainName: d{number}.com}}")
    for expected in (3, 2, 1, 0):
        older = before_latest(store)
        assert older.version == expected
        version = plan_version(store.current(), older).save(store, author="ann", at=2.0)
        assert store.current().organization == older.organization
        assert store.load(version).info.restores == expected
    with pytest.raises(NoSuchVersion):
        before_latest(MemoryConfigStore())
