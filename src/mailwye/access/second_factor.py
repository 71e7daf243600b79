"""Codes of the moment as a second factor beside the password (TOTP, RFC 6238). Pure: time and chance are given."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass

import pyotp

SECRET_OCTETS = 20  # RFC 4226 section 4, R6: 160 bits
SECRET_CHARACTERS = 32  # of base32
STEP = 30  # seconds that a code is good for; RFC 6238 section 4.1
DIGITS = 6
DRIFT = 1  # steps that clocks may differ by, each way; RFC 6238 section 5.2
ISSUER = "Mailwye"


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """`sealed`: the secret, encrypted with the installation's key. `used`: the step of the last code that was taken; 0: none yet."""

    sealed: str
    used: int = 0


def new_secret(chance: Callable[[int], bytes]) -> str:
    """A secret in the base32 that apps take. `chance(n)`: n octets that nobody can guess."""
    return base64.b32encode(chance(SECRET_OCTETS)).decode()


def app_address(secret: str, user: str, host: str) -> str:
    """What apps read as a QR code. `host`: so that several installations can be told apart."""
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP).provisioning_uri(name=f"{user}@{host}", issuer_name=ISSUER)


def step_of(secret: str, code: str, now: float) -> int:
    """The step to which the code belongs, at most one off; 0: it is none. Whoever takes the code has to see that no later or equal step was
    taken before (RFC 6238 section 5.2: a code is good once). `now`: Unix seconds.
    """
    current, codes = int(now // STEP), pyotp.HOTP(secret, digits=DIGITS)
    steps = range(max(1, current - DRIFT), current + DRIFT + 1)
    given = code.replace(" ", "").encode("utf-8", "replace")
    fitting = [step for step in steps if hmac.compare_digest(codes.generate_otp(step).encode(), given)]
    return max(fitting, default=0)


def owner_of(user: str) -> str:
    """What the sealed secret is bound to: it opens for no other user."""
    return f"User:{user}"
