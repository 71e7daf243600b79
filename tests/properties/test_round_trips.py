"""What is written out and read back is the same, and applying it changes nothing: YAML, JSON, and the JSON of Exchange's cmdlets."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from mailwye.config.diff import diff
from mailwye.config.export import from_json, in_order, objects_to_yaml, to_json, to_yaml
from mailwye.config.merge import merge
from mailwye.config.parse import read_organization
from mailwye.config.schema import KINDS, MailUser, Organization
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.exchange.write import to_exchange_json
from mailwye.importing.report import Outcome
from mailwye.importing.source import Source
from tests.properties.organizations import ORGANIZATIONS


def _has_doubles(one: Organization) -> bool:
    addresses = [recipient.identity for recipient in one.recipients()]
    return len(addresses) != len(set(addresses))


@settings(max_examples=150, deadline=None)
@given(ORGANIZATIONS)
def test_export_and_apply_is_the_identity(data: dict[str, Any]) -> None:
    one = Organization.of(data)
    assert from_json(to_json(one)) == in_order(one)
    if _has_doubles(one):
        return
    read = read_organization(to_yaml(one), "f")
    assert read.problems == ()
    assert read.value == in_order(one)
    assert diff(in_order(one), merge(in_order(one), read.value)) == ()
    assert diff(in_order(one), merge(in_order(one), read.value, prune=True)) == ()


@settings(max_examples=150, deadline=None)
@given(ORGANIZATIONS, ORGANIZATIONS)
def test_applying_a_file_twice_changes_nothing_the_second_time(before: dict[str, Any], file: dict[str, Any]) -> None:
    current, given_file = Organization.of(before), Organization.of(file)
    for prune in (False, True):
        once = merge(current, given_file, prune=prune)
        assert diff(once, merge(once, given_file, prune=prune)) == ()


def _without_own_addresses(one: Organization) -> Organization:
    """Exchange lists the primary address among EmailAddresses: whether it was named there once more cannot be told. An ExternalEmailAddress
    that is the primary one is the same as none.
    """

    def less(recipient: Any) -> Any:
        own = recipient.primary_smtp_address.key
        update: dict[str, Any] = {"email_addresses": tuple(one for one in recipient.email_addresses if one.key != own)}
        external = getattr(recipient, "external_email_address", None)
        if isinstance(recipient, MailUser) and external is not None and external.key == own:
            update["external_email_address"] = None
        return recipient.changed(**update)

    kinds = [entry.attribute for entry in KINDS.values() if "email_addresses" in entry.model.fields]
    return one.changed(**{kind: tuple(map(less, getattr(one, kind))) for kind in kinds})


@settings(max_examples=150, deadline=None)
@given(ORGANIZATIONS)
def test_what_exchange_would_print_is_read_back(data: dict[str, Any]) -> None:
    one = _without_own_addresses(in_order(Organization.of(data)))
    if _has_doubles(one):
        return
    imported = import_exchange([Source("f", to_exchange_json(one))])
    # The settings of the organization itself are not Exchange's; a rule without a connector does nothing there or here.
    assert imported.organization.changed(organization=one.organization) == one
    assert [str(entry) for entry in imported.entries if entry.outcome is Outcome.LEFT_OUT and "no members" not in entry.reason] == []
    parsed = read_organization(objects_to_yaml(imported.organization))
    assert parsed.value == imported.organization
