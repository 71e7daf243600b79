"""Commands and looks at content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.smtp.address import Address
from mailwye.smtp.client_events import Extensions, RecipientRequest, TransactionRequest
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.transfer import after_line_end, complete_lines, encode_commands, has_long_line, mail_command, rcpt_command, xtext

ALL = Extensions.parse("x\nPIPELINING\n8BITMIME\nBINARYMIME\nCHUNKING\nSMTPUTF8\nDSN\nSIZE 10485760\nSTARTTLS\nAUTH PLAIN LOGIN")
NONE = Extensions()
JOHN = Address("john", "contoso.com")


def test_extensions() -> None:
    assert Extensions("x", True, True, True, True, True, True, True, True, 10485760, frozenset({"PLAIN", "LOGIN"})) == ALL
    assert not Extensions.parse("x\nBINARYMIME").binary_mime  # RFC 3030 section 3: not without CHUNKING
    assert Extensions.parse("x\nSIZE").size == Extensions.parse("x\nSIZE -1").size == Extensions.parse("x\nsize ²").size == 0
    assert Extensions.parse("x\n\n8bitmime").eight_bit_mime


def test_mail_says_only_what_is_offered() -> None:
    request = TransactionRequest(None, (), b"", 7, "8BITMIME", smtputf8=True, ret="HDRS", envid="a+b\r\n")
    assert mail_command(request, NONE) == "MAIL FROM:<>"
    assert mail_command(request, ALL) == "MAIL FROM:<> SIZE=7 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+0D+0A"


def test_requiretls_is_said_where_it_is_offered() -> None:
    request = TransactionRequest(None, (), b"", 7, require_tls=True)
    assert Extensions.parse("x\nrequiretls").require_tls
    assert mail_command(request, Extensions(require_tls=True)) == "MAIL FROM:<> REQUIRETLS"
    assert mail_command(request, NONE) == "MAIL FROM:<>"


def test_rcpt_says_only_what_is_offered() -> None:
    recipient = RecipientRequest(JOHN, ("SUCCESS", "FAILURE"), "rfc822;a+b=c\r\nDATA@x")
    assert rcpt_command(recipient, NONE) == "RCPT TO:<john@contoso.com>"
    told = rcpt_command(recipient, ALL)
    assert told == "RCPT TO:<john@contoso.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb+3Dc+0D+0ADATA@x"


@pytest.mark.parametrize(
    ("orcpt", "said"),
    [("utf-8;ä\\b", " ORCPT=utf-8;\\x{E4}\\x{5C}b"), ("rfc822;ä", ""), ("nonsense", ""), ("a b;c", ""), ("rfc822;" + "x" * 500, "")],
)
def test_orcpt_that_cannot_be_said_is_left_out(orcpt: str, said: str) -> None:
    assert rcpt_command(RecipientRequest(JOHN, (), orcpt), ALL) == "RCPT TO:<john@contoso.com>" + said


@given(st.text())
def test_xtext_is_printable_and_reversible(text: str) -> None:
    encoded = xtext("".join(character for character in text if ord(character) < 256))
    assert encoded.isascii()
    assert not set(encoded) & set(" =\r\n")


@pytest.mark.parametrize("text", ["RCPT TO:<a\r\nDATA>\r\n", "MAIL\n\r\n", "MAIL\r\r\n", "MAIL\0\r\n"])
def test_arguments_cannot_smuggle(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_commands(text, 1)


@given(st.lists(st.binary(max_size=1200).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=5), st.data())
def test_long_lines_are_found_however_the_content_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    expected = any(len(line) > 998 for line in lines)
    assert has_long_line(content) == expected
    carried, rest, found = 0, content, False
    while rest:
        at = data.draw(st.integers(1, len(rest)))
        carried = after_line_end(rest[:at], carried)
        found = found or carried > 999
        rest = rest[at:]
        if found:
            break
    assert found == expected


@pytest.mark.parametrize(("length", "found"), [(997, False), (998, False), (999, True), (1000, True), (5000, True)])
def test_the_limit_is_998_octets(length: int, found: bool) -> None:
    for before in (b"", b"short\r\n", b"y" * 998 + b"\r\n"):
        assert has_long_line(before + b"x" * length + b"\r\n") is found
        assert has_long_line(before + b"x" * length + b"\r\nend\r\n") is found


def test_complete_lines() -> None:
    clean = b"a\r\nb\r\n"
    assert complete_lines(clean) is clean
    assert complete_lines(b"a\nb\rc") == b"a\r\nb\r\nc\r\n"
