from __future__ import annotations

from mailwye.config.parse import read_organization
from mailwye.config.schema import Organization
from mailwye.config.versions.changes import ChangeSet, ObjectChange
from mailwye.config.versions.conflict import GONE, FieldConflict, reconcile


def organization(text: str) -> Organization:
    found = read_organization(text)
    assert found.value is not None, found.problems
    return found.value


BASE = organization(
    "AcceptedDomain: [{DomainName: contoso.com}, {DomainName: fabrikam.com}]\n"
    "MailUser: {PrimarySmtpAddress: john@contoso.com, DisplayName: John}\n"
    "OutboundConnector: {Name: Out, RecipientDomains: a.example, Comment: first}\n"
)


def edited(text: str) -> Organization:
    """BASE with the kinds of `text` in place of its own."""
    new = organization(text)
    return BASE.changed(**{name: getattr(new, name) for name in new.given})


def places(changes: ChangeSet) -> list[tuple[str, str, bool, bool]]:
    return [(each.kind, each.identity, each.before is not None, each.after is not None) for each in changes]


def test_a_change_makes_the_new_organization_and_its_reverse_the_old_one() -> None:
    new = edited("AcceptedDomain: [{DomainName: contoso.com, Default: true}, {DomainName: tailspin.com}]\nOrganization: {Name: x}")
    changes = ChangeSet.between(BASE, new)
    assert places(changes) == [
        ("Organization", "", True, True),
        ("AcceptedDomain", "contoso.com", True, True),
        ("AcceptedDomain", "fabrikam.com", True, False),
        ("AcceptedDomain", "tailspin.com", False, True),
    ]
    assert changes.applied_to(BASE) == new
    assert changes.reversed().applied_to(new) == BASE
    assert ChangeSet.between(new, BASE) == changes.reversed()
    assert len(ChangeSet.between(BASE, BASE)) == 0


def test_kinds_that_do_not_change_stay_the_same_python_objects() -> None:
    new = ChangeSet.between(BASE, edited("AcceptedDomain: {DomainName: contoso.com}")).applied_to(BASE)
    assert new.mail_users is BASE.mail_users
    assert new.accepted_domains[0] is BASE.accepted_domains[0]


def test_equal_objects_are_no_change_even_if_they_were_read_twice() -> None:
    twice = edited("OutboundConnector: {Name: Out, RecipientDomains: a.example, Comment: first}")
    assert twice.outbound_connectors[0] is not BASE.outbound_connectors[0]
    assert ChangeSet.between(BASE, twice) == ChangeSet()


def test_a_new_name_or_kind_is_a_removal_and_an_addition() -> None:
    renamed = edited("OutboundConnector: {Name: Out 2, RecipientDomains: a.example}")
    assert places(ChangeSet.between(BASE, renamed)) == [
        ("OutboundConnector", "out", True, False),
        ("OutboundConnector", "out 2", False, True),
    ]
    moved = edited("MailUser: []\nMailbox: {PrimarySmtpAddress: john@contoso.com}")
    assert places(ChangeSet.between(BASE, moved)) == [
        ("Mailbox", "john@contoso.com", False, True),
        ("MailUser", "john@contoso.com", True, False),
    ]


def test_changes_of_one_object_become_one() -> None:
    second = edited("OutboundConnector: {Name: Out, RecipientDomains: b.example}")
    third = edited("OutboundConnector: {Name: Out, RecipientDomains: c.example}")
    one, two = ChangeSet.between(BASE, second), ChangeSet.between(second, third)
    assert one.then(two) == ChangeSet.between(BASE, third)
    assert one.then(one.reversed()) == ChangeSet()


def test_two_editors_of_different_objects_are_put_together() -> None:
    theirs = edited("AcceptedDomain: {DomainName: contoso.com}")
    mine = ChangeSet.between(BASE, edited("OutboundConnector: {Name: Out, RecipientDomains: b.example}"))
    changes, conflicts = reconcile(BASE, theirs, mine)
    assert conflicts == ()
    both = changes.applied_to(theirs)
    assert both.outbound_connectors[0].recipient_domains == ("b.example",)
    assert len(both.accepted_domains) == 1


def test_what_both_changed_alike_is_no_conflict() -> None:
    same = edited("OutboundConnector: {Name: Out, RecipientDomains: b.example}")
    again = edited("OutboundConnector: {Name: Out, RecipientDomains: b.example}")
    changes, conflicts = reconcile(BASE, same, ChangeSet.between(BASE, again))
    assert (changes, conflicts) == (ChangeSet(), ())


def test_what_both_changed_differently_is_told_field_by_field() -> None:
    theirs = edited("OutboundConnector: {Name: Out, RecipientDomains: b.example, Comment: first}")
    mine = edited("OutboundConnector: {Name: Out, RecipientDomains: c.example, Comment: second}")
    _, conflicts = reconcile(BASE, theirs, ChangeSet.between(BASE, mine))
    assert conflicts == (
        FieldConflict('OutboundConnector "Out"', "Comment", "first", "first", "second"),
        FieldConflict('OutboundConnector "Out"', "RecipientDomains", ["a.example"], ["b.example"], ["c.example"]),
    )
    words = str(conflicts[1])
    assert words == 'OutboundConnector "Out": RecipientDomains: it was a.example, is b.example now, and this change wants c.example'


def test_removals_and_other_kinds_conflict_as_a_whole() -> None:
    gone, changed = edited("OutboundConnector: []"), edited("OutboundConnector: {Name: Out, RecipientDomains: b.example}")
    _, conflicts = reconcile(BASE, gone, ChangeSet.between(BASE, changed))
    assert conflicts == (FieldConflict('OutboundConnector "Out"', "", "OutboundConnector", GONE, "OutboundConnector"),)
    box = edited("MailUser: []\nMailbox: {PrimarySmtpAddress: john@contoso.com}")
    other = edited("MailUser: {PrimarySmtpAddress: john@contoso.com, DisplayName: Johnny}")
    _, conflicts = reconcile(BASE, box, ChangeSet.between(BASE, other))
    assert [each.field for each in conflicts] == [""]


def test_a_change_is_put_in_place_whatever_is_there() -> None:
    connector = BASE.outbound_connectors[0].changed(comment="new")
    changes = ChangeSet.of([ObjectChange("OutboundConnector", "out", None, connector)])
    assert changes.applied_to(Organization()).outbound_connectors == (connector,)
    assert changes.applied_to(BASE).outbound_connectors == (connector,)


def test_two_who_both_change_a_password_are_told_without_it() -> None:
    def relay(sealed: str, comment: str = "") -> Organization:
        credential = {"UserName": "u", "Password": {"Sealed": sealed}}
        return Organization.of({"OutboundConnector": [{"Name": "R", "Comment": comment, "AuthenticationCredential": credential}]})

    base, theirs, mine = relay("v1.a"), relay("v1.b"), relay("v1.c")
    changes, conflicts = reconcile(base, theirs, ChangeSet.between(base, mine))
    (conflict,) = conflicts
    assert conflict.field == "AuthenticationCredential"
    assert "and this change wants {UserName: u, Password: (changed)}" in str(conflict)
    assert "v1." not in str(conflict)
    assert len(changes) == 0
    _, conflicts = reconcile(base, theirs, ChangeSet.between(base, theirs))
    assert conflicts == ()
