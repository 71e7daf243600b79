"""Secrets at rest: what opens, what does not, and what is said then."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from mailwye.config.secrets import SecretError
from mailwye.storage.secrets.vault import KEYS_LIMIT, FileVault

OWNER = "OutboundConnector:relay"
SECRET = "tr0ub4dor & ünd"


def vault(path: Path, *, makes_key: bool = True) -> FileVault:
    return FileVault(path, entropy=os.urandom, makes_key=makes_key)


def test_what_was_sealed_opens_also_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    first = vault(path)
    assert not path.exists()  # no secret, no key
    sealed = first.seal(SECRET, OWNER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in sealed
    assert base64.b64encode(SECRET.encode()).decode() not in sealed
    assert first.open(sealed, OWNER) == vault(path).open(sealed, OWNER) == SECRET
    assert first.seal(SECRET, OWNER) != sealed  # nobody sees that two secrets are the same


def test_a_secret_opens_for_its_owner_only(tmp_path: Path) -> None:
    sealed = vault(tmp_path / "k").seal(SECRET, OWNER)
    with pytest.raises(SecretError, match="sealed for another object"):
        vault(tmp_path / "k").open(sealed, "OutboundConnector:other")


def test_damage_is_noticed(tmp_path: Path) -> None:
    one = vault(tmp_path / "k")
    sealed = one.seal(SECRET, OWNER)
    for at in range(len("v1.0123456789abcdef."), len(sealed)):
        for other in "AB+/9z=":
            if other != sealed[at]:
                with pytest.raises(SecretError):
                    one.open(sealed[:at] + other + sealed[at + 1 :], OWNER)
    for text in ("", "secret", "v1.x.y", sealed.replace("v1.", "v2."), f"{sealed}\n", sealed[:25]):
        with pytest.raises(SecretError):
            one.open(text, OWNER)


def test_a_lost_key_and_a_wrong_one_are_told_apart(tmp_path: Path) -> None:
    sealed = vault(tmp_path / "k").seal(SECRET, OWNER)
    (tmp_path / "k").unlink()
    with pytest.raises(SecretError, match=r"does not exist\. Restore it from the backup, or write the passwords again"):
        vault(tmp_path / "k").open(sealed, OWNER)
    vault(tmp_path / "k").seal("another", OWNER)
    with pytest.raises(SecretError, match=r"was sealed with key [0-9a-f]{16}, and .*/k holds [0-9a-f]{16}\. Restore the key file"):
        vault(tmp_path / "k").open(sealed, OWNER)


@pytest.mark.parametrize("content", [b"", b"\n", b"00" * 31, b"zz" * 32, b"00" * 32 + b"\nx", b"\xff\xfe", b"00" * 100_000])
def test_a_damaged_key_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(SecretError, match="is damaged"):
        vault(tmp_path / "k").seal(SECRET, OWNER)
    assert (tmp_path / "k").read_bytes() == content


def test_a_named_key_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="Make it: openssl rand -hex 32"):
        vault(tmp_path / "k", makes_key=False).seal(SECRET, OWNER)
    (tmp_path / "k").write_text("AB" * 32 + "\n")
    named = vault(tmp_path / "k", makes_key=False)
    assert named.open(named.seal(SECRET, OWNER), OWNER) == SECRET


def test_a_key_that_cannot_be_read_or_made(tmp_path: Path) -> None:
    (tmp_path / "k").mkdir()
    with pytest.raises(SecretError, match="cannot be read: is a directory"):
        vault(tmp_path / "k").seal(SECRET, OWNER)
    with pytest.raises(SecretError, match="cannot be made: no such file or directory"):
        vault(tmp_path / "missing" / "k").seal(SECRET, OWNER)


def test_rotation_keeps_old_secrets_until_the_old_keys_are_dropped(tmp_path: Path) -> None:
    one, running = vault(tmp_path / "k"), vault(tmp_path / "k")
    old = one.seal(SECRET, OWNER)
    assert running.open(old, OWNER) == SECRET
    one.rotate()
    new = one.seal(SECRET, OWNER)
    assert new[:20] != old[:20]
    assert running.open(new, OWNER) == running.open(old, OWNER) == SECRET  # it reads the file again for a key that it does not know
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert one.drop_old_keys() == 1
    assert vault(tmp_path / "k").open(new, OWNER) == SECRET
    with pytest.raises(SecretError, match="was sealed with key"):
        vault(tmp_path / "k").open(old, OWNER)
    for _ in range(KEYS_LIMIT - 1):
        one.rotate()
    with pytest.raises(SecretError, match="drop old ones first"):
        one.rotate()
