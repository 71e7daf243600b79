"""Delivery status notifications, read back by the standard library's parser."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32

import pytest

from mailwye.message.dsn import Action, RecipientStatus, Report, Returned, original_recipient, render, title, typed_address
from mailwye.message.dsn_advice import Fixer, advise

HEADER = b"From: <john@contoso.com>\r\nSubject: Lunch\r\n"
AT = 1_795_500_000.0
FAILED = RecipientStatus(
    "sun@example.net",
    "sun@example.net",
    Action.FAILED,
    "5.1.1",
    "550 5.1.1 No such user",
    AT,
    remote="mail.example.net[192.0.2.9]:25",
    cause_status="5.1.1",
    cause_code=550,
)
DELAYED = replace(
    FAILED, action=Action.DELAYED, status="4.4.316", diagnostic="450 4.4.316 Refused", retry_until=AT + 72_000, cause_status="4.4.316"
)
REPORT = Report(
    id="D1",
    hostname="mx.mailwye.example",
    postmaster="postmaster@contoso.com",
    to="john@contoso.com",
    at=AT,
    arrived_at=AT - 60,
    recipients=(FAILED,),
    returned=Returned(HEADER),
    subject="Lunch",
    message_id="<1@contoso.com>",
    reference="M1",
)


def parts(report: Report) -> tuple[Message, Message, Message, Message]:
    """The notice and its three parts."""
    octets = render(report)
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in octets.split(b"\r\n"))
    message = message_from_bytes(octets, policy=compat32)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    payload = message.get_payload()
    assert isinstance(payload, list)
    text, status, returned = payload
    assert isinstance(text, Message)
    assert isinstance(status, Message)
    assert isinstance(returned, Message)
    return message, text, status, returned


def text_of(part: Message) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return " ".join(payload.decode(part.get_content_charset() or "ascii").split())


def groups_of(status: Message) -> list[dict[str, str]]:
    """The groups of fields of message/delivery-status."""
    payload = status.get_payload()
    assert isinstance(payload, list)
    return [{name: " ".join(str(value).split()) for name, value in group.items()} for group in payload if isinstance(group, Message)]


def test_a_failure() -> None:
    message, text, status, returned = parts(REPORT)
    assert message["From"] == "Mail Delivery System <postmaster@contoso.com>"
    assert message["To"] == "<john@contoso.com>"
    assert message["Subject"] == "Undeliverable: Lunch"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<D1@mx.mailwye.example>"
    assert message["In-Reply-To"] == message["References"] == "<1@contoso.com>"
    words = text_of(text)
    assert "What happened: The address does not exist at the receiving side." in words
    assert "Who can fix it: You, the sender." in words
    assert "How: Check the address for mistakes" in words
    assert "Generating server: mx.mailwye.example" in words
    assert "Remote server: mail.example.net[192.0.2.9]:25" in words
    assert status.get_content_type() == "message/delivery-status"
    of_message, of_recipient = groups_of(status)
    assert of_message == {"Reporting-MTA": "dns; mx.mailwye.example", "Arrival-Date": "Tue, 24 Nov 2026 05:59:00 +0000"}
    assert of_recipient == {
        "Final-Recipient": "rfc822; sun@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mail.example.net",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
        "Last-Attempt-Date": "Tue, 24 Nov 2026 06:00:00 +0000",
    }
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == HEADER.decode()


def test_a_delay() -> None:
    message, text, status, _ = parts(replace(REPORT, recipients=(DELAYED,)))
    assert message["Subject"] == "Delivery delayed: Lunch"
    words = text_of(text)
    assert "Nothing is lost" in words
    assert "Until when it is tried: Wed, 25 Nov 2026 02:00:00 +0000. You need not send it again." in words
    _, group = groups_of(status)
    assert group["Action"] == "delayed"
    assert group["Will-Retry-Until"] == "Wed, 25 Nov 2026 02:00:00 +0000"


@pytest.mark.parametrize(
    ("action", "subject", "words"),
    [
        (Action.DELIVERED, "Delivered: Lunch", "Your message was delivered to: sun@example.net"),
        (Action.RELAYED, "Relayed: Lunch", "will not confirm its delivery"),
    ],
)
def test_good_news_carry_no_advice(action: Action, subject: str, words: str) -> None:
    report = replace(REPORT, recipients=(replace(FAILED, action=action, status="2.0.0", diagnostic="250 2.0.0 Ok"),))
    message, text, _, _ = parts(report)
    assert message["Subject"] == subject
    assert words in text_of(text)
    assert "Who can fix it" not in text_of(text)


def test_several_recipients_and_actions_in_one_notice() -> None:
    others = (FAILED, replace(FAILED, recipient="moon@example.net", original="moon@example.net"), replace(DELAYED, recipient="a@b.example"))
    message, text, status, _ = parts(replace(REPORT, recipients=others))
    assert message["Subject"] == "Undeliverable: Lunch"
    assert [group["Action"] for group in groups_of(status)[1:]] == ["failed", "failed", "delayed"]
    assert text_of(text).count("The address does not exist") == 1


def test_what_the_envelope_said_comes_back() -> None:
    one = replace(FAILED, orcpt="rfc822;alias@contoso.com", original="alias@contoso.com")
    _, text, status, _ = parts(replace(REPORT, envid="envelope 1", recipients=(one,)))
    of_message, of_recipient = groups_of(status)
    assert of_message["Original-Envelope-Id"] == "envelope 1"
    assert of_recipient["Original-Recipient"] == "rfc822; alias@contoso.com"
    assert "alias@contoso.com (as sun@example.net)" in text_of(text)


def test_expiry_tells_the_last_error_and_what_to_do_about_it() -> None:
    one = replace(
        FAILED,
        status="5.4.300",
        diagnostic="550 5.4.300 Message expired after 24 h in the queue; the last error was: 450 4.4.312 DNS query failed",
        cause_status="4.4.312",
        attempts=30,
    )
    _, text, status, _ = parts(replace(REPORT, recipients=(one,)))
    words = text_of(text)
    assert "tried again and again until the time for it was up" in words
    assert "the DNS query failed" in words
    assert "Attempts: 30" in words
    assert groups_of(status)[1]["Status"] == "5.4.300"


def test_a_loop_names_both_connectors() -> None:
    ways = ('Came in through: inbound connector "In"', 'Went out through: outbound connector "Out"')
    _, text, _, _ = parts(replace(REPORT, recipients=(replace(FAILED, status="5.4.14", cause_status="5.4.14", connectors=ways),)))
    words = text_of(text)
    assert "went round in a loop" in words
    assert all(way in words for way in ways)


# Foreign text


def test_nothing_foreign_becomes_a_field_or_a_line_of_its_own() -> None:
    evil = "x\r\nBcc: everyone@example.net\r\n\r\nbody"
    one = replace(FAILED, diagnostic=f"550 {evil}", orcpt=f"rfc822;{evil}", remote=f"mail{evil}[192.0.2.9]:25")
    report = replace(REPORT, subject=evil, message_id=evil, envid=evil, recipients=(one,))
    message, _, status, _ = parts(report)
    assert message["Bcc"] is None
    assert message["In-Reply-To"] is None
    assert len(groups_of(status)) == 2
    assert all("Bcc" not in group for group in groups_of(status))
    assert b"\r\nBcc" not in render(report)


def test_a_boundary_in_the_returned_message_does_not_end_the_part() -> None:
    octets = b"Subject: x\r\n\r\n--=_D1_report\r\nContent-Type: text/html\r\n\r\nevil\r\n--=_D1_report--\r\n"
    _, _, _, returned = parts(replace(REPORT, returned=Returned(octets, full=True)))
    inner = returned.get_payload()
    assert isinstance(inner, list)
    assert isinstance(inner[0], Message)
    assert "evil" in str(inner[0].get_payload())


def test_a_subject_beyond_ascii() -> None:
    subject = "Grüße aus München, " * 10
    message, text, _, _ = parts(replace(REPORT, subject=subject))
    assert render(replace(REPORT, subject=subject)).isascii()
    assert str(make_header(decode_header(message["Subject"]))) == title(replace(REPORT, subject=subject))
    assert "Grüße aus München" in text_of(text)


def test_an_address_beyond_ascii() -> None:
    one = replace(FAILED, recipient="grün@example.net", original="grün@example.net", orcpt="utf-8;grün@example.net")
    report = replace(REPORT, recipients=(one,))
    assert render(report).isascii()
    group = groups_of(parts(report)[2])[1]
    assert group["Final-Recipient"] == group["Original-Recipient"] == "utf-8; gr\\x{FC}n@example.net"
    assert "grün@example.net" in text_of(parts(report)[1])


@pytest.mark.parametrize(
    ("address", "typed"),
    [("a+b@example.net", "rfc822; a+b@example.net"), ("ü+=\\@example.net", "utf-8; \\x{FC}\\x{2B}\\x{3D}\\x{5C}@example.net")],
)
def test_typed_addresses(address: str, typed: str) -> None:
    assert typed_address(address) == typed


def test_an_original_recipient_of_another_kind_is_passed_on() -> None:
    assert original_recipient("x400;/S=x/") == "x400; /S=x/"
    assert original_recipient("no type") == "rfc822; no type"


# What is sent back


@pytest.mark.parametrize(
    ("header", "kind", "encoding"),
    [
        ("Subject: Grüße\r\n".encode(), "message/global-headers", "quoted-printable"),
        (b"Subject: Gr\xfc\xdfe\r\n", "text/rfc822-headers", "quoted-printable"),
        (b"Subject: " + b"x" * 2000 + b"\r\n", "message/global-headers", "base64"),
        (b"Subject: bare\rcr and\nlf\r\n", "message/global-headers", "base64"),
    ],
)
def test_odd_headers_come_back_encoded(header: bytes, kind: str, encoding: str) -> None:
    report = replace(REPORT, returned=Returned(header))
    assert render(report).isascii()
    _, _, _, returned = parts(report)
    assert returned.get_content_type() == kind
    assert returned["Content-Transfer-Encoding"] == encoding


def test_a_whole_message_in_eight_bits() -> None:
    octets = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    _, _, _, returned = parts(replace(REPORT, returned=Returned(octets, full=True)))
    assert returned.get_content_type() == "message/rfc822"
    assert returned["Content-Transfer-Encoding"] == "8bit"


# Advice


@pytest.mark.parametrize(
    ("status", "text", "code", "who", "word"),
    [
        ("5.1.1", "", 550, Fixer.SENDER, "address"),
        ("5.4.1", "Recipient address rejected", 550, Fixer.SENDER, "address"),
        ("5.1.10", "accepts no mail (null MX)", 556, Fixer.SENDER, "domain"),
        ("5.1.10", "Recipient not found", 550, Fixer.SENDER, "address"),
        ("5.2.2", "", 552, Fixer.RECIPIENTS_ADMINISTRATOR, "full"),
        ("5.3.4", "", 552, Fixer.SENDER, "too large"),
        ("5.4.4", "No outbound connector leads to contoso.com", 550, Fixer.YOUR_ADMINISTRATOR, "connector"),
        ("5.4.4", "No mail server of x can be reached", 550, Fixer.RECIPIENTS_ADMINISTRATOR, "reached"),
        ("5.4.6", "", 554, Fixer.YOUR_ADMINISTRATOR, "loop"),
        ("4.4.312", "", 450, Fixer.RECIPIENTS_ADMINISTRATOR, "DNS"),
        ("4.4.316", "", 450, Fixer.RECIPIENTS_ADMINISTRATOR, "reached"),
        ("4.7.320", "", 450, Fixer.YOUR_ADMINISTRATOR, "secure"),
        ("5.7.1", "Unable to relay", 550, Fixer.YOUR_ADMINISTRATOR, "does not accept mail for this recipient from this server"),
        ("5.7.1", "Message rejected as spam", 550, Fixer.RECIPIENTS_ADMINISTRATOR, "rules"),
        ("5.6.7", "", 550, Fixer.RECIPIENTS_ADMINISTRATOR, "ASCII"),
        ("5.99.99", "", 550, Fixer.RECIPIENTS_ADMINISTRATOR, "did not accept"),
        ("", "no", 550, Fixer.RECIPIENTS_ADMINISTRATOR, "did not accept"),
    ],
)
def test_who_can_fix_what(status: str, text: str, code: int, who: Fixer, word: str) -> None:
    advice = advise(status, text, code)
    assert advice.who is who
    assert word in advice.what
    assert advice.how
