"""Those who send mail in a simulated world, as conscientious servers do: what was not acknowledged is kept and tried again. Everything
that was acknowledged is in a ledger, which the checkers hold against the gateways.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import cast

from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network
from mailwye.runtime.tls import ClientTlsContext, TlsLayer
from mailwye.smtp.address import parse_address
from mailwye.smtp.authentication.exchanges import PlainExchange
from mailwye.smtp.client import ClientConnection
from mailwye.smtp.client_events import (
    AuthEnded,
    ClientConfig,
    ClientEvent,
    RecipientRequest,
    ServerGone,
    ServerReady,
    TlsAccepted,
    TransactionEnded,
    TransactionRequest,
)
from mailwye.smtp.reply import Reply

TOKEN_HEADER = b"X-World-Token: "
_NOBODY = Reply(450, "4.4.1", "No connection")


@dataclass(frozen=True, slots=True)
class Mail:
    """One message to send. `name` is unique in the world; each attempt to send it has its own token. `sender` "" is the null sender.
    `fields`: more header fields, each with its CRLF.
    """

    name: str
    sender: str
    recipients: tuple[str, ...]
    body: bytes = b"Hello\r\n"
    subject: str = "A message"
    fields: bytes = b""

    def content(self, token: str) -> bytes:
        """The message of the attempt `token`."""
        return b"".join(
            (
                f"From: <{self.sender}>\r\nTo: <{self.recipients[0]}>\r\nSubject: {self.subject}\r\n".encode(),
                f"Message-ID: <{token}@world.example>\r\n".encode(),
                self.fields,
                TOKEN_HEADER + token.encode() + b"\r\n\r\n",
                self.body,
            )
        )


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A 250 to content: from now on the gateway answers for (`token`, `recipient`). `at`: the loop's time; `reply` its words."""

    token: str
    name: str
    sender: str
    recipient: str
    at: float
    reply: str
    gateway: str


@dataclass(slots=True)
class Ledger:
    """What all senders together were told. `refused`: (mail, recipient, reply) of permanent refusals in the session;
    `mails`: by the token of each attempt.
    """

    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[tuple[Mail, str, Reply]] = field(default_factory=list)
    mails: dict[str, Mail] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Login:
    """How a mail program logs in: over STARTTLS, which it does not verify."""

    username: str
    password: str
    tls: ClientTlsContext


