"""Which mechanism to use, and the two simple ones: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mailwye.smtp.authentication.scram import Salting, SaslError, ScramExchange

MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
"""What Mailwye can do as a client, the strongest first: with the first one the password does not leave this machine."""


class Exchange(Protocol):
    """One login. `initial` goes with AUTH itself, `respond` answers each challenge; octets without base64."""

    @property
    def mechanism(self) -> str:
        """As AUTH names it."""
        ...

    def initial(self) -> bytes | None:
        """The initial response; None: the mechanism has none."""
        ...

    def respond(self, challenge: bytes) -> bytes | Salting:
        """The answer, or work to be done before `salted` can give it. :raises SaslError: the server broke the rules."""
        ...

    def salted(self, password: bytes) -> bytes:
        """The answer, with the work that `respond` asked for."""
        ...

    @property
    def proven(self) -> bool:
        """False: the server owes a proof, so its 235 is worth nothing."""
        ...


def choose_mechanism(offered: Iterable[str]) -> str | None:
    """The strongest mechanism that both sides have, None where there is none. `offered` in upper case."""
    known = frozenset(offered)
    return next((mechanism for mechanism in MECHANISMS if mechanism in known), None)


def exchange_for(mechanism: str, username: str, password: str, nonce: str) -> Exchange:
    """The machine for one of MECHANISMS. `nonce`: see ScramExchange. :raises Unpreparable: name or password cannot be used (SCRAM only)."""
    match mechanism:
        case "SCRAM-SHA-256":
            return ScramExchange(username, password, nonce)
        case "PLAIN":
            return PlainExchange(username, password)
        case "LOGIN":
            return LoginExchange(username, password)
        case _:
            raise ValueError(f"no such mechanism: {mechanism}")


class _Simple:
    """What both have: nothing to compute, nothing that the server would prove. Name and password go as they are: to prepare them is the
    verifier's work (RFC 4616 section 2).
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username.encode()
        self._password = password.encode()

    def salted(self, password: bytes) -> bytes:
        """Never asked for."""
        raise AssertionError("this mechanism salts nothing")

    @property
    def proven(self) -> bool:
        """The mechanism has no proof of the server: its certificate is all there is."""
        return True


class PlainExchange(_Simple):
    """`NUL username NUL password` at once."""

    mechanism = "PLAIN"

    def initial(self) -> bytes:
        """All of it."""
        return b"\0" + self._username + b"\0" + self._password

    def respond(self, challenge: bytes) -> bytes:
        """:raises SaslError: there is nothing to ask for."""
        raise SaslError("it asks for more than PLAIN has")


class LoginExchange(_Simple):
    """The server asks twice; what it says is not looked at, since servers say all sorts of things."""

    mechanism = "LOGIN"

    def __init__(self, username: str, password: str) -> None:
        super().__init__(username, password)
        self._answers = [self._password, self._username]

    def initial(self) -> None:
        """The mechanism has none."""

    def respond(self, challenge: bytes) -> bytes:
        """First the name, then the password. :raises SaslError: a third question."""
        if not self._answers:
            raise SaslError("it asks for more than LOGIN has")
        return self._answers.pop()
