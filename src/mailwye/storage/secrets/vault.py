"""The Vault (config/secrets) over a key file: AES-256-GCM, each sealed text bound to its owner.

Sealed: `v1.KEY.OCTETS`, where KEY names the key (the start of its hash) and OCTETS is base64 of nonce and ciphertext. The key file holds
one key a line, in hexadecimal: the first one seals, all of them open, so that older versions of the settings stay usable after a rotation.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mailwye.config.secrets import SecretError
from mailwye.runtime.files import keep_first, secret_file_remedy, write_durably

KEY_OCTETS = 32
KEYS_LIMIT = 100  # of one file
FILE_LIMIT = 16_384  # octets
_NONCE_OCTETS = 12  # of AES-GCM; random, so that 2^32 secrets of one key are safe (NIST SP 800-38D section 8.3)
_SEALED = re.compile(r"v1\.([0-9a-f]{16})\.([A-Za-z0-9+/=]+)").fullmatch
_KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_OCTETS}}}").fullmatch

Entropy = Callable[[int], bytes]


class FileVault:
    """`makes_key`: the file is made where it does not exist, at the first secret that is sealed. `entropy`: octets nobody can guess."""

    def __init__(self, path: Path, *, entropy: Entropy, makes_key: bool) -> None:
        self._path = path
        self._entropy = entropy
        self._makes_key = makes_key
        self._keys: dict[str, bytes] = {}  # by name, the one that seals first

    def seal(self, secret: str, owner: str) -> str:
        """See Vault."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # every change of settings has a vault, few seal something

        if not self._path.exists() and self._makes_key:
            self._make()
        self._read()
        name, key = next(iter(self._keys.items()))
        nonce = self._entropy(_NONCE_OCTETS)
        sealed = nonce + AESGCM(key).encrypt(nonce, secret.encode(), owner.encode())
        return f"v1.{name}.{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, owner: str) -> str:
        """See Vault. The file is read once, and again for a key that it did not hold then."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        found = _SEALED(sealed)
        if found is None:
            raise SecretError("what is saved is no sealed password; write the password again")
        name = found[1]
        if name not in self._keys:
            self._read()
        if name not in self._keys:
            held = ", ".join(self._keys)
            raise SecretError(
                f"it was sealed with key {name}, and {self._path} holds {held}. Restore the key file that belongs to these settings, or "
                "write the password again"
            )
        try:
            octets = base64.b64decode(found[2], validate=True)
            if base64.b64encode(octets).decode() != found[2]:  # the last character has bits that decoding ignores: nobody wrote it so
                raise ValueError(found[2])
            nonce, ciphertext = octets[:_NONCE_OCTETS], octets[_NONCE_OCTETS:]
            return AESGCM(self._keys[name]).decrypt(nonce, ciphertext, owner.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SecretError("it is damaged, or was sealed for another object; write the password again") from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process rotates or drops keys meanwhile (it waits): of two at once, one would overwrite the key under which the other
        has just sealed. :raises SecretError: the folder of the key file cannot be read.
        """
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable("cannot be changed", error) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of the folder, since a write puts another file in the place of the key file
            yield
        finally:
            os.close(folder)

    def rotate(self) -> None:
        """A new key before the others: from now on it seals. :raises SecretError: the file cannot be written."""
        self._read()
        lines = [self._entropy(KEY_OCTETS).hex(), *(key.hex() for key in self._keys.values())]
        if len(lines) > KEYS_LIMIT:
            raise SecretError(f"{self._path} holds {KEYS_LIMIT} keys already; drop old ones first")
        self._write(lines)

    def drop_old_keys(self) -> int:
        """Keep the key that seals; how many were dropped. What they sealed does not open any more. :raises SecretError:"""
        self._read()
        keys = list(self._keys.values())
        self._write([keys[0].hex()])
        return len(keys) - 1

    def _write(self, lines: list[str]) -> None:
        try:
            write_durably(self._path, "".join(f"{line}\n" for line in lines).encode("ascii"))
        except OSError as error:
            raise self._unusable("cannot be written", error) from error
        self._read()

    def _make(self) -> None:
        try:
            keep_first(self._path, self._entropy(KEY_OCTETS).hex().encode("ascii") + b"\n")
        except OSError as error:
            raise self._unusable("cannot be made", error) from error

    def _unusable(self, what: str, error: OSError) -> SecretError:
        reason = (error.strerror or str(error)).lower()
        return SecretError(f"the key file {self._path} {what}: {reason}. {secret_file_remedy(error)}")

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                data = file.read(FILE_LIMIT)
        except FileNotFoundError:
            lost = "Restore it from the backup, or write the passwords again" if self._makes_key else "Make it: openssl rand -hex 32"
            raise SecretError(f"the key file {self._path} does not exist. {lost}") from None
        except OSError as error:
            raise self._unusable("cannot be read", error) from error
        keys: dict[str, bytes] = {}
        for line in data.decode("latin-1").split():
            if _KEY(line.lower()) is None or len(keys) >= KEYS_LIMIT:
                break
            key = bytes.fromhex(line)
            keys[hashlib.sha256(key).hexdigest()[:16]] = key
        else:
            if keys:
                self._keys = keys
                return
        raise SecretError(
            f"the key file {self._path} is damaged: it holds lines of {2 * KEY_OCTETS} hexadecimal digits. Restore it from the backup"
        )
