"""`mailwye oidc`: whether the OpenID provider of [oidc] can be used, and what one of its tokens would open."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import config_option, read, work_as_owner
from mailwye.cli.output import fail, local_time, print_json
from mailwye.runtime.printable import escaped

if TYPE_CHECKING:
    from mailwye.admin.openid.provider_status import ProviderStatus
    from mailwye.admin.openid.verdict import Verdict
    from mailwye.config.installation import Installation

READ_LIMIT = 65_536  # octets of a token that are read; the API takes fewer


@click.group()
def oidc() -> None:
    """Persons whom an OpenID provider vouches for ([oidc] in mailwye.toml)."""


@oidc.command()
@config_option
@click.argument("token", type=click.File("rb"), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(config: Path, token: BinaryIO | None, *, as_json: bool) -> None:
    """Ask the provider for its keys, now. With the file TOKEN ("-": standard input): say what that access token would open, and why.

    Exits 0 where it opens something, 65 where it does not, 69 where the provider cannot be asked. The service that runs is not asked.
    """
    installation = read(config)
    if installation.oidc is None:
        fail(f"there is no [oidc] in {config}; docs/openid.md shows one", exit_codes.CONFIGURATION)
    text = token.read(READ_LIMIT).decode("ascii", "replace").strip() if token is not None else ""
    work_as_owner(installation)
    status, verdict = asyncio.run(_ask(installation, text if token is not None else None))
    if as_json:
        print_json({**status, **(_plain(verdict) if verdict is not None else {})})
    else:
        click.echo(status_words(status))
        if verdict is not None:
            click.echo("\n".join(lines_of(verdict)))
    if status["error"]:
        sys.exit(exit_codes.UNAVAILABLE)
    if verdict is not None and not verdict.roles:
        sys.exit(exit_codes.DATA_ERROR)


def status_words(status: ProviderStatus) -> str:
    """What is known of the issuer's keys, in a line or two."""
    fetched = f"keys {', '.join(status['keys'])}, fetched {local_time(status['keys_fetched'])}" if status["keys"] else "no keys yet"
    error = f"\nopenid error: {status['error']}" if status["error"] else ""
    return "\n".join(map(escaped, f"openid issuer {status['issuer']}: {fetched}{error}".splitlines()))


async def _ask(installation: Installation, text: str | None) -> tuple[ProviderStatus, Verdict | None]:
    from mailwye.cli.access.openid import ExtraMissing, open_openid
    from mailwye.runtime.tls_certificates import TlsError

    try:
        opened = open_openid(installation, lambda _text: None)  # the status says it
    except (ExtraMissing, TlsError) as error:
        fail(str(error), exit_codes.CONFIGURATION)
    assert opened is not None
    try:
        await opened.gate.warm_up()
        verdict = await opened.gate.judge(text, thorough=True) if text is not None else None
        return opened.gate.status(), verdict
    finally:
        await opened.close()


def lines_of(verdict: Verdict) -> list[str]:
    """The verdict for people: a line for each step, and what follows."""
    lines = [f"{step.result.value:8} {step.name}: {step.words}" for step in verdict.steps]
    if verdict.roles and verdict.person is not None:
        lines.append(f"{verdict.person.who} is let in as {', '.join(role.value for role in verdict.roles)}")
    else:
        lines.append("nobody is let in with this token")
    return [escaped(line) for line in lines]


def _plain(verdict: Verdict) -> dict[str, Any]:
    person = verdict.person
    return {
        "steps": [{"step": step.name, "result": step.result.value, "words": step.words} for step in verdict.steps],
        "person": {"name": person.name, "subject": person.subject, "display": person.display} if person is not None else None,
        "proved": verdict.is_proved,
        "expires": verdict.ends,
        "roles": [role.value for role in verdict.roles],
    }
