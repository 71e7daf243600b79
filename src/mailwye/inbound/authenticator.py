"""The port of the password check for AUTH. Three answers: a mailbox, a refusal, and not knowing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Unknown:
    """The check could not be made (store unreachable, overload): neither yes nor no. `reason` for log and trace."""

    reason: str


class Authenticator(Protocol):
    """Checks user names and passwords of mailboxes."""

    async def authenticate(self, username: str, password: str) -> str | Unknown | None:
        """The PrimarySmtpAddress of the mailbox that they prove; None where they are wrong; Unknown where that cannot be told.

        A wrong user name takes as long as a wrong password (V3). Raises nothing.
        """
        ...
