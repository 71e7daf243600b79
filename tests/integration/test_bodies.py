"""The octets of a message are the same at the far end, whatever they are (ARCHITECTURE section 2, rule 8)."""

from __future__ import annotations

import pytest

from tests.integration.conftest import World
from tests.integration.messages import arrived, assert_same_octets, id_of, message
from tests.integration.test_story import BOB, JOHN, JOHN_AT_SALES, SUN, mailbox, send

BODIES = {
    "dots": b".\r\n..\r\n...\r\n.a\r\n. \r\n..\r\n.\r\n",
    "eight bit": "Grüße, 你好, \u2028 end\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "lines of 998 octets": (b"x" * 998 + b"\r\n") * 3 + b"." * 997 + b"\r\n",
    "empty": b"",
    "only a line end": b"\r\n",
    "many line ends": b"\r\n" * 50,
    "trailing blanks": b"two  \r\ntab\t\r\n \r\n\t\r\n   \t  \r\nend \r\n",
    "looks like a mailbox": b"From somebody Tue Nov 24 08:00:00 2026\r\n>From quoted\r\n\r\nFrom \r\n",
    "looks like SMTP": b"QUIT\r\nRSET\r\nMAIL FROM:<a@b>\r\n250 ok\r\n",
    "controls": b"\x01\x07\x08\x0b\x0c\x1b\x7f and a tab\t\r\n",
}


@pytest.mark.counterpart("postfix")
@pytest.mark.parametrize("name", BODIES)
def test_body_between_own_server_and_mailbox(world: World, name: str) -> None:
    for sender, recipient in ((JOHN, BOB), (BOB, JOHN), (JOHN, SUN)):
        content = message(sender, recipient, BODIES[name])
        send(world, content, sender, recipient)
        assert_same_octets(arrived(mailbox(world, recipient), id_of(content)), content)


@pytest.mark.counterpart("exim")
@pytest.mark.parametrize("name", [name for name in BODIES if name != "controls"])
def test_body_between_exim_and_mailbox(world: World, name: str) -> None:
    for sender, recipient in ((JOHN_AT_SALES, BOB), (BOB, JOHN_AT_SALES)):
        content = message(sender, recipient, BODIES[name])
        send(world, content, sender, recipient)
        assert_same_octets(arrived(mailbox(world, recipient), id_of(content)), content)


@pytest.mark.counterpart("postfix")
def test_five_megabytes(world: World) -> None:
    line = b"0123456789abcdef" * 4 + b"\r\n.\r\n"
    for sender, recipient in ((JOHN, BOB), (BOB, SUN)):
        content = message(sender, recipient, line * (5 * 1024 * 1024 // len(line)))
        send(world, content, sender, recipient)
        assert_same_octets(arrived(mailbox(world, recipient), id_of(content)), content)


def test_header_stays_as_it_is(world: World) -> None:
    header = b"X-Folded: one\r\n\t two\r\n   three\r\nX-Empty:\r\nx-lower-case: yes\r\nX-Blank: a \r\nX-Twice: 1\r\nX-Twice: 2\r\n"
    content = message(SUN, BOB, b"text\r\n", header=header)
    send(world, content, SUN, BOB)
    assert_same_octets(arrived(mailbox(world, BOB), id_of(content)), content)
