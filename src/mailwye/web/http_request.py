"""One HTTP request and one response, without I/O (RFC 9110, RFC 9112). No request has content here, so none is read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEAD_LIMIT = 8_192
"""Octets of a request line with its header fields."""

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([ \t!-~\x80-\xff]*)")
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` without query. `host`: in lower case, without port and final dot; "" where an HTTP/1.0 client sends none."""

    method: str
    path: str
    host: str


@dataclass(frozen=True, slots=True)
class Response:
    """`text` is sent as UTF-8. `fields`: further header fields."""

    status: str
    text: str
    fields: tuple[tuple[str, str], ...] = field(default=())


def parse_request(head: bytes) -> Request | Response:
    """The octets before the empty line → the request, or the refusal that it earns."""
    lines = head.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(lines[0])
    if line is None:
        return Response("400 Bad Request", "this is no HTTP/1.1 request\n")
    hosts: list[str] = []
    for text in lines[1:]:
        found = _FIELD.fullmatch(text)
        if found is None:
            return Response("400 Bad Request", "a header field is malformed\n")
        if found[1].lower() == b"host":
            hosts.append(found[2].decode("latin-1").strip())
    if len(hosts) > 1 or (not hosts and line[3] == b"1"):  # RFC 9112 section 3.2
        return Response("400 Bad Request", "there must be one Host field\n")
    host = ""
    if hosts:
        name = _HOST.fullmatch(hosts[0])
        if name is None:
            return Response("400 Bad Request", "the Host field is malformed\n")
        host = name[1].lower().removesuffix(".")
    return Request(line[1].decode(), line[2].decode().partition("?")[0], host)


def render(response: Response, *, with_text: bool = True) -> bytes:
    """What goes on the wire; the connection is closed after it. `with_text`: False for HEAD."""
    body = response.text.encode()
    fields = {"Content-Type": "text/plain; charset=utf-8", **dict(response.fields)}
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in fields.items())]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "X-Content-Type-Options: nosniff", "Cache-Control: no-store"]
    return "\r\n".join((*lines, "", "")).encode() + (body if with_text else b"")
