"""Versions of settings: what stores keep is what was saved, whatever the order of edits; two editors are put together or told."""

from __future__ import annotations

import json
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mailwye.admin.explain import explain
from mailwye.admin.question import Question
from mailwye.config.checks import check_organization
from mailwye.config.compile import KeptTables, compile_snapshot
from mailwye.config.export import in_order, to_json
from mailwye.config.schema import KINDS, Organization
from mailwye.config.store import ConfigStore
from mailwye.config.versions.changes import ChangeSet
from mailwye.config.versions.conflict import reconcile
from mailwye.config.versions.memory import MemoryConfigStore
from mailwye.config.versions.stored_form import from_stored, stored_text
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.testing.versions import save_whole

NAMES = ("contoso.com", "sales.contoso.com", "fabrikam.com", "tailspin.com")
PATTERNS = (*NAMES, "*.contoso.com", "*", "partner.example", "*.partner.example")
ADDRESSES = ("192.0.2.1", "192.0.2.0/24", "2001:db8::/48")
RECIPIENTS = ("john@contoso.com", "bob@contoso.com", "ann@fabrikam.com", "x@sales.contoso.com", "x@partner.example")
patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3, unique=True)
flags = st.booleans()


def some(strategies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of these fields."""
    return st.fixed_dictionaries({}, optional=strategies)


def named(key: str, names: tuple[str, ...], fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Objects of one kind, each name at most once."""
    return st.dictionaries(st.sampled_from(names), fields, max_size=4).map(
        lambda found: [{key: name, **one} for name, one in found.items()]
    )


domains = named("DomainName", NAMES, some({"DomainType": st.sampled_from(["InternalRelay", "Authoritative"]), "MatchSubDomains": flags}))
users = named(
    "PrimarySmtpAddress",
    ("john@contoso.com", "Ann@fabrikam.com", '"odd one"@contoso.com'),
    some(
        {"DisplayName": st.sampled_from(["J", "", "Ä"]), "ExternalEmailAddress": st.sampled_from(["x@contoso.com", "y@elsewhere.example"])}
    ),
)
boxes = named("PrimarySmtpAddress", ("bob@contoso.com", "Ann@fabrikam.com"), some({"EmailAddresses": st.just(["robert@contoso.com"])}))
inbound = named(
    "Name",
    ("In", "In 2", "Partner"),
    some(
        {
            "ConnectorType": st.sampled_from(["OnPremises", "Partner"]),
            "SenderDomains": patterns,
            "SenderIPAddresses": st.lists(st.sampled_from(ADDRESSES), max_size=2),
            "TlsSenderCertificateName": st.sampled_from(["*.contoso.com", "mail.contoso.com", "a.example"]),
            "RequireTls": flags,
            "RestrictDomainsToIPAddresses": flags,
            "RestrictDomainsToCertificate": flags,
            "CloudServicesMailEnabled": flags,
            "EFSkipLastIP": flags,
            "Enabled": flags,
        }
    ),
)
outbound = named(
    "Name",
    ("Out", "Out 2", "Site"),
    some(
        {
            "ConnectorType": st.sampled_from(["OnPremises", "Partner"]),
            "RecipientDomains": patterns,
            "AllAcceptedDomains": flags,
            "UseMXRecord": flags,
            "SmartHosts": st.lists(
                st.sampled_from(["mail.contoso.com", "[contoso.com]", "192.0.2.1:2525", {"Host": "b.example", "Weight": 3}]), max_size=2
            ),
            "TlsSettings": st.sampled_from(["EncryptionOnly", "CertificateValidation", None]),
            "RouteAllMessagesViaOnPremises": flags,
            "IsTransportRuleScoped": flags,
            "CloudServicesMailEnabled": flags,
            "ValidationRecipients": st.just(["john@contoso.com"]),
            "Enabled": flags,
        }
    ),
)
senders = named(
    "Name",
    ("To the service", "Internet"),
    st.fixed_dictionaries(
        {"AddressSpaces": st.sampled_from(["*", "SMTP:*.contoso.com;5", ["fabrikam.com;2", "*.partner.example"], "partner.example"])},
        optional={
            "DNSRoutingEnabled": flags,
            "SmartHosts": st.lists(st.sampled_from(["mail.contoso.com", "[192.0.2.1]"]), max_size=2),
            "Port": st.sampled_from([25, 587]),
            "RequireTLS": flags,
            "TlsAuthLevel": st.sampled_from(["EncryptionOnly", "DomainValidation", None]),
            "TlsDomain": st.sampled_from(["", "*.contoso.com"]),
            "Fqdn": st.just("mail.contoso.com"),
            "CloudServicesMailEnabled": flags,
            "MaxMessageSize": st.sampled_from(["unlimited", "10MB", 65_536]),
            "Enabled": flags,
        },
    ),
)
receivers = named(
    "Name",
    ("Default", "Relay"),
    st.fixed_dictionaries(
        {"Bindings": st.sampled_from(["0.0.0.0:25", ["192.0.2.250:25", "[::]:25"]])},
        optional={
            "RemoteIPRanges": st.lists(st.sampled_from([*ADDRESSES, "10.0.0.1-10.0.0.9"]), min_size=1, max_size=2),
            "PermissionGroups": st.sampled_from(["AnonymousUsers", "ExchangeUsers, ExchangeServers", "None"]),
            "TlsDomainCapabilities": st.just("mail.contoso.com:AcceptCloudServicesMail"),
            "RequireTLS": flags,
            "MaxHopCount": st.sampled_from([5, 30]),
            "MaxMessageSize": st.sampled_from(["64KB", "36MB"]),
            "MaxInboundConnectionPerSource": st.sampled_from(["unlimited", 3]),
            "ConnectionTimeout": st.sampled_from(["00:10:00", "01:00:00"]),
            "Enabled": flags,
        },
    ),
)
rules = named(
    "Name",
    ("West", "East"),
    some(
        {
            "RouteMessageOutboundConnector": st.sampled_from(["Out", "Site", "Nowhere"]),
            "RecipientDomainIs": st.just(["contoso.com"]),
            "SentTo": st.just(["bob@contoso.com"]),
            "StopRuleProcessing": flags,
            "Enabled": flags,
        }
    ),
)
ORGANIZATIONS = some(
    {
        "Organization": some({"Name": st.sampled_from(["contoso", "fabrikam"]), "SenderRewritingEnabled": flags}),
        "AcceptedDomain": domains,
        "MailUser": users,
        "Mailbox": boxes,
        "InboundConnector": inbound,
        "OutboundConnector": outbound,
        "SendConnector": senders,
        "ReceiveConnector": receivers,
        "TransportRule": rules,
    }
).map(lambda data: in_order(Organization.of(data)))


@given(st.lists(ORGANIZATIONS, min_size=1, max_size=6), st.data())
@settings(max_examples=40)
def test_both_stores_keep_every_version_whatever_was_saved(saved: list[Organization], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.sqlite"
        stores: list[ConfigStore] = [MemoryConfigStore(), SqliteConfigStore(path)]
        for store in stores:
            for number, organization in enumerate(saved):
                save_whole(store, organization, expected_version=number, author="a", at=float(number))
        stores.append(SqliteConfigStore(path))  # one that has read nothing yet
        versions = [Organization(), *saved]
        for version in data.draw(st.permutations(range(len(versions)))):
            texts = {to_json(store.load(version).organization) for store in stores}
            assert texts == {to_json(versions[version])}
        old, new = data.draw(st.integers(0, len(saved))), data.draw(st.integers(0, len(saved)))
        expected = ChangeSet.between(versions[old], versions[new])
        for store in stores:
            assert store.changes(old, new) == expected
            store.close()


@given(ORGANIZATIONS, ORGANIZATIONS, ORGANIZATIONS)
def test_changes_are_applied_reversed_and_joined(one: Organization, two: Organization, three: Organization) -> None:
    first, second = ChangeSet.between(one, two), ChangeSet.between(two, three)
    assert first.applied_to(one) == two
    assert first.reversed().applied_to(two) == one
    assert first.then(second).applied_to(one) == three
    assert first.then(second) == ChangeSet.between(one, three)


@given(ORGANIZATIONS, ORGANIZATIONS, ORGANIZATIONS)
def test_two_editors_are_put_together_in_either_order_or_both_are_told(base: Organization, one: Organization, two: Organization) -> None:
    mine, theirs = ChangeSet.between(base, one), ChangeSet.between(base, two)
    on_theirs, against = reconcile(base, two, mine)
    on_mine, other_way = reconcile(base, one, theirs)
    assert bool(against) == bool(other_way)
    if not against:
        assert on_theirs.applied_to(two) == on_mine.applied_to(one)
    touched = {change.key for change in mine} & {change.key for change in theirs}
    if not touched:
        assert against == ()
        assert on_theirs == mine


@given(ORGANIZATIONS)
def test_objects_are_read_as_validation_would_read_them(organization: Organization) -> None:
    for kind, entry in KINDS.items():
        for thing in organization.objects(kind):
            text = stored_text(thing)
            read = from_stored(kind, text)
            assert read == thing == entry.model.of(json.loads(text))
            assert stored_text(read) == text


@given(ORGANIZATIONS, ORGANIZATIONS)
def test_a_check_that_knows_the_version_before_finds_the_same(before: Organization, after: Organization) -> None:
    after = ChangeSet.between(before, after).applied_to(before)  # with the same objects where nothing changed, as stores give them
    known = KeptTables()
    known.compiled(before, 1)
    assert check_organization(after, known=known) == check_organization(after)


@given(ORGANIZATIONS, ORGANIZATIONS)
def test_tables_that_are_taken_over_answer_as_new_ones(before: Organization, after: Organization) -> None:
    after = ChangeSet.between(before, after).applied_to(before)
    taken, new = compile_snapshot(after, 2, previous=(before, compile_snapshot(before, 1))), compile_snapshot(after, 2)
    for sender, recipient, address in product(("sun@example.net", "john@contoso.com", "<>"), RECIPIENTS, ("", "192.0.2.1", "2001:db8::1")):
        question = Question(sender, recipient, address, certificate_name="mail.contoso.com" if address else "")
        assert explain(taken, question).to_dict() == explain(new, question).to_dict()
