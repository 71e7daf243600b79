"""TLS as a layer without I/O, for both directions, on pyOpenSSL memory BIOs.

Why not the ssl module: its CERT_OPTIONAL aborts the handshake when a stranger presents an untrusted certificate, and it tells no
reason on the way out (ARCHITECTURE section 4). Here no certificate ever aborts a handshake; the verdict is told beside it.

TLS 1.2 is the floor, renegotiation and compression are refused, and there are no sessions to resume, by ticket or by id: an identity is
proved in each handshake anew (docs/decisions/0009-no-tls-sessions.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from OpenSSL import SSL, crypto

from mailwye.runtime.tls_authorities import ISSUERS_LIMIT, AuthoritySet, Judgement, Presented, RevocationLists, read_authorities, staple_of
from mailwye.runtime.tls_certificates import (
    UNREADABLE,
    ChainVerdict,
    PresentedCertificate,
    Staple,
    TlsError,
    certificate_names,
    check_pair,
    present,
    read_chain,
    read_key,
)
from mailwye.runtime.tls_names import NameTable

__all__ = ["ClientTlsContext", "PresentedCertificate", "ServerTlsContext", "TlsBroken", "TlsError", "TlsLayer"]

# TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 section 4.2). TLS 1.3 has its own list, all of it good.
# As a server without finite-field DHE: every client of Mozilla's "intermediate" profile has ECDHE. As a client with it, for old servers.
SERVER_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_CLIENT_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
_RECORD = 16_384  # plaintext of one TLS record at most (RFC 8446 section 5.1)
_PIECE = 262_144
CHAIN_LIMIT = 16
"""How many certificates of a presented chain are looked at."""


class TlsBroken(TlsError):
    """The session broke. `decrypted`: octets that came before that, whole and unchanged."""

    def __init__(self, text: str, decrypted: bytes) -> None:
        super().__init__(text)
        self.decrypted = decrypted


class _Context:
    """What both directions share."""

    __slots__ = ("openssl", "revocations")

    def __init__(
        self, method: int, ciphers: bytes, trusted_authorities: tuple[str, ...], more_lists: Iterable[str] = (), *, verifies: bool = True
    ) -> None:
        """`more_lists`: further files whose revocation lists count. `verifies`: False for a server that asks for no certificate, which
        needs no authorities (a megabyte of them).
        """
        context = SSL.Context(method)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle session keeps no record buffers
        context.set_cipher_list(ciphers)
        self.openssl = context
        self.revocations = RevocationLists((*trusted_authorities, *more_lists) if verifies else ())
        if verifies:
            self._trust(trusted_authorities)

    def _trust(self, authorities: tuple[str, ...]) -> None:
        context = self.openssl
        context.set_default_verify_paths()
        store = context.get_cert_store()
        assert store is not None
        # What an administrator lists as trusted is trusted, be it a root, an intermediate or one server's own certificate.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        for path in authorities:
            for authority in read_chain(path):
                store.add_cert(crypto.X509.from_cryptography(authority))

    def _use_pair(self, certificate: str, private_key: str) -> x509.Certificate:
        """The leaf."""
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
        return chain[0]


class ServerTlsContext(_Context):
    """Certificate, key and trusted authorities of a listener. Asks for a client certificate and lets every one pass;
    `PresentedCertificate.trusted` says what to think of it. Immutable: a changed file means a new context.
    """

    __slots__ = ("_others", "_table", "authorities", "names")

    def __init__(
        self,
        *,
        certificate: str,
        private_key: str,
        trusted_authorities: tuple[str, ...] = (),
        authorities: Mapping[str, Sequence[str]] | None = None,
        request_client_certificate: bool = True,
        others: Sequence[ServerTlsContext] = (),
    ) -> None:
        """Paths of PEM files. The system's authorities are always trusted too. `authorities`: name → files of the sets that only
        connectors trust; the handshake does not know them, `TlsLayer.judgements` asks them. `others`: contexts with further certificates;
        one of them is used where the client asks for a name that it has and this one has not (SNI). They must have the same trusted
        authorities.

        :raises TlsError: a file is missing, unreadable or no PEM, or key and certificate do not fit; names file and remedy.
        """
        lists = [file for files in (authorities or {}).values() for file in files]
        super().__init__(SSL.TLS_SERVER_METHOD, SERVER_CIPHERS.encode(), trusted_authorities, lists, verifies=request_client_certificate)
        self.authorities = read_authorities(authorities or {})
        self.names = certificate_names(self._use_pair(certificate, private_key))
        # Ours are all good, so the order is no matter of safety; a server that has one is easier to reason about (RFC 9325 section 4.2.1).
        self.openssl.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        # OpenSSL wants a session id context where it asks for certificates; a random one keeps listeners apart whatever happens.
        self.openssl.set_session_id(secrets.token_bytes(16))
        if request_client_certificate:
            self.openssl.set_verify(SSL.VERIFY_PEER, _continue)
        self._others = tuple(others)
        self._table = NameTable([self.names, *(other.names for other in self._others)])
        if self._others:
            self.openssl.set_tlsext_servername_callback(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        """OpenSSL's callback when the client's hello is there. What was set up for verifying stays that of this context."""
        asked = connection.get_servername()
        number = self._table.find(asked.decode("ascii", "replace")) if asked else None
        if number:
            connection.set_context(self._others[number - 1].openssl)


class ClientTlsContext(_Context):
    """Trusted authorities and, where wanted, a client certificate. Never aborts on a bad certificate: the caller decides by level."""

    __slots__ = ()

    def __init__(
        self,
        *,
        certificate: str = "",
        private_key: str = "",
        trusted_authorities: tuple[str, ...] = (),
        revocation_lists: tuple[str, ...] = (),
    ) -> None:
        """As ServerTlsContext. The system's authorities are always trusted too. `revocation_lists`: files whose lists count, beside those
        in the files of trusted authorities.
        """
        super().__init__(SSL.TLS_CLIENT_METHOD, _CLIENT_CIPHERS, trusted_authorities, revocation_lists)
        if certificate:
            self._use_pair(certificate, private_key or certificate)
        self.openssl.set_verify(SSL.VERIFY_PEER, _continue)
        self.openssl.set_ocsp_client_callback(_keep_staple)


def _continue(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, _ok: int) -> bool:
    """OpenSSL's verify callback: note the finding, go on. Must not raise: pyOpenSSL would blame another connection for it."""
    verdict = connection.get_app_data()
    if isinstance(verdict, ChainVerdict):
        verdict.add(error, depth, _readable(certificate))
    return True


