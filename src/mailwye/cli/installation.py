"""The option --config, and the installation behind it: its stores, and its running service where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailwye.cli import exit_codes
from mailwye.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwye.config.installation import Installation
    from mailwye.config.store import ConfigStore
    from mailwye.config.store_errors import ConfigStoreError

DEFAULT_FILE = Path("/etc/mailwye/mailwye.toml")

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """--config FILE, else $MAILWYE_CONFIG, else /etc/mailwye/mailwye.toml."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="MAILWYE_CONFIG",
        default=DEFAULT_FILE,
        show_default="$MAILWYE_CONFIG, else /etc/mailwye/mailwye.toml",
        help="The installation's file.",
    )(command)


def read(config: Path) -> Installation:
    """The installation; every error of its file is printed, then the command exits with 78."""
    from mailwye.config.installation.file import read_installation

    parsed = read_installation(config)
    for problem in parsed.problems:
        click.echo(str(problem), err=True)
    if parsed.value is None:
        fail(f"{config} cannot be used, see above; `mailwye check --config {config}` says more", exit_codes.CONFIGURATION)
    return parsed.value


def control_path(installation: Installation) -> Path:
    """The running service's control socket."""
    return installation.data_directory / "run" / "control.sock"


def ask_service(installation: Installation, operation: str, **arguments: Any) -> Any | None:
    """The running service's answer, None where none runs. An error of the service ends the command."""
    from mailwye.runtime.channel import ChannelError, call

    try:
        return call(socket_name(control_path(installation)), operation, **arguments) or {}
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError:
        fail(f"not allowed to use {control_path(installation)}; run this as root or as the service's user", exit_codes.NO_PERMISSION)
    except ChannelError as error:
        fail(f"the running service answered: {error}", exit_codes.UNAVAILABLE)
    except OSError as error:
        fail(f"the running service did not answer at {control_path(installation)}: {error}", exit_codes.UNAVAILABLE)


def socket_name(path: Path) -> str:
    """A name by which the Unix socket `path` can be reached: the path, shortened where the kernel's 107 octets do not suffice."""
    if len(os.fsencode(path)) <= 107:
        return str(path)
    return f"/proc/self/fd/{os.open(path.parent, os.O_PATH | os.O_DIRECTORY)}/{path.name}"


def work_as_owner(installation: Installation) -> None:
    """As root: become the installation's user, so that no file in its data directory ends up as root's. Where the setting names none
    (systemd's User= does), that is the owner of the settings' file, else of the directory.
    """
    from mailwye.runtime.privileges import PrivilegeError, become, hand_over, is_root, owner_of

    if not is_root():
        return
    directory = installation.data_directory
    user = installation.user or owner_of(directory / "config.sqlite", directory)
    if user:
        try:
            hand_over(directory, user)
            become(user)
        except (PrivilegeError, OSError) as error:
            fail(str(error), exit_codes.NO_PERMISSION)


@contextmanager
def config_store(installation: Installation) -> Iterator[ConfigStore]:
    """The versions of the settings. What is wrong with the store ends the command with its words."""
    from mailwye.config.store_errors import ConfigStoreError
    from mailwye.stores import open_config_store

    try:
        store = open_config_store(installation)
    except (ConfigStoreError, OSError) as error:
        fail(f"{error}", exit_codes.IO_ERROR)
    try:
        yield store
    except ConfigStoreError as error:
        fail(f"{error}", _exit_code(error))
    finally:
        store.close()


def _exit_code(error: ConfigStoreError) -> int:
    from mailwye.config.store_errors import DraftConflict, DraftExists, NoSuchDraft, NoSuchVersion, VersionConflict

    match error:
        case NoSuchVersion() | NoSuchDraft():
            return exit_codes.NO_INPUT
        case VersionConflict() | DraftConflict():
            return exit_codes.TEMPORARY_FAILURE
        case DraftExists():
            return exit_codes.DATA_ERROR
        case _:
            return exit_codes.IO_ERROR


def activate(installation: Installation, version: int) -> str:
    """Let the running service take `version`; a sentence about it."""
    answer = ask_service(installation, "activate")
    if answer is None:
        return f"version {version} is saved; no service is running, the next start uses it"
    waiting = f"; {missing_words(answer)} and will start with it" if answer.get("missing") else ""
    return f"version {answer['version']} is saved and in force in all workers{waiting}"


def missing_words(answer: Mapping[str, Any]) -> str:
    """`worker 1 is being started again`, where the service says so."""
    numbers = answer["missing"]
    return (
        f"worker{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} {'are' if len(numbers) > 1 else 'is'} being started again"
    )
