"""XCLIENT: what a declared front end may say, and that nobody else is heard (W24)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.smtp.events import ClientNamed
from mailwye.smtp.extensions import CommandError
from mailwye.smtp.server import ServerConfig
from mailwye.smtp.xclient import parse_xclient
from tests.unit.smtp.driver import Driver


@pytest.mark.parametrize(
    ("argument", "client"),
    [
        ("ADDR=192.0.2.1", ClientNamed("192.0.2.1")),
        ("addr=192.0.2.1 port=40000 helo=client.example", ClientNamed("192.0.2.1", 40_000, "client.example")),
        ("ADDR=IPV6:2001:DB8:0::1", ClientNamed("2001:db8::1")),
        ("ADDR=IPV6:::ffff:192.0.2.1", ClientNamed("192.0.2.1")),
        ("NAME=[UNAVAILABLE] ADDR=192.0.2.1 HELO=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=ESMTP", ClientNamed("192.0.2.1")),
        ("ADDR=192.0.2.1 DESTADDR=192.0.2.9 DESTPORT=25", ClientNamed("192.0.2.1")),
        ("ADDR=192.0.2.1 HELO=a+2Bb", ClientNamed("192.0.2.1", 0, "a+b")),
    ],
)
def test_what_front_ends_say(argument: str, client: ClientNamed) -> None:
    assert parse_xclient(argument) == client


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "HELO=x",
        "ADDR=",
        "ADDR=[UNAVAILABLE]",
        "ADDR=mail.example",
        "ADDR=300.1.1.1",
        "ADDR=192.0.2.1 PORT=0",
        "ADDR=192.0.2.1 PORT=70000",
        "ADDR=192.0.2.1 PORT=-1",
        "ADDR=192.0.2.1 ADDR=192.0.2.2",
        "ADDR=192.0.2.1 LOGIN=bob",
        "ADDR=192.0.2.1 XYZ=1",
        "ADDR=192.0.2.1 HELO=a+0D+0Ab",
        "ADDR=192.0.2.1 HELO=a+0",
    ],
)
def test_what_is_refused(argument: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_xclient(argument)
    assert caught.value.reply.code == 501


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_text_is_a_client_or_501(text: str) -> None:
    codes = set()
    try:
        assert parse_xclient(text).address
    except CommandError as error:
        codes.add(error.reply.code)
    assert codes <= {501}


FRONT_END = ServerConfig("mx.test", offer_xclient=True)


def test_the_session_begins_anew() -> None:
    driver = Driver(FRONT_END).greet()
    driver.replies()
    assert driver.send("EHLO proxy.example") == ["250"]
    assert driver.send("XCLIENT ADDR=192.0.2.1 HELO=client.example") == ["220"]
    assert ClientNamed("192.0.2.1", 0, "client.example") in driver.events
    assert driver.send("MAIL FROM:<a@b.example>") == ["503 5.5.1"]
    assert driver.send("EHLO client.example") == ["250"]
    assert driver.send("MAIL FROM:<a@b.example>") == ["250 2.1.0"]
    assert driver.send("XCLIENT ADDR=192.0.2.2") == ["503 5.5.1"]


def test_it_is_offered_and_known_where_it_is_declared_only() -> None:
    for config, code in ((FRONT_END, "220"), (ServerConfig("mx.test"), "500 5.5.1")):
        driver = Driver(config).greet()
        driver.replies()
        driver.connection.receive_data(b"EHLO x\r\n", 0.0)
        driver.pump()
        (hello,) = driver.replies()
        assert ("XCLIENT" in hello.text) is (code == "220")
        assert driver.send("xclient ADDR=192.0.2.1") == [code]
