"""The short form of the damage test, and proof that it can fail."""

from __future__ import annotations

import pytest

from mailwye.storage.sqlite import queue_codec, queue_loading
from torture.damage import trials


async def test_no_damage_alters_a_body_or_stops_the_start() -> None:
    flipped, cut = await trials(40, 131_072, 1, None)
    for one in (flipped, cut):
        assert one.passed, one.failures
        assert one.rescued
        assert one.delivered
    assert not flipped.unseen


async def test_without_checksums_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_codec, "crc32", lambda *_: 0)
    flipped, _ = await trials(40, 1 << 30, 1, None)
    assert flipped.altered, "every body counts as good"


async def test_without_a_look_at_the_log_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_loading, "log_is_damaged", lambda *_: False)
    flipped, _ = await trials(40, 1 << 30, 1, None)
    assert flipped.unseen
