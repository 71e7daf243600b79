"""Two sites by two groups, one rule-scoped connector for each: the scenario of Exchange's page, with mail in all directions. John is on the
western site, Mary on the eastern one, and no connector leads to either but by a mail flow rule.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.smtp.reply import Reply
from mailwye.testing.checkers import Fate, check_all, notices
from mailwye.testing.network import Reachability
from mailwye.testing.peers import Script
from mailwye.testing.sender import Mail
from mailwye.testing.world import BOB, GATEWAY, JOHN, MOONS, OWN, SUN, World

HOUR = 3600.0
MARY = "mary@contoso.com"
WEST, EAST, OTHER = OWN, MOONS, "192.0.2.3"

CONNECTORS = f"""\
OutboundConnector:
  - {{Name: Site West, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: ["{WEST}"]}}
  - {{Name: Site East, ConnectorType: OnPremises, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: ["{EAST}"]}}
"""
RULES = """\
TransportRule:
  - {Name: DL West, SentToMemberOf: west@contoso.com, RouteMessageOutboundConnector: Site West}
  - {Name: DL East, SentToMemberOf: east@contoso.com, RouteMessageOutboundConnector: Site East}
"""
SITES = f"""\
Organization: {{Name: contoso}}
AcceptedDomain: {{DomainName: contoso.com, Default: true}}
Mailbox: {{PrimarySmtpAddress: {BOB}}}
MailUser: [{{PrimarySmtpAddress: {JOHN}}}, {{PrimarySmtpAddress: {MARY}}}]
DistributionGroup:
  - {{PrimarySmtpAddress: west@contoso.com, Members: {JOHN}}}
  - {{PrimarySmtpAddress: east@contoso.com, Members: {MARY}}}
  - {{PrimarySmtpAddress: all@contoso.com, Members: [west@contoso.com, east@contoso.com, {BOB}]}}
InboundConnector:
  - {{Name: From our servers, ConnectorType: OnPremises, SenderDomains: ["*"], SenderIPAddresses: ["{WEST}", "{EAST}"], RequireTls: false}}
"""
ORGANIZATION = SITES + CONNECTORS + RULES


def from_mary(world: World, *recipients: str) -> None:
    """Mary's server on the eastern site sends a message."""
    mail = Mail(f"east{len(world.sending)}", MARY, recipients)
    world.sending.add(world.loop.create_task(world.sender("east.contoso.com", EAST).send(mail, GATEWAY, 25)))


def received(world: World) -> dict[str, list[tuple[str, ...]]]:
    """Who of which site got mail, message by message."""
    return {
        "west": [one.recipients for one in world.own.messages],
        "east": [one.recipients for one in world.moon.messages],
        "mailboxes": [one.recipients for one in world.mailboxes.messages],
    }


