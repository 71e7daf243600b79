"""Received lines of the own network: from the newest down to the first hop from outside, as many servers write them."""

from __future__ import annotations

import pytest

from mailwye.message.facts import SessionFacts
from mailwye.message.headers import scan
from mailwye.message.received import received_field
from mailwye.message.received_hops import without_internal_hops
from mailwye.runtime.network import is_private

OWN_PUBLIC = "198.51.100.10"
DATE = b"; Tue, 24 Nov 2026 08:00:00 +0000\r\n"
REST = b"From: <john@contoso.com>\r\nX-Other: Received\r\n\r\n"


def ours(address: str) -> bytes:
    facts = SessionFacts("s", "mx", "mx", address, hello="mail.contoso.com", esmtp=True)
    return received_field(facts, hostname="mx.mailwye.example", queue_id="Q1", at=1_780_000_000.0, recipient="sun@example.net")


def without(block: bytes, *, inside: bool = False) -> tuple[bytes, int, tuple[str, ...]]:
    return without_internal_hops(block, scan(block), lambda a: is_private(a) or a == OWN_PUBLIC, came_from_inside=inside)


POSTFIX = b"Received: from pc17 (pc17.contoso.local [10.1.2.3])\r\n\tby mail.contoso.com (Postfix) with ESMTPS id 4Q" + DATE
EXCHANGE = (
    b"Received: from EX1.contoso.local (fe80::1%12) by\r\n EX1.contoso.local (192.168.0.5) with Microsoft SMTP Server id 15.20.7452.28"
    + DATE
)
QMAIL = b"Received: (qmail 1234 invoked by uid 1000)" + DATE
LOCAL = b"Received: by mail.contoso.com (Postfix, from userid 1000)\r\n\tid 4Q" + DATE
IPV6 = b"received : from a ([IPv6:fd00::7])\r\n\tby b" + DATE
MAPPED = b"Received: from a ([::ffff:10.0.0.9]) by b" + DATE
PUBLIC_OWN = b"Received: from out.contoso.com ([198.51.100.10]) by mail2.contoso.com" + DATE
INTERNAL = [POSTFIX, EXCHANGE, QMAIL, LOCAL, IPV6, MAPPED, PUBLIC_OWN]

SUNS = b"Received: from mail.example.net (mail.example.net [203.0.113.9]) by mail.contoso.com (10.0.0.5)" + DATE
HELO_LIE = b"Received: from [10.0.0.1] (unknown [203.0.113.9]) by mail.contoso.com" + DATE
HELO_BY = b"Received: from by x (HELO by [203.0.113.9]) by mail.contoso.com" + DATE
EXTERNAL = [SUNS, HELO_LIE, HELO_BY]


@pytest.mark.parametrize("line", INTERNAL)
def test_lines_of_the_own_network_go_and_our_own_stays_without_the_host_before_us(line: bytes) -> None:
    block = ours("192.168.1.10") + line + REST
    result, removed, told = without(block)
    kept = scan(result)
    assert removed == 1
    assert result.endswith(REST)
    assert kept.count("Received") == 1
    assert kept.get("Received").startswith("by mx.mailwye.example (Mailwye) with ESMTP id Q1")
    assert b"192.168" not in result
    assert b"contoso.local" not in result
    assert told == ("Our own Received line does not name the host before us", "1 Received line of the own network removed")


@pytest.mark.parametrize("line", EXTERNAL)
def test_the_first_hop_from_outside_and_all_below_it_stay(line: bytes) -> None:
    result, removed, _ = without(ours("192.168.1.10") + POSTFIX + EXCHANGE + line + POSTFIX + REST)
    assert removed == 2
    assert result.endswith(b"\r\n" + line + POSTFIX + REST)


@pytest.mark.parametrize("line", [*INTERNAL, *EXTERNAL])
def test_mail_from_the_internet_stays_as_it_is(line: bytes) -> None:
    block = ours("203.0.113.9") + line + REST
    assert without(block) == (block, 0, ())
    assert without(block)[0] is block


def test_a_peer_that_a_connector_knows_by_its_certificate_is_own_at_any_address() -> None:
    result, removed, _ = without(ours("203.0.113.9") + LOCAL + REST, inside=True)
    assert removed == 1
    assert b"203.0.113.9" not in result


def test_no_received_line_at_all() -> None:
    assert without(REST, inside=True) == (REST, 0, ())


def test_a_first_line_of_another_form_stays() -> None:
    result, removed, told = without(EXCHANGE + LOCAL + REST)
    assert (result, removed) == (EXCHANGE + REST, 1)
    assert told == ("1 Received line of the own network removed",)
