"""TLS as a layer without I/O, for both directions, on pyOpenSSL memory BIOs.

Why not the ssl module: its CERT_OPTIONAL aborts the handshake when a stranger presents an untrusted certificate, and it tells no
reason on the way out (ARCHITECTURE section 4). Here no certificate ever aborts a handshake; the verdict is told beside it.

TLS 1.2 is the floor, renegotiation is refused, and there are no sessions to resume: an identity is proved in each handshake anew.
"""

from __future__ import annotations

import secrets

from cryptography import x509
from OpenSSL import SSL, crypto

from mailwye.runtime.tls_certificates import (
    ChainVerdict,
    PresentedCertificate,
    TlsError,
    check_pair,
    present,
    read_chain,
    read_key,
)

__all__ = ["ClientTlsContext", "PresentedCertificate", "ServerTlsContext", "TlsError", "TlsLayer"]

# TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 section 4.2). TLS 1.3 has its own list, all of it good.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
_RECORD = 16_384  # plaintext of one TLS record at most (RFC 8446 section 5.1)
_PIECE = 262_144
CHAIN_LIMIT = 16
"""How many certificates of a presented chain are looked at."""


class _Context:
    """What both directions share."""

    __slots__ = ("openssl",)

    def __init__(self, method: int, trusted_authorities: tuple[str, ...]) -> None:
        context = SSL.Context(method)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle session keeps no record buffers
        context.set_cipher_list(_CIPHERS)
        context.set_default_verify_paths()
        store = context.get_cert_store()
        assert store is not None
        # What an administrator lists as trusted is trusted, be it a root, an intermediate or one server's own certificate.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        for path in trusted_authorities:
            for authority in read_chain(path):
                store.add_cert(crypto.X509.from_cryptography(authority))
        self.openssl = context

    def _use_pair(self, certificate: str, private_key: str) -> None:
        chain, key = read_chain(certificate), read_key(private_key)
        check_pair(chain, key, certificate, private_key)
        try:
            self.openssl.use_certificate(chain[0])
            for issuer in chain[1:]:
                self.openssl.add_extra_chain_cert(issuer)
            self.openssl.use_privatekey(key)  # type: ignore[arg-type]  # other kinds of keys raise TypeError below
        except SSL.Error as error:
            raise TlsError(f"{certificate}: OpenSSL does not accept this certificate ({_openssl_words(error)})") from error
        except TypeError as error:
            raise TlsError(f"{private_key}: this kind of key cannot be used for TLS; use RSA (2048 bits or more) or EC P-256") from error


class ServerTlsContext(_Context):
    """Certificate, key and trusted authorities of a listener. Asks for a client certificate and lets every one pass;
    `PresentedCertificate.trusted` says what to think of it. Immutable: a changed file means a new context.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        certificate: str,
        private_key: str,
        trusted_authorities: tuple[str, ...] = (),
        request_client_certificate: bool = True,
    ) -> None:
        """Paths of PEM files. The system's authorities are always trusted too.

        :raises TlsError: a file is missing, unreadable or no PEM, or key and certificate do not fit; names file and remedy.
        """
        super().__init__(SSL.TLS_SERVER_METHOD, trusted_authorities)
        self._use_pair(certificate, private_key)
        # OpenSSL wants a session id context where it asks for certificates; a random one keeps listeners apart whatever happens.
        self.openssl.set_session_id(secrets.token_bytes(16))
        if request_client_certificate:
            self.openssl.set_verify(SSL.VERIFY_PEER, _continue)


class ClientTlsContext(_Context):
    """Trusted authorities and, where wanted, a client certificate. Never aborts on a bad certificate: the caller decides by level."""

    __slots__ = ()

    def __init__(self, *, certificate: str = "", private_key: str = "", trusted_authorities: tuple[str, ...] = ()) -> None:
        """As ServerTlsContext. The system's authorities are always trusted too."""
        super().__init__(SSL.TLS_CLIENT_METHOD, trusted_authorities)
        if certificate:
            self._use_pair(certificate, private_key or certificate)
        self.openssl.set_verify(SSL.VERIFY_PEER, _continue)


def _continue(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, _ok: int) -> bool:
    """OpenSSL's verify callback: note the finding, go on. Must not raise: pyOpenSSL would blame another connection for it."""
    verdict = connection.get_app_data()
    if isinstance(verdict, ChainVerdict):
        verdict.add(error, depth, _readable(certificate))
    return True


def _readable(certificate: crypto.X509) -> x509.Certificate | None:
    try:
        return certificate.to_cryptography()
    except ValueError:  # OpenSSL reads it, the stricter parser does not
        return None


