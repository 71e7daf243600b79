"""Seeded workloads: who sends what to whom, and when."""

from __future__ import annotations

import random

from mailwye.testing.world import BOB, JOHN, MOON, SUN, World

LARGEST_BODY = 300 * 1024
NOBODY = "nobody@nowhere.example"


def send_mail(world: World, rng: random.Random, *, messages: int, seconds: float, tls: bool = False) -> None:
    """Let John, Sun, Moon and (with `tls`: over submission) Bob send `messages` within `seconds`: to one or several recipients, to
    domains that do not exist, from nobody, of all sizes up to 300 KiB.
    """
    for _ in range(messages):
        sender = rng.choice((JOHN, SUN, MOON, *((BOB,) if tls else ())))
        known = [one for one in ((JOHN, BOB, SUN, MOON) if sender in (JOHN, BOB) else (JOHN, BOB)) if one != sender]
        recipients = rng.sample(known, rng.randrange(1, len(known) + 1))
        if sender in (JOHN, BOB) and rng.random() < 0.1:
            recipients.append(NOBODY)
        if sender == SUN and rng.random() < 0.15:
            sender = ""
        world.mail(sender, tuple(recipients), body=body(rng), after=rng.uniform(0.0, seconds))


def body(rng: random.Random) -> bytes:
    """A body of a few octets mostly, of up to 300 KiB sometimes, of none seldom; with lines that begin with dots, and 8-bit octets."""
    size = rng.choice((0, 20, 200, 2_000, 2_000, 2_000, 20_000, rng.randrange(LARGEST_BODY)))
    lines: list[bytes] = []
    left = size
    while left > 0:
        line = rng.choice((b"A line", b".", b"..", b".dotted", b"", "Gr\u00fc\u00dfe".encode(), b"x" * min(990, left)))
        lines.append(line)
        left -= len(line) + 2
    return b"".join(line + b"\r\n" for line in lines)
