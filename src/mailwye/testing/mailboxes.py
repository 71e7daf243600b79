"""The hosted mailboxes of a simulated world: a small LMTP server (RFC 2033) that keeps what it took."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network, Server
from mailwye.testing.peers import ReceivedMessage

_END = b"\r\n.\r\n"


@dataclass(slots=True)
class Mailboxes:
    """All mailboxes of one machine; `messages` in order of arrival, one for each recipient. `refusal`: the reply to RCPT, "" for none."""

    name: str
    network: Network
    clock: Clock
    refusal: str = ""
    messages: list[ReceivedMessage] = field(default_factory=list)
    unanswered: list[ReceivedMessage] = field(default_factory=list)
    _server: Server | None = None

    async def start(self, address: str, port: int) -> None:
        """Listen. :raises OSError: address or port is taken."""
        self._server = await self.network.listen(lambda: _LmtpSession(self), (address, port))


class _LmtpSession(asyncio.Protocol):
    """One connection. Commands in lock-step or pipelined; content by DATA."""

    def __init__(self, mailboxes: Mailboxes) -> None:
        self._mailboxes = mailboxes
        self._buffer = bytearray()
        self._in_content = False
        self._sender = ""
        self._recipients: list[str] = []
        self._hello = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._say(f"220 {self._mailboxes.name} LMTP")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = _END if self._in_content else b"\r\n"
            at = self._buffer.find(end)
            if at < 0:
                return
            piece = bytes(self._buffer[: at + 2 if self._in_content else at])
            del self._buffer[: at + len(end)]
            if self._in_content:
                self._take(piece)
            else:
                self._answer(piece.decode("utf-8"))

    def _answer(self, command: str) -> None:
        verb, _, argument = command.partition(" ")
        match verb.upper():
            case "LHLO":
                self._hello = argument
                self._say(f"250-{self._mailboxes.name}\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME")
            case "MAIL":
                self._sender, self._recipients = _path(argument), []
                self._say("250 2.1.0 Ok")
            case "RCPT":
                if not self._mailboxes.refusal:
                    self._recipients.append(_path(argument))
                self._say(self._mailboxes.refusal or "250 2.1.5 Ok")
            case "DATA" if not self._recipients:
                self._say("503 5.5.1 No valid recipients")
            case "DATA":
                self._in_content = True
                # The end may come before the first line: it needs a line end of its own in front of it.
                self._buffer[:0] = b"\r\n"
                self._say("354 End data with <CR><LF>.<CR><LF>")
            case "RSET":
                self._recipients = []
                self._say("250 2.0.0 Ok")
            case "QUIT":
                self._say("221 2.0.0 Bye")
                self._transport.close()
            case _:
                self._say("500 5.5.2 What?")

    def _take(self, stuffed: bytes) -> None:
        self._in_content = False
        content = stuffed.replace(b"\r\n.", b"\r\n")[2:]  # RFC 5321 section 4.5.2
        for recipient in self._recipients:
            self._mailboxes.messages.append(
                ReceivedMessage(
                    sender=self._sender,
                    recipients=(recipient,),
                    content=content,
                    hello=self._hello,
                    peer_address=self._transport.get_extra_info("peername")[0],
                    tls_version="",
                    certificate=None,
                    at=self._mailboxes.clock.now(),
                )
            )
            self._say("250 2.1.5 Delivered")

    def _say(self, reply: str) -> None:
        self._transport.write(reply.encode("ascii") + b"\r\n")


def _path(argument: str) -> str:
    """`FROM:<a@b> SIZE=1` → `a@b`."""
    return argument.partition("<")[2].partition(">")[0]