@pytest.mark.parametrize("seed", [60, 61])
def test_mail_between_two_sites_in_all_directions(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        await world.begin(tls=True, organization=ORGANIZATION)
        for sender in (SUN, BOB):
            world.mail(sender, (JOHN,))
            world.mail(sender, (MARY,))
            world.mail(sender, (JOHN, MARY, BOB))  # one message, three ways
        world.mail(JOHN, (MARY, BOB, SUN))
        from_mary(world, JOHN, BOB, SUN)
        await world.settle()
        tally = await check_all(world)
        assert tally.count(Fate.DELIVERED) == 2 * 5 + 3 + 3
        assert set(received(world)["west"]) == {(JOHN,)}
        assert set(received(world)["east"]) == {(MARY,)}
        assert [len(ends) for ends in received(world).values()] == [5, 5, 4]

    World.run(seed, tmp_path, story)


def test_mail_to_the_groups_themselves(tmp_path: Path) -> None:
    """Expanded first, also through a group of groups; then each member goes his way."""

    async def story(world: World) -> None:
        gateway = await world.begin(organization=ORGANIZATION)
        world.mail(SUN, ("west@contoso.com",))
        world.mail(SUN, ("all@contoso.com",))
        await world.settle()
        assert received(world) == {"west": [(JOHN,), (JOHN,)], "east": [(MARY,)], "mailboxes": [(BOB,)]}
        rules = [(event.data["rule"], event.recipient) for event in gateway.trace.recorded if event.kind.value == "Transport rule"]
        assert sorted(rules) == [("DL East", MARY), ("DL West", JOHN), ("DL West", JOHN)]

    World.run(62, tmp_path, story)


def test_a_notice_goes_to_the_site_of_its_recipient(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(organization=ORGANIZATION)
        world.sun.script = Script(rcpt=lambda _: Reply(550, "5.1.1", "No such user"))
        world.mail(JOHN, (SUN,))
        from_mary(world, SUN)
        await world.settle()
        tally = await check_all(world)
        assert tally.count(Fate.BOUNCED) == 2
        assert received(world) == {"west": [(JOHN,)], "east": [(MARY,)], "mailboxes": []}
        assert {one.to for one in notices(world)} == {JOHN, MARY}

    World.run(63, tmp_path, story)


@pytest.mark.parametrize("change", ["nothing", "rules", "smart host"])
def test_the_way_of_a_rule_survives_a_restart_and_retries(tmp_path: Path, change: str) -> None:
    """The western site is down; the power is cut; the rules may be gone meanwhile, or the site may have moved."""

    async def story(world: World) -> None:
        gateway = await world.begin(organization=ORGANIZATION)
        world.wire.set_reachability(WEST, Reachability.REFUSES)
        for number in range(5):
            world.mail(SUN, (JOHN, MARY), after=number * 20.0)
        await world.sleep(HOUR)
        assert received(world)["east"] == [(MARY,)] * 5
        rows = await gateway.rows()
        assert [(row.delivery.next_hop, row.delivery.rule_connector) for row in rows] == [("connector:Site West", "Site West")] * 5
        assert all(row.delivery.attempts > 1 for row in rows)
        gateway.crash()
        await world.sleep(HOUR / 2)
        match change:
            case "rules":
                gateway.activate(SITES + CONNECTORS)
            case "smart host":
                gateway.activate(SITES + CONNECTORS.replace(WEST, EAST) + RULES)
        if change != "smart host":
            world.wire.set_reachability(WEST, Reachability.UP)
        await world.settle(seconds=3 * HOUR)
        tally = await check_all(world)
        assert tally.count(Fate.DELIVERED) == 10
        assert len(received(world)["west"]) == (0 if change == "smart host" else 5)

    World.run(64, tmp_path, story)


@pytest.mark.parametrize("ends", ["comes back", "stays away"])
def test_mail_whose_connector_is_gone_waits_until_somebody_decides(tmp_path: Path, ends: str) -> None:
    """A connector was renamed by mistake. Corrected within the day nobody is the wiser; else its mail expires as other mail does."""

    async def story(world: World) -> None:
        gateway = await world.begin(organization=ORGANIZATION)
        world.wire.set_reachability(WEST, Reachability.REFUSES)
        world.mail(SUN, (JOHN,))
        await world.sleep(HOUR / 2)
        gateway.activate(SITES + CONNECTORS.replace("Site West", "Western site"))
        await world.sleep(2 * HOUR)
        (row,) = await gateway.rows()
        assert (row.delivery.next_hop, row.delivery.last_error[:9]) == ("connector:Site West", "450 4.4.4")
        assert [text for text in gateway.alerts if 'through connector "Site West", which does not exist' in text]
        if ends == "comes back":
            world.wire.set_reachability(WEST, Reachability.UP)
            gateway.activate(ORGANIZATION)
            await world.settle(seconds=60.0)
            assert (await check_all(world)).count(Fate.DELIVERED) == 1
        else:
            await world.settle(seconds=24 * HOUR)
            assert (await check_all(world)).count(Fate.EXPIRED) == 1
            notice = b" ".join(world.sun.messages[-1].content.split())
            assert b"which does not exist" in notice

    World.run(65, tmp_path, story)


def test_a_circle_of_rules_ends_at_the_hop_limit_with_one_notice(tmp_path: Path) -> None:
    """Two gateways whose rules send each other the same mail."""

    def organization(smart_host: str) -> str:
        return f"""
            AcceptedDomain: {{DomainName: contoso.com, DomainType: InternalRelay, Default: true}}
            OutboundConnector: {{Name: Other, IsTransportRuleScoped: true, UseMXRecord: false, SmartHosts: "{smart_host}"}}
            TransportRule: {{Name: All, RecipientDomainIs: contoso.com, RouteMessageOutboundConnector: Other}}
        """

    async def story(world: World) -> None:
        await world.begin(organization=organization(OTHER))
        other = world.gateway(organization(GATEWAY), name="mx2.mailwye.example", address=OTHER)
        await other.start()
        world.mail(SUN, ("user@contoso.com",))
        await world.settle(step=1.0, seconds=120.0)
        assert [(one.action, one.status, one.to) for one in notices(world)] == [("failed", "5.4.14", SUN)]
        assert (await check_all(world)).count(Fate.BOUNCED) == 1

    World.run(66, tmp_path, story)
