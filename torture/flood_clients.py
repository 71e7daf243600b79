"""The crowd of the flood test, each role a process of its own: `python -m torture.flood_clients '{"role": …}'`.

Each writes one JSON object a line to standard output when something is done, and ends when its standard input ends. Sources are
loopback addresses `127.BLOCK.x.y`, `per_source` connections each, so that the limit per address does not stand in for that in all.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import uvloop

CONNECTS_AT_ONCE = 64
PROBE_EVERY = 0.02  # seconds
CONNECT_TIMEOUT = 30.0
_EHLO = b"EHLO idle.example\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """The gateway, and where the connections of a role come from."""

    address: str
    port: int
    block: int  # the second octet of the sources
    per_source: int

    def source(self, number: int) -> tuple[str, int]:
        """The local address of connection `number`."""
        place = number // self.per_source
        return f"127.{self.block}.{place // 250}.{place % 250 + 1}", 0


def say(**values: Any) -> None:
    """Tell the harness."""
    print(json.dumps(values), flush=True)


async def until_told() -> None:
    """Wait until the harness closes standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


class Idler(asyncio.Protocol):
    """Hears the greeting, says EHLO, hears the answer, and is silent from then on (with TLS: after STARTTLS and another EHLO)."""

    ended = 0

    def __init__(self) -> None:
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """A whole reply answers what was said last."""
        self._heard += data
        if self._heard.endswith(b"\n") and self._heard.splitlines()[-1][3:4] == b" " and not self.answered.done():
            self.answered.set_result(self._heard[:1] == b"2")
            self._heard = b""

    async def say(self, line: bytes) -> bool:
        """Say it; whether the answer is good."""
        self.answered = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(line)
        return await self.answered

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        Idler.ended += 1
        if not self.answered.done():
            self.answered.set_result(False)


async def idle(target: Target, options: dict[str, Any]) -> None:
    """`count` connections that stay. Says {"ready": n, "refused": m, "seconds": s}; at the end {"cut": n}."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
    context = _trusting() if options.get("tls") else None
    kept: list[Idler] = []

    async def one(number: int) -> bool:
        async with gate:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    _, idler = await loop.create_connection(Idler, target.address, target.port, local_addr=target.source(number))
                    kept.append(idler)
                    return await idler.answered and await idler.say(_EHLO) and (context is None or await _encrypt(idler, context))
            except OSError:
                return False

    began = time.monotonic()
    made = sum(await asyncio.gather(*map(one, range(options["count"]))))
    ended = Idler.ended
    say(ready=made, refused=options["count"] - made, seconds=time.monotonic() - began)
    await until_told()
    say(cut=Idler.ended - ended)


async def _encrypt(idler: Idler, context: ssl.SSLContext) -> bool:
    if not await idler.say(b"STARTTLS\r\n"):
        return False
    assert idler.transport is not None
    new = await asyncio.get_running_loop().start_tls(idler.transport, idler, context)
    idler.transport = cast("asyncio.Transport", new)
    return await idler.say(_EHLO)


class Trickler(asyncio.Protocol):
    """Sends octets of a command, or of content, one a second, until it is cut. `opening`: what it says before, in steps."""

    def __init__(self, opening: list[bytes], begin: float) -> None:
        self.in_content = len(opening) > 1
        self.cut: asyncio.Future[tuple[float, str]] = asyncio.get_running_loop().create_future()
        self.began = 0.0
        self._opening = opening
        self._begin = begin
        self._last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Each complete reply brings the next step of the opening; then the trickle begins."""
        self._last = (self._last + data)[-200:]
        line = self._last.rstrip(b"\r\n").rpartition(b"\n")[2]
        if self.began or not data.endswith(b"\n") or line[3:4] != b" ":
            return
        if line[:1] in b"45":
            self.transport.close()
        elif self._opening:
            self.transport.write(self._opening.pop(0))
        else:
            self.began = time.monotonic()
            asyncio.get_running_loop().call_later(self._begin, self._drip)

    def _drip(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"x")
            asyncio.get_running_loop().call_later(1.0, self._drip)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        lived = time.monotonic() - self.began if self.began else -1.0
        if not self.cut.done():
            self.cut.set_result((lived, self._last.rstrip(b"\r\n").rpartition(b"\n")[2].decode("ascii", "replace")[:3]))


