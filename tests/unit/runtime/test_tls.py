"""TLS between two layers in memory: who is trusted and why, byte by byte, and what must not work."""

from __future__ import annotations

import contextlib
import datetime
import gc
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate, ServerTlsContext, TlsBroken, TlsError, TlsLayer
from tests.unit.runtime.tls_pki import Issued, issue, trust


class Pki:
    """One root, and a server context that trusts it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = issue("Test root", authority=True)
        self.trusted = trust(directory, self.root)
        server = issue("mx.example", issuer=self.root, names=("mx.example",))
        self.certificate, self.key = server.write(directory, "server")
        self.server = ServerTlsContext(certificate=self.certificate, private_key=self.key, trusted_authorities=self.trusted)

    def client(self, issued: Issued | None = None, *, with_issuers: bool = True) -> ClientTlsContext:
        if issued is None:
            return ClientTlsContext(trusted_authorities=self.trusted)
        certificate, key = issued.write(self.directory, "client", with_issuers=with_issuers)
        return ClientTlsContext(certificate=certificate, private_key=key, trusted_authorities=self.trusted)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def carry(source: TlsLayer, target: TlsLayer, step: int = 0) -> bytes:
    """Ciphertext from one to the other in pieces of `step` octets (0: whole); what the other decrypted."""
    data = source.data_to_send()
    step = step or len(data) or 1
    return b"".join(target.receive_data(data[i : i + step]) for i in range(0, len(data), step))


def shake(client: TlsLayer, server: TlsLayer, step: int = 0) -> None:
    client.start()
    server.start()
    for _ in range(6):
        carry(client, server, step)
        carry(server, client, step)
    assert client.handshake_complete
    assert server.handshake_complete


def presented(pki: Pki, issued: Issued, *, with_issuers: bool = True) -> PresentedCertificate:
    """What the server thinks of a client with this certificate; mail goes on either way."""
    client, server = TlsLayer(pki.client(issued, with_issuers=with_issuers)), TlsLayer(pki.server)
    shake(client, server)
    client.send(b"EHLO x\r\n")
    assert carry(client, server) == b"EHLO x\r\n"
    certificate = server.peer_certificate
    assert certificate is not None
    return certificate


@pytest.mark.parametrize("step", [0, 1, 7])
def test_octets_pass_both_ways_however_the_stream_is_cut(pki: Pki, step: int) -> None:
    client, server = TlsLayer(pki.client(), server_name="mx.example"), TlsLayer(pki.server)
    shake(client, server, step)
    message = b"x" * 100_000
    client.send(message)
    assert carry(client, server, step) == message
    server.send(b"250 Ok\r\n")
    assert carry(server, client, step) == b"250 Ok\r\n"
    assert server.version == client.version == "TLSv1.3"
    assert server.cipher.startswith("TLS_")
    assert server.bits >= 128
    assert server.peer_certificate is None
    assert client.peer_certificate is not None
    assert client.peer_certificate.trusted
    assert client.peer_certificate.names == ("mx.example",)


def test_application_octets_right_behind_the_handshake_are_not_lost(pki: Pki) -> None:
    client, server = TlsLayer(pki.client()), TlsLayer(pki.server)
    client.start()
    carry(client, server)
    carry(server, client)
    client.send(b"EHLO x\r\n")
    assert carry(client, server) == b"EHLO x\r\n"


def test_close_notify_is_seen(pki: Pki) -> None:
    client, server = TlsLayer(pki.client()), TlsLayer(pki.server)
    shake(client, server)
    client.send(b"QUIT\r\n")
    client.close()
    assert carry(client, server) == b"QUIT\r\n"
    assert server.peer_closed
    server.close()
    carry(server, client)
    assert client.peer_closed


def test_certificate_of_trusted_authority_names_the_authority(pki: Pki) -> None:
    found = presented(pki, issue("mail.contoso.com", issuer=pki.root, names=("mail.contoso.com", "*.Contoso.com")))
    assert found.trusted
    assert found.trust_reason == "chain to the trusted authority CN=Test root"
    assert found.names == ("mail.contoso.com", "*.contoso.com")
    assert found.subject == "CN=mail.contoso.com"
    assert found.issuer == "CN=Test root"
    assert len(found.fingerprint) == 64
    assert found.not_before < found.not_after


def test_strangers_are_let_in_untrusted_with_the_reason(pki: Pki) -> None:
    alone = presented(pki, issue("stranger.example", names=("stranger.example",)))
    assert (alone.trusted, alone.trust_reason) == (False, "self-signed certificate")
    foreign = presented(pki, issue("stranger.example", issuer=issue("Foreign root", authority=True)))
    assert not foreign.trusted
    assert foreign.trust_reason.startswith("issued by an authority that is not trusted: CN=Foreign root")


def test_same_authority_name_with_another_key_is_not_trusted(pki: Pki) -> None:
    assert not presented(pki, issue("mail.contoso.com", issuer=issue("Test root", authority=True))).trusted


def test_foreign_root_in_the_chain_is_not_trusted_by_being_sent(pki: Pki) -> None:
    foreign = issue("Foreign root", authority=True)
    leaf = issue("a.example", issuer=foreign)
    found = presented(pki, Issued(leaf.certificate, leaf.key, (foreign.certificate,)))
    assert (found.trusted, found.trust_reason) == (False, "issued by an authority that is not trusted: CN=Foreign root")


def test_dates(pki: Pki) -> None:
    past = datetime.datetime(2020, 2, 3, tzinfo=datetime.UTC)
    expired = presented(pki, issue("a.example", issuer=pki.root, start=past, end=past + datetime.timedelta(days=1)))
    assert (expired.trusted, expired.trust_reason) == (False, "expired on 2020-02-04")
    future = datetime.datetime(2090, 2, 3, tzinfo=datetime.UTC)
    early = presented(pki, issue("a.example", issuer=pki.root, start=future, end=future + datetime.timedelta(days=1)))
    assert (early.trusted, early.trust_reason) == (False, "not valid before 2090-02-03")


def test_intermediate_must_be_presented(pki: Pki) -> None:
    intermediate = issue("Test intermediate", issuer=pki.root, authority=True)
    leaf = issue("mail.contoso.com", issuer=intermediate, names=("mail.contoso.com",))
    assert presented(pki, leaf).trusted
    without = presented(pki, leaf, with_issuers=False)
    assert not without.trusted
    assert "CN=Test intermediate, or the peer left out an intermediate certificate" in without.trust_reason


def test_expired_intermediate_is_named(pki: Pki) -> None:
    past = datetime.datetime(2020, 2, 3, tzinfo=datetime.UTC)
    intermediate = issue("Old authority", issuer=pki.root, authority=True, start=past, end=past + datetime.timedelta(days=1))
    found = presented(pki, issue("a.example", issuer=intermediate))
    assert (found.trusted, found.trust_reason) == (False, "authority CN=Old authority: expired on 2020-02-04")


def test_server_only_certificate_identifies_a_client_too(pki: Pki) -> None:
    """docs/decisions/0001: mail servers present their one certificate in both directions."""
    assert presented(pki, issue("mail.contoso.com", issuer=pki.root, usages=(ExtendedKeyUsageOID.SERVER_AUTH,))).trusted
    assert presented(pki, issue("mail.contoso.com", issuer=pki.root, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))).trusted
    assert presented(pki, issue("mail.contoso.com", issuer=pki.root, usages=())).trusted
    other = presented(pki, issue("mail.contoso.com", issuer=pki.root, usages=(ExtendedKeyUsageOID.CODE_SIGNING,)))
    assert (other.trusted, other.trust_reason) == (False, "its key usage does not allow TLS")


def test_leaf_cannot_issue(pki: Pki) -> None:
    leaf = issue("mail.contoso.com", issuer=pki.root)
    forged = issue("mail.fabrikam.com", issuer=leaf)
    found = presented(pki, Issued(forged.certificate, forged.key, (leaf.certificate,)))
    assert not found.trusted


def test_name_constraints_hold(pki: Pki) -> None:
    only = x509.NameConstraints(permitted_subtrees=[x509.DNSName("fabrikam.com")], excluded_subtrees=None)
    bound = issue("Bound authority", issuer=pki.root, authority=True, constraints=only)
    assert presented(pki, issue("a", issuer=bound, names=("a.fabrikam.com",))).trusted
    breach = presented(pki, issue("a", issuer=bound, names=("a.contoso.com",)))
    assert not breach.trusted
    assert "name constraints" in breach.trust_reason


def test_weak_key_of_a_stranger_does_not_stop_the_session(pki: Pki) -> None:
    weak = issue("weak.example", issuer=pki.root, key=rsa.generate_private_key(65537, 1024))
    certificate, key = weak.write(pki.directory, "weak")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(certificate, key)
    server = TlsLayer(pki.server)
    standard_library_handshake(context, server)
    assert server.peer_certificate is not None
    assert (server.peer_certificate.trusted, server.peer_certificate.trust_reason) == (False, "its key is too weak")


def standard_library_handshake(context: ssl.SSLContext, server: TlsLayer, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """Another implementation's client against our server layer, with an exchange of octets that carries tickets, if any."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="mx.example", session=session)
    for _ in range(6):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        server.receive_data(outgoing.read())
        incoming.write(server.data_to_send())
    assert server.handshake_complete
    server.send(b"220 x\r\n")
    incoming.write(server.data_to_send())
    assert client.read(100) == b"220 x\r\n"
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_is_resumed_so_no_identity_is_carried_over(pki: Pki, version: ssl.TLSVersion) -> None:
    """C5: the second session presents no certificate and must not inherit the first one's."""
    certificate, key = issue("mail.contoso.com", issuer=pki.root).write(pki.directory, "resuming")
    context = ssl.create_default_context(cafile=pki.trusted[0])
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate, key)
    first_server = TlsLayer(pki.server)
    first = standard_library_handshake(context, first_server)
    assert first_server.peer_certificate is not None
    second_server = TlsLayer(pki.server)
    second = standard_library_handshake(context, second_server, first.session)
    assert not second.session_reused


