"""Attacks by addresses, through the real session: relaying, domains, groups, repeated recipients, the null sender
(catalogue rows A1 to A8, C7, R6, R7, W16 to W24, V4).
"""

from __future__ import annotations

import pytest

from mailwye.config.installation import InboundLimits
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, DomainType, RecipientKind
from mailwye.inbound.decisions import LARGEST_GROUP
from mailwye.smtp.address import Address, parse_address
from mailwye.trace.event import EventKind
from tests.unit.inbound.world import HOSTNAME, World, contoso, settle

IP, SRV = "192.0.2.1", HOSTNAME
MAILBOX, GROUP, USER = RecipientKind.MAILBOX, RecipientKind.DISTRIBUTION_GROUP, RecipientKind.MAIL_USER


def organization(*recipients: DirectoryRecipient, domain: AcceptedDomain | None = None) -> Snapshot:
    domains = (domain or AcceptedDomain("contoso.com", default=True),)
    return Snapshot(1, "contoso", Directory(domains, recipients), ConnectorTable((), ()))


def recipient(kind: RecipientKind, address: str, *aliases: str, members: tuple[str, ...] = ()) -> DirectoryRecipient:
    return DirectoryRecipient(kind, parse_address(address), tuple(map(parse_address, aliases)), members=tuple(map(parse_address, members)))


OPEN_RELAY = (  # nmap's smtp-open-relay: MAIL FROM, RCPT TO
    ("", "relaytest@nmap.scanme.org"),
    ("antispam@nmap.scanme.org", "relaytest@nmap.scanme.org"),
    (f"antispam@{SRV}", "relaytest@nmap.scanme.org"),
    (f"antispam@[{IP}]", "relaytest@nmap.scanme.org"),
    (f"antispam@[{IP}]", f"relaytest%nmap.scanme.org@[{IP}]"),
    (f"antispam@[{IP}]", f"relaytest%nmap.scanme.org@{SRV}"),
    (f"antispam@[{IP}]", '"relaytest@nmap.scanme.org"'),
    (f"antispam@[{IP}]", '"relaytest%nmap.scanme.org"'),
    (f"antispam@[{IP}]", f"relaytest@nmap.scanme.org@[{IP}]"),
    (f"antispam@[{IP}]", f'"relaytest@nmap.scanme.org"@[{IP}]'),
    (f"antispam@[{IP}]", f"relaytest@nmap.scanme.org@{SRV}"),
    (f"antispam@[{IP}]", f"@[{IP}]:relaytest@nmap.scanme.org"),
    (f"antispam@[{IP}]", f"@{SRV}:relaytest@nmap.scanme.org"),
    (f"antispam@[{IP}]", "nmap.scanme.org!relaytest"),
    (f"antispam@[{IP}]", f"nmap.scanme.org!relaytest@[{IP}]"),
    (f"antispam@[{IP}]", f"nmap.scanme.org!relaytest@{SRV}"),
)


