"""The topologies of docs/topologies.md, which are Exchange's documented ones, in the box: mail in all directions, the own server down for
an hour, and what each of them refuses. The organization is the one that the page shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mailwye.config.checks import check_organization
from mailwye.config.parse import read_organization
from mailwye.smtp.reply import Reply
from mailwye.testing.network import Reachability
from mailwye.testing.sender import Mail
from mailwye.testing.world import BOB, GATEWAY, JOHN, MOON, MOONS, OWN, SUN, SUNS
from mailwye.trace.event import EventKind
from tests.simulation.topology import (
    CENTRALIZED,
    DOCUMENTED,
    FILTER,
    FILTERED,
    FORWARDED,
    NOBODY,
    OWN_FILTER,
    OWN_MX,
    PROTECTION,
    SEED,
    SETUPS,
    Place,
    Setup,
    header,
    play,
)

HOUR = 3600.0
EVERY = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)


def changed(setup: Setup, **kinds: Any) -> str:
    """The page's organization with other objects of some kinds; none: without them."""
    settings = yaml.safe_load(setup.organization)
    for kind, objects in kinds.items():
        settings[kind] = objects
    return yaml.safe_dump(settings)


def without(setup: Setup, name: str) -> str:
    """The page's organization without one of its connectors."""
    settings = yaml.safe_load(setup.organization)
    left = {kind: [one for one in settings[kind] if one["Name"] != name] for kind in ("InboundConnector", "OutboundConnector")}
    assert left != {kind: settings[kind] for kind in left}
    return changed(setup, **left)


def test_every_section_of_the_page_is_played() -> None:
    assert {setup.section for setup in SETUPS.values()} == {heading[0] for heading in DOCUMENTED}


@EVERY
@pytest.mark.parametrize("seed", [1, 2])
def test_mail_in_all_directions(tmp_path: Path, setup: Setup, seed: int) -> None:
    """Each takes its way, arrives once, with the header that belongs there, and the trace explains it as `explain` foretells it."""

    async def story(place: Place) -> None:
        sent = [(row, place.send(row.sender, row.recipient)) for row in setup.rows]
        await place.world.settle()
        for row, mail in sent:
            place.check(row, mail)
        await place.check_quiet(len(sent))

    play(tmp_path, setup, story, seed=seed)


@EVERY
def test_the_own_server_is_down_for_an_hour(tmp_path: Path, setup: Setup) -> None:
    """Nothing is lost or told, and what waited here leaves in the order of its arrival; what does not need the own server does not wait."""

    async def story(place: Place) -> None:
        world = place.world
        world.wire.set_reachability(OWN, Reachability.REFUSES)
        rows = [row for row in setup.rows if row.sender != JOHN]
        sent = [(row, place.send(row.sender, row.recipient, after=number * 60.0)) for number in range(15) for row in rows]
        await world.sleep(HOUR)
        assert world.own.messages == []
        meanwhile = len(list(place.arrivals()))
        assert meanwhile == 15 * sum(not needs_own_server(row.path, row.legs, row.end) for row in rows)
        world.wire.set_reachability(OWN, Reachability.UP)
        back = world.clock.now()
        await world.settle(seconds=2 * HOUR)

        for row, mail in sent:
            place.check(row, mail)
        await place.check_quiet(len(sent))
        waited = [message for message in world.own.messages if message.hello == place.gateway.settings.name]
        order = [place.passages(message)[0][0].message for message in waited]
        # One finds out that the server is back; everything else leaves behind it, oldest first.
        assert order[1:] == sorted(order[1:])
        assert len(order) == 15 * sum(any(hop.startswith("connector:") for _, hop in row.legs) for row in rows)
        assert world.own.messages[-1].at - back < 2 * HOUR

    play(tmp_path, setup, story, seed=3)


def needs_own_server(path: tuple[str, ...], legs: tuple[tuple[str, str], ...], end: str) -> bool:
    return end == "own" or "mail.contoso.com" in path or any(hop.startswith("connector:") for _, hop in legs)


def refused_at_own(place: Place) -> list[tuple[str, str]]:
    """What the own server was told, once for each copy."""
    return [(recipient, str(reply)) for recipient, reply in place.own.refused]


def refused_outside(place: Place) -> list[tuple[Mail, str, Reply]]:
    return place.world.ledger.refused


SENDING = [setup for setup in SETUPS if setup not in ("2 centralized, own server delivers", "3 own filter")]


