"""A throw-away certificate authority for the demo and the tests: issues good certificates, and bad ones on purpose."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Files of one certificate: `certificate` holds the chain, leaf first."""

    certificate: Path
    private_key: Path

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate itself."""
        return x509.load_pem_x509_certificates(self.certificate.read_bytes())[0]


class Authority:
    """One authority with its files in `directory`. `now` (Unix seconds) is the time that validity is counted from, for so many `days`.

    `issuer`: the authority above an intermediate one, whose certificate goes with every one that it issues.
    """

    def __init__(
        self, directory: Path, *, now: float, name: str = "Mailwye demo authority", days: float = 30, issuer: Authority | None = None
    ) -> None:
        self.directory = directory
        self._days = days
        self._now = datetime.datetime.fromtimestamp(now, tz=datetime.UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(issuer._name if issuer is not None else self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - datetime.timedelta(days=1))
            .not_valid_after(self._now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(issuer._key if issuer is not None else self._key, hashes.SHA256())
        )
        own = self._certificate.public_bytes(serialization.Encoding.PEM)
        self._sent_along: bytes = own + issuer._sent_along if issuer is not None else b""
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate = directory / "ca.pem"
        self.certificate.write_bytes(own)

    def revocation_list(self, *revoked: KeyPair) -> bytes:
        """The authority's list (CRL) with these certificates, in PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(self._now).next_update(self._now + datetime.timedelta(days=self._days))
        for pair in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(pair.leaf.serial_number).revocation_date(self._now).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def ocsp_response(self, pair: KeyPair, *, revoked: bool = False, begins_in_days: float = -0.5, ends_in_days: float = 5) -> bytes:
        """What the authority says of one of its certificates (RFC 6960), in DER; about none of its own it says what it is asked to say."""
        begin, end = (self._now + datetime.timedelta(days=days) for days in (begins_in_days, ends_in_days))
        builder = ocsp.OCSPResponseBuilder().responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
        builder = builder.add_response(
            cert=pair.leaf,
            issuer=self._certificate,
            algorithm=hashes.SHA1(),  # noqa: S303 - it only names the issuer, as everybody does (RFC 5019 section 2.1.1)
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=begin,
            next_update=end,
            revocation_time=begin if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def issue(
        self,
        name: str,
        names: Sequence[str],
        *,
        common_name: str = "",
        starts_in_days: float = -1,
        ends_in_days: float | None = None,
        self_signed: bool = False,
        must_staple: bool = False,
        with_issuers: bool = True,
        usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    ) -> KeyPair:
        """Issue a leaf into `name`.pem and `name`.key. `names`: DNS names and IP addresses of subjectAltName (none: no SAN).

        `ends_in_days` None: ten days before the authority. `must_staple`: it asks for OCSP responses (RFC 7633). `with_issuers`: an
        intermediate authority is sent along, as it must be.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name or (names[0] if names else name))])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + datetime.timedelta(days=starts_in_days))
            .not_valid_after(self._now + datetime.timedelta(days=self._days - 10 if ends_in_days is None else ends_in_days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
        if must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if not self_signed:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        certificate = builder.sign(key if self_signed else self._key, hashes.SHA256())
        pair = KeyPair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        issuers = self._sent_along if with_issuers and not self_signed else b""
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + issuers)
        pair.private_key.touch(mode=0o600)
        pair.private_key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return pair


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
