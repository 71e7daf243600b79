"""Users and tokens, as commands open them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mailwye.cli import exit_codes
from mailwye.cli.output import fail

if TYPE_CHECKING:
    from mailwye.access.accounts import AccountStore
    from mailwye.config.installation import Installation


@contextmanager
def account_store(installation: Installation) -> Iterator[AccountStore]:
    """Users and tokens. What is wrong ends the command."""
    from mailwye.access.accounts import AccountError, NoSuchAccount
    from mailwye.stores import open_accounts

    try:
        store = open_accounts(installation)
    except (AccountError, OSError) as error:
        fail(str(error), exit_codes.IO_ERROR)
    try:
        yield store
    except NoSuchAccount as error:
        fail(str(error), exit_codes.NO_INPUT)
    except AccountError as error:
        fail(str(error), exit_codes.DATA_ERROR)
    finally:
        store.close()
