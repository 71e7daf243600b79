"""What is thought of a token, step by step, with reasons; and the person whom it names. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from mailwye.access.roles import Role

NAME_PREFIX = "oidc:"  # no user of ours can have a colon in his name


class Result(Enum):
    """UNKNOWN: it cannot be told now, because the issuer does not answer."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. `words` are for the operator: the audit log and `mailwye oidc check`."""

    name: str
    result: Result
    words: str


EXPIRY = "expiry"
ROLES = "roles"  # the step that tells what a person may, once it is known who he is


@dataclass(frozen=True, slots=True)
class Person:
    """`issuer` and `subject` together are who it is, for good (OpenID Connect Core section 5.7). `display`: how the issuer calls him now;
    it is shown and decides nothing.
    """

    issuer: str
    subject: str
    display: str = ""

    @property
    def name(self) -> str:
        """As the API and the filter of the audit log name him: one word that no user of ours can have."""
        return NAME_PREFIX + quote(self.subject, safe="@|=,;+~!*'$&/:")

    @property
    def who(self) -> str:
        """As the audit log and versions name him."""
        return f"{self.name} ({f'{self.display}, ' if self.display else ''}{self.issuer})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`person`: whom the token names, believed only where `is_proved`. `roles`: what he is here; none where the token is not good. `ends`:
    until when it is good, Unix seconds; 0 where it is not.
    """

    steps: tuple[Step, ...]
    person: Person | None = None
    roles: tuple[Role, ...] = ()
    ends: float = 0.0

    @property
    def fault(self) -> Step | None:
        """The first step that is not good."""
        return next((step for step in self.steps if step.result is not Result.GOOD), None)

    @property
    def is_proved(self) -> bool:
        """The token is genuine, for us and in time: the person is who it says, whatever he may."""
        return self.person is not None and (self.fault is None or self.fault.name == ROLES)
