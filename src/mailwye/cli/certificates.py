"""`mailwye certificates`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json, print_table

if TYPE_CHECKING:
    from mailwye.admin.certificates import KnownCertificate
    from mailwye.config.installation import Installation


@click.command()
@config_option
@click.option("--within", type=click.IntRange(min=0), default=None, help="Only those that expire within so many days.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def certificates(config: Path, *, within: int | None, as_json: bool) -> None:
    """List every certificate that the installation uses or has seen on a connector, with its dates and the SHA-256 of its public key
    (what TlsSenderCertificatePins takes).
    """
    from mailwye.runtime.clock import SystemClock

    installation = read(config)
    work_as_owner(installation)
    now = SystemClock().now()
    found = [one for one in known(installation) if within is None or one.problem or one.days_left(now) <= within]
    if as_json:
        print_json([one.to_dict(now) for one in found])
        return
    columns = ("Used by", "Names", "Issuer", "Until", "Days", "Seen", "Public key (SHA-256)")
    print_table(columns, [_row(one, now) for one in found])


def known(installation: Installation) -> list[KnownCertificate]:
    """All of them. Fails with a sentence where their memory cannot be read."""
    from mailwye.admin.certificates import known_certificates
    from mailwye.stores import STORE_ERRORS, open_sightings

    try:
        store = open_sightings(installation)
        sightings = store.all()
        store.close()
    except (*STORE_ERRORS, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    return known_certificates(installation, sightings)


def _row(one: KnownCertificate, now: float) -> tuple[str, ...]:
    if one.problem:
        return (one.used_by, one.problem, "", "", "", "", "")
    seen = local_time(one.last_seen) + (" (replaced)" if one.replaced else "") if one.last_seen else one.file
    until = local_time(one.not_after)[:10]
    return (one.used_by, ", ".join(one.names[:3]) or one.subject, one.issuer, until, str(one.days_left(now)), seen, one.public_key)
