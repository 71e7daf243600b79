"""`mailwye dns-records`: what the zones of accepted domains have to say for their MTA-STS policies."""

from __future__ import annotations

from pathlib import Path

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, config_store, read, work_as_owner
from mailwye.cli.output import fail, print_json


@click.command("dns-records")
@config_option
@click.argument("domain", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def dns_records(config: Path, domain: str | None, *, as_json: bool) -> None:
    """Print the DNS records to publish for the MTA-STS policies of all accepted domains, or of DOMAIN.

    The id in the TXT record changes with the policy: publish the record again after each change.
    """
    from mailwye.directory.mta_sts import dns_records as records_of
    from mailwye.directory.mta_sts import policy_text
    from mailwye.smtp.address import AddressError, parse_domain

    installation = read(config)
    work_as_owner(installation)
    with config_store(installation) as store:
        domains = list(store.current().organization.accepted_domains)
    if domain is not None:
        try:
            wanted = parse_domain(domain)
        except AddressError as error:
            fail(str(error), exit_codes.DATA_ERROR)
        domains = [one for one in domains if one.domain_name == wanted]
        if not domains:
            fail(f"{domain} is not an accepted domain; `mailwye export` lists them", exit_codes.NO_INPUT)
    with_policy = [(one, policy_text(one, installation.hostname)) for one in domains]
    if as_json:
        print_json(
            [
                {"domain": one.domain_name, "policy": text, "records": list(records_of(one, installation.hostname))}
                for one, text in with_policy
                if text is not None
            ]
        )
        return
    for one, text in with_policy:
        for record in records_of(one, installation.hostname):
            click.echo(record)
        if text is None and domain is not None:
            click.echo(f"; {one.domain_name} has no policy: set MtaStsMode on its AcceptedDomain", err=True)
    if not any(text is not None for _, text in with_policy) and domain is None:
        click.echo("; no accepted domain has a policy: set MtaStsMode on one", err=True)