class Sender:
    """One sending machine. `retry_after`: seconds until it tries again what was not acknowledged; it never gives up. `identity`: it uses
    STARTTLS where that is offered, with the certificate in there.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        clock: Clock,
        ledger: Ledger,
        rng: random.Random,
        *,
        login: Login | None = None,
        identity: ClientTlsContext | None = None,
    ) -> None:
        self.name = name
        self.identity = identity
        self.retry_after = 30.0
        self._network = network
        self._clock = clock
        self._ledger = ledger
        self._rng = rng
        self._login = login

    async def send(self, mail: Mail, host: str, port: int = 25) -> None:
        """Send until every recipient was acknowledged or refused for good."""
        open_recipients = mail.recipients
        while open_recipients:
            self._ledger.attempts += 1
            token = f"{mail.name}.{self._ledger.attempts}"
            self._ledger.mails[token] = mail
            replies = await self.attempt(mail, open_recipients, token, host, port)
            for recipient, reply in zip(open_recipients, replies, strict=True):
                if reply.is_success:
                    self._ledger.acknowledged.append(
                        Acknowledged(token, mail.name, mail.sender, recipient, self._clock.monotonic(), reply.text, host)
                    )
                elif reply.is_permanent:
                    self._ledger.refused.append((mail, recipient, reply))
            open_recipients = tuple(one for one, reply in zip(open_recipients, replies, strict=True) if reply.is_transient)
            if open_recipients:
                await asyncio.sleep(self.retry_after * self._rng.uniform(0.5, 1.5))

    async def attempt(self, mail: Mail, recipients: tuple[str, ...], token: str, host: str, port: int) -> list[Reply]:
        """One connection with one transaction: the reply that decided each recipient."""
        return await self.transmit(mail.sender, recipients, mail.content(token), host, port)

    async def relay(self, sender: str, recipient: str, content: bytes, host: str, port: int = 25) -> Reply:
        """Pass on what somebody else wrote, until it was taken or refused for good: that reply. The ledger does not hear of it."""
        while True:
            (reply,) = await self.transmit(sender, (recipient,), content, host, port)
            if not reply.is_transient:
                return reply
            await asyncio.sleep(self.retry_after * self._rng.uniform(0.5, 1.5))

    async def transmit(self, sender: str, recipients: tuple[str, ...], content: bytes, host: str, port: int) -> list[Reply]:
        """One connection with one transaction of these octets: the reply that decided each recipient."""
        request = TransactionRequest(
            sender=parse_address(sender) if sender else None,
            recipients=tuple(RecipientRequest(parse_address(one)) for one in recipients),
            content=content,
            size=len(content),
            body="" if content.isascii() else "8BITMIME",
        )
        try:
            session = await self._network.connect(
                lambda: _SendingSession(request, self._clock, self.name, self._login, self.identity), host, port, timeout=30.0
            )
        except OSError:
            return [_NOBODY] * len(recipients)
        assert isinstance(session, _SendingSession)
        return await session.replies


class _SendingSession(asyncio.Protocol):
    """Drives ClientConnection for one transaction. `replies` is done when every recipient is decided."""

    def __init__(
        self, request: TransactionRequest, clock: Clock, name: str, login: Login | None, identity: ClientTlsContext | None
    ) -> None:
        self._request = request
        self._clock = clock
        self._login = login
        self._context = login.tls if login is not None else identity
        self._connection = ClientConnection(ClientConfig(hostname=name), now=clock.monotonic())
        self._tls: TlsLayer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pump()

    def data_received(self, data: bytes) -> None:
        now = self._clock.monotonic()
        if self._tls is not None:
            was_complete = self._tls.handshake_complete
            data = self._tls.receive_data(data)
            if self._tls.handshake_complete and not was_complete:
                self._connection.tls_started(now)
        if data:
            self._connection.receive_data(data, now)
        self._pump()

    def eof_received(self) -> None:
        self._connection.receive_eof()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.receive_eof()
        self._pump()
        if self._timer is not None:
            self._timer.cancel()

    def _pump(self) -> None:
        while (event := self._connection.next_event()) is not None:
            self._handle(event, self._clock.monotonic())
        data = self._connection.data_to_send()
        if self._tls is not None:
            if data and self._tls.handshake_complete:
                self._tls.send(data)
            data = self._tls.data_to_send()
        if data:
            self._transport.write(data)
        self._arm()

    def _handle(self, event: ClientEvent, now: float) -> None:
        match event:
            case ServerReady(extensions):
                if self._context is not None and self._tls is None and (self._login is not None or extensions.starttls):
                    self._connection.start_tls(now)
                elif self._login is not None and extensions.auth:
                    self._connection.start_auth("PLAIN", PlainExchange(self._login.username, self._login.password).initial(), now)
                else:
                    self._connection.start(self._request, now)
            case TlsAccepted():
                assert self._context is not None
                self._tls = TlsLayer(self._context)
                self._tls.start()
            case AuthEnded(reply):
                if reply.is_success:
                    self._connection.start(self._request, now)
                else:
                    self._decide([reply] * len(self._request.recipients))
            case TransactionEnded(outcomes):
                self._decide([outcome.reply for outcome in outcomes])
                self._connection.quit(now)
            case ServerGone(_, reply):
                self._decide([reply if not reply.is_success else _NOBODY] * len(self._request.recipients))
                self._transport.close()
            case _:
                self._connection.quit(now)

    def _decide(self, replies: list[Reply]) -> None:
        if not self.replies.done():
            self.replies.set_result(replies)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._connection.next_deadline()
        if deadline is not None and not self._transport.is_closing():
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._connection.handle_deadline(self._clock.monotonic())
        self._pump()
