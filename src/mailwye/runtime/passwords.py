"""Passwords of mailboxes: argon2id hashes (RFC 9106)."""

from __future__ import annotations

from functools import cache

import argon2

_HASHER = argon2.PasswordHasher()  # argon2-cffi's defaults are RFC 9106's low-memory profile


class PasswordCheckFailed(Exception):
    """A password could be neither confirmed nor refused; the text says why."""


def hash_password(password: str) -> str:
    """A new salted hash in the standard encoding. Takes some 50 ms and 64 MiB on purpose."""
    return _HASHER.hash(password)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody has this password")


def verify_password(password_hash: str | None, password: str) -> bool:
    """True where `password` gives `password_hash`. None (no such user) takes as long as a wrong password, so that time tells nobody who
    exists. False for a damaged hash, and for a password that is no text.

    :raises PasswordCheckFailed: it cannot be told, for want of memory: neither right nor wrong.
    """
    try:
        _HASHER.verify(password_hash or _nobodys_hash(), password)
    except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError, UnicodeEncodeError):
        return False
    except (argon2.exceptions.VerificationError, argon2.exceptions.HashingError, MemoryError) as error:
        raise PasswordCheckFailed(str(error) or "out of memory") from error
    return password_hash is not None
