"""SEMANTICS section 10: loops. The whole circles, with their one notice, are in tests/simulation/test_loops.py."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mailwye.config.installation import DeliverySettings, InboundLimits
from mailwye.connectors.mailflow import decide_route
from mailwye.outbound.resolve import RouteResolver
from mailwye.smtp.address import parse_address
from mailwye.testing.dns_server import Zone
from mailwye.testing.resolver import StaticResolver
from tests.unit.inbound.world import MARKS, OWN_SERVER, STRANGER, World
from tests.unit.semantics.asking import BOB, CONTOSO, JOHN, Case, errors, organization, out, own, rule, snapshot

OURS = own("Ours", f"SenderIPAddresses: {OWN_SERVER}")
TO = out("To", "RecipientDomains: contoso.com")
TEXT = organization(inbound=[OURS], outbound=[TO])
LIMIT = InboundLimits().received_headers
HOPS = "554 5.4.14 Hop count exceeded - possible mail loop"
TAKEN = f"{HOPS}: it took this way through this installation before and is back. "
ID = "Message-ID: <1@x>\r\n"


def mark(came: str, recipient: str, message_id: str = "<1@x>") -> str:
    """The mark of a message that came in as `came` and left by connector To."""
    return MARKS.write([MARKS.step(came, "connector:To", recipient, message_id)], message_id).decode()


@dataclass(frozen=True, slots=True)
class Back(Case):
    """A message with this header comes from `address` to `to`; the beginning of the reply."""

    header: str
    reply: str
    to: str = JOHN
    address: str = STRANGER


@rule(
    "10.1",
    "A message that comes back through a path that it already took … is stopped … (`554 5.4.14 Hop count exceeded - possible mail loop`) "
    "that names both connectors",
    Back("from the Internet", mark("anonymous", JOHN) + ID, f'{TAKEN}Way in: no inbound connector; way out: outbound connector "To"'),
    Back(
        "from an own server",
        mark("connector:Ours", JOHN) + ID,
        f'{TAKEN}Way in: inbound connector "Ours"; way out: outbound connector "To"',
        address=OWN_SERVER,
    ),
    Back("another way in is another path", mark("anonymous", JOHN) + ID, "250", address=OWN_SERVER),
    Back("another recipient", mark("anonymous", JOHN) + ID, "250", BOB),
    Back("the mark of another message", mark("anonymous", JOHN, "<2@x>") + ID, "250"),
    Back("a forged mark", mark("anonymous", JOHN).replace("r=0", "r=1") + ID, "250"),
    Back("a person resent it", "Resent-From: <bob@contoso.com>\r\n" + mark("anonymous", JOHN) + ID, "250"),
)
@rule(
    "10.2",
    "or has more Received lines than the limit (30), is stopped",
    Back("30 lines", "Received: x\r\n" * LIMIT, "250"),
    Back("31 lines", "Received: x\r\n" * (LIMIT + 1), f"{HOPS}: more than 30 hops"),
    Back(
        "an own server learns both connectors",
        "Received: x\r\n" * (LIMIT + 1),
        f'{HOPS}: more than 30 hops. Way in: inbound connector "Ours"; way out: outbound connector "To"',
        address=OWN_SERVER,
    ),
    Back(
        "lines that were removed count",
        MARKS.write(["0" * 64], "<1@x>", 2).decode() + ID + "Received: x\r\n" * (LIMIT - 1),
        f"{HOPS}: more than 30 hops",
    ),
)
async def test_what_comes_back(case: Back) -> None:
    assert LIMIT == 30
    world = World(snapshot(TEXT))
    peer = world.greeted(case.address)
    peer.send("MAIL FROM:<x@elsewhere.example>", f"RCPT TO:<{case.to}>", "DATA")
    reply = peer.send_octets(f"{case.header}\r\nx\r\n.\r\n".encode())
    assert reply.startswith(case.reply)
    assert len(await world.queued()) == (1 if case.reply == "250" else 0)


@dataclass(frozen=True, slots=True)
class Saved(Case):
    """Why an organization is refused when saved; "" where it is not."""

    text: str
    error: str


ALL = out("All", "RouteAllMessagesViaOnPremises: true")
USERS = "MailUser:\n  - {PrimarySmtpAddress: john@contoso.com}\n"
PAIR = CONTOSO.replace(
    USERS,
    "MailUser:\n"
    + "".join(f"  - {{PrimarySmtpAddress: {a}@contoso.com, ExternalEmailAddress: {b}@contoso.com}}\n" for a, b in ("xy", "yx")),
)


@rule(
    "10.3",
    "A configuration whose routes form a cycle is refused when saved",
    Saved("no cycle", TEXT, ""),
    Saved("centralized, and nothing that comes back is recognized", organization(outbound=[ALL]), "would be sent to them again"),
    Saved(
        "centralized by the MX records",
        organization(inbound=[OURS], outbound=["{Name: All, ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true}"]),
        "loops together with RouteAllMessagesViaOnPremises",
    ),
    Saved(
        "centralized for an accepted domain",
        organization(inbound=[OURS], outbound=[out("All", "RouteAllMessagesViaOnPremises: true, RecipientDomains: contoso.com")]),
        "loops together with the accepted domain scope",
    ),
    Saved("external addresses that name one another", organization(base=PAIR), "lead back to"),
)
def test_cycles_are_not_saved(case: Saved) -> None:
    found = errors(case.text)
    assert bool(found) is bool(case.error)
    assert case.error in " ".join(found)


US = "mx.mailwye.example"
ZONE: Zone = {
    US: {"A": ["203.0.113.1"]},
    "a.example": {"A": ["203.0.113.10"]},
    "b.example": {"A": ["203.0.113.20"]},
    "alias.example": {"A": ["203.0.113.1"]},
    "nat.example": {"A": ["203.0.113.99"]},  # our name, with an address that we do not know of
    "inside.example": {
        "A": ["10.0.0.1", "127.0.0.1", "192.168.1.1", "169.254.169.254"],
        "AAAA": ["::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"],
    },
    "mixed.example": {"A": ["10.0.0.1", "203.0.113.30"]},
    "better.test": {"MX": [(5, "a.example"), (10, US), (10, "b.example"), (20, "b.example")]},
    "nat.test": {"MX": [(5, "a.example"), (10, "nat.example"), (10, "b.example"), (20, "b.example")]},
    "ours.test": {"MX": [(10, US), (20, "b.example")]},
    "alias.test": {"MX": [(5, "a.example"), (10, "alias.example"), (20, "b.example")]},
    "alias-only.test": {"MX": [(10, "alias.example"), (20, "b.example")]},
    "theirs.test": {"MX": [(10, "a.example"), (20, "b.example")]},
    "private.test": {"MX": [(10, "inside.example")]},
    "mixed.test": {"MX": [(10, "mixed.example")]},
    "fallback.test": {"MX": [(10, "inside.example"), (20, "b.example")]},
}


@dataclass(frozen=True, slots=True)
class Dialled(Case):
    """Whom mail for a domain outside dials, or why nobody."""

    domain: str
    tried: tuple[str, ...] = ()
    failure: str = ""


@rule(
    "10.4",
    "MX lists that contain ourselves drop all entries of equal or lower preference",
    Dialled("not ours", "theirs.test", ("203.0.113.10", "203.0.113.20")),
    Dialled("equal and lower ones go", "better.test", ("203.0.113.10",)),
    Dialled("by our name alone", "nat.test", ("203.0.113.10",)),
    Dialled("by our address too", "alias.test", ("203.0.113.10",)),
    Dialled("we are the best one", "ours.test", failure="554 5.4.6 Mail for ours.test loops back to this server"),
    Dialled("by our address", "alias-only.test", failure="554 5.4.6 Mail for alias-only.test loops back to this server"),
)
@rule(
    "10.5",
    "private and loopback addresses are never dialled for Internet routes",
    Dialled("none but private ones", "private.test", failure="550 5.4.4 No mail server of private.test can be reached"),
    Dialled("a public one beside", "mixed.test", ("203.0.113.30",)),
    Dialled("the next host", "fallback.test", ("203.0.113.20",)),
)
async def test_whom_internet_routes_dial(case: Dialled) -> None:
    compiled = snapshot(TEXT)
    route = decide_route(compiled.directory, compiled.connectors, parse_address(f"u@{case.domain}"), from_on_premises=False)
    resolver = RouteResolver(
        resolver=StaticResolver(ZONE),
        settings=DeliverySettings(),
        rng=random.Random(1),
        own_names=[US, "nat.example"],
        own_addresses=["203.0.113.1"],
    )
    found = await resolver.hosts(route)
    assert tuple(host.address for host in found.hosts) == case.tried
    assert str(found.failure or "").startswith(case.failure)
    assert bool(found.failure) is bool(case.failure)
