"""Sets of authorities that only connectors trust: judged after the handshake, each by itself ([tls.authorities], catalogue C3, C4)."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate, ServerTlsContext, TlsError, TlsLayer
from mailwye.runtime.tls_authorities import ISSUERS_LIMIT, AuthoritySet, Judgement, Presented
from mailwye.runtime.tls_certificates import NAMES_LIMIT, public_key_digest
from tests.unit.runtime.test_tls import shake, standard_library_handshake
from tests.unit.runtime.tls_pki import Issued, issue, malformed, trust

PAST = datetime.datetime(2020, 2, 3, tzinfo=datetime.UTC)
FUTURE = datetime.datetime(2090, 2, 3, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


class Pki:
    """A server that trusts nobody, with the sets "own" (one root) and "other" (another root)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.own = issue("Own authority", authority=True)
        self.other = issue("Other authority", authority=True)
        self.kept = issue("mail.kept.example", names=("mail.kept.example",))
        certificate, key = issue("mx.example", names=("mx.example",)).write(directory, "server")
        own, other, kept = directory / "own.pem", directory / "other.pem", directory / "kept.pem"
        for path, root in ((own, self.own), (other, self.other), (kept, self.kept)):
            path.write_bytes(Path(trust(directory, root)[0]).read_bytes())
        sets = {"own": (str(own),), "other": (str(other),), "kept": (str(kept),)}
        self.server = ServerTlsContext(certificate=certificate, private_key=key, authorities=sets)

    def judged(self, issued: Issued, *, with_issuers: bool = True) -> tuple[PresentedCertificate, dict[str, Judgement]]:
        certificate, key = issued.write(self.directory, "client", with_issuers=with_issuers)
        client, server = TlsLayer(ClientTlsContext(certificate=certificate, private_key=key)), TlsLayer(self.server)
        shake(client, server)
        presented = server.peer_certificate
        assert presented is not None
        return presented, {one.name: one for one in server.judgements(server.issuers())}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("authorities"))


def test_a_chain_leads_to_its_own_set_only(pki: Pki) -> None:
    leaf = issue("mail.contoso.com", issuer=pki.own, names=("mail.contoso.com",))
    presented, found = pki.judged(leaf)
    assert not presented.trusted
    assert presented.path == ()
    assert presented.public_key == public_key_digest(leaf.certificate)
    own = found["own"]
    assert (own.trusted, own.reason) == (True, "chain to the trusted authority CN=Own authority ([tls.authorities] own)")
    assert own.path == (public_key_digest(leaf.certificate), public_key_digest(pki.own.certificate))
    assert (found["other"].trusted, found["kept"].trusted) == (False, False)
    assert found["other"].reason == "issued by an authority that is not among them: CN=Own authority"
    assert found["other"].path == ()


def test_a_server_whose_own_certificate_is_listed(pki: Pki) -> None:
    _, found = pki.judged(pki.kept)
    assert found["kept"].trusted
    assert found["kept"].path == (public_key_digest(pki.kept.certificate),)
    assert not found["own"].trusted


def test_an_intermediate_must_be_presented(pki: Pki) -> None:
    intermediate = issue("Own intermediate", issuer=pki.own, authority=True)
    leaf = issue("mail.contoso.com", issuer=intermediate, names=("mail.contoso.com",))
    _, found = pki.judged(leaf)
    assert found["own"].trusted
    assert len(found["own"].path) == 3
    _, found = pki.judged(leaf, with_issuers=False)
    assert (found["own"].trusted, found["own"].reason) == (False, "issued by an authority that is not among them: CN=Own intermediate")


@pytest.mark.parametrize(
    ("start", "end", "reason"), [(PAST, PAST + DAY, "expired on 2020-02-04"), (FUTURE, FUTURE + DAY, "not valid before 2090-02-03")]
)
def test_dates(pki: Pki, start: datetime.datetime, end: datetime.datetime, reason: str) -> None:
    _, found = pki.judged(issue("a.example", issuer=pki.own, start=start, end=end))
    assert (found["own"].trusted, found["own"].reason) == (False, reason)


def test_an_expired_intermediate_is_named(pki: Pki) -> None:
    intermediate = issue("Old", issuer=pki.own, authority=True, start=PAST, end=PAST + DAY)
    _, found = pki.judged(issue("a.example", issuer=intermediate))
    assert found["own"].reason == "authority CN=Old: expired on 2020-02-04"


def test_the_authoritys_name_with_another_key_is_not_the_authority(pki: Pki) -> None:
    _, found = pki.judged(issue("a.example", issuer=issue("Own authority", authority=True)))
    assert (found["own"].trusted, found["own"].path) == (False, ())
    assert found["own"].reason


def test_an_authority_that_is_only_sent_along_is_not_on_the_path(pki: Pki) -> None:
    leaf = issue("a.example", issuer=pki.other)
    _, found = pki.judged(Issued(leaf.certificate, leaf.key, (pki.own.certificate,)))
    assert not found["own"].trusted
    assert found["other"].path == (public_key_digest(leaf.certificate), public_key_digest(pki.other.certificate))


def test_a_leaf_cannot_issue(pki: Pki) -> None:
    leaf = issue("mail.contoso.com", issuer=pki.own)
    forged = issue("mail.fabrikam.com", issuer=leaf)
    _, found = pki.judged(Issued(forged.certificate, forged.key, (leaf.certificate,)))
    assert not found["own"].trusted