def test_renegotiation_is_refused(pki: Pki) -> None:
    """W8: a TLS 1.2 client that starts a second handshake gets the alert no_renegotiation; the session with its identity goes on."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client, server = SSL.Connection(context, None), TlsLayer(pki.server)
    client.set_connect_state()
    for _ in range(4):
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        with contextlib.suppress(SSL.WantReadError):
            server.receive_data(client.bio_read(100_000))
        if answer := server.data_to_send():
            client.bio_write(answer)
    assert server.handshake_complete
    client.renegotiate()
    with contextlib.suppress(SSL.WantReadError):
        client.do_handshake()
    assert server.receive_data(client.bio_read(100_000)) == b""
    client.bio_write(server.data_to_send())
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.do_handshake()


def test_old_protocol_versions_are_refused_with_an_alert(pki: Pki) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    server = TlsLayer(pki.server)
    with pytest.raises(TlsError, match="handshake failed: unsupported protocol"):
        server.receive_data(outgoing.read())
    assert server.data_to_send()[:1] == b"\x15"  # an alert record


def test_peer_that_speaks_no_tls(pki: Pki) -> None:
    server = TlsLayer(pki.server)
    with pytest.raises(TlsError, match="the TLS handshake failed"):
        server.receive_data(b"EHLO client.example\r\n" * 3)


def test_octet_changed_on_the_way_breaks_the_session(pki: Pki) -> None:
    client, server = TlsLayer(pki.client()), TlsLayer(pki.server)
    shake(client, server)
    client.send(b"MAIL FROM:<a@b.example>\r\n")
    data = bytearray(client.data_to_send())
    data[-3] ^= 1
    with pytest.raises(TlsError, match="the TLS session broke"):
        server.receive_data(bytes(data))


def test_what_came_before_the_break_is_told(pki: Pki) -> None:
    client, server = TlsLayer(pki.client()), TlsLayer(pki.server)
    shake(client, server)
    server.send(b"250 2.0.0 queued\r\n")
    with pytest.raises(TlsBroken) as caught:
        client.receive_data(server.data_to_send() + b"no TLS at all\r\n")
    assert caught.value.decrypted == b"250 2.0.0 queued\r\n"


def test_server_that_asks_for_no_certificate_gets_none(pki: Pki) -> None:
    quiet = ServerTlsContext(certificate=pki.certificate, private_key=pki.key, request_client_certificate=False)
    client, server = TlsLayer(pki.client(issue("a.example", issuer=pki.root))), TlsLayer(quiet)
    shake(client, server)
    assert server.peer_certificate is None


def test_client_learns_the_verdict_on_a_bad_server(pki: Pki) -> None:
    certificate, key = issue("other.example", names=("other.example",)).write(pki.directory, "bad")
    client, server = TlsLayer(pki.client()), TlsLayer(ServerTlsContext(certificate=certificate, private_key=key))
    shake(client, server)
    assert client.peer_certificate is not None
    assert (client.peer_certificate.trusted, client.peer_certificate.trust_reason) == (False, "self-signed certificate")


# --- several certificates


def named(pki: Pki, *names: str, others: tuple[ServerTlsContext, ...] = (), asks: bool = True) -> ServerTlsContext:
    certificate, key = issue(names[0], issuer=pki.root, names=names).write(pki.directory, names[0].replace("*", "any"))
    return ServerTlsContext(
        certificate=certificate, private_key=key, trusted_authorities=pki.trusted, request_client_certificate=asks, others=others
    )


def names_shown(pki: Pki, context: ServerTlsContext, server_name: str) -> tuple[str, ...]:
    client, server = TlsLayer(pki.client(), server_name=server_name), TlsLayer(context)
    shake(client, server)
    assert server.server_name == server_name.lower()
    assert client.peer_certificate is not None
    assert client.peer_certificate.trusted
    return client.peer_certificate.names


def test_the_certificate_is_chosen_by_the_name_that_the_client_asks_for(pki: Pki) -> None:
    context = named(pki, "mx.contoso.com", others=(named(pki, "mx.fabrikam.com"), named(pki, "*.example.org", "example.org")))
    assert names_shown(pki, context, "mx.contoso.com") == ("mx.contoso.com",)
    assert names_shown(pki, context, "MX.fabrikam.com") == ("mx.fabrikam.com",)
    assert names_shown(pki, context, "any.example.org") == ("*.example.org", "example.org")
    assert names_shown(pki, context, "unknown.example") == ("mx.contoso.com",)
    assert names_shown(pki, context, "") == ("mx.contoso.com",)


def test_who_calls_is_recognized_whatever_name_he_asks_for(pki: Pki) -> None:
    context = named(pki, "mx.contoso.com", others=(named(pki, "mx.fabrikam.com"),))
    for name in ("mx.contoso.com", "mx.fabrikam.com"):
        client, server = (
            TlsLayer(pki.client(issue("own.example", issuer=pki.root, names=("own.example",))), server_name=name),
            TlsLayer(context),
        )
        shake(client, server)
        assert server.peer_certificate is not None
        assert (server.peer_certificate.trusted, server.peer_certificate.names) == (True, ("own.example",))
    stranger, server = TlsLayer(pki.client(issue("own.example", names=("own.example",))), server_name="mx.fabrikam.com"), TlsLayer(context)
    shake(stranger, server)
    assert server.peer_certificate is not None
    assert server.peer_certificate.trust_reason == "self-signed certificate"


def test_a_handshake_that_began_before_the_certificates_changed_ends_well(pki: Pki) -> None:
    """Its context is nobody else's any more when OpenSSL calls back into it."""
    client = TlsLayer(pki.client(issue("own.example", issuer=pki.root, names=("own.example",))), server_name="mx.fabrikam.com")
    server = TlsLayer(named(pki, "mx.contoso.com", others=(named(pki, "mx.fabrikam.com"),)))
    client.start()
    carry(client, server)
    gc.collect()
    carry(server, client)
    gc.collect()
    carry(client, server)
    assert server.peer_certificate is not None
    assert server.peer_certificate.names == ("own.example",)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asks", [True, False])
