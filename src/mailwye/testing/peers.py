"""Scripted mail servers for the demo, the simulated world and tests: they take mail, remember it, or fail in a scripted way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network, Server
from mailwye.runtime.tls import PresentedCertificate, ServerTlsContext, TlsError, TlsLayer
from mailwye.smtp import events
from mailwye.smtp.reply import Reply
from mailwye.smtp.server import ServerConfig, ServerConnection

TAKEN = Reply(250, "2.0.0", "Ok: taken")


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message as it arrived: envelope, content octets, and what the session proved."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    hello: str
    peer_address: str
    tls_version: str
    certificate: PresentedCertificate | None
    at: float


@dataclass(slots=True)
class Script:
    """What the peer does. Each reply stands for one stage; None answers it well. `drop_at`: "data" | "end": the connection is lost there
    without a reply; "taken": so is it, but the message was taken. `silent_at`: "greeting" | "mail" | "end": it says nothing there.
    `end_after`: seconds that the reply to the content takes.
    """

    greeting: Reply | None = None
    mail: Reply | None = None
    rcpt: Callable[[str], Reply | None] = lambda _recipient: None
    end: Reply | None = None
    drop_at: str = ""
    silent_at: str = ""
    end_after: float = 0.0


@dataclass(slots=True)
class PeerServer:
    """One mail server: `messages` in order of arrival. Wait for more with `arrived`.

    `unanswered`: those of them whose sender was not told that they were taken, so he must send them again. `on_message`: hears of
    each that it took.
    """

    name: str
    network: Network
    clock: Clock
    tls: ServerTlsContext | None = None
    script: Script = field(default_factory=Script)
    messages: list[ReceivedMessage] = field(default_factory=list)
    unanswered: list[ReceivedMessage] = field(default_factory=list)
    sessions: int = 0
    on_message: Callable[[ReceivedMessage], None] | None = None
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)
    _server: Server | None = None

    async def start(self, address: str, port: int) -> None:
        """Listen. :raises OSError: address or port is taken."""
        self._server = await self.network.listen(lambda: _PeerSession(self), (address, port))

    def stop(self) -> None:
        """Stop accepting connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def take(self, message: ReceivedMessage) -> None:
        """Remember one message and wake who waits."""
        self.messages.append(message)
        self._arrival.set()
        if self.on_message is not None:
            self.on_message(message)

    async def arrived(self, wanted: Callable[[ReceivedMessage], bool], *, seconds: float) -> ReceivedMessage | None:
        """The first message that `wanted` accepts, arrived or still to come within `seconds`; None after that."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for message in self.messages:
                        if wanted(message):
                            return message
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError:
            return None


class _PeerSession(asyncio.Protocol):
    """Drives ServerConnection for one client of a PeerServer."""

    def __init__(self, peer: PeerServer) -> None:
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._tls: TlsLayer | None = None
        self._hello = ""
        self._sender = ""
        self._recipients: list[str] = []
        self._content: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not derive from asyncio's
        peer = self._peer
        peer.sessions += 1
        config = ServerConfig(hostname=peer.name, offer_starttls=peer.tls is not None)
        self._connection = ServerConnection(config, now=peer.clock.monotonic())
        if peer.script.greeting is not None:
            self._connection.refuse_connection(peer.script.greeting)
        elif peer.script.silent_at == "greeting":
            return
        else:
            self._connection.greet()
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            try:
                was_complete = self._tls.handshake_complete
                data = self._tls.receive_data(data)
            except TlsError:
                self._flush(b"")  # the alert that says why
                self._close()
                return
            if self._tls.handshake_complete and not was_complete:
                self._connection.tls_started(self._peer.clock.monotonic())
            self._flush(b"")
        if data:
            self._connection.receive_data(data, self._peer.clock.monotonic())
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def _pump(self) -> None:
        while self._transport is not None and (event := self._connection.next_event()) is not None:
            if isinstance(event, events.StartTlsReceived):
                assert self._peer.tls is not None
                self._flush(self._connection.data_to_send())
                self._tls = TlsLayer(self._peer.tls)
                self._tls.start()
                return
            if isinstance(event, events.ConnectionEnded):
                self._flush(self._connection.data_to_send())
                self._close()
                return
            self._handle(event)
        if self._transport is not None and (self._tls is None or self._tls.handshake_complete):
            self._flush(self._connection.data_to_send())

    def _handle(self, event: events.Event) -> None:
        script = self._peer.script
        match event:
            case events.HelloReceived(name=name):
                self._hello = name
            case events.MailReceived(sender=sender):
                self._sender, self._recipients, self._content = str(sender) if sender else "", [], []
                if script.silent_at == "mail":
                    return
                self._connection.reply(script.mail or Reply(250, "2.1.0", "Ok"))
            case events.RcptReceived(recipient=recipient):
                reply = script.rcpt(str(recipient)) or Reply(250, "2.1.5", "Ok")
                if reply.is_success:
                    self._recipients.append(str(recipient))
                self._connection.reply(reply)
            case events.DataStarted(chunking=chunking):
                if script.drop_at == "data":
                    self._close()
                    return
                self._connection.reply(Reply(250, "2.0.0", "Ok") if chunking else Reply(354, "", "End data with <CR><LF>.<CR><LF>"))
            case events.ContentReceived(data=data):
                self._content.append(bytes(data))
            case events.ContentEnded():
                self._end()
            case events.AuthReceived():
                self._connection.reply(Reply(535, "5.7.8", "Authentication credentials invalid"))
            case _:
                pass

    def _end(self) -> None:
        script = self._peer.script
        if script.drop_at == "end":
            self._close()
            return
        if script.end is None:
            self._take(told=not script.drop_at and script.silent_at != "end")
        if script.drop_at == "taken":
            self._close()
        elif script.silent_at == "end":
            return
        elif script.end_after:
            asyncio.get_running_loop().call_later(script.end_after, self._reply_late, script.end or TAKEN)
        else:
            self._connection.reply(script.end or TAKEN)

    def _take(self, *, told: bool) -> None:
        message = self._message()
        if not told:
            self._peer.unanswered.append(message)
        self._peer.take(message)

    def _reply_late(self, reply: Reply) -> None:
        if self._transport is not None:
            self._connection.reply(reply)
            self._pump()

    def _message(self) -> ReceivedMessage:
        assert self._transport is not None
        address = self._transport.get_extra_info("peername")
        return ReceivedMessage(
            sender=self._sender,
            recipients=tuple(self._recipients),
            content=b"".join(self._content),
            hello=self._hello,
            peer_address=address[0] if address else "",
            tls_version=self._tls.version if self._tls is not None else "",
            certificate=self._tls.peer_certificate if self._tls is not None else None,
            at=self._peer.clock.now(),
        )

    def _flush(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._tls is not None:
            if data:
                self._tls.send(data)
            data = self._tls.data_to_send()
        if data:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
