"""Bob reads his mail with IMAP: from the Maildir that Mailwye writes, and where Dovecot took it by LMTP."""

from __future__ import annotations

import imaplib

import pytest

from tests.counterparts.dovecot import Dovecot
from tests.counterparts.process import wait_until
from tests.integration.conftest import World
from tests.integration.junction import Junction
from tests.integration.messages import assert_same_octets, id_of, message
from tests.integration.test_bodies import BODIES
from tests.integration.test_story import BOB, SUN

pytestmark = pytest.mark.counterpart("dovecot")


def read_by_imap(dovecot: Dovecot, message_id: str) -> bytes:
    """The message as an IMAP client gets it."""
    with imaplib.IMAP4(dovecot.address, dovecot.imap_port, timeout=20) as client:
        client.login(BOB, dovecot.password)

        def look() -> bytes:
            client.select("INBOX")
            _, found = client.search(None, "HEADER", "Message-ID", f'"{message_id}"')
            numbers: bytes = found[0]
            return numbers

        wait_until(look, f"{message_id} by IMAP; Dovecot says {dovecot.log()[-500:]}")
        _, parts = client.fetch(look().split()[0].decode(), "(RFC822)")
        part = parts[0]
        assert isinstance(part, tuple)
        content: bytes = part[1]
        return content


@pytest.mark.parametrize("name", BODIES)
def test_reading_the_maildir_that_mailwye_writes(world: World, dovecot: Dovecot, name: str) -> None:
    content = message(SUN, BOB, BODIES[name])
    with world.junction.client(world.place.sun) as client:
        client.sendmail(SUN, [BOB], content, mail_options=["BODY=8BITMIME"])
    there = read_by_imap(dovecot, id_of(content))
    assert_same_octets(there, content)
    assert there.startswith(b"Return-Path: <sun@example.net>\r\nDelivered-To: bob@contoso.com\r\n")


@pytest.mark.parametrize("name", BODIES)
def test_delivering_by_lmtp(world: World, second: Junction, dovecot_lmtp: Dovecot, name: str) -> None:
    content = message(SUN, BOB, BODIES[name])
    with second.client(world.place.sun) as client:
        client.sendmail(SUN, ["robert@contoso.com"], content, mail_options=["BODY=8BITMIME"])
    assert_same_octets(read_by_imap(dovecot_lmtp, id_of(content)), content)


def test_dovecot_down_defers(world: World, second: Junction, dovecot_lmtp: Dovecot) -> None:
    content = message(SUN, BOB)
    dovecot_lmtp.stop()
    try:
        with second.client(world.place.sun) as client:
            client.sendmail(SUN, [BOB], content)
        row = second.deferred(BOB)
        assert "4.4.316 Connection refused" in row["last_error"]
        assert row["next_hop"] == "mailbox"
    finally:
        dovecot_lmtp.start()
    second.run("queue", "retry", "--recipient", BOB)
    assert_same_octets(read_by_imap(dovecot_lmtp, id_of(content)), content)
