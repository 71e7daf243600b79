"""What the shell completes: names of objects, and the script that makes a shell ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

NAMES_LIMIT = 200

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def complete_identity(kind: str) -> Complete:
    """Names of the objects of a kind. Silent about everything that fails: a shell waits for an answer, not for an error."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            return _names(kind, ctx.params.get("config"), incomplete)
        except Exception:  # noqa: BLE001 - whatever is wrong, the next command says it; completion has nowhere to
            return []

    return complete


def _names(kind: str, config: Any, incomplete: str) -> list[str]:
    import os

    from mailwye.cli.installation import DEFAULT_FILE
    from mailwye.cmdlets.catalog import RECIPIENT_KINDS
    from mailwye.cmdlets.records import record_of
    from mailwye.cmdlets.values import title_of
    from mailwye.config.installation.file import read_installation
    from mailwye.stores import open_config_store

    installation = read_installation(Path(config or os.environ.get("MAILWYE_CONFIG") or DEFAULT_FILE)).value
    if installation is None or not (installation.data_directory / "config.sqlite").exists():
        return []
    store = open_config_store(installation)
    try:
        organization = store.current().organization
    finally:
        store.close()
    names = [title_of(record_of(thing)) for one in ((kind,) if kind else RECIPIENT_KINDS) for thing in organization.objects(one)]
    return [name for name in names if name.lower().startswith(incomplete.lower())][:NAMES_LIMIT]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, kinds, options and names: eval "$(mailwye completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "mailwye", "_MAILWYE_COMPLETE").source())
