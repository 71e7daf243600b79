from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.web.http_request import Request, Response, parse_request, render


@pytest.mark.parametrize(
    ("head", "request_"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.example", Request("GET", "/", "a.example")),
        (b"HEAD /x?y=1 HTTP/1.1\r\nhost:A.Example.:8443\r\nAccept: */*", Request("HEAD", "/x", "a.example")),
        (b"GET / HTTP/1.0", Request("GET", "/", "")),
        (b"POST /a/../b HTTP/1.1\r\nHost: a", Request("POST", "/a/../b", "a")),
    ],
)
def test_requests(head: bytes, request_: Request) -> None:
    assert parse_request(head) == request_


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"hello",
        b"GET / HTTP/2.0\r\nHost: a",
        b"GET http://a.example/ HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded",
        b"GET / HTTP/1.1\r\nHost: a\x00",
        b"GET / HTTP/1.1\nHost: a",
        b"GET / HTTP/1.1\r\nHost: [::1]",
        b"GET / HTTP/1.1\r\nHost: ",
        b"GET  / HTTP/1.1\r\nHost: a",
        b"GET /\x80 HTTP/1.1\r\nHost: a",
        b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: a",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    answer = parse_request(head)
    assert isinstance(answer, Response)
    assert answer.status == "400 Bad Request"


@given(st.binary(max_size=300))
def test_any_octets_get_an_answer(head: bytes) -> None:
    assert isinstance(parse_request(head), Request | Response)


def test_a_response_says_its_length_and_closes() -> None:
    head, _, body = render(Response("200 OK", "text\n", (("Content-Type", "text/plain"),))).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert {"Content-Type: text/plain", "Content-Length: 5", "Connection: close", "X-Content-Type-Options: nosniff"} <= set(lines)
    assert body == b"text\n"
    assert render(Response("200 OK", "text\n"), with_text=False).endswith(b"\r\n\r\n")
    assert b"Content-Length: 5" in render(Response("200 OK", "text\n"), with_text=False)
