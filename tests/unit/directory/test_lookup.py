"""SEMANTICS section 5: accepted domains, aliases, groups, external addresses."""

from __future__ import annotations

import pytest

from mailwye.directory import lookup
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DomainType, RecipientKind
from mailwye.smtp.address import parse_address
from tests.unit.connectors.world import group, mail_user, mailbox, recipient

DOMAINS = [
    AcceptedDomain("contoso.com", default=True),
    AcceptedDomain("relay.example", DomainType.INTERNAL_RELAY, True),
    AcceptedDomain("strict.relay.example"),
]
DIRECTORY = Directory(
    DOMAINS,
    [
        mailbox("Bob@contoso.com", "robert@contoso.com", "bob@relay.example"),
        mailbox("amy@contoso.com"),
        mail_user("john@contoso.com", "jack@contoso.com"),
        mail_user("moved@contoso.com", external="moved@new.example"),
        mail_user("chain@contoso.com", external="jack@contoso.com"),
        mail_user("tobob@contoso.com", external="robert@contoso.com"),
        mail_user("twin@contoso.com", "twin2@contoso.com", external="twin2@contoso.com"),
        mail_user("togroup@contoso.com", external="pair@contoso.com"),
        group("pair@contoso.com", "amy@contoso.com"),
        mail_user("self@contoso.com", external="self@contoso.com"),
        mail_user("target@contoso.com", external="elsewhere@contoso.com"),
        mail_user("relayed@contoso.com", external="x@deep.relay.example"),
        mail_user("a@contoso.com", external="b@contoso.com"),
        mail_user("b@contoso.com", external="a@contoso.com"),
        recipient(RecipientKind.MAIL_CONTACT, "sun@contoso.com", external="sun@customer.example"),
        group("team@contoso.com", "robert@contoso.com", "amy@contoso.com", "bob@contoso.com", "inner@contoso.com"),
        group("inner@contoso.com", "team@contoso.com", "sun@contoso.com", "x@y.example", "inner@contoso.com"),
        group("void@contoso.com", "void@contoso.com", "nobody@contoso.com", "a@contoso.com"),
    ],
)


@pytest.mark.parametrize(
    ("domain", "accepted"),
    [
        ("contoso.com", "contoso.com"),
        ("sub.contoso.com", ""),
        ("relay.example", "relay.example"),
        ("a.b.relay.example", "relay.example"),
        ("strict.relay.example", "strict.relay.example"),
        ("a.strict.relay.example", "relay.example"),
        ("example", ""),
        ("other.example", ""),
    ],
)
def test_accepted_domain(domain: str, accepted: str) -> None:
    found = DIRECTORY.accepted_domain(domain)
    assert (found.domain_name if found else "") == accepted


@pytest.mark.parametrize(
    ("address", "kind", "final"),
    [
        ("bob@contoso.com", "Mailbox", ["Bob@contoso.com"]),
        ("BOB@contoso.com", "Mailbox", ["Bob@contoso.com"]),
        ('"bob"@contoso.com', "Mailbox", ["Bob@contoso.com"]),
        ("robert@contoso.com", "Mailbox", ["Bob@contoso.com"]),
        ("bob@relay.example", "Mailbox", ["Bob@contoso.com"]),
        ("jack@contoso.com", "MailUser", ["john@contoso.com"]),
        ("moved@contoso.com", "MailUser", ["moved@new.example"]),
        ("chain@contoso.com", "MailUser", ["john@contoso.com"]),
        ("tobob@contoso.com", "Mailbox", ["Bob@contoso.com"]),
        ("self@contoso.com", "MailUser", ["self@contoso.com"]),
        ("target@contoso.com", "MailUser", ["elsewhere@contoso.com"]),
        ("elsewhere@contoso.com", "MailUser", ["elsewhere@contoso.com"]),
        ("relayed@contoso.com", "MailUser", ["x@deep.relay.example"]),
        ("sun@contoso.com", "MailContact", ["sun@customer.example"]),
        ("anyone@relay.example", "Relayed", ["anyone@relay.example"]),
        ("anyone@strict.relay.example", "Unknown", []),
        ("nobody@contoso.com", "Unknown", []),
        ("a@contoso.com", "MailUser", []),
        ("x@y.example", "External", ["x@y.example"]),
        ("team@contoso.com", "DistributionGroup", ["Bob@contoso.com", "amy@contoso.com", "sun@customer.example", "x@y.example"]),
        ("void@contoso.com", "DistributionGroup", []),
        ("twin@contoso.com", "MailUser", ["twin@contoso.com"]),
        ("twin2@contoso.com", "MailUser", ["twin@contoso.com"]),
        ("togroup@contoso.com", "DistributionGroup", ["amy@contoso.com"]),
    ],
)
def test_resolve(address: str, kind: str, final: list[str]) -> None:
    resolution = DIRECTORY.resolve(parse_address(address))
    assert resolution.kind == kind
    assert [str(each.address) for each in resolution.recipients] == final
    assert resolution.reasons
    assert bool(resolution.failure) == (not final and kind != "Unknown")


