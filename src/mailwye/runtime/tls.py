"""TLS as a layer without I/O, for both directions, on pyOpenSSL memory BIOs. (Interface; the implementation follows.)

Why not the ssl module: its CERT_OPTIONAL aborts the handshake when a stranger presents an untrusted certificate, and it tells no
reason on the way out (ARCHITECTURE section 4).
"""

from __future__ import annotations

from dataclasses import dataclass


class TlsError(Exception):
    """The handshake or the stream failed; the text is for people."""


@dataclass(frozen=True, slots=True)
class PresentedCertificate:
    """What the peer presented. Times in Unix seconds; `names` as message/facts.PeerCertificate has them."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: float
    not_after: float
    fingerprint: str
    trusted: bool
    trust_reason: str


class ServerTlsContext:
    """Certificate, key and trusted authorities of a listener. Asks for a client certificate and lets every one pass;
    `PresentedCertificate.trusted` says what to think of it.
    """

    def __init__(
        self,
        *,
        certificate: str,
        private_key: str,
        trusted_authorities: tuple[str, ...] = (),
        request_client_certificate: bool = True,
    ) -> None:
        """Paths of PEM files.

        :raises TlsError: a file is missing, unreadable or no PEM, or key and certificate do not fit; names file and remedy.
        """
        raise NotImplementedError


class ClientTlsContext:
    """Trusted authorities and, where wanted, a client certificate. Never aborts on a bad certificate: the caller decides by level."""

    def __init__(self, *, certificate: str = "", private_key: str = "", trusted_authorities: tuple[str, ...] = ()) -> None:
        """As ServerTlsContext. The system's authorities are always trusted too."""
        raise NotImplementedError


class TlsLayer:
    """One TLS session between an asyncio transport and an application protocol; no I/O of its own."""

    def __init__(self, context: ServerTlsContext | ClientTlsContext, *, server_name: str = "") -> None:
        """`server_name`: SNI to send (client side only)."""
        raise NotImplementedError

    def start(self) -> None:
        """Client: produce the ClientHello (in `data_to_send`). Server: nothing."""

    def receive_data(self, data: bytes) -> bytes:
        """Ciphertext in; decrypted application octets out (b"" while shaking hands). :raises TlsError: broken."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Encrypt application octets into `data_to_send`. Only after the handshake."""

    def data_to_send(self) -> bytes:
        """Ciphertext for the transport since the last call."""
        raise NotImplementedError

    @property
    def handshake_complete(self) -> bool:
        """True once application octets may flow."""
        raise NotImplementedError

    @property
    def peer_closed(self) -> bool:
        """True after close_notify."""
        raise NotImplementedError

    def close(self) -> None:
        """Put close_notify into `data_to_send`."""

    @property
    def version(self) -> str:
        """As OpenSSL names it: TLSv1.3."""
        raise NotImplementedError

    @property
    def cipher(self) -> str:
        """OpenSSL's name."""
        raise NotImplementedError

    @property
    def bits(self) -> int:
        """Secret key bits."""
        raise NotImplementedError

    @property
    def peer_certificate(self) -> PresentedCertificate | None:
        """The peer's leaf with the verdict on its chain; None where it presented none."""
        raise NotImplementedError