async def trickle(target: Target, options: dict[str, Any]) -> None:
    """`count` connections, every other one in content for `recipient`. Says {"begun": n} once all trickle, and {"command": [min, max],
    "content": [min, max], "replies": {…}, "uncut": n}: how long they lived, and what they heard last; after `patience` seconds.
    """
    loop = asyncio.get_running_loop()
    hello = [b"EHLO trickle.example\r\n"]
    content = [*hello, b"MAIL FROM:<slow@trickle.example>\r\n", f"RCPT TO:<{options['recipient']}>\r\n".encode(), b"DATA\r\n"]
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
    all_of_them: list[Trickler] = []

    async def one(number: int) -> None:
        async with gate:
            opening = list(content if number % 2 else hello)
            _, trickler = await loop.create_connection(
                lambda: Trickler(opening, (number % 100) / 100), target.address, target.port, local_addr=target.source(number)
            )
            all_of_them.append(trickler)

    await asyncio.gather(*map(one, range(options["count"])))
    await asyncio.sleep(1.0)
    say(begun=sum(one.began > 0 for one in all_of_them))
    told = asyncio.ensure_future(until_told())
    waits: list[asyncio.Future[Any]] = [told, asyncio.gather(*(one.cut for one in all_of_them))]
    await asyncio.wait(waits, timeout=options["patience"], return_when=asyncio.FIRST_COMPLETED)
    lived: dict[bool, list[float]] = {False: [], True: []}
    replies: Counter[str] = Counter()
    uncut = 0
    for one_of_them in all_of_them:
        if not one_of_them.cut.done():
            uncut += 1
            continue
        seconds, reply = one_of_them.cut.result()
        lived[one_of_them.in_content].append(seconds)
        replies[reply] += 1
    say(command=_range(lived[False]), content=_range(lived[True]), replies=dict(replies), uncut=uncut)
    await told


def _range(values: list[float]) -> list[float]:
    return [round(min(values), 3), round(max(values), 3)] if values else [0.0, 0.0]