@pytest.mark.parametrize("name", SENDING)
def test_without_the_inbound_connector_john_reaches_nobody_outside(tmp_path: Path, name: str) -> None:
    """And hears which connector is missing. Saving refuses the centralized one, where the mail would turn."""
    setup = SETUPS[name]

    async def story(place: Place) -> None:
        mail = place.send(JOHN, SUN)
        await place.world.settle()
        ((recipient, reply),) = refused_at_own(place)
        assert recipient == SUN
        assert reply.startswith(
            "550 5.7.64 TenantAttribution; Relay Access Denied. There is no inbound connector of type OnPremises. Create"
        )
        assert list(place.arrivals()) == []
        (event,) = place.events(EventKind.REJECT)
        assert (event.sender, event.recipient, event.reply) == (mail.sender, SUN, reply)

    play(tmp_path, setup, story, organization=changed(setup, InboundConnector=[]))


@EVERY
def test_without_the_outbound_connector_nobody_reaches_john_through_here(tmp_path: Path, setup: Setup) -> None:
    async def story(place: Place) -> None:
        sender = SUN if setup is PROTECTION else BOB
        place.send(sender, JOHN)
        await place.world.settle()
        ((_, recipient, reply),) = refused_outside(place)
        assert recipient == JOHN
        assert str(reply).startswith("550 5.4.4 No outbound connector leads to contoso.com, whose mailbox is not hosted here. Create")
        assert "type OnPremises with RecipientDomains contoso.com" in reply.text
        assert list(place.arrivals()) == []

    play(tmp_path, setup, story, organization=changed(setup, OutboundConnector=[]))


