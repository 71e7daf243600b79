"""The story (SEMANTICS section 1) among real servers, each row judged by what lies in the mailbox at its end."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

import pytest

from tests.counterparts.postfix import Postfix
from tests.integration.conftest import World
from tests.integration.messages import arrived, assert_same_octets, id_of, message

pytestmark = [pytest.mark.counterpart("postfix"), pytest.mark.counterpart("exim"), pytest.mark.counterpart("nsd")]

JOHN, BOB, SUN = "john@contoso.com", "bob@contoso.com", "sun@example.net"
JOHN_AT_SALES, JOHN_AT_FABRIKAM = "john@sales.contoso.com", "john@fabrikam.com"
BODY = "A line, then one dot, then one that begins with two.\r\n.\r\n..two\r\nGrüße\r\n".encode()


def hand_in(server: Postfix, content: bytes, sender: str, recipient: str, *, options: tuple[str, ...] = ("BODY=8BITMIME",)) -> None:
    """As a user of `server` does: to his own server, from his own network."""
    with smtplib.SMTP(server.address, server.port, timeout=20, source_address=(server.address, 0)) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.sendmail(sender, [recipient], content, mail_options=options)


def send(world: World, content: bytes, sender: str, recipient: str) -> None:
    """From whoever `sender` is."""
    match sender:
        case "john@contoso.com":
            hand_in(world.own, content, sender, recipient)
        case "bob@contoso.com":
            with world.junction.bob() as client:
                client.sendmail(sender, [recipient], content, mail_options=["BODY=8BITMIME"])
        case "john@sales.contoso.com":
            with smtplib.SMTP(world.sales.address, world.sales.port, timeout=20, source_address=(world.sales.address, 0)) as client:
                client.sendmail(sender, [recipient], content, mail_options=["BODY=8BITMIME"])
        case _:
            hand_in(world.sun, content, sender, recipient)


def mailbox(world: World, recipient: str) -> Path:
    """Where mail for `recipient` arrives."""
    local, _, domain = recipient.partition("@")
    match recipient:
        case "bob@contoso.com":
            return world.junction.bobs_maildir()
        case "john@contoso.com" | "john@fabrikam.com":
            return world.own.mailbox(local, domain)
        case "john@sales.contoso.com":
            return world.sales.mailbox(local, domain)
        case _:
            return world.sun.mailbox(local, domain)


@pytest.mark.parametrize(
    ("sender", "recipient", "way_in", "way_out"),
    [
        (JOHN, BOB, "From our servers", ""),
        (BOB, JOHN, "", "Connector 2"),
        (JOHN, SUN, "From our servers", ""),
        (SUN, JOHN, "", "Connector 2"),
        (BOB, SUN, "", ""),
        (SUN, BOB, "", ""),
        (SUN, JOHN_AT_FABRIKAM, "", "Connector 1"),
        (SUN, JOHN_AT_SALES, "", "Connector 3"),
        (BOB, JOHN_AT_SALES, "", "Connector 3"),
        (JOHN_AT_SALES, BOB, "From sales", ""),
        (JOHN_AT_SALES, SUN, "From sales", ""),
        (JOHN_AT_SALES, JOHN, "From sales", "Connector 2"),
    ],
)
def test_row(world: World, sender: str, recipient: str, way_in: str, way_out: str) -> None:
    content = message(sender, recipient, BODY)
    send(world, content, sender, recipient)
    there = arrived(mailbox(world, recipient), id_of(content))
    assert_same_octets(there, content)
    events = world.junction.events(id_of(content))
    receive = next(event for event in events if event["kind"] == "Receive")
    assert receive["connector"] == way_in
    taken = next(event for event in events if event["kind"] in ("Send", "Deliver"))
    assert (taken["connector"] if way_out else "") == way_out
    assert taken["status"] == "Delivered"


def test_between_john_and_mailwye_everything_is_encrypted(world: World) -> None:
    content = message(JOHN, BOB)
    send(world, content, JOHN, BOB)
    there = arrived(world.junction.bobs_maildir(), id_of(content))
    ours = there.partition(b"by mx.mailwye.example")[2].partition(b"\r\nReceived:")[0]
    assert b"ESMTPS (TLSv1.3 " in ours
    assert f"Verified TLS connection established to {world.place.service}" in world.own.log()  # Postfix checked our name

    content = message(BOB, JOHN_AT_FABRIKAM)
    send(world, content, BOB, JOHN_AT_FABRIKAM)
    there = arrived(world.own.mailbox("john", "fabrikam.com"), id_of(content))
    assert b"using TLSv1.3" in there.partition(b"by mail.contoso.com")[0]


@pytest.mark.parametrize("recipient", [BOB, SUN])
def test_exim_sends_by_chunks(world: World, recipient: str) -> None:
    """BDAT from a real client (RFC 3030): Exim notes it as K."""
    content = message(JOHN_AT_SALES, recipient, BODY)
    send(world, content, JOHN_AT_SALES, recipient)
    assert_same_octets(arrived(mailbox(world, recipient), id_of(content)), content)
    line = next(line for line in reversed(world.sales.log().splitlines()) if f"=> {recipient}" in line)
    assert " K " in line


def test_the_service_gave_up_root(world: World) -> None:
    status = Path(f"/proc/{world.junction.pid}/status").read_text()
    uid = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    assert "0" not in uid
    assert "0" not in groups
