"""One HTTP request and its response, without I/O: h11 (RFC 9110, RFC 9112). No request has content here, so none is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus

import h11

HEAD_LIMIT = 8_192
"""Octets of a request line with its header fields."""

_TARGET = re.compile(r"(?:https?://([^/?#@]*))?(/[^?#]*)?(?:\?[^#]*)?", re.IGNORECASE)
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` without query. `host`: in lower case, without port and final dot; "" where an HTTP/1.0 client sends none."""

    method: str
    path: str
    host: str


@dataclass(frozen=True, slots=True)
class Response:
    """`text` is sent as UTF-8. `fields`: header fields beside those that every response has."""

    status: HTTPStatus
    text: str
    fields: tuple[tuple[str, str], ...] = field(default=())


class HttpExchange:
    """The server's side of one connection, which is closed after one response."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._method = ""

    def receive_data(self, data: bytes) -> Request | Response | None:
        """Octets of the client → the request, the refusal that it earns, or None where its head goes on. Not to be called after that."""
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            return _refusal(HTTPStatus(error.error_status_hint), str(error))
        if not isinstance(event, h11.Request):
            return None
        self._method = event.method.decode("ascii")
        return _read(self._method, event)

    def render(self, response: Response) -> bytes:
        """What goes on the wire."""
        body = response.text.encode()
        fields = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **dict(response.fields),
        }
        head = h11.Response(status_code=response.status, reason=response.status.phrase, headers=list(fields.items()))
        octets = self._http.send(head) or b""
        if body and self._method != "HEAD":
            octets += self._http.send(h11.Data(data=body)) or b""
        return octets + (self._http.send(h11.EndOfMessage()) or b"")


def _read(method: str, event: h11.Request) -> Request | Response:
    target = _TARGET.fullmatch(event.target.decode("latin-1"))
    if target is None:
        return _refusal(HTTPStatus.BAD_REQUEST, "the target is neither a path nor a URL")
    # h11 refuses a second Host field, and HTTP/1.1 without one (RFC 9112 section 3.2); the URL's host counts more (section 3.2.2).
    named = next((value.decode("latin-1") for name, value in event.headers if name == b"host"), None)
    name = target[1] if target[1] is not None else named
    if name is None:
        return Request(method, target[2] or "/", "")
    host = _HOST.fullmatch(name)
    if host is None:
        return _refusal(HTTPStatus.BAD_REQUEST, "the Host field is malformed")
    return Request(method, target[2] or "/", host[1].lower().removesuffix("."))


def _refusal(status: HTTPStatus, text: str) -> Response:
    return Response(status, f"{text}\n")