def test_a_session_of_one_listener_is_worth_nothing_at_another(pki: Pki, version: ssl.TLSVersion, asks: bool) -> None:
    """C5: not even where both have the same files and share the certificate that the client asked for."""
    shared = named(pki, "mx.example", asks=asks)
    first, second = (named(pki, "mx.contoso.com", others=(shared,), asks=asks) for _ in range(2))
    context = ssl.create_default_context(cafile=pki.trusted[0])
    context.minimum_version = context.maximum_version = version
    session = standard_library_handshake(context, TlsLayer(first)).session
    for listener in (first, second):
        assert not standard_library_handshake(context, TlsLayer(listener), session).session_reused


def test_compression_is_off_and_ciphers_are_modern(pki: Pki) -> None:
    context = ssl.create_default_context(cafile=pki.trusted[0])
    context.options &= ~ssl.OP_NO_COMPRESSION
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = standard_library_handshake(context, TlsLayer(pki.server))
    assert client.compression() is None
    cipher = client.cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"  # our first, not the client's


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "AECDH-AES128-SHA"]
)
def test_weak_ciphers_are_refused(pki: Pki, cipher: str) -> None:
    """W8: no key exchange without forward secrecy, no CBC, nothing anonymous."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with pytest.raises(TlsError, match="no shared cipher"):
        TlsLayer(pki.server).receive_data(outgoing.read())


def test_file_errors_name_file_and_remedy(pki: Pki, tmp_path: Path) -> None:
    def fails(certificate: str, key: str, trusted: tuple[str, ...] = ()) -> str:
        with pytest.raises(TlsError) as caught:
            ServerTlsContext(certificate=certificate, private_key=key, trusted_authorities=trusted)
        return str(caught.value)

    missing = str(tmp_path / "missing.pem")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no PEM here")
    assert fails(missing, pki.key) == f"{missing}: the certificate file does not exist; put it there or correct the path in the settings"
    assert fails(pki.certificate, missing).startswith(f"{missing}: the private key file does not exist")
    assert fails(str(garbage), pki.key).startswith(f"{garbage}: no certificate in PEM form")
    assert fails(pki.certificate, str(garbage)).startswith(f"{garbage}: no private key in PEM form")
    assert fails(pki.certificate, pki.key, (str(garbage),)).startswith(f"{garbage}: no certificate")
    assert fails(pki.certificate, str(tmp_path)).startswith(f"{tmp_path}: the private key file cannot be read")
    _, other = issue("other.example").write(tmp_path, "other")
    assert fails(pki.certificate, other).startswith(f"{other}: the private key does not belong to the certificate in {pki.certificate}")
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
        )
    )
    assert fails(pki.certificate, str(locked)).startswith(f"{locked}: the private key has a passphrase")
    weak_certificate, weak_key = issue("weak.example", key=rsa.generate_private_key(65537, 1024)).write(tmp_path, "weak")
    assert "OpenSSL does not accept this certificate" in fails(weak_certificate, weak_key)


def test_wrong_order_in_the_chain_file_is_told(pki: Pki, tmp_path: Path) -> None:
    leaf = issue("a.example", issuer=pki.root)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (pki.root.certificate, leaf.certificate)))
    _, key = leaf.write(tmp_path, "leaf")
    with pytest.raises(TlsError, match="must come first in the file"):
        ServerTlsContext(certificate=str(chain), private_key=key)
