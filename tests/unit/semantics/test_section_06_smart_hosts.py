"""SEMANTICS section 6, smart hosts: which servers stand behind a connector, and in which order they are tried."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.mailflow import decide_route
from mailwye.outbound.resolve import RouteResolver
from mailwye.smtp.address import parse_address
from mailwye.smtp.reply import Reply
from mailwye.testing.dns_server import Zone
from mailwye.testing.network import Reachability
from mailwye.testing.peers import PeerServer, Script
from mailwye.testing.resolver import StaticResolver
from mailwye.testing.world import OWN, SUN, World
from tests.unit.semantics.asking import JOHN, Case, organization, rule, snapshot

ZONE: Zone = {
    "mail.contoso.com": {"A": ["192.0.2.10"], "MX": [(20, "b.contoso.com"), (10, "a.contoso.com")]},
    "a.contoso.com": {"A": ["192.0.2.11"]},
    "b.contoso.com": {"A": ["192.0.2.12"]},
    "plain.contoso.com": {"A": ["192.0.2.13"]},
}


async def behind(hosts: str, seed: int = 1) -> list[str]:
    """The addresses and ports that are tried for John's mail, in their order."""
    compiled = snapshot(
        organization(
            outbound=[f"{{Name: To, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: {hosts}}}"]
        )
    )
    route = decide_route(compiled.directory, compiled.connectors, parse_address(JOHN), from_on_premises=False)
    resolver = RouteResolver(resolver=StaticResolver(ZONE), settings=DeliverySettings(), rng=random.Random(seed))
    found = await resolver.hosts(route)
    assert found.failure is None, found.failure
    return [f"{host.address}:{host.port}" for host in found.hosts]


@dataclass(frozen=True, slots=True)
class Behind(Case):
    """SmartHosts as written, and who is tried."""

    hosts: str
    tried: tuple[str, ...]


@rule(
    "6.6",
    "Smart hosts: a name is looked up as MX first, then as address records; `[name]` or `name:port` skips MX",
    Behind("a name with MX records", "mail.contoso.com", ("192.0.2.11:25", "192.0.2.12:25")),
    Behind("a name without", "plain.contoso.com", ("192.0.2.13:25",)),
    Behind("[name]", "'[mail.contoso.com]'", ("192.0.2.10:25",)),
    Behind("name:port", "'mail.contoso.com:2525'", ("192.0.2.10:2525",)),
    Behind("an address", "192.0.2.99", ("192.0.2.99:25",)),
    Behind("an address with a port", "'192.0.2.99:2525'", ("192.0.2.99:2525",)),
)
@rule(
    "6.7 priority",
    "Order: priority",
    Behind(
        "the lower number first", "[{Host: 192.0.2.1, Priority: 20}, {Host: 192.0.2.2, Priority: 10}]", ("192.0.2.2:25", "192.0.2.1:25")
    ),
    Behind(
        "of names too",
        "[{Host: '[b.contoso.com]', Priority: 2}, {Host: '[a.contoso.com]', Priority: 1}]",
        ("192.0.2.11:25", "192.0.2.12:25"),
    ),
)
async def test_who_is_tried(case: Behind) -> None:
    for seed in range(5):
        assert tuple(await behind(case.hosts, seed)) == case.tried


@dataclass(frozen=True, slots=True)
class Weighted(Case):
    """How often the first one of two comes first, of 200 times, between these."""

    weights: tuple[int, int]
    between: tuple[int, int]


@rule(
    "6.7 weight",
    "then weighted random",
    Weighted("even", (1, 1), (75, 125)),
    Weighted("nine to one", (9, 1), (160, 195)),
    Weighted("one to nine", (1, 9), (5, 40)),
)
async def test_equal_priorities_are_drawn_by_weight(case: Weighted) -> None:
    hosts = ", ".join(f"{{Host: 192.0.2.{number}, Weight: {weight}}}" for number, weight in enumerate(case.weights, 1))
    first = Counter([(await behind(f"[{hosts}]", seed))[0] for seed in range(200)])
    low, high = case.between
    assert low <= first["192.0.2.1:25"] <= high


SECOND = "192.0.2.11"
TWO = f"""\
Organization: {{Name: contoso}}
AcceptedDomain: {{DomainName: contoso.com, Default: true}}
MailUser: {{PrimarySmtpAddress: {JOHN}}}
OutboundConnector: {{Name: To, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false,
  SmartHosts: [{{Host: {OWN}, Priority: 1}}, {{Host: {SECOND}, Priority: 2}}]}}
"""


@dataclass(frozen=True, slots=True)
class Failing(Case):
    """What the first server does, and who takes the mail."""

    script: Script
    state: Reachability
    taken_by: str


UP, GOOD = Reachability.UP, Script()


@rule(
    "6.7 next",
    "then the next one on a connection failure or 4xx at connection time",
    Failing("all is well", GOOD, UP, "first"),
    Failing("it refuses connections", GOOD, Reachability.REFUSES, "second"),
    Failing("it is silent", GOOD, Reachability.SILENT, "second"),
    Failing("it greets with 421", Script(greeting=Reply(421, "4.3.2", "Busy")), UP, "second"),
    Failing("it does not greet", Script(silent_at="greeting"), UP, "second"),
    Failing("a 4xx for the message is an answer", Script(mail=Reply(450, "4.3.2", "Later")), UP, ""),
)
def test_the_next_one_is_tried(case: Failing, tmp_path: Path) -> None:
    async def story(world: World) -> None:
        second = PeerServer("second.contoso.com", world.network(SECOND), world.clock)
        await second.start(SECOND, 25)
        world.own.script = case.script
        await world.begin(organization=TWO)
        world.wire.set_reachability(OWN, case.state)
        world.mail(SUN, (JOHN,))
        await world.sleep(10 * 60.0)
        taken = {"first": len(world.own.messages), "second": len(second.messages)}
        assert taken == {name: int(name == case.taken_by) for name in taken}

    World.run(1, tmp_path, story)
