"""Identifiers. Pure: time, worker and counter are arguments."""

from __future__ import annotations

# Postfix's long queue id alphabet: base 52 without vowels, so that an id never spells a word.
ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


def _base52(value: int, width: int) -> str:
    digits: list[str] = []
    while value:
        value, digit = divmod(value, 52)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits)).rjust(width, ALPHABET[0])


def queue_id(now: float, worker: int, counter: int) -> str:
    """A queue id: time-ordered (microseconds, 9 digits), worker (1 digit, 0..51), counter (2 digits, modulo 2704).

    Never reused as long as one worker makes fewer than 2,704 ids in one microsecond of its clock; callers pass a time that
    does not go back (`max(last, now)`).
    """
    return _base52(int(now * 1_000_000), 9) + ALPHABET[worker % 52] + _base52(counter % 2704, 2)