@pytest.mark.parametrize(("sender", "target"), [*OPEN_RELAY, ("bob@contoso.com", "sun@example.net"), ("", "sun@example.net")])
async def test_a01_nobody_relays(sender: str, target: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send(f"MAIL FROM:<{sender}>")
    assert peer.send(f"RCPT TO:<{target}>")[0] == "5"
    peer.send("DATA")
    assert await world.queued() == []


async def test_a02_source_routes_are_dropped_before_any_decision() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<@evil.example,@worse.example:x@elsewhere.example>")
    assert peer.send("RCPT TO:<@contoso.com:sun@example.net>").startswith("550 5.7.64")
    assert peer.send("RCPT TO:<@evil.example:bob@contoso.com>").startswith("250")
    peer.send("DATA")
    peer.send("Subject: x", "", "x", ".")
    (row,) = await world.queued()
    assert (str(row.message.sender), str(row.delivery.recipient)) == ("x@elsewhere.example", "bob@contoso.com")


@pytest.mark.parametrize("local", ["sun%example.net", "example.net!sun", '"sun@example.net"', "sun%example.net%contoso.com", "bob/x"])
async def test_a03_local_parts_are_opaque(local: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send(f"RCPT TO:<{local}@contoso.com>").startswith("550 5.4.1")


@pytest.mark.parametrize("local", ['"a b"', '"a\\"b"', '"a@evil"', '"a>b"', '"<x>"', '"a\\\\"'])
async def test_a04_quoted_local_parts_reach_the_next_hop_unchanged(local: str) -> None:
    world = World(organization(recipient(MAILBOX, f"{local}@contoso.com")))
    peer = world.greeted()
    peer.send(f"MAIL FROM:<{local}@elsewhere.example>", f"RCPT TO:<{local}@contoso.com>", "DATA")
    assert peer.send("Subject: x", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    assert (row.message.sender, row.delivery.recipient) == (Address(local, "elsewhere.example"), Address(local, "contoso.com"))
    assert f"for <{local}@contoso.com>".encode() in await world.content(row)


@pytest.mark.parametrize(
    "domain",
    [
        *("contoso.com.", "CONTOSO.COM", "Contoso.Com"),
        "\uff43\uff4f\uff4e\uff54\uff4f\uff53\uff4f.com",  # full width: the same name by UTS 46
    ],
)
async def test_a06_one_form_of_a_domain(domain: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> SMTPUTF8")
    assert peer.send(f"RCPT TO:<Bob@{domain}>").startswith("250")
    peer.send("DATA")
    peer.send("Subject: x", "", "x", ".")
    (row,) = await world.queued()
    assert str(row.delivery.recipient) == "bob@contoso.com"


@pytest.mark.parametrize(
    "address",
    [
        *("bob@c\u043entoso.com", "bob@xn--cntoso-3ye.com"),  # Cyrillic o
        *("bob@xn--contoso.com", "bob@xn--a.com", "bob@con\u200dtoso.com", "bob\uff20contoso.com", "bob@contoso\u3002com\u3002"),
        *("b\u043eb@contoso.com", "bob@contoso..com", "bob@.contoso.com", "bob@contoso.com\u202e"),
    ],
)
async def test_a06_what_only_looks_like_an_address_here_is_refused(address: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example> SMTPUTF8")
    heard = peer.send(f"RCPT TO:<{address}>")
    if "\u3002" in address:  # the ideographic full stop is a dot by UTS 46
        assert heard.startswith("250")
    else:
        assert heard[0] == "5"


@pytest.mark.parametrize(
    "domain", ["[127.0.0.1]", "[IPv6:::1]", "127.0.0.1", "[::ffff:10.0.0.1]", "[0177.0.0.1]", "2130706433", "0x7f.1", "[x]"]
)
async def test_a07_no_mail_to_addresses_of_machines(domain: str) -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    assert peer.send(f"RCPT TO:<bob@{domain}>").split(" ")[0] in ("550", "501")


async def test_a08_an_argument_is_never_a_second_command() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    for line in (
        b"RCPT TO:<bob@contoso.com>\nRCPT TO:<john@contoso.com>\r\n",
        b"RCPT TO:<bob@contoso.com\rRCPT>\r\n",
        b"RCPT TO:<b\0b@contoso.com>\r\n",
    ):
        assert peer.send_octets(line)[0] == "5"
    assert peer.send("DATA").startswith("503")


async def test_r06_groups_in_a_circle_end() -> None:
    world = World(
        organization(
            recipient(GROUP, "a@contoso.com", members=("b@contoso.com", "a@contoso.com")),
            recipient(GROUP, "b@contoso.com", members=("c@contoso.com", "bob@contoso.com")),
            recipient(GROUP, "c@contoso.com", members=("a@contoso.com", "ROBERT@contoso.com")),
            recipient(MAILBOX, "bob@contoso.com", "robert@contoso.com"),
            recipient(GROUP, "x@contoso.com", members=("y@contoso.com",)),
            recipient(GROUP, "y@contoso.com", members=("x@contoso.com",)),
        )
    )
    peer = world.greeted()
    peer.send("MAIL FROM:<>")
    assert peer.send("RCPT TO:<x@contoso.com>").startswith("550 5.2.4")
    peer.send("RCPT TO:<a@contoso.com>", "RCPT TO:<c@contoso.com>", "DATA")
    assert peer.send("Subject: x", "", "x", ".").startswith("250")
    (row,) = await world.queued()
    assert str(row.delivery.recipient) == "bob@contoso.com"
    assert row.message.sender is None


async def test_r07_one_copy_however_often_and_by_whatever_name() -> None:
    world = World()
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    names = ("bob", "BOB", '"bob"', "robert", "Robert", "all", '"b\\ob"')
    for name in names:
        assert peer.send(f"RCPT TO:<{name}@contoso.com>").startswith("250"), name
    peer.send("DATA")
    peer.send("Subject: x", "", "x", ".")
    assert sorted(str(row.delivery.recipient) for row in await world.queued()) == ["bob@contoso.com", "john@contoso.com"]


async def test_r07_the_recipient_after_the_last_one() -> None:
    people = tuple(recipient(MAILBOX, f"m{number}@contoso.com") for number in range(101))
    world = World(organization(*people), limits=InboundLimits(recipients_per_message=100))
    peer = world.greeted()
    heard = peer.send("MAIL FROM:<x@elsewhere.example>", *(f"RCPT TO:<m{number}@contoso.com>" for number in range(101)))
    assert [line[:9] for line in heard.split("\n")] == ["250 2.1.0"] + ["250 2.1.5"] * 100 + ["452 4.5.3"]
    peer.send("DATA")
    peer.send("Subject: x", "", "x", ".")
    assert len(await world.queued()) == 100


async def test_a_huge_group_is_not_remembered() -> None:
    members = tuple(f"m{number}@contoso.com" for number in range(1_000))
    world = World(organization(*(recipient(MAILBOX, one) for one in members), recipient(GROUP, "all@contoso.com", members=members)))
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<all@contoso.com>", "RCPT TO:<ALL@contoso.com>", "DATA")
    assert peer.send("Subject: x", "", "x", ".").startswith("250")
    assert len(await world.queued()) == 1_000
    kept = world.context.decisions._recipients.values()
    assert all(len(one.copies) <= LARGEST_GROUP for one in kept)


async def test_postmaster_without_a_domain_is_ours() -> None:
    """RFC 5321 section 4.5.1: whatever the host is called, and whatever domains are accepted."""
    world = World(organization(recipient(MAILBOX, "bob@contoso.com", "postmaster@contoso.com")))
    peer = world.greeted()
    peer.send("MAIL FROM:<>")
    assert peer.send("RCPT TO:<Postmaster>").startswith("250")
    assert peer.send(f"RCPT TO:<POSTMASTER@{HOSTNAME}>").startswith("250")
    assert peer.send(f"RCPT TO:<root@{HOSTNAME}>").startswith("550 5.7.64")
    peer.send("DATA")
    peer.send("Subject: x", "", "x", ".")
    (row,) = await world.queued()
    assert str(row.delivery.recipient) == "bob@contoso.com"


async def test_sub_domains_are_no_way_in() -> None:
    domain = AcceptedDomain("contoso.com", DomainType.INTERNAL_RELAY, match_sub_domains=True)
    world = World(organization(recipient(USER, "john@contoso.com"), domain=domain))
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    for target in ("x@evilcontoso.com", "x@contoso.com.evil.example", "x@com"):
        assert peer.send(f"RCPT TO:<{target}>").startswith("550 5.7.64")
    assert peer.send("RCPT TO:<x@a.b.contoso.com>").startswith("550 5.4.4")  # there is no connector


async def test_v04_harvesting_ends() -> None:
    world = World(contoso())
    peer = world.greeted()
    peer.send("MAIL FROM:<x@elsewhere.example>")
    heard = "".join(peer.send(f"RCPT TO:<u{number}@contoso.com>") + "\n" for number in range(21))
    assert heard.count("550 5.4.1") == 21
    assert "421 4.7.0" in heard
    await settle()
    assert peer.transport.closed
    assert len(world.trace.of(EventKind.REJECT)) == 21


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("SIZE=99999999999", "552 5.3.4"),
        ("SIZE=-1", "501"),
        ("SIZE=1e9", "501"),
        ("SIZE=1 SIZE=1", "501"),
        ("X=1", "555 5.5.4"),
        ("ENVID=a+0D+0AQUIT", "501"),
        ("AUTH=<>", "555"),
    ],
)
async def test_w21_w22_parameters(parameters: str, code: str) -> None:
    peer = World().greeted()
    assert peer.send(f"MAIL FROM:<x@elsewhere.example> {parameters}").startswith(code)


@pytest.mark.parametrize("line", ["PROXY TCP4 198.51.100.10 1.1.1.1 1 25", "XCLIENT ADDR=198.51.100.10", "XFORWARD ADDR=198.51.100.10"])
async def test_w24_nobody_takes_another_address(line: str) -> None:
    world = World()
    peer = world.greeted()
    assert peer.send(line)[0] == "5"
    peer.send("MAIL FROM:<x@elsewhere.example>", "RCPT TO:<nobody@contoso.com>")
    assert {event.data["peer_address"] for event in world.trace.of(EventKind.REJECT)} == {"192.0.2.77"}