class Prober(asyncio.Protocol):
    """A new client that wants to see 220."""

    def __init__(self) -> None:
        self.greeted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if not self.greeted.done():
            self.greeted.set_result(data)
        self.transport.write(b"QUIT\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.greeted.done():
            self.greeted.set_result(b"")


async def probe(target: Target, options: dict[str, Any]) -> None:
    """A new client each PROBE_EVERY seconds, whether or not the last one was served. At the end says {"milliseconds": [sorted], "codes":
    {…}}: from connect to the first octets.
    """
    loop = asyncio.get_running_loop()
    took: list[float] = []
    codes: Counter[str] = Counter()
    running: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        began = time.monotonic()
        code = "none"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, prober = await loop.create_connection(
                    Prober, target.address, target.port, local_addr=target.source(number % (50 * target.per_source))
                )
                code = (await prober.greeted)[:3].decode("ascii", "replace") or "closed"
        except OSError as error:
            code = type(error).__name__
        took.append((time.monotonic() - began) * 1000)
        codes[code] += 1

    told = asyncio.ensure_future(until_told())
    number = 0
    while not told.done():
        task = asyncio.ensure_future(one(number))
        running.add(task)
        task.add_done_callback(running.discard)
        number += 1
        await asyncio.sleep(PROBE_EVERY)
    if running:
        await asyncio.wait(running)
    say(milliseconds=sorted(round(one, 2) for one in took), codes=dict(codes))


class Sender(asyncio.Protocol):
    """One kept session: message after message, each after the 250 to the one before."""

    accepted = 0
    slowest = 0.0  # seconds from what was said to its reply
    refused: ClassVar[Counter[str]] = Counter()

    def __init__(self, envelope: bytes, content: bytes) -> None:
        self._envelope = envelope
        self._content = content
        self._state = "greeting"
        self._heard = b""
        self._said_at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._heard += data
        lines = self._heard.split(b"\r\n")
        last = lines[-2] if len(lines) > 1 else b""
        if lines[-1] or last[3:4] != b" ":
            return
        if self._state == "envelope" and len(lines) < 4 and last[:1] == b"2":
            return  # MAIL, RCPT, DATA: three replies
        self._heard = b""
        now = time.monotonic()
        Sender.slowest = max(Sender.slowest, now - self._said_at)
        self._said_at = now
        self._step(last)

    def _step(self, last: bytes) -> None:
        if last[:1] in b"45":
            Sender.refused[last[:3].decode()] += 1
            self.transport.close()
        elif self._state == "greeting":
            self._state = "hello"
            self.transport.write(b"EHLO own.example\r\n")
        elif self._state == "envelope":
            self._state = "content"
            self.transport.write(self._content)
        else:
            Sender.accepted += self._state == "content"
            self._state = "envelope"
            self.transport.write(self._envelope)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        Sender.refused["lost"] += 1


async def mail(target: Target, options: dict[str, Any]) -> None:
    """The organization's own server: `sessions` kept sessions from its one address, as fast as the gateway answers, for `seconds` (0: until
    told). Says {"accepted": n, "seconds": s, "refused": {…}, "slowest": milliseconds that a reply took at most}.
    """
    loop = asyncio.get_running_loop()
    envelope = f"MAIL FROM:<own@own.example>\r\nRCPT TO:<{options['recipient']}>\r\nDATA\r\n".encode()
    content = b"Subject: flood test\r\nMessage-ID: <1@own.example>\r\n\r\n" + (b"x" * 70 + b"\r\n") * 14 + b".\r\n"
    sessions = [
        await loop.create_connection(lambda: Sender(envelope, content), target.address, target.port, local_addr=(options["source"], 0))
        for _ in range(options["sessions"])
    ]
    began, before = time.monotonic(), Sender.accepted
    await (asyncio.sleep(options["seconds"]) if options["seconds"] else until_told())
    took = time.monotonic() - began
    say(accepted=Sender.accepted - before, seconds=took, refused=dict(Sender.refused), slowest=Sender.slowest * 1000)
    for transport, _ in sessions:
        transport.abort()


class Drain(asyncio.Protocol):
    """A next hop that takes everything and keeps nothing."""

    def __init__(self) -> None:
        self._buffer = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        buffer = self._buffer + data
        replies: list[bytes] = []
        while buffer:
            if self._in_content:
                end = buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                buffer = buffer[end + 5 :]
                self._in_content = False
                replies.append(b"250 2.0.0 Ok\r\n")
                continue
            line, newline, rest = buffer.partition(b"\r\n")
            if not newline:
                break
            buffer = rest
            self._in_content = line.upper() == b"DATA"
            replies.append(_DRAIN_ANSWERS.get(line[:4].upper(), b"250 2.0.0 Ok\r\n"))
        self._buffer = buffer
        self.transport.write(b"".join(replies))


_DRAIN_ANSWERS = {b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n", b"DATA": b"354 Go on\r\n", b"QUIT": b"221 Bye\r\n"}


async def sink(_target: Target, options: dict[str, Any]) -> None:
    """Serves as a next hop at `listen` and `listen_port` (default: loopback, any port); says {"port": n}."""
    where = options.get("listen", "127.0.0.1"), options.get("listen_port", 0)
    server = await asyncio.get_running_loop().create_server(Drain, *where, backlog=1024)
    say(port=server.sockets[0].getsockname()[1])
    await until_told()


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


ROLES = {"idle": idle, "trickle": trickle, "probe": probe, "mail": mail, "sink": sink}


def main(text: str) -> None:
    """Play the role that `text`, a JSON object, describes."""
    options: dict[str, Any] = json.loads(text)
    target = Target(options.get("address", ""), options.get("port", 0), options.get("block", 0), options.get("per_source", 1))
    uvloop.run(ROLES[options["role"]](target, options))


if __name__ == "__main__":
    main(sys.argv[1])
