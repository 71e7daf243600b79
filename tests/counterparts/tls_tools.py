"""Programs that look at a server's TLS: posttls-finger (Postfix's own client) and testssl.sh; and a certificate as a public authority
would issue it, so that what they find is about the server.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.counterparts.process import program

SCAN_SECONDS = 540


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of testssl.sh. `severity`: OK, INFO, WARN (of the scan itself), LOW, MEDIUM, HIGH, CRITICAL, FATAL."""

    id: str
    severity: str
    finding: str


def posttls_finger(directory: Path, address: str, port: int, *, authority: Path, name: str, level: str = "secure") -> str:
    """What it prints about the connection; `name` is sent as SNI and asked of the certificate."""
    configuration = directory / "posttls-finger"
    configuration.mkdir(exist_ok=True)
    (configuration / "main.cf").write_text("compatibility_level = 3.6\n")
    done = subprocess.run(
        [program("posttls-finger"), "-c", "-l", level, "-s", name, "-F", str(authority), f"[{address}]:{port}", name],
        env={**os.environ, "MAIL_CONFIG": str(configuration)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def scan_with_testssl(directory: Path, address: str, port: int, *, authority: Path, name: str, protocol: str) -> list[Finding]:
    """All findings about a server: protocols, ciphers and their order, forward secrecy, certificate, vulnerabilities. `protocol`: "smtp"
    for STARTTLS. The simulated clients are left out: they find nothing about the server, and take a minute.
    """
    report = directory / f"testssl-{port}.json"
    done = subprocess.run(
        [
            *(program("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca", str(authority)),
            *("--jsonfile", str(report), "-p", "-s", "-f", "-P", "-S", "-U"),
            *(("-t", protocol) if protocol else ()),
            *("--ip", address, f"{name}:{port}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SCAN_SECONDS,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return [Finding(one["id"], one["severity"], one["finding"]) for one in json.loads(report.read_text())]


def issue_like_a_public_authority(directory: Path, names: tuple[str, ...], *, now: float) -> None:
    """Write ca.pem, mx.pem and mx.key: 80 days, with the addresses of a revocation list and of OCSP."""
    today = datetime.datetime.fromtimestamp(now, tz=datetime.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    usage = {"content_commitment": False, "key_encipherment": False, "data_encipherment": False, "key_agreement": False}
    root = (
        builder(issuer, authority_key.public_key(), 365)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False, **usage),
            critical=True,
        )
        .sign(authority_key, hashes.SHA256())
    )
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://ca.example/list.crl")], None, None, None)
    ocsp = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ca.example/ocsp"))
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key(), 80)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False, **usage),
            critical=True,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(x509.CRLDistributionPoints([point]), critical=False)
        .add_extension(x509.AuthorityInformationAccess([ocsp]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (directory / "mx.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "mx.key").write_bytes(key.private_bytes(*form))
