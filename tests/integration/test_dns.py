"""Routes found through a real resolver in front of a real authoritative server (RFC 5321 section 5.1, RFC 7505)."""

from __future__ import annotations

import pytest

from tests.counterparts.process import wait_until
from tests.integration.conftest import World
from tests.integration.messages import arrived, assert_same_octets, id_of, message
from tests.integration.notices import notice_about
from tests.integration.test_story import BOB

pytestmark = [pytest.mark.counterpart("nsd"), pytest.mark.counterpart("unbound")]


@pytest.mark.parametrize(
    ("domain", "status", "words"),
    [
        ("null.example", "5.1.10", "null MX"),
        ("nosuch.example", "5.1.2", "does not exist"),
        ("loop.example", "5.4.6", "loops back"),
        ("loop-by-address.example", "5.4.6", "loops back"),
    ],
)
def test_mail_that_can_go_nowhere_comes_back(world: World, domain: str, status: str, words: str) -> None:
    recipient = f"somebody@{domain}"
    content = message(BOB, recipient)
    with world.junction.bob() as client:
        client.sendmail(BOB, [recipient], content)
    notice = notice_about(world.junction.bobs_maildir(), id_of(content))
    (group,) = notice.recipients
    assert group["Status"] == status
    assert words in group["Diagnostic-Code"]


@pytest.mark.counterpart("postfix")
def test_an_exchange_that_is_an_alias_is_followed(world: World) -> None:
    recipient = "sun@alias.example"
    content = message(BOB, recipient)
    with world.junction.bob() as client:
        client.sendmail(BOB, [recipient], content)
    assert_same_octets(arrived(world.sun.mailbox("sun", "alias.example"), id_of(content)), content)


def test_private_addresses_are_not_dialled_for_internet_mail(world: World) -> None:
    junction = world.junction
    strict = junction.write(f"mx_port = {world.sun.port}", name="strict.toml", data="strict")
    junction.run("apply", "-f", str(junction.directory / "organization.yaml"), config=strict)

    def hosts(recipient: str) -> list[str]:
        found = junction.json("explain", "--from", BOB, "--to", recipient, "--auth", BOB, "--resolve", config=strict)
        assert found["route"]["kind"] == "mx"
        listed: list[str] = found["route"]["resolved"]
        return listed

    (private,) = hosts("a@private.example")
    assert "10.1.2.3] is private" in private
    assert "169.254.169.254] is private" in private
    (loopback,) = hosts("sun@example.net")
    assert f"mail.example.net[{world.place.sun}] is private" in loopback
    (implicit,) = hosts("a@no-mx.example")
    assert "is private" in implicit


def test_explain_names_the_hosts(world: World) -> None:
    found = world.junction.json("explain", "--from", BOB, "--to", "sun@example.net", "--auth", BOB, "--resolve")
    assert found["route"]["resolved"] == [f"mail.example.net[{world.place.sun}]:{world.sun.port}"]
    found = world.junction.json("explain", "--from", BOB, "--to", "john@fabrikam.com", "--auth", BOB, "--resolve")
    assert found["route"]["connector"] == "Connector 1"
    assert found["route"]["resolved"] == [f"mail.contoso.com[{world.place.own}]:{world.own_ports.good}"]


@pytest.mark.counterpart("postfix")
def test_a_resolver_that_is_down_defers_and_never_bounces(world: World) -> None:
    recipient = "sun@late.example"  # asked for here only: no answer is remembered
    content = message(BOB, recipient)
    world.unbound.stop()
    try:
        with world.junction.bob() as client:
            client.sendmail(BOB, [recipient], content)
        row = world.junction.deferred(recipient)
        assert row["state"] == "queued"
        assert "450 4.4.312 DNS query failed" in row["last_error"]
        explained = world.junction.json("explain", "--from", BOB, "--to", recipient, "--auth", BOB, "--resolve")
        assert "DNS query failed" in explained["route"]["resolved"][0]
    finally:
        world.unbound.start()

    def retried() -> bool:
        """The failure is remembered for some seconds (RFC 9520), so the first retry may come too early."""
        world.junction.run("queue", "retry", "--recipient", recipient)
        return not world.junction.queued(recipient)

    wait_until(retried, "an empty queue")
    assert_same_octets(arrived(world.sun.mailbox("sun", "late.example"), id_of(content)), content)
    kinds = [event["kind"] for event in world.junction.events(id_of(content))]
    assert kinds.index("Defer") < kinds.index("Retry") < kinds.index("Send")
    assert "DSN" not in kinds
