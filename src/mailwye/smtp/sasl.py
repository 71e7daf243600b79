"""The server's half of AUTH PLAIN (RFC 4616) and AUTH LOGIN (draft-murchison-sasl-login), as RFC 4954 carries them.

In: the client's base64 lines. Out: challenges, and in the end one `AuthReceived`. Passwords are never part of an error.
"""

from __future__ import annotations

import base64
import binascii

from mailwye.smtp.events import AuthReceived
from mailwye.smtp.extensions import MECHANISMS, CommandError, syntax_error
from mailwye.smtp.reply import AUTH_CANCELLED, AUTH_MALFORMED, UNKNOWN_MECHANISM, Reply

_ASK_USERNAME = Reply(334, "", base64.b64encode(b"Username:").decode())
_ASK_PASSWORD = Reply(334, "", base64.b64encode(b"Password:").decode())
_GO_AHEAD = Reply(334, "", "")


class SaslExchange:
    """One AUTH command. Call `begin` once, then `respond` for each line until it returns AuthReceived."""

    __slots__ = ("_mechanism", "_username")

    def __init__(self, mechanism: str) -> None:
        """:raises CommandError: 504 for a mechanism that was not offered."""
        self._mechanism = mechanism.upper()
        self._username: str | None = None
        if self._mechanism not in MECHANISMS:
            raise CommandError(UNKNOWN_MECHANISM)

    def begin(self, initial: str) -> Reply | AuthReceived:
        """The initial response ("" where there is none, "=" for an empty one: RFC 4954 section 4) → challenge or result.

        :raises CommandError:
        """
        if initial:
            return self.respond("" if initial == "=" else initial)
        return _GO_AHEAD if self._mechanism == "PLAIN" else _ASK_USERNAME

    def respond(self, line: str) -> Reply | AuthReceived:
        """A line of the client → challenge or result.

        :raises CommandError: cancelled by `*`, no base64, or not what the mechanism wants.
        """
        if line == "*":
            raise CommandError(AUTH_CANCELLED)  # RFC 4954 section 4
        text = _decode(line)
        if self._mechanism == "PLAIN":
            return _plain(text)
        if self._username is None:
            self._username = _checked(text)
            return _ASK_PASSWORD
        return AuthReceived("LOGIN", self._username, text)


def split_auth(argument: str) -> tuple[str, str]:
    """`PLAIN AGEAYg==` → (mechanism, initial response or "").

    :raises CommandError: more than two words, or none.
    """
    words = argument.split()
    if not 1 <= len(words) <= 2:
        raise syntax_error("The form is AUTH mechanism, or AUTH mechanism initial-response")
    return words[0], words[1] if len(words) == 2 else ""


def _decode(line: str) -> str:
    try:
        return base64.b64decode(line.encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError) as error:
        raise CommandError(AUTH_MALFORMED) from error


def _plain(text: str) -> AuthReceived:
    """`identity NUL username NUL password` (RFC 4616 section 2)."""
    parts = text.split("\0")
    if len(parts) != 3:
        raise CommandError(AUTH_MALFORMED)
    return AuthReceived("PLAIN", _checked(parts[1]), parts[2], _checked(parts[0], empty=True))


def _checked(name: str, *, empty: bool = False) -> str:
    """A name without control characters; logs and traces repeat it."""
    if not name.isprintable() or not (name or empty):
        raise CommandError(AUTH_MALFORMED)
    return name
