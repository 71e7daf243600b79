"""The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677). The password does not cross the wire, and the server proves itself too.

The costly step, salting the password, is handed out as a `Salting`: whoever drives the exchange computes it elsewhere, or remembers it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from mailwye.smtp.authentication.saslprep import saslprep

ITERATIONS_MIN = 4_096  # RFC 7677 section 4
ITERATIONS_MAX = 1_000_000  # a second of work; no server is known to ask for as many, and one that did would only burn our CPU
NONCE_LIMIT = 1_024  # characters
SALT_LIMIT = 1_024  # octets
MESSAGE_LIMIT = 4_096  # octets of one message of the server

_HEADER = "n,,"  # RFC 5802 section 7: no channel binding, no other identity
_NONCE = re.compile(r"[\x21-\x2B\x2D-\x7E]+").fullmatch  # printable, no comma
_ITERATIONS = re.compile(r"[1-9][0-9]{0,9}").fullmatch
_ATTRIBUTE = re.compile(r"([A-Za-z])=([^,\0]+)").fullmatch


class SaslError(Exception):
    """The server broke the rules of the mechanism, or did not prove itself. The text may be shown: it holds no secret."""


@dataclass(frozen=True, slots=True)
class Salting:
    """Work to be done: see `salt`. `password` is prepared and encoded, and in no repr."""

    password: bytes = field(repr=False)
    salt: bytes
    iterations: int


def salt(work: Salting) -> bytes:
    """SaltedPassword := Hi(password, salt, i), RFC 5802 section 3. Takes milliseconds to a second, as long as `iterations` says."""
    return hashlib.pbkdf2_hmac("sha256", work.password, work.salt, work.iterations)


@dataclass(frozen=True, slots=True)
class ServerFirst:
    """What the server's first message holds: the whole nonce, salt, iterations."""

    nonce: str
    salt: bytes
    iterations: int


def parse_server_first(message: bytes, client_nonce: str) -> ServerFirst:
    """`r=…,s=…,i=…` with extensions behind, which are passed over (RFC 5802 section 5.1).

    :raises SaslError: another form, a nonce that does not continue ours, or iterations out of bounds.
    """
    attributes = _attributes(message)
    if attributes[0][0] == "m":
        raise SaslError("its first message demands an extension (m=) that Mailwye does not know")
    if [name for name, _ in attributes[:3]] != ["r", "s", "i"]:
        raise SaslError("its first message is not of the form r=…,s=…,i=…")
    nonce, salted, iterations = (value for _, value in attributes[:3])
    if len(nonce) > NONCE_LIMIT or _NONCE(nonce) is None or not nonce.startswith(client_nonce) or nonce == client_nonce:
        raise SaslError("its nonce does not continue ours: an old conversation may have been replayed")
    if _ITERATIONS(iterations) is None:
        raise SaslError("its number of iterations is no number")
    count = int(iterations)
    if count < ITERATIONS_MIN:
        raise SaslError(f"it asks for {count} iterations; fewer than {ITERATIONS_MIN} are too few to protect a password (RFC 7677)")
    if count > ITERATIONS_MAX:
        raise SaslError(f"it asks for {count} iterations; more than {ITERATIONS_MAX} are not computed for anybody")
    decoded = _decode(salted, "salt")
    if len(decoded) > SALT_LIMIT:
        raise SaslError(f"its salt is longer than {SALT_LIMIT} octets")
    return ServerFirst(nonce, decoded, count)


def parse_server_final(message: bytes) -> bytes:
    """`v=…` → the server's signature. :raises SaslError: another form, or `e=…`: the server's own error."""
    (name, value), *_ = _attributes(message)
    if name == "e":
        raise SaslError(f"it says {value[:80]!a}")
    if name != "v":
        raise SaslError("its last message is not of the form v=…")
    return _decode(value, "signature")


def _attributes(message: bytes) -> list[tuple[str, str]]:
    if len(message) > MESSAGE_LIMIT:
        raise SaslError(f"a message of it is longer than {MESSAGE_LIMIT} octets")
    try:
        parts = [_ATTRIBUTE(part) for part in message.decode("utf-8").split(",")]
    except UnicodeDecodeError:
        raise SaslError("a message of it is no UTF-8") from None
    found = [(part[1], part[2]) for part in parts if part is not None]
    if len(found) != len(parts):
        raise SaslError("a message of it is no list of attributes such as r=…")
    return found


def _decode(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise SaslError(f"its {what} is no base64") from None


class ScramExchange:
    """One AUTH SCRAM-SHA-256. `nonce`: printable ASCII without comma that nobody can guess, new for each exchange."""

    mechanism = "SCRAM-SHA-256"

    def __init__(self, username: str, password: str, nonce: str) -> None:
        """:raises Unpreparable: the user name or the password cannot be used with SASL."""
        self._password = saslprep(password).encode()
        self._nonce = nonce
        name = saslprep(username).replace("=", "=3D").replace(",", "=2C")  # RFC 5802 section 5.1
        self._bare = f"n={name},r={nonce}"
        self._challenge = b""
        self._first: ServerFirst | None = None
        self._signature = b""
        self._proven = False

    def initial(self) -> bytes:
        """What AUTH itself carries: client-first-message."""
        return f"{_HEADER}{self._bare}".encode()

    def respond(self, challenge: bytes) -> bytes | Salting:
        """The server's message → our answer, or the work to be done before `salted` can give it. :raises SaslError:"""
        if self._first is None:
            self._challenge, self._first = challenge, parse_server_first(challenge, self._nonce)
            return Salting(self._password, self._first.salt, self._first.iterations)
        if not self._signature or self._proven:
            raise SaslError("it asks for more than SCRAM-SHA-256 has")
        if not hmac.compare_digest(parse_server_final(challenge), self._signature):
            raise SaslError("it could not prove that it knows the password: it is not the server that the account belongs to")
        self._proven = True
        return b""  # RFC 4954 section 4: 235 carries no data, so the proof came as a challenge

    def salted(self, password: bytes) -> bytes:
        """The salted password → client-final-message. Remembers what the server must answer."""
        assert self._first is not None
        without_proof = f"c={base64.b64encode(_HEADER.encode()).decode()},r={self._first.nonce}"
        signed = b",".join((self._bare.encode(), self._challenge, without_proof.encode()))
        client_key = _hmac(password, b"Client Key")
        client_signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, client_signature, strict=True))
        self._signature = _hmac(_hmac(password, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    @property
    def proven(self) -> bool:
        """True once the server has proved itself: before that a 235 is worth nothing."""
        return self._proven


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
