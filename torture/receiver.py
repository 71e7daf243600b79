"""Mail servers of several destinations: they take everything, note it in the receiver's book before their 250, and fail by script.

Written without the service's own SMTP code on purpose: a mistake there would be made on both sides and stay unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
import time
from dataclasses import dataclass
from typing import cast

from torture.ledger import Received, ReceiverBook

ATTEMPT_HEADER = b"X-Torture: "
"""The first header field that the sender writes: everything before it was added on the way."""

_END = b"\r\n.\r\n"
_FAILED = re.compile(rb"^Final-Recipient: *rfc822; *(\S+)(?:\r\n(?!\r\n).*)*?\r\nAction: *(\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Faults:
    """What a sink does wrong. `greeting`, `mail`, `rcpt`, `end`: a reply line such as "451 4.3.0 Later" instead of the good one.
    `drop`: "data": the connection is lost at DATA; "middle": in the content; "end": at its end, the message not taken; "taken": there
    too, but it was taken. `silent`: "greeting", "end": nothing is said there. `octets_per_second`: reading content no faster; 0: no limit.
    `end_after`: seconds before the reply to content.
    """

    greeting: str = ""
    mail: str = ""
    rcpt: str = ""
    end: str = ""
    drop: str = ""
    silent: str = ""
    octets_per_second: float = 0.0
    end_after: float = 0.0


class Sink:
    """One destination. `faults` may be changed at any time; sessions see it at once. `sessions`: open connections; `transactions`:
    of these, between MAIL and our reply to the content. `connections`: all that were ever made.
    """

    def __init__(self, name: str, address: str, port: int, book: ReceiverBook, *, tls: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.book = book
        self.tls = tls
        self.faults = Faults()
        self.sessions = 0
        self.transactions = 0
        self.connections = 0
        self.taken = 0
        self._server: asyncio.Server | None = None
        self._open: set[_Session] = set()

    async def start(self) -> None:
        """Listen (again). :raises OSError: address or port is taken."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self), self.address, self.port, backlog=1024)

    async def stop(self) -> None:
        """Listen no more and break all connections: the host is down, connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for session in list(self._open):
                session.abort()

    def take(self, recipients: tuple[str, ...], content: bytes) -> str:
        """Note one message; which attempt it is."""
        self.taken += 1
        at = time.monotonic()
        start = content.find(ATTEMPT_HEADER)
        attempt = content[start + len(ATTEMPT_HEADER) : content.find(b"\r\n", start)].decode("ascii", "replace") if start >= 0 else ""
        if b"multipart/report" in content[:8192].lower():
            for recipient, action in _FAILED.findall(content):
                self.book.write(Received(self.name, attempt, (recipient.decode(),), "", at, action.decode().lower()))
            return attempt
        digest = hashlib.sha256(content[start:] if start >= 0 else content).hexdigest()
        self.book.write(Received(self.name, attempt, recipients, digest, at))
        return attempt

    def opened(self, session: _Session) -> None:
        """A connection was made."""
        self.sessions += 1
        self.connections += 1
        self._open.add(session)

    def closed(self, session: _Session) -> None:
        """It ended; may be said twice."""
        if session in self._open:
            self._open.discard(session)
            self.sessions -= 1


class _Session(asyncio.Protocol):
    """One connection to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._transport: asyncio.Transport | None = None
        self._encrypted = False
        self._buffer = bytearray()
        self._content = False
        self._busy = False  # a delayed reply is owed
        self._recipients: list[str] = []
        self._in_transaction = False
        self._upgrade: asyncio.Task[None] | None = None
        self._counted = False

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._counted:
            self._counted = True
            self._sink.opened(self)
            faults = self._sink.faults
            if faults.silent != "greeting":
                self._say(faults.greeting or f"220 {self._sink.name} ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._transport = None
        self._sink.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        rate = self._sink.faults.octets_per_second
        if rate and self._content and self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.pause_reading()
            asyncio.get_running_loop().call_later(len(data) / rate, self._resume)
        self._work()

    def _resume(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):
                self._transport.resume_reading()

    def _work(self) -> None:
        replies: list[str] = []
        while self._buffer and not self._busy and self._transport is not None and not self._transport.is_closing():
            if self._content:
                if not self._read_content(replies):
                    break
                continue
            line, newline, rest = self._buffer.partition(b"\r\n")
            if not newline:
                break
            self._buffer = rest
            self._command(bytes(line), replies)
        if replies:
            self._say(*replies)

    def _read_content(self, replies: list[str]) -> bool:
        if self._sink.faults.drop == "middle":
            self.abort()
            return False
        end = self._buffer.find(_END)
        if end < 0:
            return False
        content = bytes(self._buffer[: end + 2]).replace(b"\r\n..", b"\r\n.")
        del self._buffer[: end + len(_END)]
        self._content = False
        self._ended(content, replies)
        return True

    def _ended(self, content: bytes, replies: list[str]) -> None:
        faults = self._sink.faults
        if faults.drop == "end":
            self.abort()
            return
        reply = faults.end
        if not reply:
            attempt = self._sink.take(tuple(self._recipients), content)
            reply = f"250 2.0.0 Ok: taken {attempt or '-'} for {','.join(self._recipients)}"  # what order_audit reads on the wire
        if faults.drop == "taken":
            self.abort()
        elif faults.silent == "end":
            self._busy = True
        elif faults.end_after:
            self._busy = True
            asyncio.get_running_loop().call_later(faults.end_after, self._late, reply)
        else:
            self._leave()
            replies.append(reply)

    def _late(self, reply: str) -> None:
        self._busy = False
        self._leave()
        self._say(reply)
        self._work()

    def _command(self, line: bytes, replies: list[str]) -> None:
        faults = self._sink.faults
        match line[:4].upper():
            case b"EHLO":
                replies += [f"250-{self._sink.name}", "250-PIPELINING", "250-8BITMIME", "250-SIZE 50000000"]
                replies += ["250-STARTTLS"] if self._sink.tls is not None and not self._encrypted else []
                replies.append("250 ENHANCEDSTATUSCODES")
            case b"STAR":
                self._busy = True
                self._say("220 2.0.0 Go on")
                self._upgrade = asyncio.get_running_loop().create_task(self._start_tls())
            case b"MAIL":
                self._recipients = []
                replies.append(faults.mail or "250 2.1.0 Ok")
                if not faults.mail:
                    self._enter()
            case b"RCPT":
                replies.append(faults.rcpt or "250 2.1.5 Ok")
                if not faults.rcpt:
                    self._recipients.append(line.partition(b"<")[2].partition(b">")[0].decode())
            case b"DATA":
                if faults.drop == "data":
                    self.abort()
                    return
                self._content = bool(self._recipients)
                replies.append("354 Go on" if self._content else "503 5.5.1 No recipients")
            case b"RSET":
                self._leave()
                replies.append("250 2.0.0 Ok")
            case b"QUIT":
                self._say(*replies, "221 2.0.0 Bye")
                replies.clear()
                if self._transport is not None:
                    self._transport.close()
            case _:
                replies.append("250 2.0.0 Ok")

    def _enter(self) -> None:
        if not self._in_transaction:
            self._in_transaction = True
            self._sink.transactions += 1

    def _leave(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            self._sink.transactions -= 1

    async def _start_tls(self) -> None:
        assert self._transport is not None
        assert self._sink.tls is not None
        old = self._transport
        try:
            new = await asyncio.get_running_loop().start_tls(old, self, self._sink.tls, server_side=True)
        except (OSError, ssl.SSLError):
            old.abort()
            new = None
        if new is None:  # the connection was lost meanwhile, and nobody else would hear of it
            self.connection_lost(None)
            return
        self._transport = new
        self._encrypted = True
        self._busy = False
        self._work()

    def _say(self, *lines: str) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write("".join(f"{line}\r\n" for line in lines).encode())


class Receiver:
    """All sinks, by name, with one book."""

    def __init__(self, book: ReceiverBook, sinks: dict[str, Sink]) -> None:
        self.book = book
        self.sinks = sinks

    async def start(self) -> None:
        """All listen."""
        for sink in self.sinks.values():
            await sink.start()

    async def stop(self) -> None:
        """None does."""
        for sink in self.sinks.values():
            await sink.stop()

    async def only_down(self, name: str = "") -> None:
        """The destination `name` refuses connections, all others work: a queue that is never empty has more to lose. "": all work."""
        for one, sink in self.sinks.items():
            if one != name:
                await sink.start()
        if name:
            await self.sinks[name].stop()

    async def last_words(self, seconds: float = 10.0) -> None:
        """Read what a service that is dead now had sent, until all its connections are closed."""
        deadline = time.monotonic() + seconds
        while True:
            if not self.sessions:
                return
            if time.monotonic() > deadline:
                raise TimeoutError("connections of a dead service are still open")
            await asyncio.sleep(0.001)

    @property
    def sessions(self) -> int:
        """Connections from the service that are open."""
        return sum(sink.sessions for sink in self.sinks.values())

    @property
    def transactions(self) -> int:
        """Of these, with a message under way."""
        return sum(sink.transactions for sink in self.sinks.values())
