"""Towards a server without 8BITMIME or SMTPUTF8: converted, or returned; never damaged in silence (RFC 6152, RFC 6531)."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator
from email.parser import BytesParser

import pytest

from tests.counterparts.process import wait_until
from tests.counterparts.smtp_tools import SmtpSink
from tests.integration.conftest import World
from tests.integration.messages import arrived, assert_same_octets, id_of, message
from tests.integration.notices import notice_about
from tests.integration.test_story import BOB

pytestmark = pytest.mark.counterpart("smtp-sink")


@pytest.fixture(scope="module")
def sink(world: World) -> Iterator[SmtpSink]:
    made = SmtpSink(world.place.directory / "sink", address=world.place.own, port=world.own_ports.sink, options=("-8",))
    made.start()
    yield made
    made.stop()


def taken(sink: SmtpSink, message_id: str) -> bytes:
    def found() -> list[bytes]:
        return [one for one in sink.messages() if message_id.encode() in one and one.endswith(b"\n")]

    wait_until(found, f"{message_id} at smtp-sink")
    (one,) = found()
    return one


def test_eight_bit_text_is_re_encoded(world: World, sink: SmtpSink) -> None:
    text = "Grüße\r\n.\r\nEnde \r\n"
    content = message(BOB, "anna@seven-bit.example", text.encode())
    with world.junction.bob() as client:
        client.sendmail(BOB, ["anna@seven-bit.example"], content, mail_options=["BODY=8BITMIME"])
    there = taken(sink, id_of(content))
    assert there.isascii()
    parsed = BytesParser(policy=email.policy.default).parsebytes(there)
    assert parsed["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
    payload = parsed.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.replace(b"\r\n", b"\n").removesuffix(b"\n") == text.encode().replace(b"\r\n", b"\n")  # smtp-sink ends its files so
    reasons = [reason for event in world.junction.events(id_of(content)) for reason in event["reasons"]]
    assert any("8BITMIME" in reason for reason in reasons), reasons


def test_seven_bit_text_stays_as_it_is(world: World, sink: SmtpSink) -> None:
    content = message(BOB, "anna@seven-bit.example", b"plain \r\n.\r\n")
    with world.junction.bob() as client:
        client.sendmail(BOB, ["anna@seven-bit.example"], content)
    there = taken(sink, id_of(content))
    assert there.removesuffix(b"\n").endswith(content.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize(
    ("recipient", "header"),
    [("jürgen@seven-bit.example", b""), ("anna@seven-bit.example", "X-Note: grüße\r\n".encode())],
    ids=["address", "header"],
)
def test_what_needs_smtputf8_is_returned(world: World, sink: SmtpSink, recipient: str, header: bytes) -> None:
    content = message(BOB, recipient, header=header)
    with world.junction.bob() as client:
        client.sendmail(BOB, [recipient], content, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    notice = notice_about(world.junction.bobs_maildir(), id_of(content))
    (group,) = notice.recipients
    assert group["Status"] == "5.6.7"
    assert group["Action"] == "failed"
    assert "SMTPUTF8" in group["Diagnostic-Code"]
    assert not [one for one in sink.messages() if id_of(content).encode() in one]


@pytest.mark.counterpart("postfix")
def test_what_needs_smtputf8_reaches_a_server_that_has_it(world: World) -> None:
    content = message(BOB, "sün@example.net", "grüße\r\n".encode(), header="X-Note: grüße\r\n".encode())
    with world.junction.bob() as client:
        client.sendmail(BOB, ["sün@example.net"], content, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert_same_octets(arrived(world.sun.mailbox("sün", "example.net"), id_of(content)), content)
