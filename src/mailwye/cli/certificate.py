"""`mailwye certificate request`: a certificate from an authority that speaks ACME."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service, config_option, read, work_as_owner
from mailwye.cli.output import fail

if TYPE_CHECKING:
    from mailwye.config.installation import Installation

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
DAY = 86_400.0
NAMES_LIMIT = 100  # of one certificate, as most authorities limit it


@click.group()
def certificate() -> None:
    """Get certificates."""


@certificate.command()
@config_option
@click.option(
    "--domain", "domains", multiple=True, help="A name for the certificate; may be repeated. Default: the installation's hostname."
)
@click.option("--directory", default=LETS_ENCRYPT, show_default=True, help="The authority's ACME directory.")
@click.option("--email", default="", help="Where the authority may send notices.")
@click.option("--accept-terms", is_flag=True, help="You have read the authority's terms of service and accept them.")
@click.option(
    "--unless-valid-for",
    type=click.IntRange(0, 3650),
    default=30,
    show_default=True,
    help="Do nothing if the present one lasts for more days.",
)
@click.option("--authority", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Who vouches for the directory (PEM).")
def request(
    config: Path, domains: tuple[str, ...], directory: str, email: str, *, accept_terms: bool, unless_valid_for: int, authority: Path | None
) -> None:
    """Request a certificate, or renew it when it is due: run this once a day.

    The names must lead to an `http` listener on port 80 of the running service (HTTP-01). Certificate and key are kept in the data
    directory, under acme/; the first time, name them in mailwye.toml. A renewed pair is taken into use at once.
    """
    from mailwye.stores import acme_pair

    installation = read(config)
    names = _names(domains or (installation.hostname,))
    if not accept_terms:
        fail(f"read the terms of service of {directory}, then say --accept-terms", exit_codes.USAGE)
    if not any(listener.kind in ("http", "https") for listener in installation.listeners):
        fail('add a listener of kind "http" on port 80: the authority asks there for the proof', exit_codes.CONFIGURATION)
    pair = acme_pair(installation, names[0])
    work_as_owner(installation)
    if _is_good(pair[0], names, unless_valid_for):
        click.echo(f"{pair[0]} is valid for more than {unless_valid_for} days; nothing to do")
        return
    if ask_service(installation, "status") is None:
        fail("no service runs, so nobody can answer the authority; start it first", exit_codes.UNAVAILABLE)
    _request(installation, names, pair, directory, email, str(authority or ""))
    _use(installation, pair)


def _names(domains: tuple[str, ...]) -> list[str]:
    from mailwye.smtp.address import AddressError, parse_domain

    names = []
    for domain in domains:
        if domain.startswith("*."):
            fail(f"{domain}: a wildcard cannot be proved by HTTP-01; use certbot with DNS-01", exit_codes.USAGE)
        try:
            names.append(parse_domain(domain))
        except AddressError as error:
            fail(str(error), exit_codes.DATA_ERROR)
    names = list(dict.fromkeys(names))
    if len(names) > NAMES_LIMIT:
        fail(f"{len(names)} names are too many for one certificate; {NAMES_LIMIT} at most", exit_codes.USAGE)
    return names


def _is_good(file: Path, names: list[str], days: int) -> bool:
    """There is one for these names that lasts longer than `days`."""
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.tls_certificates import TlsError, certificate_names, read_chain

    if not os.path.exists(file):  # False, not an error, where the folder is closed to us
        return False
    try:
        leaf = read_chain(str(file))[0]
    except TlsError:
        return False
    return set(names) <= set(certificate_names(leaf)) and leaf.not_valid_after_utc.timestamp() > SystemClock().now() + days * DAY


def _request(installation: Installation, names: list[str], pair: tuple[Path, Path], directory: str, email: str, authority: str) -> None:
    try:
        from mailwye.runtime.acme_client import Account, AcmeError, Answers, new_key, request_certificate
    except ImportError as error:
        fail(f"{error}: install the extra, `pip install 'mailwye[acme]'`, or use certbot (docs/operations.md)", exit_codes.UNAVAILABLE)
    from mailwye.runtime.clock import SystemClock
    from mailwye.runtime.files import make_directories, write_durably
    from mailwye.stores import challenge_folder

    folder = challenge_folder(installation)
    account_file = pair[0].parent / "account" / "key.pem"
    try:
        make_directories(folder)
        make_directories(account_file.parent)
        if not account_file.exists():
            write_durably(account_file, new_key())
        account = Account(directory, account_file.read_bytes(), email, authority)
        answers = Answers(
            publish=lambda token, answer: write_durably(folder / token, answer.encode()),
            withdraw=lambda token: (folder / token).unlink(missing_ok=True),
        )
        key = new_key()
        chain = request_certificate(account, key, names, answers, clock=SystemClock())
        write_durably(pair[1], key)
        write_durably(pair[0], chain)
    except AcmeError as error:
        fail(str(error), exit_codes.UNAVAILABLE)
    except OSError as error:
        fail(f"{error}", exit_codes.IO_ERROR)
    click.echo(f"{pair[0]} holds a certificate for {', '.join(names)}")


def _use(installation: Installation, pair: tuple[Path, Path]) -> None:
    """Let the service take it, or say how to name it."""
    from mailwye.config.certificate_files import certificate_files

    if any(pair[0] in one.paths for one in certificate_files(installation)):
        ask_service(installation, "reload_tls")
        click.echo("the service uses it")
        return
    click.echo("name it in mailwye.toml, in [tls], a [[listener]] or [[tls.certificates]], and restart:")
    click.echo(f'certificate = "{pair[0]}"\nprivate_key = "{pair[1]}"')
