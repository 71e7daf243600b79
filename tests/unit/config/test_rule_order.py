"""Rules without Priority: the order of the file, kept when files are applied again and again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.config.checks import check_organization
from mailwye.config.export import from_json, to_json
from mailwye.config.merge import is_same, merge
from mailwye.config.parse import read_organization
from mailwye.config.plan import plan_file, plan_organization
from mailwye.config.rule_order import priorities_of
from mailwye.config.schema import Organization, TransportRule
from mailwye.config.store import StoredVersion, VersionInfo


def rules(*names: str) -> Organization:
    """A file of rules; `b:3` has Priority 3."""
    made = []
    for text in names:
        name, _, priority = text.partition(":")
        made.append(TransportRule(name=name, priority=int(priority) if priority else None))
    return Organization(transport_rules=tuple(made))


def stored(organization: Organization) -> StoredVersion:
    return StoredVersion(VersionInfo(1, 0, "", 0.0, ""), organization)


def order(organization: Organization) -> list[str]:
    numbers = priorities_of(organization)
    assert len(numbers) == len(set(numbers.values())) == len(organization.transport_rules)
    return sorted(numbers, key=numbers.__getitem__)


@pytest.mark.parametrize(
    ("now", "file", "expected"),
    [
        ((), ("b", "a", "c"), ["b:0", "a:1", "c:2"]),
        (("a:0", "b:1", "c:2"), ("a", "b", "c"), ["a:0", "b:1", "c:2"]),
        (("a:0", "b:1", "c:2"), ("b", "a", "c"), ["b:1", "a:3", "c:4"]),  # the order changed
        (("a:0", "b:1"), ("a", "n", "b"), ["a:0", "n:2", "b:3"]),  # one between them
        (("a:0", "b:1", "c:2"), ("d",), ["a:0", "b:1", "c:2", "d:3"]),  # another file: after the others
        (("a:0", "c:2"), ("d",), ["a:0", "c:2", "d:3"]),  # not into a gap
        (("a:0", "b:1", "c:2", "d:3"), ("a", "b"), ["a:0", "b:1", "c:2", "d:3"]),  # files do not jump over one another
        (("a:0", "b:1"), ("c:0", "a"), ["c:0", "b:1", "a:2"]),  # a number that was taken away
        ((), ("x:5", "y"), ["x:5", "y:6"]),
        (("b:1", "a:3"), ("a:0", "b"), ["a:0", "b:1"]),
    ],
)
def test_table(now: tuple[str, ...], file: tuple[str, ...], expected: list[str]) -> None:
    merged = merge(rules(*now), rules(*file))
    found = sorted(merged.transport_rules, key=lambda one: one.priority or 0)
    assert [f"{one.name}:{one.priority}" for one in found] == expected


NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


@given(st.lists(NAMES, max_size=4), NAMES)
def test_a_file_that_is_applied_twice_changes_nothing(before: list[list[str]], file: list[str]) -> None:
    current = Organization()
    for names in before:
        current = from_json(to_json(merge(current, rules(*names))))
    once = merge(current, rules(*file))
    assert [name for name in order(once) if name in file] == file
    assert is_same(once, merge(from_json(to_json(once)), rules(*file)))


def test_what_is_stored_says_the_order_by_itself() -> None:
    assert order(from_json(to_json(rules("z", "a", "m")))) == ["z", "a", "m"]


def test_a_finding_about_a_rule_that_got_its_number_has_its_line() -> None:
    parsed = read_organization("TransportRule:\n  - Name: West\n    Comments: nothing\n", "f.yaml")
    plan = plan_file(stored(Organization()), parsed)
    assert priorities_of(plan.organization) == {"west": 0}
    assert [(one.file, one.line) for one in plan.problems] == [("f.yaml", 2), ("f.yaml", 2)]
    assert plan.has_errors


def test_an_organization_as_a_whole_is_numbered_too() -> None:
    current = stored(rules("b:1", "a:3"))
    assert priorities_of(plan_organization(current, rules("b", "a", "c")).organization) == {"b": 1, "a": 3, "c": 4}


def test_a_connector_cannot_be_disabled_while_a_rule_names_it() -> None:
    """The check is across objects: a file that has only the connector is refused as well."""
    text = """
        AcceptedDomain: {DomainName: contoso.com}
        OutboundConnector: {Name: West, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: w.contoso.com}
        TransportRule: {Name: To the west, RecipientDomainIs: contoso.com, RouteMessageOutboundConnector: West}
    """
    active = read_organization(text).value
    assert active is not None
    assert not any(one.is_error for one in check_organization(active))
    current = stored(active)
    connector = "IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: w.contoso.com"
    off = plan_file(current, read_organization(f"OutboundConnector: {{Name: West, Enabled: false, {connector}}}"))
    assert off.has_errors
    assert 'TransportRule "To the west": RouteMessageOutboundConnector: OutboundConnector "West" is disabled' in "\n".join(
        map(str, off.problems)
    )
    gone = plan_file(current, read_organization("OutboundConnector: []"), prune=True)
    assert gone.has_errors
    assert 'there is no outbound connector "West"' in "\n".join(map(str, gone.problems))
