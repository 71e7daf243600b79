"""Requests and answers between processes of one installation: one JSON object a line, over a socket that only its owner can reach.

Request `{"v": 1, "op": NAME, "arguments": {…}}`, answer `{"v": 1, "result": …}` or `{"v": 1, "error": TEXT}`; `v` is the version of this
protocol, so that a command line of another release hears a sentence instead of nonsense. Bounded by LINE_LIMIT octets in both directions.
"""

from __future__ import annotations

import json
import socket
from typing import Any

VERSION = 1
LINE_LIMIT = 64 * 1024 * 1024  # octets of an answer
REQUEST_LIMIT = 1024 * 1024  # octets of a request from outside the service


class ChannelError(Exception):
    """The other side answered with an error, or is gone; the text is its own."""


class ChannelGone(ChannelError):
    """The other side ended before it answered."""


def encode(message: dict[str, Any]) -> bytes:
    """A request or an answer as its line."""
    return json.dumps({"v": VERSION, **message}).encode() + b"\n"


def call(path: str, operation: str, *, timeout: float = 60.0, **arguments: Any) -> Any:
    """Ask the server behind the Unix socket `path`, without an event loop: for the command line.

    :raises FileNotFoundError, ConnectionRefusedError: nobody listens. :raises ChannelError: its error.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(encode({"op": operation, "arguments": arguments}))
        with connection.makefile("rb") as stream:
            return result_of(stream.readline(LINE_LIMIT), operation)


def result_of(line: bytes, operation: str) -> Any:
    """What the answer to `operation` holds. :raises ChannelError: its error. :raises ChannelGone: there is none."""
    if not line:
        raise ChannelGone(f"{operation}: the process ended before it answered")
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise ChannelError(f"{operation}: the answer was cut off or is no JSON; ask for less") from error
    if "error" in answer:
        raise ChannelError(answer["error"])
    return answer.get("result")
