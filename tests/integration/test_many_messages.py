"""Postfix's own generator and sink: many messages, many sessions, none lost and none twice."""

from __future__ import annotations

import pytest

from tests.counterparts.process import wait_until
from tests.counterparts.smtp_tools import SmtpSink, smtp_source
from tests.integration.conftest import World

MESSAGES, SESSIONS = 300, 10


@pytest.mark.counterpart("smtp-source")
def test_smtp_source_to_a_mailbox(world: World) -> None:
    new = world.junction.bobs_maildir() / "new"
    before = len(list(new.glob("*")))
    smtp_source(
        world.place.service,
        world.junction.ports.mx,
        sender="source@example.net",
        recipient="bob@contoso.com",
        messages=MESSAGES,
        sessions=SESSIONS,
        octets=4096,
    )
    wait_until(lambda: len(list(new.glob("*"))) >= before + MESSAGES, "all messages in Bob's mailbox")
    assert len(list(new.glob("*"))) == before + MESSAGES
    assert world.junction.queued("bob@contoso.com") == []


@pytest.mark.counterpart("smtp-sink")
def test_to_smtp_sink(world: World) -> None:
    sink = SmtpSink(world.place.directory / "sink-for-many", address=world.place.own, port=world.own_ports.sink)
    sink.start()
    try:
        with world.junction.bob() as client:
            for number in range(MESSAGES):
                client.sendmail("bob@contoso.com", ["anna@seven-bit.example"], f"Subject: {number}\r\n\r\nbody of {number}\r\n")
        wait_until(lambda: len(sink.messages()) >= MESSAGES, "all messages at the sink")
        wait_until(lambda: world.junction.queued("anna@seven-bit.example") == [], "an empty queue")
        bodies = sorted(one.partition(b"\n\n")[2].strip() for one in sink.messages())
        assert bodies == sorted(f"body of {number}".encode() for number in range(MESSAGES))
    finally:
        sink.stop()
