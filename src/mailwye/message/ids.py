"""Identifiers. Pure: time, worker and counter are arguments."""

from __future__ import annotations

from functools import lru_cache

# Postfix's long queue id alphabet: base 52 without vowels, so that an id never spells a word.
ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)


def queue_id(now: float, worker: int, counter: int) -> str:
    """A queue id: time-ordered (microseconds, 9 digits), worker (1 digit, 0..51), counter (2 digits, modulo 2704).

    Never reused as long as one worker makes fewer than 2,704 ids in one microsecond of its clock; callers pass a time that
    does not go back (`max(last, now)`).
    """
    rest, low = divmod(int(now * 1_000_000), 2704)
    high, middle = divmod(rest, 2704)
    return f"{_five_digits(high)}{_PAIRS[middle]}{_PAIRS[low]}{ALPHABET[worker % 52]}{_PAIRS[counter % 2704]}"


@lru_cache(maxsize=2)
def _five_digits(value: int) -> str:
    """The digits that change every 7 s."""
    high, low = divmod(value, 2704)
    higher, middle = divmod(high, 2704)
    return f"{ALPHABET[higher % 52]}{_PAIRS[middle]}{_PAIRS[low]}"