def test_a_final_mailbox_names_its_primary_address() -> None:
    (final,) = DIRECTORY.resolve(parse_address("robert@contoso.com")).recipients
    assert (final.kind, final.mailbox) == ("Mailbox", "Bob@contoso.com")
    assert "robert@contoso.com is an alias of Bob@contoso.com" in final.reasons


def test_what_was_left_out_of_a_group_is_told() -> None:
    reasons = " ".join(DIRECTORY.resolve(parse_address("void@contoso.com")).reasons)
    assert "void@contoso.com was expanded already" in reasons
    assert "nobody@contoso.com is left out" in reasons
    assert "a@contoso.com is left out" in reasons


def test_a_chain_of_external_addresses_has_a_limit() -> None:
    users = [mail_user(f"u{n}@contoso.com", external=f"u{n + 1}@contoso.com") for n in range(lookup.EXTERNAL_HOPS + 5)]
    directory = Directory(DOMAINS, users)
    assert directory.resolve(parse_address("u0@contoso.com")).failure_enhanced == "5.4.6"
    near_the_end = parse_address(f"u{lookup.EXTERNAL_HOPS}@contoso.com")
    assert str(directory.resolve(near_the_end).recipients[0].address) == f"u{lookup.EXTERNAL_HOPS + 5}@contoso.com"


def test_groups_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "GROUP_MEMBERS", 2)
    resolution = DIRECTORY.resolve(parse_address("team@contoso.com"))
    assert (resolution.recipients, resolution.failure_enhanced) == ((), "5.2.4")
    assert "more than 2 members" in resolution.failure


def test_groups_nested_thousandfold_need_no_recursion() -> None:
    groups = [group(f"g{n}@contoso.com", f"g{n + 1}@contoso.com") for n in range(5_000)]
    directory = Directory(DOMAINS, [*groups, group("g5000@contoso.com", "bob@contoso.com"), mailbox("bob@contoso.com")])
    assert len(directory.resolve(parse_address("g0@contoso.com")).recipients) == 1


@pytest.mark.parametrize(
    ("owner", "address", "owns"),
    [
        ("Bob@contoso.com", "bob@contoso.com", True),
        ("bob@contoso.com", "robert@contoso.com", True),
        ("bob@contoso.com", "amy@contoso.com", False),
        ("bob@contoso.com", "nobody@contoso.com", False),
        ("john@contoso.com", "john@contoso.com", False),  # no mailbox here
    ],
)
def test_owns(owner: str, address: str, owns: bool) -> None:
    assert DIRECTORY.owns(owner, parse_address(address)) is owns


def test_find_and_default_domain() -> None:
    found = DIRECTORY.find(parse_address("jack@contoso.com"))
    assert found is not None
    assert str(found.primary_smtp_address) == "john@contoso.com"
    assert DIRECTORY.find(parse_address("nobody@contoso.com")) is None
    assert (DIRECTORY.default_domain, Directory().default_domain) == ("contoso.com", "")


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("moved@contoso.com", ["moved@contoso.com"]),
        ("chain@contoso.com", ["chain@contoso.com"]),
        ("tobob@contoso.com", ["tobob@contoso.com"]),
        ("sun@contoso.com", ["sun@contoso.com"]),
        ("robert@contoso.com", [None]),
        ("jack@contoso.com", [None]),
        ("self@contoso.com", [None]),
        ("twin2@contoso.com", [None]),
        ("x@y.example", [None]),
        ("team@contoso.com", [None, None, "sun@contoso.com", None]),
    ],
)
def test_by_which_address_the_directory_knows_a_final_recipient(address: str, known: list[str | None]) -> None:
    found = [final.known for final in DIRECTORY.resolve(parse_address(address)).recipients]
    assert [None if one is None else str(one) for one in found] == known
