"""With what the connections to one destination log in: shared by its pool's sessions, and by no other pool."""

from __future__ import annotations

from collections.abc import Callable

from mailwye.connectors.model import Credential
from mailwye.smtp.authentication.scram import Salting

SALTED_KEPT = 8  # a server has one salt for one account; several servers behind one name may differ

OpenSecret = Callable[[Credential], str]
"""The password of a credential. :raises SecretError: it cannot be had; says why and what to do."""


class Account:
    """`connector`: whose account it is. The password is opened for each login anew; what SCRAM makes of it is remembered, since it costs
    milliseconds to a second.
    """

    def __init__(self, credential: Credential, connector: str, open_secret: OpenSecret) -> None:
        self.user_name = credential.user_name
        self.connector = connector
        self._credential = credential
        self._open_secret = open_secret
        self._salted: dict[tuple[bytes, int], bytes] = {}

    def password(self) -> str:
        """:raises SecretError: it cannot be had."""
        return self._open_secret(self._credential)

    def salted(self, work: Salting) -> bytes | None:
        """What `work` gives, where it was done before."""
        return self._salted.get((work.salt, work.iterations))

    def remember(self, work: Salting, salted: bytes) -> None:
        """`work` was done."""
        if len(self._salted) >= SALTED_KEPT:
            del self._salted[next(iter(self._salted))]
        self._salted[work.salt, work.iterations] = salted
