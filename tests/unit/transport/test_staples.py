"""OCSP responses that came with a handshake: which of them count, and what they mean (RFC 6960, RFC 7633)."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate, ServerTlsContext, TlsLayer
from mailwye.runtime.tls_authorities import staple_of
from mailwye.runtime.tls_certificates import Staple
from mailwye.testing.authority import Authority, KeyPair
from mailwye.transport.staples import CLOCK_TOLERANCE, RESPONSE_LIMIT, StapleVerdict, judge_staple, trust_at
from tests.unit.runtime.test_tls import shake
from tests.unit.runtime.tls_pki import Issued, issue

NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
SHA1, SHA256 = hashes.SHA1(), hashes.SHA256()
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
LONG: dict[str, Any] = {"start": NOW - 90 * DAY, "end": NOW + 90 * DAY}
ROOT = issue("Root", authority=True, **LONG)
LEAF = issue("mail.contoso.com", issuer=ROOT, **LONG)


def delegate(
    issuer: Issued = ROOT, *, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.OCSP_SIGNING, end: datetime.datetime | None = None
) -> Issued:
    return issue("Responder", issuer=issuer, usages=(usage,), start=NOW - 90 * DAY, end=end or NOW + 90 * DAY)


class Said(NamedTuple):
    """One statement, and how it is signed. `signer` None: the issuer itself."""

    status: ocsp.OCSPCertStatus = GOOD
    begin: datetime.datetime = NOW - HOUR
    end: datetime.datetime | None = NOW + DAY
    about: Issued = LEAF
    of: Issued = ROOT
    signer: Issued | None = None
    digest: hashes.HashAlgorithm = SHA256
    named_by: hashes.HashAlgorithm = SHA1

    def response(self) -> bytes:
        signer = self.signer or self.of
        builder = ocsp.OCSPResponseBuilder().responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.signer is not None:
            builder = builder.certificates([self.signer.certificate])
        revoked = self.status is REVOKED
        builder = builder.add_response(
            cert=self.about.certificate,
            issuer=self.of.certificate,
            algorithm=self.named_by,
            cert_status=self.status,
            this_update=self.begin,
            next_update=self.end,
            revocation_time=NOW - 2 * DAY if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        return builder.sign(signer.key, self.digest).public_bytes(serialization.Encoding.DER)


def forged(response: bytes) -> bytes:
    """Another signature."""
    signature = ocsp.load_der_ocsp_response(response).signature
    return response.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))


def judged(response: bytes, *, required: bool = False, leaf: Issued = LEAF, root: Issued = ROOT) -> StapleVerdict:
    staple = staple_of(response, [leaf.certificate, root.certificate])
    assert staple is not None
    return judge_staple(replace(staple, required=required), NOW.timestamp())


@pytest.mark.parametrize(
    "said",
    [
        Said(),
        Said(signer=delegate()),
        Said(named_by=SHA256),
        Said(begin=NOW + datetime.timedelta(seconds=CLOCK_TOLERANCE - 10)),
        Said(end=NOW - datetime.timedelta(seconds=CLOCK_TOLERANCE - 10)),
        Said(end=None),
    ],
    ids=["issuer", "delegate", "sha256", "clock behind", "clock ahead", "no end"],
)
def test_a_response_that_counts(said: Said) -> None:
    for required in (False, True):
        verdict = judged(said.response(), required=required)
        assert not verdict.refused
        assert verdict.reason.startswith("not revoked, as an OCSP response of 2026-11-28 1")


@pytest.mark.parametrize(
    "said",
    [Said(REVOKED), Said(REVOKED, signer=delegate()), Said(REVOKED, begin=NOW - 9 * DAY, end=NOW - 8 * DAY)],
    ids=["issuer", "delegate", "out of date"],
)
def test_revoked_is_refused_and_stays_so(said: Said) -> None:
    words = "revoked on 2026-11-26 (key compromise), as the OCSP response says that came with it"
    assert judged(said.response()) == StapleVerdict(True, words)


STRANGER = issue("Root", authority=True, **LONG)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (b"", "no OCSP response came with it"),
        (b"\x30\x03\x0a\x01", "cannot be read"),
        (b"x" * (RESPONSE_LIMIT + 1), "more than 65536 octets"),
        (
            ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(serialization.Encoding.DER),
            "an error: try later",
        ),
        (Said(UNKNOWN).response(), "the authority does not know the certificate"),
        (Said(begin=NOW - 9 * DAY, end=NOW - DAY).response(), "expired on 2026-11-27 12:00 UTC"),
        (Said(begin=NOW - 2 * DAY, end=None).response(), "expired on 2026-11-27 12:00 UTC"),
        (Said(begin=NOW + HOUR).response(), "does not count before 2026-11-28 13:00 UTC"),
        (Said(about=issue("mail.contoso.com", issuer=ROOT)).response(), "about another certificate"),
        (Said(of=STRANGER, signer=ROOT).response(), "about another certificate"),
        (Said(of=STRANGER).response(), "signed by nobody who may speak for CN=Root"),
        (Said(REVOKED, of=STRANGER).response(), "signed by nobody who may speak for CN=Root"),
        (forged(Said().response()), "signed by nobody"),
        (forged(Said(REVOKED).response()), "signed by nobody"),
        (Said(signer=delegate(usage=ExtendedKeyUsageOID.SERVER_AUTH)).response(), "signed by nobody"),
        (Said(signer=delegate(STRANGER)).response(), "signed by nobody"),
        (Said(signer=delegate(end=NOW - HOUR)).response(), "signed by nobody"),
        (Said(signer=LEAF).response(), "signed by nobody"),
    ],
)
def test_what_says_nothing_keeps_no_mail_back_but_where_the_certificate_asks_for_it(response: bytes, words: str) -> None:
    verdict = judged(response)
    assert not verdict.refused
    assert verdict.reason.startswith("whether it is revoked is not known: ")
    assert words in verdict.reason
    strict = judged(response, required=True)
    assert strict.refused
    assert "must-staple, RFC 7633" in strict.reason
    assert words in strict.reason


def test_rsa_signs_too() -> None:
    root = issue("Root", authority=True, key=rsa.generate_private_key(65537, 2048), **LONG)
    leaf = issue("mail.contoso.com", issuer=root, **LONG)
    assert judged(Said(of=root, about=leaf).response(), leaf=leaf, root=root).reason.startswith("not revoked")


def test_a_certificate_that_is_trusted_by_itself_has_no_issuer_to_ask() -> None:
    assert staple_of(b"x", [LEAF.certificate]) is None
    assert staple_of(b"x", []) is None


@given(st.integers(0, 2**16), st.integers(1, 255))
def test_no_changed_octet_stops_anything(at: int, change: int) -> None:
    octets = bytearray(Said(REVOKED).response())
    octets[at % len(octets)] ^= change
    judged(bytes(octets))


# --- within a handshake


class Stapling:
    """A root, and a server that staples `response` about its certificate."""

    def __init__(self, authority: Authority, pair: KeyPair) -> None:
        self.response = b""
        self.authority = authority
        self.context = ServerTlsContext(certificate=str(pair.certificate), private_key=str(pair.private_key))
        self.context.openssl.set_ocsp_server_callback(lambda _connection, _data: self.response)

    def presented(self) -> PresentedCertificate:
        client = TlsLayer(ClientTlsContext(trusted_authorities=(str(self.authority.certificate),)))
        shake(client, TlsLayer(self.context))
        assert client.peer_certificate is not None
        return client.peer_certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("staples"), now=_now())


def _now() -> float:
    return datetime.datetime.now(tz=datetime.UTC).timestamp()  # noqa: TID251 - OpenSSL verifies against the machine's clock


def test_the_client_asks_for_a_staple_and_judges_it(authority: Authority) -> None:
    pair = authority.issue("mail", ["mail.contoso.com"])
    server = Stapling(authority, pair)
    presented = server.presented()
    assert presented.staple == Staple(b"", presented.chain[0], x509_der(authority), False)
    assert trust_at(presented, _now())[1].endswith("not known: no OCSP response came with it")
    server.response = authority.ocsp_response(pair)
    trusted, why = trust_at(server.presented(), _now())
    assert trusted
    assert "chain to the trusted authority CN=Mailwye demo authority; not revoked" in why
    server.response = authority.ocsp_response(pair, revoked=True)
    trusted, why = trust_at(server.presented(), _now())
    assert not trusted
    assert why.startswith("revoked on ")


def x509_der(authority: Authority) -> bytes:
    return x509.load_pem_x509_certificate(authority.certificate.read_bytes()).public_bytes(serialization.Encoding.DER)


def test_a_certificate_that_asks_for_a_staple_needs_one(authority: Authority) -> None:
    pair = authority.issue("strict", ["mail.contoso.com"], must_staple=True)
    server = Stapling(authority, pair)
    trusted, why = trust_at(server.presented(), _now())
    assert not trusted
    assert "must-staple" in why
    server.response = authority.ocsp_response(pair)
    assert trust_at(server.presented(), _now())[0]


def test_a_certificate_of_nobody_known_is_asked_nothing_more(authority: Authority) -> None:
    server = Stapling(authority, authority.issue("self", ["mail.contoso.com"], self_signed=True, must_staple=True))
    presented = server.presented()
    assert presented.staple is None
    assert trust_at(presented, _now()) == (False, "self-signed certificate")


def test_keys_of_a_curve_of_their_own_prove_nothing_wrong(authority: Authority) -> None:
    """A responder with another curve than its issuer's."""
    responder = issue(
        "Responder", issuer=ROOT, usages=(ExtendedKeyUsageOID.OCSP_SIGNING,), key=ec.generate_private_key(ec.SECP384R1()), **LONG
    )
    assert judged(Said(signer=responder, digest=hashes.SHA384()).response()).reason.startswith("not revoked")
