"""The sender: sessions that hand over mail as fast as they are let, note every 250 in the sender's book, and try again what got none.

Written without the service's own SMTP code, as receiver.py is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import re
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from torture.ledger import Acknowledged, SenderBook
from torture.receiver import ATTEMPT_HEADER

_QUEUED = re.compile(r"queued as (\S+)")
_REPLY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to hand over. `name`: unique in a run; `body`: CRLF lines."""

    name: str
    sender: str
    recipients: tuple[str, ...]
    body: bytes

    def content(self, attempt: int) -> bytes:
        """The octets of one attempt."""
        head = ATTEMPT_HEADER + f"{self.name}.{attempt}\r\nFrom: <{self.sender}>\r\nTo: <{self.recipients[0]}>\r\n".encode()
        return head + f"Message-ID: <{self.name}.{attempt}@senders.example>\r\nSubject: Torture\r\n\r\n".encode() + self.body


Workload = Callable[[random.Random, int], Mail]
"""What to send: a seeded source of chance and the message's number in."""


def mixed_workload(recipients: tuple[str, ...], *, each: int = 3, octets: int = 4096, large_every: int = 200) -> Workload:
    """Mail to `each` of `recipients`; bodies of up to `octets`, with lines that begin with dots; one in `large_every` of 300 KiB."""
    line = b"..a line that begins with dots\r\n.\x20one dot, then text\r\n" + b"x" * 70 + b"\r\n"

    def make(rng: random.Random, number: int) -> Mail:
        size = 300 * 1024 if large_every and number % large_every == large_every - 1 else rng.randrange(1, octets)
        body = b"%d\r\n" % number + line * (size // len(line) + 1)
        return Mail(f"m{number}", "sender@senders.example", tuple(rng.sample(recipients, each)), body)

    return make


class _Gone(Exception):
    """The connection is of no more use."""


class Sender:
    """`sessions` parallel ones, every second with STARTTLS where `tls` is given. `rate`: messages a second in all, 0 for no limit.
    `kept`: messages of one connection. `acknowledged`, `unacknowledged`: attempts that got a 250, that got none; `replies`: other replies
    to content or MAIL, by their first 9 characters; `refused`: messages that were refused for good, and not tried again.
    `on_acknowledged`: called after each line in the book.
    """

    def __init__(
        self,
        address: str,
        port: int,
        book: SenderBook,
        workload: Workload,
        *,
        seed: int,
        sessions: int = 20,
        tls: ssl.SSLContext | None = None,
        rate: float = 0.0,
        kept: int = 50,
        source: str = "",
    ) -> None:
        self.address = address
        self.port = port
        self.book = book
        self.acknowledged = 0
        self.unacknowledged = 0
        self.replies: Counter[str] = Counter()
        self.refused: list[str] = []
        self.on_acknowledged: Callable[[Acknowledged], None] = lambda _record: None
        self.retry_after = 0.05
        self._workload = workload
        self._rng = random.Random(seed)
        self._sessions = sessions
        self._tls = tls
        self._rate = rate
        self._kept = kept
        self._source = source
        self._again: deque[tuple[Mail, int]] = deque()
        self._number = 0
        self._next_slot = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._limit: int | None = None

    def start(self, messages: int | None = None) -> None:
        """Begin sending; `messages`: end by itself after so many new ones (with what must be tried again)."""
        self._stop.clear()
        self._limit = None if messages is None else self._number + messages
        self._tasks = [asyncio.create_task(self._session(number)) for number in range(self._sessions)]

    async def finish(self) -> None:
        """Wait until all of `messages` were acknowledged or refused."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """End after the transactions under way. What got no 250 then is not tried again, unless `start` follows."""
        self._stop.set()
        done, _ = await asyncio.wait(self._tasks, timeout=_REPLY_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in done:
            if not task.cancelled():
                task.result()

    def _next(self) -> tuple[Mail, int] | None:
        if self._again:
            return self._again.popleft()
        if self._limit is not None and self._number >= self._limit:
            return None
        mail = self._workload(self._rng, self._number)
        self._number += 1
        return mail, 1

    async def _slot(self) -> None:
        if self._rate:
            now = time.monotonic()
            self._next_slot = max(now, self._next_slot + 1 / self._rate)
            await asyncio.sleep(self._next_slot - now)

    async def _session(self, number: int) -> None:
        while not self._stop.is_set():
            connection = None
            try:
                connection = await _Connection.open(self, self._tls if number % 2 else None, self._source)
                for _ in range(self._kept):
                    await self._slot()
                    if self._stop.is_set():
                        break
                    if (work := self._next()) is None:
                        return
                    await self._hand_over(connection, *work)
                await connection.quit()
            except (OSError, EOFError, _Gone, ssl.SSLError):
                if not self._stop.is_set():
                    await asyncio.sleep(self.retry_after)
            finally:
                if connection is not None:
                    connection.close()

    async def _hand_over(self, connection: _Connection, mail: Mail, attempt: int) -> None:
        content = mail.content(attempt)
        try:
            reply = await connection.transaction(mail, content)
        except BaseException:
            self.unacknowledged += 1
            self._again.append((mail, attempt + 1))
            raise
        if reply.startswith("250"):
            found = _QUEUED.search(reply)
            record = Acknowledged(
                f"{mail.name}.{attempt}",
                mail.recipients,
                hashlib.sha256(content).hexdigest(),
                found[1] if found else "",
                time.monotonic(),
            )
            self.book.write(record)
            self.acknowledged += 1
            self.on_acknowledged(record)
            return
        self.unacknowledged += 1
        self.replies[reply[:9]] += 1
        if reply.startswith("5"):
            self.refused.append(reply)
            return
        self._again.append((mail, attempt + 1))
        if reply.startswith("421"):
            raise _Gone
        await asyncio.sleep(self.retry_after)


class _Connection:
    """One SMTP connection of the sender, greeted and encrypted where wanted."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sender: Sender, tls: ssl.SSLContext | None, source: str) -> _Connection:
        local = (source, 0) if source else None
        reader, writer = await asyncio.wait_for(asyncio.open_connection(sender.address, sender.port, local_addr=local), _REPLY_SECONDS)
        connection = cls(reader, writer)
        try:
            await connection._expect("220")
            await connection._ask("EHLO client.senders.example")
            if tls is not None:
                await connection._ask("STARTTLS", "220")
                await writer.start_tls(tls, ssl_handshake_timeout=_REPLY_SECONDS)
                await connection._ask("EHLO client.senders.example")
        except BaseException:
            connection.close()
            raise
        return connection

    async def transaction(self, mail: Mail, content: bytes) -> str:
        """Hand over one message: the reply that decided it."""
        commands = [f"MAIL FROM:<{mail.sender}> BODY=8BITMIME", *(f"RCPT TO:<{one}>" for one in mail.recipients), "DATA"]
        self._writer.write("".join(f"{line}\r\n" for line in commands).encode())
        replies = [await self._reply() for _ in commands]
        bad = [reply for reply in replies[:-1] if not reply.startswith("250")]
        if not replies[-1].startswith("354"):
            if not any(reply.startswith("421") for reply in replies):
                await self._ask("RSET")
            return bad[0] if bad else replies[-1]
        if bad:
            raise _Gone  # some recipients only: the attempt is given up, so that the book stays simple
        self._writer.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        await self._writer.drain()
        return await self._reply()

    async def quit(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(_Gone, OSError, EOFError):
            await self._ask("QUIT", "221")

    def close(self) -> None:
        """Break it."""
        if not self._writer.is_closing():
            self._writer.transport.abort()

    async def _ask(self, line: str, code: str = "250") -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._expect(code)

    async def _expect(self, code: str) -> None:
        if not (await self._reply()).startswith(code):
            raise _Gone

    async def _reply(self) -> str:
        """One whole reply; its last line."""
        try:
            async with asyncio.timeout(_REPLY_SECONDS):
                while True:
                    line = (await self._reader.readuntil(b"\r\n")).decode()
                    if line[3:4] != "-":
                        return line.rstrip()
        except TimeoutError as error:
            raise _Gone from error
