"""PROXY protocol headers: the examples of the specification, every cut, and what is no header."""

from __future__ import annotations

import ipaddress

import pytest

from mailwye.smtp.proxy import V2_LIMIT, ProxyError, ProxyHeader, parse_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + (len(body) if length is None else length).to_bytes(2) + body


def addresses(source: str, destination: str, tlvs: bytes = b"") -> bytes:
    packed = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    return packed + (4000).to_bytes(2) + (25).to_bytes(2) + tlvs


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n", ("192.0.2.1", 4000, "192.0.2.2", 25)),
    (b"PROXY TCP6 2001:DB8::1 ::1 4000 25\r\n", ("2001:db8::1", 4000, "::1", 25)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4000 25\r\n", ("192.0.2.1", 4000, "::1", 25)),
    (b"PROXY UNKNOWN\r\n", ("", 0, "", 0)),
    (b"PROXY UNKNOWN whatever it says\r\n", ("", 0, "", 0)),
    (v2(1, 0x11, addresses("192.0.2.1", "192.0.2.2")), ("192.0.2.1", 4000, "192.0.2.2", 25)),
    (v2(1, 0x21, addresses("2001:db8::1", "::1", b"\x04\0\x01x")), ("2001:db8::1", 4000, "::1", 25)),
    (v2(1, 0x21, addresses("::ffff:192.0.2.1", "::1")), ("192.0.2.1", 4000, "::1", 25)),
    (v2(0, 0x00, b""), ("", 0, "", 0)),
    (v2(0, 0x11, addresses("192.0.2.1", "192.0.2.2")), ("", 0, "", 0)),
    (v2(1, 0x31, b"x" * 216), ("", 0, "", 0)),
    (v2(1, 0x00, b"x" * V2_LIMIT), ("", 0, "", 0)),
]


@pytest.mark.parametrize(("data", "found"), GOOD)
def test_good_headers_at_every_cut(data: bytes, found: tuple[str, int, str, int]) -> None:
    for end in range(len(data)):
        assert parse_proxy_header(data[:end]) is None
    assert parse_proxy_header(data) == ProxyHeader(len(data), *found)
    assert parse_proxy_header(data + b"EHLO x\r\n") == ProxyHeader(len(data), *found)


@pytest.mark.parametrize(
    "data",
    [
        b"EHLO x\r\n",
        b"PROXX",
        b"\r\n\r\nX",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4000\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY UNKNOWN " + b"x" * 94 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        SIGNATURE + b"\x11\x11\0\0",
        v2(2, 0x11, b"x" * 12),
        v2(1, 0x11, b"x" * 11),
        v2(1, 0x21, b"x" * 35),
        v2(1, 0x11, b"", V2_LIMIT + 1),
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_proxy_header(data)
