"""The Received field: RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3; nothing can be smuggled into it (L1)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mailwye.message.facts import SessionFacts, TlsFacts
from mailwye.message.headers import scan
from mailwye.message.received import date_text, received_field, with_protocol

FACTS = SessionFacts("s1", "mx", "mx", "192.0.2.1", 40000, "mail.contoso.com", esmtp=True)
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)


def field(facts: SessionFacts = FACTS, recipient: str = "", *, smtputf8: bool = False) -> str:
    return received_field(
        facts, hostname="mx.mailwye.example", queue_id="4ABC", at=1795000000.9, recipient=recipient, smtputf8=smtputf8
    ).decode()


def test_the_whole_field() -> None:
    assert field(replace(FACTS, tls=TLS), "bob@contoso.com") == (
        "Received: from mail.contoso.com ([192.0.2.1])\r\n"
        "\tby mx.mailwye.example (Mailwye) with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384 256 bits) id 4ABC\r\n"
        "\tfor <bob@contoso.com>;\r\n"
        "\tWed, 18 Nov 2026 11:06:40 +0000\r\n"
    )


def test_without_tls_and_with_several_recipients() -> None:
    assert field() == (
        "Received: from mail.contoso.com ([192.0.2.1])\r\n"
        "\tby mx.mailwye.example (Mailwye) with ESMTP id 4ABC;\r\n"
        "\tWed, 18 Nov 2026 11:06:40 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("esmtp", "tls", "authenticated", "smtputf8", "keyword"),
    [
        (False, False, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, True, False, False, "ESMTPS"),
        (True, False, True, False, "ESMTPA"),
        (True, True, True, False, "ESMTPSA"),
        (True, False, False, True, "UTF8SMTP"),
        (True, True, False, True, "UTF8SMTPS"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_protocol_keywords(esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool, keyword: str) -> None:
    assert with_protocol(esmtp=esmtp, tls=tls, authenticated=authenticated, smtputf8=smtputf8) == keyword
    facts = replace(FACTS, esmtp=esmtp, tls=TLS if tls else None, authenticated="bob@contoso.com" if authenticated else "")
    assert f" with {keyword} " in field(facts, smtputf8=smtputf8)


def test_ipv6_is_written_as_a_literal() -> None:
    assert "from mail.contoso.com ([IPv6:2001:db8::1])\r\n" in field(replace(FACTS, peer_address="2001:db8::1"))


@pytest.mark.parametrize(
    ("hello", "shown"),
    [
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("", "unknown"),
        ("()", "unknown"),
        ("a b", "a_b"),
        ("x) by evil (", "x_by_evil"),
        ("a;b", "a_b"),
        ("a\r\nX-Mailwye-Evil: 1", "a_X-Mailwye-Evil_1"),
        ("\x1b[2J\u202eb\x00", "2J_b"),
        ("a" * 5000, "a" * 255),
    ],
)
def test_hello_cannot_change_the_field(hello: str, shown: str) -> None:
    text = field(replace(FACTS, hello=hello))
    assert text.startswith(f"Received: from {shown} ([192.0.2.1])\r\n\tby ")
    assert len(scan(text.encode()).fields) == 1


@pytest.mark.parametrize(
    ("recipient", "smtputf8", "present"),
    [
        ("bücher@contoso.com", False, False),
        ("bücher@contoso.com", True, True),
        ("a\r\nb@contoso.com", False, False),
        ("a\x00b@contoso.com", True, False),
    ],
)
def test_a_recipient_that_cannot_stand_there_is_left_out(recipient: str, smtputf8: bool, present: bool) -> None:
    assert ("for <" in field(FACTS, recipient, smtputf8=smtputf8)) is present


def test_dates() -> None:
    assert date_text(0) == "Thu, 1 Jan 1970 00:00:00 +0000"
    assert date_text(951_782_399) == "Mon, 28 Feb 2000 23:59:59 +0000"
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", date_text(1_795_000_000))
