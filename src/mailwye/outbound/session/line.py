"""The octets of one outbound session: between asyncio's transport and ClientConnection, through TLS once it has begun."""

from __future__ import annotations

import asyncio

from mailwye.outbound.courier import Host, Stage
from mailwye.outbound.ticket import HostFailed, SessionSettings
from mailwye.outbound.tls_trial import TlsTrial
from mailwye.runtime.clock import Clock
from mailwye.runtime.tls import TlsBroken, TlsError, TlsLayer
from mailwye.smtp.client import ClientConnection


class Line:
    """`tls` None: plaintext so far. `failed`: why nothing may be sent over this connection. `tls_text`: "TLSv1.3 with CIPHER" or ""."""

    __slots__ = ("_client", "_clock", "_host", "_settings", "_trial", "failed", "tls", "tls_text", "transport")

    def __init__(self, host: Host, client: ClientConnection, trial: TlsTrial, settings: SessionSettings, clock: Clock) -> None:
        self.transport: asyncio.Transport | None = None
        self.tls: TlsLayer | None = None
        self.tls_text = ""
        self.failed: HostFailed | None = None
        self._host = host
        self._client = client
        self._trial = trial
        self._settings = settings
        self._clock = clock

    def start_handshake(self) -> None:
        """The peer waits for it."""
        context = self._settings.tls_context
        assert context is not None
        name = self._host.policy.base or self._host.name
        self.tls = TlsLayer(context, server_name="" if name == self._host.address else name)
        self.tls.start()
        self._send_encrypted(self.tls)

    def receive_encrypted(self, tls: TlsLayer, data: bytes, now: float) -> None:
        """Octets of the peer while TLS is on, or being started."""
        shaking = not tls.handshake_complete
        try:
            plain = tls.receive_data(data)
        except TlsError as error:
            self._send_encrypted(tls)
            if isinstance(error, TlsBroken) and not shaking:
                # The 250 to a message may have come just before: to forget it would send the message twice.
                self._client.receive_data(error.decrypted, now)
            if shaking:
                self.failed = HostFailed(Stage.TLS, self._trial.broken(str(error)), handshake=True)
            self._client.receive_eof(str(error))
            return
        self._send_encrypted(tls)
        if shaking and tls.handshake_complete:
            self._handshaken(tls, now)
        if plain:
            self._client.receive_data(plain, now)
        if tls.peer_closed:
            self._client.receive_eof()

    def _handshaken(self, tls: TlsLayer, now: float) -> None:
        certificate = tls.peer_certificate
        self._settings.remember(certificate)
        refusal = self._trial.certificate(certificate, self._clock.now())
        self.tls_text = f"{tls.version} with {tls.cipher}"
        if refusal is not None:
            self.failed = HostFailed(Stage.TLS, refusal)
            self._client.quit(now)
            return
        self._client.tls_started(now)

    def flush(self) -> None:
        """Send what the client wants to say."""
        data = self._client.data_to_send()
        transport = self.transport
        if not data or transport is None:
            return
        tls = self.tls
        if tls is None:
            transport.write(data)
            return
        try:
            tls.send(data)
        except TlsError:
            transport.abort()
            return
        self._send_encrypted(tls)

    def _send_encrypted(self, tls: TlsLayer) -> None:
        data = tls.data_to_send()
        if data and self.transport is not None:
            self.transport.write(data)
