"""Whom a Received line names as the connection's other end: the forms of real MTAs, and what must not be believed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.message.facts import SessionFacts
from mailwye.message.headers import scan
from mailwye.message.received import received_field
from mailwye.message.received_from import LINE_LIMIT, received_from

A = "203.0.113.9"


@pytest.mark.parametrize(
    "line",
    [
        f"from mail.example.net (mail.example.net [{A}]) by gw.example (Postfix) with ESMTP id 1; Tue, 24 Nov 2026 03:25:51 +0000",
        f'from x (x [{A}])\t(using TLSv1.3 (256/256 bits)\t key-exchange Y)\t(Client CN "x", Issuer "y" (verified OK))\tby g with z',
        f"from x (x [{A}]) (using TLSv1.3) (No client certificate requested) by gw (Postfix) with ESMTPS id 1",
        f"from x (y.example. [{A}]) by mx.google.com with ESMTPS id 1",
        f"from x (y.example [{A}] (may be forged)) by gw (8.17.1/8.17.1) with ESMTP id 1",
        f"from x ([{A}]) by mx.contoso.com (Mailwye) with ESMTPS (TLSv1.3 X 256 bits) id 1",
        f"from mail.example.net ([{A}]:40123 helo=mail.example.net) by gw with esmtps (TLS1.3) tls TLS_X (Exim 4.96) id 1",
        f"from mail.example.net ([{A}] helo=other.example) by gw with esmtp (Exim 4.96)",
        f"from [{A}] (helo=foo.example) by gw with esmtp (Exim 4.96) id 1",
        f"from [{A}] (port=4321 helo=foo) by gw with esmtp (Exim 4.96) id 1",
        f"from EX1.contoso.com ({A}) by EX2.contoso.com (10.0.0.2) with Microsoft SMTP Server (version=TLS1_2) id 15.2",
        f"from unknown (HELO foo) ({A}) by gw with SMTP",
        f"from mail.example (HELO foo) (user@{A}) by gw with SMTP",
        f"from relay.example (relay.example\t[{A}]) (Using TLS) by gw.mimecast.com with ESMTP id 1",
        f"from [10.0.0.1] (unknown [{A}]) by gw (Postfix) with SMTP id 1",  # the literal is what the peer said
        f"from [192.0.2.1] ([{A}]) by gw (Mailwye) with ESMTP id 1",
    ],
)
def test_forms_of_real_mtas(line: str) -> None:
    assert received_from(line) == A


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("from x (x [IPv6:2001:db8::9]) by gw with ESMTP id 1", "2001:db8::9"),
        ("from x (x [IPv6:2001:DB8:0:0::9]) by gw with ESMTP id 1", "2001:db8::9"),
        ("from x (x [2001:db8::9]) by gw with ESMTP id 1", "2001:db8::9"),
        ("from A (2001:db8::9) by B (10.0.0.2) with Microsoft SMTP Server id 15", "2001:db8::9"),
        (f"from x (x [::ffff:{A}]) by gw with ESMTP id 1", A),
    ],
)
def test_ipv6(line: str, address: str) -> None:
    assert received_from(line) == address


@pytest.mark.parametrize(
    "line",
    [
        "",
        "by gw (Postfix, from userid 1000) id 1",
        "from x by gw with ESMTP id 1",
        f"from [{A}] by gw with ESMTP id 1",  # maybe what the peer said of himself
        f"from {A} by gw with ESMTP id 1",
        f"from x (HELO {A}) by gw",
        f"from x (y [{A}]) (real.example [192.0.2.1]) by gw with ESMTP",  # HELO with a forged comment
        f"from x (y [{A}]) (using a) (real.example [192.0.2.1]) by gw with ESMTP",
        f"from x (y [{A}]) with ESMTP id 1",
        f"from x (y [{A}] [192.0.2.1]) by gw",
        f"from x (y [{A}]",
        "from x (y [not-an-address]) by gw with ESMTP id 1",
        "from x (y [999.1.1.1]) by gw with ESMTP id 1",
        "from x (y [0177.0.0.1]) by gw with ESMTP id 1",
        "from x (y [fe80::1%eth0]) by gw with ESMTP id 1",
        f"from x\x00 (y [{A}]) by gw",
        f"from {'x' * LINE_LIMIT} (y [{A}]) by gw",
        "from " + "(" * 5_000,
        f"from x (y [{A}])" + " (using x)" * 500,
    ],
)
def test_what_is_not_beyond_doubt_says_nothing(line: str) -> None:
    assert received_from(line) == ""


@given(st.text())
def test_any_text_is_an_address_or_nothing(text: str) -> None:
    for line in (text, f"from {text}", f"from x ({text}) by y ", f"from x (y [{text}]) by z "):
        found = received_from(line)
        assert not found or str(ipaddress.ip_address(found)) == found


@given(st.ip_addresses().map(str).filter(lambda text: "%" not in text), st.text(max_size=60))
def test_our_own_lines_are_read_whatever_the_peer_called_himself(address: str, hello: str) -> None:
    facts = SessionFacts("s", "mx", "mx", received_from(f"from x ([{address}]) by y "), 1, hello, esmtp=True)
    block = received_field(facts, hostname="mx.example", queue_id="Q1", at=1.0, recipient="a@b.example")
    (line,) = scan(block).get_all("Received")
    assert received_from(line) == facts.peer_address != ""
