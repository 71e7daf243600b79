"""One HTTPS request to one address (RFC 9110, 9112): h11 and TlsLayer over the Network port.

The caller looks up the name and gives the address to dial, so that nothing is looked up twice and he may refuse addresses. Redirects are
answers like any other: nothing is followed. Everything has a limit: the whole exchange in seconds, head and body in octets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

import h11

from mailwye.runtime.network import Network
from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate, TlsError, TlsLayer

HEAD_OCTETS = 16_384
"""Status line and header fields of an answer."""

CertificateJudge = Callable[[PresentedCertificate | None], str]
"""What is wrong with the server's certificate, "" for nothing."""


class HttpsFault(Enum):
    """How far a request came."""

    CONNECT = "connect"
    CERTIFICATE = "certificate"
    TLS = "tls"
    HTTP = "http"


class HttpsError(Exception):
    """There is no answer; the text says why."""

    def __init__(self, fault: HttpsFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class HttpsRequest:
    """`host` is the name for SNI and Host; `target` path and query. `headers` beside Host, Connection and Content-Length. `authority`: what
    Host says instead, with a port that is not 443.
    """

    host: str
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    authority: str = ""


@dataclass(frozen=True, slots=True)
class HttpsResponse:
    """`content_type`: in lower case without parameters; `encoded`: the body has a content coding, which nobody asked for."""

    status: int
    content_type: str
    body: bytes
    encoded: bool = False


async def exchange(
    network: Network,
    address: str,
    port: int,
    request: HttpsRequest,
    *,
    context: ClientTlsContext,
    judge: CertificateJudge,
    timeout: float,
    body_limit: int,
) -> HttpsResponse:
    """Ask the server at the IP address `address`. Nothing is sent before `judge` has found its certificate good.

    `timeout`: seconds for everything together. A body of more than `body_limit` octets is an error.
    :raises HttpsError: no answer.
    """
    protocol: asyncio.Protocol | None = None
    try:
        async with asyncio.timeout(timeout):
            protocol = await network.connect(lambda: _Exchange(request, context, judge, body_limit), address, port, timeout=timeout)
            assert isinstance(protocol, _Exchange)
            return await protocol.answer
    except TimeoutError as error:
        fault = HttpsFault.HTTP if protocol is not None else HttpsFault.CONNECT
        raise HttpsError(fault, f"no answer from {address} port {port} within {timeout:g} s") from error
    except OSError as error:
        raise HttpsError(HttpsFault.CONNECT, f"cannot connect to {address} port {port}: {error.strerror or error}") from error
    finally:
        if isinstance(protocol, _Exchange):
            protocol.close()


class _Exchange(asyncio.Protocol):
    """One connection with one request. `answer` is done with the response or the HttpsError."""

    def __init__(self, request: HttpsRequest, context: ClientTlsContext, judge: CertificateJudge, body_limit: int) -> None:
        self.answer: asyncio.Future[HttpsResponse] = asyncio.get_running_loop().create_future()
        self._request = request
        self._judge = judge
        self._body_limit = body_limit
        self._tls = TlsLayer(context, server_name=request.host)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_OCTETS)
        self._transport: asyncio.Transport | None = None
        self._head: h11.Response | None = None
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._tls.start()
        self._flush()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        shaking = not self._tls.handshake_complete
        try:
            plain = self._tls.receive_data(data)
        except TlsError as error:
            self._flush()
            self._fail(HttpsFault.TLS, str(error))
            return
        self._flush()
        if shaking and self._tls.handshake_complete and not self._begin():
            return
        if plain:
            self._read(plain)
        if self._tls.peer_closed:
            self._read(b"")

    def eof_received(self) -> bool:
        """See asyncio."""
        # An end without close_notify may be a cut: what would end there by the end of the connection is not believed (RFC 9112 9.8).
        self._fail(HttpsFault.HTTP, "the connection ended before the answer did")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._fail(HttpsFault.HTTP, "the connection was lost before the answer came")

    def close(self) -> None:
        """Nothing more is wanted."""
        if self._transport is not None:
            self._tls.close()
            self._flush()
            self._transport.close()

    def _begin(self) -> bool:
        """The handshake is over: judge, then ask."""
        wrong = self._judge(self._tls.peer_certificate)
        if wrong:
            self._fail(HttpsFault.CERTIFICATE, wrong)
            return False
        request = self._request
        headers = [("Host", request.authority or request.host), ("Connection", "close"), *request.headers]
        if request.body or request.method == "POST":
            headers.append(("Content-Length", str(len(request.body))))
        octets = self._http.send(h11.Request(method=request.method, target=request.target, headers=headers)) or b""
        if request.body:
            octets += self._http.send(h11.Data(data=request.body)) or b""
        octets += self._http.send(h11.EndOfMessage()) or b""
        self._tls.send(octets)
        self._flush()
        return True

    def _read(self, plain: bytes) -> None:
        if self.answer.done():
            return
        try:
            self._http.receive_data(plain)
            while not self.answer.done():
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    break
                self._take(event)
        except h11.RemoteProtocolError as error:
            self._fail(HttpsFault.HTTP, f"the answer is no HTTP: {error}")

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._body_limit:
                self._fail(HttpsFault.HTTP, f"the answer has more than {self._body_limit} octets")
        elif isinstance(event, h11.EndOfMessage) and self._head is not None:
            fields = {name.decode("ascii"): value.decode("latin-1") for name, value in self._head.headers}
            kind = fields.get("content-type", "").partition(";")[0].strip().lower()
            encoded = fields.get("content-encoding", "identity").strip().lower() != "identity"
            self.answer.set_result(HttpsResponse(self._head.status_code, kind, bytes(self._body), encoded))

    def _fail(self, fault: HttpsFault, text: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(HttpsError(fault, text))
            self.answer.exception()  # whoever waits has it; nobody may be left to hear of it
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        data = self._tls.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)
