"""Re-encoding to 7 bit."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.message.conversion import ConversionImpossible, to_seven_bit


def passes(content: bytes) -> bool:
    lines = content.split(b"\r\n")
    return content.isascii() and all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)


def test_text_becomes_quoted_printable() -> None:
    content = (
        b"From: a@b.example\r\nX-Kept:  as it is\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 8bit\r\n\r\nH\xc3\xa4llo\r\n.\r\nFrom x\r\ntrailing \r\n" + b"x" * 3000 + b"\r\n"
    )
    converted = to_seven_bit(content)
    assert passes(converted.content)
    assert converted.changes == ("converted 8bit to quoted-printable",)
    message = message_from_bytes(converted.content)
    assert message.get_payload(decode=True) == content.partition(b"\r\n\r\n")[2]
    assert converted.content.startswith(b"From: a@b.example\r\nX-Kept: ")
    assert converted.content.count(b"Content-Transfer-Encoding") == 1


def test_binary_becomes_base64_and_parts_that_are_fine_stay() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=q\r\nContent-Transfer-Encoding: binary\r\n\r\npreamble \xff\r\n--q\r\n"
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\x00\n\x01\r\n--q\r\n"
        b"Content-Type: text/html\r\nX-A: b\r\n\r\n<p>ok</p>\r\n--q--\r\n"
    )
    converted = to_seven_bit(content)
    assert passes(converted.content)
    assert b"Content-Type: text/html\r\nX-A: b\r\n\r\n<p>ok</p>\r\n--q--" in converted.content
    message = message_from_bytes(converted.content)
    assert message["Content-Transfer-Encoding"] == "7bit"
    assert message.get_payload(0).get_payload(decode=True) == b"\xff\x00\n\x01"  # type: ignore[union-attr]  # a Message: it was parsed so


def test_raw_eight_bit_headers_are_encoded() -> None:
    converted = to_seven_bit("Subject: grüße\r\nX-Long: ".encode() + b"word " * 400 + b"\r\n\r\nplain\r\n")
    assert passes(converted.content)
    message = message_from_bytes(converted.content)
    assert str(make_header(decode_header(message["Subject"]))) == "grüße"
    assert message["X-Long"].split() == ["word"] * 400
    assert set(converted.changes) == {"encoded the header Subject", "encoded the header X-Long"}


def test_text_without_mime_gets_an_honest_charset() -> None:
    converted = to_seven_bit(b"From: a@b.example\r\n\r\nplain \xe4\r\n")
    assert b"charset=unknown-8bit" in converted.content
    assert b"MIME-Version: 1.0" in converted.content


@pytest.mark.parametrize("kind", ["multipart/signed", "multipart/encrypted"])
@pytest.mark.parametrize("inner", [b"\xe4", b"x" * 999])
def test_signed_and_encrypted_parts_are_never_touched(kind: str, inner: bytes) -> None:
    content = f"Content-Type: {kind}; boundary=q\r\n\r\n--q\r\n\r\n".encode() + inner + b"\r\n--q\r\n\r\nx\r\n--q--\r\n"
    with pytest.raises(ConversionImpossible, match="signature or encryption"):
        to_seven_bit(content)


def test_a_signed_part_that_is_fine_does_not_stand_in_the_way() -> None:
    signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nX-A:  b\r\n\r\nclear\r\n--s\r\n\r\nx\r\n--s--\r\n"
    content = b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n\xe4\r\n--q\r\n" + signed + b"--q--\r\n"
    assert b"clear\r\n--s\r\n\r\nx\r\n--s--" in to_seven_bit(content).content


def test_deep_nesting_is_refused() -> None:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(150))
    with pytest.raises(ConversionImpossible):
        to_seven_bit(head + b"\r\n\xe4\r\n")


@given(
    st.binary(max_size=300), st.sampled_from(["text/plain", "application/octet-stream", "message/rfc822", "multipart/mixed; boundary=b"])
)
def test_whatever_comes_the_result_passes_or_the_refusal_is_told(body: bytes, kind: str) -> None:
    content = f"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n".encode() + body + b"\r\n"
    try:
        converted = to_seven_bit(content)
    except ConversionImpossible:
        return
    assert converted.content.isascii()
