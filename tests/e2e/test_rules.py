"""Mail flow rules through the installed program: checked, applied, explained, obeyed, traced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port
from tests.e2e.installed import ARRIVAL_SECONDS, Installed, serving

DATA_ERROR = 65
SUN, JOHN, MARY = "sun@example.net", "john@contoso.com", "mary@contoso.com"
PEER = "127.0.0.3"
ORGANIZATION = """\
AcceptedDomain: {DomainName: contoso.com, Default: true}
MailUser: [{PrimarySmtpAddress: john@contoso.com}, {PrimarySmtpAddress: mary@contoso.com}]
DistributionGroup:
  - {PrimarySmtpAddress: west@contoso.com, Members: john@contoso.com}
  - {PrimarySmtpAddress: east@contoso.com, Members: mary@contoso.com}
OutboundConnector:
  - {Name: Site CA, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: "WEST"}
  - {Name: Site NY, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: "EAST"}
TransportRule:
  - {Name: DL West, SentToMemberOf: west@contoso.com, RouteMessageOutboundConnector: Site CA}
  - {Name: DL East, SentToMemberOf: east@contoso.com, RouteMessageOutboundConnector: Site NY}
  - {Name: Lunch goes west, HeaderContainsMessageHeader: Subject, HeaderContainsWords: lunch, RouteMessageOutboundConnector: Site CA}
"""


@pytest.fixture
async def sites() -> AsyncIterator[tuple[PeerServer, PeerServer, str]]:
    """The servers of two sites, and the organization that sends mail to them."""
    text, peers = ORGANIZATION, []
    for name in ("WEST", "EAST"):
        peer, port = PeerServer(f"{name.lower()}.contoso.com", SystemNetwork(), SystemClock()), free_port(PEER)
        await peer.start(PEER, port)
        text = text.replace(name, f"{PEER}:{port}")
        peers.append(peer)
    yield peers[0], peers[1], text
    for peer in peers:
        peer.stop()


async def arrived(site: PeerServer, subject: str) -> tuple[str, ...]:
    """The recipients of a message, when it is there."""
    found = await site.arrived(lambda one: f"Subject: {subject}\r\n".encode() in one.content, seconds=ARRIVAL_SECONDS)
    assert found is not None, f"{subject} did not arrive"
    return found.recipients


async def test_two_sites_by_two_groups(tmp_path: Path, sites: tuple[PeerServer, PeerServer, str]) -> None:
    west, east, text = sites
    (tmp_path / "sites.yaml").write_text(text)
    installed = Installed(tmp_path)
    async with serving(installed):
        assert '+ TransportRule "DL West"' in (await installed.run("apply", "-f", "sites.yaml")).out
        assert "no change" in (await installed.run("apply", "-f", "sites.yaml")).words.lower()
        for to, subject, site in ((JOHN, "Work", west), (MARY, "More work", east), (MARY, "Lunch?", west)):
            explained = await installed.json("explain", "--from", SUN, "--to", to, "--header", f"Subject: {subject}")
            await installed.send(SUN, to, subject)
            assert await arrived(site, subject) == (to,)
            assert explained["route"]["connector"] == ("Site CA" if site is west else "Site NY")
        rows = await installed.json("trace", "--recipient", JOHN)
        shown = (await installed.run("trace", "show", rows[0]["message"])).out
        assert "Transport rule" in shown
        assert "rule: DL West" in shown
        assert 'action: RouteMessageOutboundConnector "Site CA"' in shown
        told = (await installed.run("explain", "--from", SUN, "--to", MARY)).out
        assert "depends   Lunch goes west (2, Enforce): HeaderContainsWords lunch in Subject depends on the header" in told


async def test_a_rule_that_names_a_disabled_connector_is_refused(tmp_path: Path) -> None:
    text = ORGANIZATION.replace("WEST", "192.0.2.1").replace("EAST", "192.0.2.2")
    (tmp_path / "sites.yaml").write_text(text)
    installed = Installed(tmp_path)
    await installed.run("check", "-f", "sites.yaml")
    await installed.run("apply", "-f", "sites.yaml")
    connector = "Name: Site CA, Enabled: false, ConnectorType: OnPremises, IsTransportRuleScoped: true"
    (tmp_path / "off.yaml").write_text(f"OutboundConnector: {{{connector}, UseMXRecord: false, SmartHosts: 192.0.2.1}}\n")
    refused = await installed.run("apply", "-f", "off.yaml", code=DATA_ERROR)
    assert 'TransportRule "DL West": RouteMessageOutboundConnector: OutboundConnector "Site CA" is disabled' in refused.words
    assert "Enable the connector, or disable the rule first" in refused.words
