"""Every certificate file that an installation names, and what each is for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailwye.config.installation import Installation


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """`use`: for people, such as `[tls]` or `listener "mx"`. `place`: its table in mailwye.toml. `private_key`: None for authorities."""

    use: str
    place: tuple[str | int, ...]
    certificate: Path
    private_key: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that belong together."""
        return (self.certificate,) if self.private_key is None else (self.certificate, self.private_key)


def certificate_files(installation: Installation) -> tuple[CertificateFile, ...]:
    """All of them, in the order of the file; a pair with a half missing is left out (the reader has told)."""
    return tuple(_files(installation))


def _files(installation: Installation) -> Iterator[CertificateFile]:
    tls = installation.tls
    for index, listener in enumerate(installation.listeners):
        if listener.certificate is not None and listener.private_key is not None:
            yield CertificateFile(f'listener "{listener.name}"', ("listener", index), listener.certificate, listener.private_key)
    if tls.certificate is not None and tls.private_key is not None:
        yield CertificateFile("[tls]", ("tls",), tls.certificate, tls.private_key)
    for index, (certificate, key) in enumerate(tls.certificates):
        yield CertificateFile(f"[[tls.certificates]] {index + 1}", ("tls", "certificates", index), certificate, key)
    for name, (certificate, key) in tls.client_certificates.items():
        yield CertificateFile(f'client certificate "{name}"', ("tls", "client_certificates", name), certificate, key)
    for index, authority in enumerate(tls.trusted_authorities):
        yield CertificateFile("trusted authority", ("tls", "trusted_authorities", index), authority)
    for name, files in tls.authorities.items():
        for file in files:
            yield CertificateFile(f'authority of "{name}"', ("tls", "authorities", name), file)
    for index, authority in enumerate(installation.oidc.authorities if installation.oidc is not None else ()):
        yield CertificateFile("authority of [oidc]", ("oidc", "authorities", index), authority)
