"""What the certificate files of an installation hold, for the choice that SendConnector and ReceiveConnector make among them."""

from __future__ import annotations

from pathlib import Path

from mailwye.config.certificate_files import certificate_files
from mailwye.config.installation import Installation
from mailwye.connectors.own_certificates import OwnCertificate
from mailwye.runtime.tls_certificates import certificate_names, full_name, read_chain


def read_own_certificates(installation: Installation) -> list[tuple[OwnCertificate, tuple[Path, Path]]]:
    """Every key pair that mailwye.toml names, each once, in the order of certificate_files. :raises TlsError: a bad file."""
    found: dict[tuple[Path, Path], OwnCertificate] = {}
    for one in certificate_files(installation):
        if one.private_key is None or (one.certificate, one.private_key) in found:
            continue
        leaf = read_chain(str(one.certificate))[0]
        found[one.certificate, one.private_key] = OwnCertificate(
            use=one.use,
            names=certificate_names(leaf),
            issuer=full_name(leaf, "issuer"),
            subject=full_name(leaf, "subject"),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )
    return [(certificate, pair) for pair, certificate in found.items()]
