"""Short forms: options as the command line makes them, and what to look at in a result."""

from __future__ import annotations

import argparse

from torture.__main__ import parse
from torture.report import Result

LOSS = "lost, of all acknowledged (message, recipient)"
UNTIMED = {"start to first 220", "SIGTERM to end"}
"""Rows that depend on how fast the machine is just now: measured by the long forms."""


def options(*words: str) -> argparse.Namespace:
    """As `python -m torture WORDS`, always with the same seed."""
    return parse([*words, "--seed", "20"])


def bad(result: Result) -> set[str]:
    """The rows that are not what they must be."""
    return {f"{row.what}: {row.measured}" for row in result.rows if not row.good and row.what not in UNTIMED}


def lost(result: Result) -> bool:
    """Whether the harness saw a loss."""
    return any(row.what == LOSS and not row.good for row in result.rows)
