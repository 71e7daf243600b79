"""The common base of what stores raise."""

from __future__ import annotations


class StoreError(Exception):
    """A store cannot be used. The text names the file and the remedy."""
