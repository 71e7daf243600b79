from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.web.http_exchange import HttpExchange, Request, Response


@pytest.mark.parametrize(
    ("head", "request_"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.example", Request("GET", "/", "a.example")),
        (b"HEAD /x?y=1 HTTP/1.1\r\nhost:A.Example.:8443\r\nAccept: */*", Request("HEAD", "/x", "a.example")),
        (b"GET / HTTP/1.0", Request("GET", "/", "")),
        (b"POST /a/../b HTTP/1.1\r\nHost: a", Request("POST", "/a/../b", "a")),
        (b"GET http://B.example:80/x?y HTTP/1.1\r\nHost: a.example", Request("GET", "/x", "b.example")),
        (b"GET https://b.example HTTP/1.1\r\nHost: a.example", Request("GET", "/", "b.example")),
    ],
)
def test_requests(head: bytes, request_: Request) -> None:
    exchange = HttpExchange()
    assert exchange.receive_data(head) is None
    assert exchange.receive_data(b"\r\n\r\nmore") == request_


@pytest.mark.parametrize(
    "head",
    [
        b"hello",
        b"GET ftp://a.example/ HTTP/1.1\r\nHost: a",
        b"GET http://user@a.example/ HTTP/1.1\r\nHost: a",
        b"OPTIONS * HTTP/1.1\r\nHost: a",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nHost : a",
        b"GET / HTTP/1.1\r\nHost: a\x00",
        b"GET / HTTP/1.1\r\nHost: [::1]",
        b"GET / HTTP/1.1\r\nHost: ",
        b"GET  / HTTP/1.1\r\nHost: a",
        b"GET /\x80 HTTP/1.1\r\nHost: a",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_request_is_refused(head: bytes) -> None:
    exchange = HttpExchange()
    answer = exchange.receive_data(head + b"\r\n\r\n")
    assert isinstance(answer, Response)
    assert answer.status is HTTPStatus.BAD_REQUEST
    assert exchange.render(answer).startswith(b"HTTP/1.1 400 Bad Request\r\n")


@given(st.binary(min_size=1, max_size=300))
def test_any_octets_get_an_answer_or_are_waited_for(head: bytes) -> None:
    exchange = HttpExchange()
    answer = exchange.receive_data(head)
    if isinstance(answer, Response):
        assert exchange.render(answer).startswith(b"HTTP/1.1 4")


def answered(request: bytes, response: Response) -> bytes:
    exchange = HttpExchange()
    assert isinstance(exchange.receive_data(request + b" / HTTP/1.1\r\nHost: a\r\n\r\n"), Request)
    return exchange.render(response)


def test_a_response_says_its_length_and_closes() -> None:
    response = Response(HTTPStatus.OK, "text\n", (("Content-Type", "text/plain"),))
    head, _, body = answered(b"GET", response).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert {"Content-Type: text/plain", "Content-Length: 5", "Connection: close", "X-Content-Type-Options: nosniff"} <= set(lines)
    assert body == b"text\n"
    assert answered(b"HEAD", response) == head + b"\r\n\r\n"