def _keep_staple(connection: SSL.Connection, response: bytes, _data: object) -> bool:
    """OpenSSL's callback when the server has sent its OCSP response, or none: keep it, go on. What it says is judged with the level."""
    verdict = connection.get_app_data()
    if isinstance(verdict, ChainVerdict):
        verdict.stapled = response
    return True


def _readable(certificate: crypto.X509) -> x509.Certificate | None:
    try:
        return certificate.to_cryptography()
    except UNREADABLE:  # OpenSSL reads it, the stricter parser does not
        return None


class TlsLayer:
    """One TLS session between an asyncio transport and an application protocol; no I/O of its own."""

    __slots__ = (
        "_authorities",
        "_certificate",
        "_certificate_read",
        "_client",
        "_connection",
        "_context",
        "_handshaken",
        "_peer_closed",
        "_verdict",
    )

    def __init__(self, context: ServerTlsContext | ClientTlsContext, *, server_name: str = "") -> None:
        """`server_name`: SNI to send (client side only)."""
        self._context = context  # OpenSSL calls back into it, even where the connection goes on with another certificate's context
        self._connection = SSL.Connection(context.openssl, None)
        self._verdict = ChainVerdict()
        self._connection.set_app_data(self._verdict)
        self._handshaken = False
        self._peer_closed = False
        self._certificate: PresentedCertificate | None = None
        self._certificate_read = False
        self._authorities: tuple[AuthoritySet, ...] = ()
        self._client = not isinstance(context, ServerTlsContext)
        if isinstance(context, ServerTlsContext):
            self._authorities = context.authorities
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
            self._connection.request_ocsp()  # RFC 6066 section 8
            if server_name:
                self._connection.set_tlsext_host_name(server_name.encode("ascii"))

    def start(self) -> None:
        """Client: produce the ClientHello (in `data_to_send`). Server: nothing."""
        self._handshake()

    def receive_data(self, data: bytes) -> bytes:
        """Ciphertext in; decrypted application octets out (b"" while shaking hands).

        :raises TlsError: broken (TlsBroken once the handshake is over). An alert that says so to the peer is in `data_to_send`.
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
                raise TlsBroken(f"the TLS session broke: {_openssl_words(error)}", b"".join(pieces)) from error
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
    def server_name(self) -> str:
        """Server side: the name that the client asked for in lower case (SNI), "" where it asked for none."""
        return (self._connection.get_servername() or b"").decode("ascii", "replace").lower()

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
            path = self._verified_path()
            return present(certificate, self._verdict, path, chain, self._staple(path))
        digest = leaf.digest("sha256").decode("ascii").replace(":", "").lower()
        return PresentedCertificate(
            "(unreadable)", "(unreadable)", (), 0.0, 0.0, digest, trusted=False, trust_reason="unreadable certificate", chain=chain
        )

    def _verified_path(self) -> list[x509.Certificate]:
        """The peer's, leaf first; none where the chain is not trusted, or something of it is revoked."""
        path = (self._connection.get_verified_chain(as_cryptography=True) or []) if self._verdict.trusted else []
        if fault := self._context.revocations.fault(path):
            self._verdict.refuse(fault)
            return []
        return path

    def _staple(self, path: Sequence[x509.Certificate]) -> Staple | None:
        return staple_of(self._verdict.stapled, path) if self._client else None

    def issuers(self) -> list[x509.Certificate]:
        """What the peer presented behind its own certificate, unverified, at most ISSUERS_LIMIT; unreadable ones are left out."""
        chain = self._connection.get_peer_cert_chain() or []
        own = self._connection.get_peer_certificate()
        others = chain[1:] if own is not None and chain and chain[0].digest("sha256") == own.digest("sha256") else chain
        return [readable for one in others[:ISSUERS_LIMIT] if (readable := _readable(one)) is not None]

    def judgements(self, issuers: Sequence[x509.Certificate]) -> list[Judgement]:
        """What each set of [tls.authorities] says of the peer's certificate with the presented `issuers`; none without a certificate."""
        own = self._connection.get_peer_certificate() if self._authorities else None
        leaf = _readable(own) if own is not None else None
        if leaf is None:
            return []
        presented = Presented(leaf, issuers)
        return [one.judge(presented) for one in self._authorities]

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