class TlsLayer:
    """One TLS session between an asyncio transport and an application protocol; no I/O of its own."""

    __slots__ = ("_certificate", "_certificate_read", "_client", "_connection", "_handshaken", "_peer_closed", "_verdict")

    def __init__(self, context: ServerTlsContext | ClientTlsContext, *, server_name: str = "") -> None:
        """`server_name`: SNI to send (client side only)."""
        self._connection = SSL.Connection(context.openssl, None)
        self._verdict = ChainVerdict()
        self._connection.set_app_data(self._verdict)
        self._handshaken = False
        self._peer_closed = False
        self._certificate: PresentedCertificate | None = None
        self._certificate_read = False
        self._client = not isinstance(context, ServerTlsContext)
        if not self._client:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
            if server_name:
                self._connection.set_tlsext_host_name(server_name.encode("ascii"))

    def start(self) -> None:
        """Client: produce the ClientHello (in `data_to_send`). Server: nothing."""
        self._handshake()

    def receive_data(self, data: bytes) -> bytes:
        """Ciphertext in; decrypted application octets out (b"" while shaking hands).

        :raises TlsError: broken. An alert that says so to the peer is in `data_to_send`.
        """
        if not data:
            return b""
        self._connection.bio_write(data)
        if not self._handshaken and not self._handshake():
            return b""
        return self._read()

    def _handshake(self) -> bool:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except SSL.Error as error:
            raise TlsError(f"the TLS handshake failed: {_openssl_words(error)}") from error
        self._handshaken = True
        return True

    def _read(self) -> bytes:
        pieces: list[bytes] = []
        while not self._peer_closed:
            try:
                pieces.append(self._connection.recv(_RECORD))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._peer_closed = True
            except SSL.Error as error:
                raise TlsError(f"the TLS session broke: {_openssl_words(error)}") from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes) -> None:
        """Encrypt application octets into `data_to_send`. Only after the handshake.

        :raises TlsError: the session is closed or broken.
        """
        if not data:
            return
        try:
            self._connection.sendall(data)
        except SSL.Error as error:
            raise TlsError(f"cannot send through the TLS session: {_openssl_words(error)}") from error

    def data_to_send(self) -> bytes:
        """Ciphertext for the transport since the last call."""
        pieces: list[bytes] = []
        try:
            while True:
                piece = self._connection.bio_read(_PIECE)
                pieces.append(piece)
                if len(piece) < _PIECE:
                    break
        except SSL.WantReadError:
            pass
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def handshake_complete(self) -> bool:
        """True once application octets may flow."""
        return self._handshaken

    @property
    def peer_closed(self) -> bool:
        """True after close_notify."""
        return self._peer_closed

    def close(self) -> None:
        """Put close_notify into `data_to_send`. Harmless before the handshake and after a failure."""
        if not self._handshaken:
            return
        try:
            self._connection.shutdown()
        except SSL.Error:
            return  # the session is broken: there is nobody to notify

    @property
    def version(self) -> str:
        """As OpenSSL names it: TLSv1.3."""
        return self._connection.get_protocol_version_name()

    @property
    def cipher(self) -> str:
        """OpenSSL's name, "" before the handshake."""
        return self._connection.get_cipher_name() or ""

    @property
    def bits(self) -> int:
        """Secret key bits, 0 before the handshake."""
        return self._connection.get_cipher_bits() or 0

    @property
    def peer_certificate(self) -> PresentedCertificate | None:
        """The peer's leaf with the verdict on its chain; None where it presented none, or before the handshake."""
        if self._handshaken and not self._certificate_read:
            self._certificate_read = True
            self._certificate = self._read_certificate()
        return self._certificate

    def _read_certificate(self) -> PresentedCertificate | None:
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return None
        certificate = _readable(leaf)
        chain = self._presented_chain() if self._client else ()
        if certificate is not None:
            return present(certificate, self._verdict, chain)
        digest = leaf.digest("sha256").decode("ascii").replace(":", "").lower()
        return PresentedCertificate(
            "(unreadable)", "(unreadable)", (), 0.0, 0.0, digest, trusted=False, trust_reason="unreadable certificate", chain=chain
        )

    def _presented_chain(self) -> tuple[bytes, ...]:
        """What the server sent, as DANE needs it: one TLSA record may name any certificate of it (RFC 7672 section 3.1)."""
        sent = self._connection.get_peer_cert_chain() or ()
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in sent[:CHAIN_LIMIT])


def _openssl_words(error: SSL.Error) -> str:
    """OpenSSL's reasons for people, or what pyOpenSSL says where there are none."""
    if isinstance(error, SSL.SysCallError):
        return "the connection ended in the middle"
    queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reasons = [str(entry[2]) for entry in queue if isinstance(entry, tuple) and len(entry) > 2 and entry[2]]
    return "; ".join(dict.fromkeys(reasons)) or "no reason given"
