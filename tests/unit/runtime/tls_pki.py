"""Certificates for TLS tests: good ones, and each kind of bad one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and issuers (leaf first)."""

    certificate: x509.Certificate
    key: Key
    issuers: tuple[x509.Certificate, ...] = ()

    def write(self, directory: Path, name: str, *, with_issuers: bool = True) -> tuple[str, str]:
        """Paths of chain and key."""
        chain = (self.certificate, *(self.issuers if with_issuers else ()))
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain))
        key.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(certificate), str(key)


def issue(
    common_name: str,
    *,
    issuer: Issued | None = None,
    authority: bool = False,
    names: tuple[str, ...] = (),
    usages: tuple[x509.ObjectIdentifier, ...] = BOTH,
    start: datetime.datetime | None = None,
    end: datetime.datetime | None = None,
    key: Key | None = None,
    san: x509.ExtensionType | None = None,
    constraints: x509.NameConstraints | None = None,
) -> Issued:
    """Issue one; without `issuer` it signs itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(tz=datetime.UTC)  # noqa: TID251 - OpenSSL verifies against the machine's clock
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start or now - datetime.timedelta(days=2))
        .not_valid_after(end or now + datetime.timedelta(days=20))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if san is not None:
        builder = builder.add_extension(san, critical=False)
    if usages and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    issuers = (issuer.certificate, *issuer.issuers) if issuer and issuer.issuers else ()
    if issuer and not issuers and issuer.certificate.issuer != issuer.certificate.subject:
        issuers = (issuer.certificate,)
    return Issued(certificate, key, issuers)


def malformed(issued: Issued) -> x509.Certificate:
    """The certificate of common name `qqqqqqqq` with a T61String that is none in its place: OpenSSL reads it, the strict parser does
    when it is asked for the name. Its signature is broken too.
    """
    octets = issued.certificate.public_bytes(serialization.Encoding.DER)
    return x509.load_der_x509_certificate(octets.replace(b"\x0c\x08qqqqqqqq", b"\x14\x08" + b"\xff" * 8))


def trust(directory: Path, *roots: Issued) -> tuple[str, ...]:
    """A file of trusted authorities."""
    path = directory / "trusted.pem"
    path.write_bytes(b"".join(r.certificate.public_bytes(serialization.Encoding.PEM) for r in roots))
    return (str(path),)
