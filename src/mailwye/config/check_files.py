"""`mailwye check`: both files, and what of the machine they name. Reads files, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from mailwye.config.certificate_files import certificate_files
from mailwye.config.checks import check_organization
from mailwye.config.compile import KeptTables
from mailwye.config.compile_own_server import certificate_choice
from mailwye.config.installation import Installation
from mailwye.config.installation.file import read_installation
from mailwye.config.own_certificates import read_own_certificates
from mailwye.config.parse import read_organization
from mailwye.config.parsed import Parsed
from mailwye.config.problem import Places, Problem, Severity
from mailwye.config.schema import Organization, ReceiveConnector, SendConnector
from mailwye.config.secrets import Vault, check_secrets
from mailwye.connectors.own_certificates import choose, is_strict
from mailwye.runtime.tls_certificates import TlsError, check_pair, read_chain, read_key

EXPIRES_SOON = 14 * 86_400.0
"""Seconds: a certificate that expires within them gets a warning."""

PairReader = Callable[[Path, Path], tuple[float, float]]
"""(certificate file, key file) → (not before, not after) of the leaf in Unix seconds; raises TlsError with words for people."""


def check_files(
    installation_path: Path, organization_path: Path | None = None, *, now: float | None = None, read_pair: PairReader | None = None
) -> list[Problem]:
    """Everything that is wrong with the files, by itself, together and on this machine. Empty: nothing.

    `now`: Unix seconds, for the dates of certificates (None: not checked).
    """
    installation = read_installation(installation_path)
    problems = list(installation.problems)
    if installation.value is not None:
        problems += check_machine(installation, now=now, read_pair=read_pair or read_pair_of_files)
    if organization_path is not None:
        problems += check_candidate(read_organization(organization_path), installation.value)
    return problems


def check_candidate(organization: Parsed[Organization], installation: Installation | None) -> Iterator[Problem]:
    """What is wrong with an organization that was read, by itself and with the installation (None: it could not be read)."""
    yield from organization.problems
    if organization.value is not None:
        yield from check_organization(organization.value, installation=installation, source=organization)
        if installation is not None:
            yield from check_choices(organization, installation)


def check_saved(organization: Organization, installation: Installation, vault: Vault, known: KeptTables | None = None) -> Iterator[Problem]:
    """What is wrong with settings that are saved: the same, and passwords that cannot be opened. `known`: see check_organization."""
    yield from check_organization(organization, installation=installation, known=known)
    yield from check_choices(Parsed(organization, (), Places()), installation)
    yield from check_secrets(organization, vault)


def check_choices(organization: Parsed[Organization], installation: Installation) -> Iterator[Problem]:
    """Fqdn and TlsCertificateName of connectors against the certificates that are there. Warnings: the files may be checked on another
    machine than the one that serves; bad files were told of already.
    """
    value = organization.value
    assert value is not None
    connectors: list[tuple[int, SendConnector | ReceiveConnector]] = [
        *enumerate(value.send_connectors),
        *enumerate(value.receive_connectors),
    ]
    try:
        known = [certificate for certificate, _ in read_own_certificates(installation)] if connectors else []
    except TlsError:
        return
    for number, connector in connectors:
        choice = certificate_choice(connector)
        chosen = choose(choice, known) if choice else None
        if chosen is None or chosen.number is not None:
            continue
        field = "TlsCertificateName" if connector.tls_certificate_name else "Fqdn"
        line, column = organization.places.find((connector.kind, number, field))
        yield Problem(
            f"{chosen.reason}, so {_otherwise(connector, strict=is_strict(choice))}",
            "Add the certificate to mailwye.toml ([tls.client_certificates], [[tls.certificates]], [tls]), or correct the connector",
            organization.places.file,
            line,
            column,
            connector.label,
            field,
            Severity.WARNING,
        )


def _otherwise(connector: SendConnector | ReceiveConnector, *, strict: bool) -> str:
    if isinstance(connector, ReceiveConnector):
        return "the listener's own certificate is presented"
    return "no mail leaves through the connector" if strict else "the certificate of [tls] is presented, where there is one"


def check_machine(parsed: Parsed[Installation], *, now: float | None, read_pair: PairReader) -> list[Problem]:
    """The files and folders that an installation names: there, readable, fitting, in date; the data directory writable."""
    installation = parsed.value
    assert installation is not None
    return [
        *_check_certificates(parsed, installation, now, read_pair),
        *_check_data_directory(parsed, installation),
        *_check_key_file(parsed, installation),
        *_check_extra(parsed, installation),
    ]


def read_pair_of_files(certificate: Path, private_key: Path) -> tuple[float, float]:
    """The usual PairReader."""
    chain = read_chain(str(certificate))
    check_pair(chain, read_key(str(private_key)), str(certificate), str(private_key))
    return chain[0].not_valid_before_utc.timestamp(), chain[0].not_valid_after_utc.timestamp()


def _check_certificates(
    parsed: Parsed[Installation], installation: Installation, now: float | None, read_pair: PairReader
) -> Iterator[Problem]:
    for one in certificate_files(installation):
        if one.private_key is not None:
            yield from _check_pair(parsed, one.place, one.certificate, one.private_key, now, read_pair)
            continue
        missing = list(_missing(parsed, one.place, one.certificate))
        yield from missing
        if not missing:
            try:
                read_chain(str(one.certificate))
            except TlsError as error:
                yield _found(parsed, one.place, str(error))


def _missing(parsed: Parsed[Installation], path: tuple[str | int, ...], file: Path) -> Iterator[Problem]:
    """A warning only: the settings may be checked on another machine than the one that serves; `serve` refuses to start."""
    if not file.exists():
        yield _found(parsed, path, f"{file} is not on this machine", "Put it there or correct the path", Severity.WARNING)


def _check_pair(
    parsed: Parsed[Installation], path: tuple[str | int, ...], certificate: Path, key: Path, now: float | None, read_pair: PairReader
) -> Iterator[Problem]:
    field = (*path, "certificate")
    missing = [*_missing(parsed, field, certificate), *_missing(parsed, (*path, "private_key"), key)]
    yield from missing
    if missing:
        return
    try:
        not_before, not_after = read_pair(certificate, key)
    except TlsError as error:
        yield _found(parsed, (*path, "private_key") if str(error).startswith(str(key)) else field, str(error))
        return
    if now is None:
        return
    if now < not_before:
        yield _found(parsed, field, f"{certificate} is not valid yet", "Check the clock, or use another certificate")
    elif now >= not_after:
        yield _found(parsed, field, f"{certificate} has expired", "Renew it")
    elif now + EXPIRES_SOON >= not_after:
        days = int((not_after - now) // 86_400)
        yield _found(parsed, field, f"{certificate} expires in {days} days", "Renew it", Severity.WARNING)


def _check_data_directory(parsed: Parsed[Installation], installation: Installation) -> Iterator[Problem]:
    """A directory that does not exist yet is made at the first start, so its nearest existing parent counts."""
    directory = installation.data_directory
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir():
        yield _found(parsed, ("data_directory",), f"{existing} is no directory", "Name a directory")
    elif not os.access(existing, os.W_OK | os.X_OK):
        remedy = "Change its owner or mode, or name another directory"
        if existing == directory:
            yield _found(parsed, ("data_directory",), f"{existing} is not writable", remedy)
        else:
            message = f"{directory} cannot be made: {existing} is not writable"
            yield _found(parsed, ("data_directory",), message, remedy, Severity.WARNING)


def _check_key_file(parsed: Parsed[Installation], installation: Installation) -> Iterator[Problem]:
    """Only one that is named: that in the data directory is made when it is needed."""
    if not installation.secrets.key_file:
        return
    file = Path(installation.secrets.key_file)
    try:
        mode = file.stat().st_mode
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"{file}: {reason}; saved passwords can neither be read nor written"
        yield _found(parsed, ("secrets", "key_file"), message, "Make it with `openssl rand -hex 32`, mode 600", Severity.WARNING)
        return
    if mode & 0o007:
        message = f"{file} can be read by everybody on this machine"
        yield _found(parsed, ("secrets", "key_file"), message, "Set its mode to 600", Severity.WARNING)


def _check_extra(parsed: Parsed[Installation], installation: Installation) -> Iterator[Problem]:
    """A warning only, as the files may be checked on another machine; `serve` refuses to start."""
    if installation.oidc is not None and find_spec("joserfc") is None:
        yield _found(parsed, ("oidc",), "needs joserfc, which is not installed", "`pip install 'mailwye[oidc]'`", Severity.WARNING)


def _found(
    parsed: Parsed[Installation], path: tuple[str | int, ...], message: str, remedy: str = "", severity: Severity = Severity.ERROR
) -> Problem:
    line, column = parsed.places.find(path)
    names = [part for part in path if isinstance(part, str)]
    table = f"[{'.'.join(names[:-1])}]" if len(names) > 1 else ""
    return Problem(message, remedy, parsed.places.file, line, column, table, names[-1], severity)