@pytest.mark.parametrize(
    ("usages", "trusted"),
    [
        ((ExtendedKeyUsageOID.SERVER_AUTH,), True),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), True),
        ((), True),
        ((ExtendedKeyUsageOID.CODE_SIGNING,), False),
        ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), False),
    ],
)
def test_extended_key_usage_as_decision_0001_says(pki: Pki, usages: tuple[x509.ObjectIdentifier, ...], trusted: bool) -> None:
    _, found = pki.judged(issue("mail.contoso.com", issuer=pki.own, usages=usages))
    assert found["own"].trusted is trusted
    assert trusted or found["own"].reason == "its key usage does not allow TLS"


def test_name_constraints_hold(pki: Pki) -> None:
    only = x509.NameConstraints(permitted_subtrees=[x509.DNSName("fabrikam.com")], excluded_subtrees=None)
    bound = issue("Bound authority", issuer=pki.own, authority=True, constraints=only)
    assert pki.judged(issue("a", issuer=bound, names=("a.fabrikam.com",)))[1]["own"].trusted
    breach = pki.judged(issue("a", issuer=bound, names=("a.contoso.com",)))[1]["own"]
    assert not breach.trusted
    assert "name constraints" in breach.reason


def test_weak_keys_identify_nobody(pki: Pki) -> None:
    authorities = AuthoritySet("own", [str(pki.directory / "own.pem")])
    weak = issue("weak.example", issuer=pki.own, key=rsa.generate_private_key(65537, 1024))
    assert authorities.judge(Presented(weak.certificate, ())) == Judgement("own", False, "its key is too weak")
    weak_authority = issue("Weak authority", issuer=pki.own, authority=True, key=rsa.generate_private_key(65537, 1024))
    leaf = issue("a.example", issuer=weak_authority)
    assert "the key of one of its authorities is too weak" in authorities.judge(Presented(leaf.certificate, leaf.issuers)).reason


def test_very_many_names_and_issuers_cost_bounded_work(pki: Pki) -> None:
    many = issue("x", issuer=pki.own, names=tuple(f"h{number}.e" for number in range(4_000)))
    presented, found = pki.judged(many)
    assert len(presented.names) == NAMES_LIMIT
    assert found["own"].trusted
    crowd = tuple(issue(f"Authority {number}", authority=True).certificate for number in range(ISSUERS_LIMIT + 5))
    leaf = issue("a.example", issuer=pki.own)
    certificate, key = Issued(leaf.certificate, leaf.key, crowd).write(pki.directory, "crowd")
    client, server = TlsLayer(ClientTlsContext(certificate=certificate, private_key=key)), TlsLayer(pki.server)
    shake(client, server)
    assert len(server.issuers()) == ISSUERS_LIMIT


def test_no_certificate_no_judgement(pki: Pki) -> None:
    client, server = TlsLayer(ClientTlsContext()), TlsLayer(pki.server)
    shake(client, server)
    assert (server.issuers(), server.judgements([])) == ([], [])


def test_a_bad_file_is_named(pki: Pki, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(TlsError, match="does not exist"):
        AuthoritySet("own", [missing])


def test_names_that_are_none_stop_no_session(pki: Pki) -> None:
    """A stranger's certificate with unreadable names, alone or as an issuer: no identity, and the session goes on."""
    for issuer in (None, pki.own):
        issued = issue("qqqqqqqq", issuer=issuer, names=("mail.contoso.com",))
        presented, found = pki.judged(Issued(malformed(issued), issued.key))
        assert presented.subject == "(unreadable name)"
        assert not presented.trusted
        assert presented.trust_reason
        assert not any(one.trusted for one in found.values())
    authority = issue("qqqqqqqq", authority=True)
    leaf = issue("mail.contoso.com", issuer=authority)
    presented, found = pki.judged(Issued(leaf.certificate, leaf.key, (malformed(authority),)))
    assert not presented.trusted
    assert not any(one.trusted for one in found.values())


def test_a_certificate_of_an_unknown_version_stops_no_session(pki: Pki) -> None:
    issued = issue("mail.contoso.com", issuer=pki.own)
    octets = issued.certificate.public_bytes(serialization.Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)
    certificate, key = issued.write(pki.directory, "version")
    Path(certificate).write_text(ssl.DER_cert_to_PEM_cert(octets))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    server = TlsLayer(pki.server)
    standard_library_handshake(context, server)
    assert server.peer_certificate is not None
    assert (server.peer_certificate.trusted, server.peer_certificate.trust_reason) == (False, "unreadable certificate")
    assert server.judgements(server.issuers()) == []


def revocation_list(authority: Issued, signer: Issued, *serials: int) -> bytes:
    """A list in the authority's name that `signer` signed; its nextUpdate is long past."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(PAST).next_update(PAST + DAY)
    for serial in serials:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(PAST).build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_revocation_lists_beside_the_authority_count(pki: Pki, tmp_path: Path) -> None:
    good, bad = issue("good.example", issuer=pki.own), issue("bad.example", issuer=pki.own)
    file = tmp_path / "own.pem"
    root = (pki.directory / "own.pem").read_bytes()

    def reason(issued: Issued, lists: bytes) -> str:
        file.write_bytes(root + lists)
        found = AuthoritySet("own", [str(file)]).judge(Presented(issued.certificate, ()))
        return "" if found.trusted else found.reason

    lists = revocation_list(pki.own, pki.own, bad.certificate.serial_number)
    assert reason(good, lists) == ""
    assert reason(bad, lists) == "revoked"
    assert reason(bad, revocation_list(pki.own, pki.other, bad.certificate.serial_number)) == ""  # not the authority's word
    assert reason(bad, revocation_list(pki.other, pki.other, bad.certificate.serial_number)) == ""
    file.write_bytes(root + b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    with pytest.raises(TlsError, match="revocation list"):
        AuthoritySet("own", [str(file)])
