"""Randomness from outside. The simulated world passes a seeded `random.Random`."""

from __future__ import annotations

import random
import secrets


def system_random() -> random.Random:
    """A generator for spreading load and jitter, seeded by the machine. Not for secrets."""
    return random.Random(secrets.randbits(128))  # noqa: S311 - not for secrets


def secret_octets(count: int) -> bytes:
    """Octets that nobody can guess."""
    return secrets.token_bytes(count)