def test_a_certificate_with_another_name_is_nobodys(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        place.send(JOHN, SUN)
        await place.world.settle()
        ((_, reply),) = refused_at_own(place)
        assert 'Connector "From our servers" nearly matched: the certificate\'s names mail.fabrikam.example do not match' in reply
        assert reply.startswith("550 5.7.64")

    play(tmp_path, SEED, story, certificate="mail.fabrikam.example")


def test_an_own_server_with_another_name_gets_no_mail(tmp_path: Path) -> None:
    """DomainValidation: the mail waits, and says what was expected and what was presented."""

    async def story(place: Place) -> None:
        place.send(SUN, JOHN)
        await place.world.sleep(600.0)
        (row,) = await place.gateway.rows()
        assert row.delivery.last_error.startswith(f"mail.contoso.com[{OWN}]:25: 450 4.7.320 Certificate validation failed: ")
        assert "expected name mail.contoso.com, presented mail.fabrikam.example; asked for by connector" in row.delivery.last_error
        assert place.world.own.messages == []

    play(tmp_path, SEED, story, certificate="mail.fabrikam.example")


@pytest.mark.parametrize("sender", [SUN, ""])
@pytest.mark.parametrize("setup", [OWN_FILTER, FILTERED], ids=["3", "5"])
def test_the_lock_down_refuses_who_goes_past_the_filter(tmp_path: Path, setup: Setup, sender: str) -> None:
    """Another sender hears why; the own server and the filter still pass."""

    async def story(place: Place) -> None:
        for recipient in (JOHN, BOB):
            bypass = Mail(place.world.new_name(), sender, (recipient,))
            place.world.sending.add(place.world.loop.create_task(place.world.sender("mail.example.net", SUNS).send(bypass, GATEWAY)))
        await place.world.settle()
        assert {recipient for _, recipient, _ in refused_outside(place)} == {JOHN, BOB}
        for _, _, reply in refused_outside(place):
            assert str(reply).startswith('550 5.7.51 TenantInboundAttribution; Partner connector "Only through ')
            assert "with a certificate only (RestrictDomainsToCertificate): the session has no TLS" in reply.text
        assert list(place.arrivals()) == []
        sent = [(row, place.send(row.sender, row.recipient)) for row in setup.rows]
        await place.world.settle()
        for row, mail in sent:
            place.check(row, mail)

    play(tmp_path, setup, story)


@pytest.mark.parametrize(
    ("setup", "lock"), [(OWN_FILTER, "Only through our servers"), (FILTERED, "Only through the filter")], ids=["3", "5"]
)
def test_without_the_lock_down_the_filter_is_gone_past(tmp_path: Path, setup: Setup, lock: str) -> None:
    """The control to the test above."""

    async def story(place: Place) -> None:
        mail = place.send(SUN, BOB, host=GATEWAY)
        await place.world.settle()
        assert place.arrival(mail)[0] == "mailbox"

    play(tmp_path, setup, story, organization=without(setup, lock))


def test_enhanced_filtering_finds_the_address_behind_the_filter(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        mail = place.send(SUN, BOB)
        await place.world.settle()
        _, message = place.arrival(mail)
        ((came, _),) = place.passages(message)
        assert came.data["source_address"] == SUNS
        assert came.data["skipped_addresses"] == came.data["peer_address"] == FILTER
        assert any(f"EFSkipLastIP of Only through the filter skips {FILTER}" in reason for reason in came.reasons)
        assert f"X-Mailwye-Source-Address: {SUNS}".encode() in header(message)

    play(tmp_path, FILTERED, story)


BY_ADDRESS = {"Name": "From our servers", "ConnectorType": "OnPremises", "SenderIPAddresses": [OWN]}


def test_by_address_alone_neither_forwarded_mail_nor_bounces_get_out(tmp_path: Path) -> None:
    """The trap of topology 4: John's own mail does."""

    async def story(place: Place) -> None:
        place.send(SUN, FORWARDED)
        place.send(SUN, NOBODY)
        johns = place.send(JOHN, SUN)
        await place.world.settle()
        assert place.arrival(johns)[0] == "sun"
        assert len(list(place.arrivals())) == 1
        told = dict(refused_at_own(place))
        assert set(told) == {FORWARDED, NOBODY}
        assert (
            "the sender's domain example.net is not an accepted domain, and the connector identifies the server by address"
            in told[FORWARDED]
        )
        assert "the sender is <>, and the connector identifies the server by address, not by a certificate" in told[NOBODY]
        assert all(reply.startswith("550 5.7.64 TenantAttribution; Relay Access Denied. ") for reply in told.values())

    play(tmp_path, OWN_MX, story, organization=changed(OWN_MX, InboundConnector=[BY_ADDRESS]))


@pytest.mark.parametrize("careless", [False, True], ids=["with a header firewall", "without"])
def test_an_own_server_that_is_trusted_must_not_let_strangers_speak_for_it(tmp_path: Path, careless: bool) -> None:
    """The trap of topologies 3 and 4: what it takes from the Internet it passes on with its own certificate."""

    async def story(place: Place) -> None:
        mail = place.send(SUN, BOB)
        await place.world.settle()
        assert (b"X-MS-Exchange-Organization-AuthAs: Internal" in header(place.arrival(mail)[1])) is careless

    play(tmp_path, OWN_MX, story, careless=careless)


def test_the_bounce_of_forwarded_mail_finds_its_way_back(tmp_path: Path) -> None:
    """Moon's server returns it to the rewritten sender, whose MX is the own server, which passes it on to Mailwye, which knows him."""

    async def story(place: Place) -> None:
        forwarded = place.send(SUN, FORWARDED)
        await place.world.settle()
        _, message = place.arrival(forwarded)
        assert message.sender.startswith("SRS0=")
        bounce = Mail(place.world.new_name(), "", (message.sender,))
        place.world.sending.add(place.world.loop.create_task(place.world.sender("mail.example.org", MOONS).send(bounce, OWN)))
        await place.world.settle()
        end, returned = place.arrival(bounce)
        assert (end, returned.sender, returned.recipients) == ("sun", "", (SUN,))

    play(tmp_path, OWN_MX, story)


def test_unknown_addresses_are_refused_at_the_door_of_every_topology_whose_mx_is_here(tmp_path: Path) -> None:
    for number, setup in enumerate(one for one in SETUPS.values() if one.mx[1] == GATEWAY):

        async def story(place: Place) -> None:
            place.send(SUN, "nobody@contoso.com")
            await place.world.settle()
            ((_, _, reply),) = refused_outside(place)
            assert str(reply) == "550 5.4.1 Recipient address rejected: Access denied"

        directory = tmp_path / str(number)
        directory.mkdir()
        play(directory, setup, story)


def test_strangers_relay_nowhere(tmp_path: Path) -> None:
    for number, setup in enumerate(SETUPS.values()):

        async def story(place: Place) -> None:
            place.send(SUN, MOON, host=GATEWAY)
            await place.world.settle()
            ((_, _, reply),) = refused_outside(place)
            assert reply.enhanced in ("5.7.64", "5.7.51")
            assert list(place.arrivals()) == []

        directory = tmp_path / str(number)
        directory.mkdir()
        play(directory, setup, story)


def test_centralized_transport_that_cannot_recognize_what_comes_back_is_not_saved() -> None:
    parsed = read_organization(changed(CENTRALIZED, InboundConnector=[]), "organization.yaml")
    assert parsed.value is not None
    errors = [problem.message for problem in check_organization(parsed.value, source=parsed) if problem.is_error]
    assert any("recognizes the own servers, so what they send back" in message for message in errors)
