"""Parameters of MAIL and RCPT, each by itself. Their refusals on the wire: rows W21 and W22 in test_bad_input.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailwye.smtp.extensions import (
    CommandError,
    decode_xtext,
    hello_reply,
    parse_envelope_id,
    parse_notify,
    parse_original_recipient,
    parse_parameters,
    parse_return,
)


def test_parameters() -> None:
    assert parse_parameters("") == {}
    assert parse_parameters("size=1  SmtpUtf8 X-Y=a+b ") == {"SIZE": "1", "SMTPUTF8": "", "X-Y": "a+b"}
    assert parse_parameters("ORCPT=utf-8;ü@d") == {"ORCPT": "utf-8;ü@d"}


@pytest.mark.parametrize("text", ["=", "=1", "A=", "A==", "A=b=c", "-A", "A_B=1", "A A", "a=1 A=1", "ü=1"])
def test_bad_parameters(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_parameters(text)
    assert caught.value.reply.code == 501


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("rfc822;a+2Bb@c", "rfc822;a+b@c"),
        ("RFC822;a@b", "RFC822;a@b"),
        (r"utf-8;\x{FC}@d", r"utf-8;\x{FC}@d"),
        ("UTF-8;ü@d", "UTF-8;ü@d"),
        ("x400;/C=de/", None),
        ("utf-8;ü\u202e@d", None),
        ("rfc822;ü@d", None),
        ("rfc_822;a@b", None),
        ("rfc822;a+0Ab", None),
        ("rfc822;a+7Fb", None),
        ("rfc822;a+0ab", None),  # RFC 3461 section 4: hexadecimal digits are upper case
    ],
)
def test_original_recipient(value: str, found: str | None) -> None:
    if found is None:
        with pytest.raises(CommandError):
            parse_original_recipient(value)
    else:
        assert parse_original_recipient(value) == found


@pytest.mark.parametrize(
    ("parse", "value", "found"),
    [
        (parse_notify, "never", frozenset({"NEVER"})),
        (parse_notify, "DELAY,failure", frozenset({"DELAY", "FAILURE"})),
        (parse_return, "full", "FULL"),
        (parse_envelope_id, "a" * 100, "a" * 100),
        (parse_envelope_id, "+3D+2B", "=+"),
    ],
)
def test_dsn_values(parse: Callable[[str], object], value: str, found: object) -> None:
    assert parse(value) == found


def test_xtext_never_decodes_to_a_control_character() -> None:
    for octet in range(256):
        encoded = f"+{octet:02X}"
        if 32 <= octet < 127:
            assert decode_xtext(encoded, "X") == chr(octet)
        else:
            with pytest.raises(CommandError):
                decode_xtext(encoded, "X")


def test_hello_reply() -> None:
    assert hello_reply("mx.test", 5, starttls=True, auth=True).endswith(b"250-DSN\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n")
    assert hello_reply("mx.test", 5, starttls=False, auth=False, requiretls=True).endswith(b"250 REQUIRETLS\r\n")
    assert hello_reply("mx.test", 5, starttls=False, auth=False).startswith(b"250-mx.test\r\n250-PIPELINING\r\n250-SIZE 5\r\n")
