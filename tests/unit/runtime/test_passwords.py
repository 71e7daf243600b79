from __future__ import annotations

import argon2
import pytest

from mailwye.runtime import passwords
from mailwye.runtime.passwords import PasswordCheckFailed, hash_password, verify_password


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost nothing."""
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_the_right_password_and_no_other() -> None:
    stored = hash_password("grün 1")
    assert stored.startswith("$argon2id$")
    assert hash_password("grün 1") != stored
    assert verify_password(stored, "grün 1")
    assert not verify_password(stored, "grün 2")
    assert not verify_password(stored, "")


def test_nobody_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work is done for nobody as for somebody, and even nobody's own password proves nothing."""
    checked: list[str] = []
    real = passwords._HASHER

    class Counting:
        def hash(self, password: str) -> str:
            return real.hash(password)

        def verify(self, stored: str, password: str) -> bool:
            checked.append(stored)
            return real.verify(stored, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    assert not verify_password(None, "nobody has this password")
    assert not verify_password(None, "x")
    assert len(checked) == 2
    assert all(stored.startswith("$argon2id$") for stored in checked)


@pytest.mark.parametrize("stored", ["x", "plain text", "\x00"])
def test_a_damaged_hash_proves_nothing(stored: str) -> None:
    assert not verify_password(stored, "x")


def test_want_of_memory_is_neither_yes_nor_no(monkeypatch: pytest.MonkeyPatch) -> None:
    class Poor:
        def verify(self, stored: str, password: str) -> bool:
            raise MemoryError

    monkeypatch.setattr(passwords, "_HASHER", Poor())
    with pytest.raises(PasswordCheckFailed, match="memory"):
        verify_password("$argon2id$", "x")
