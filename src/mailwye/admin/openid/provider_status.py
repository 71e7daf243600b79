"""What is known of an issuer's keys, for whoever asks how the service is. Pure."""

from __future__ import annotations

from typing import TypedDict


class ProviderStatus(TypedDict):
    """`keys`: their names. `keys_fetched`: Unix seconds, 0: not yet. `error`: of the last attempt, "" for none."""

    issuer: str
    keys: list[str]
    keys_fetched: float
    error: str
