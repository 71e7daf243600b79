"""The issuer's public keys, and signatures by them: JOSE by joserfc (docs/decisions/0019). Needs the extra `oidc`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from mailwye.admin.openid.token import KEY_NAME_LIMIT, UnprovedToken
from mailwye.admin.strict_json import read_object

KEYS_LIMIT = 100
"""Keys of one issuer that are looked at."""

RSA_BITS = (2_048, 8_192)  # RFC 7518 section 3.3; above that each look at a stranger's signature would cost too much

CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}  # RFC 7518 section 3.4

_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`algorithm`: the only one that the issuer gave it for, "" where it did not say."""

    name: str
    algorithm: str
    key: RSAKey | ECKey


Keys = Mapping[tuple[str, str], PublicKey]
"""(kid, kty) → key: names are unique within a kind (RFC 7517 section 4.5)."""


def read_keys(document: bytes) -> Keys:
    """The keys of a JWK Set (RFC 7517 section 5) that can prove a signature; others, and what is not understood, are left out.

    :raises ValueError: it is none, or has no such key; the text says why.
    """
    listed = read_object(document).get("keys")
    if not isinstance(listed, list):
        raise ValueError("it has no list of keys")
    if len(listed) > KEYS_LIMIT:
        raise ValueError(f"it has more than {KEYS_LIMIT} keys")
    found: dict[tuple[str, str], PublicKey] = {}
    for one in listed:
        key = _public_key(one) if isinstance(one, dict) else None
        if key is not None:
            found.setdefault((key.name, key.key.key_type), key)
    if not found:
        raise ValueError("it has no key that can prove a signature: RSA of 2048 to 8192 bits or EC, with a kid, for signatures (use)")
    return found


def _public_key(value: dict[str, Any]) -> PublicKey | None:
    kind, name, algorithm = value.get("kty"), value.get("kid"), value.get("alg", "")
    operations = value.get("key_ops", ["verify"])
    if not isinstance(name, str) or not 0 < len(name) <= KEY_NAME_LIMIT or not isinstance(algorithm, str):
        return None
    if value.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        match kind:
            case "RSA":
                with warnings.catch_warnings(action="ignore", category=SecurityWarning):  # of short keys: they are left out below
                    rsa = RSAKey.import_key(_only(value, kind))
                low, high = RSA_BITS
                return PublicKey(name, algorithm, rsa) if low <= rsa.public_key.key_size <= high else None
            case "EC":
                curve = ECKey.import_key(_only(value, kind))
                return PublicKey(name, algorithm, curve) if curve.curve_name in CURVES.values() else None
            case _:
                return None  # a symmetric key among public ones too: whoever can read it could sign
    except (JoseError, ValueError, TypeError, LookupError, ArithmeticError, UnsupportedAlgorithm):
        return None


def _only(value: dict[str, Any], kind: str) -> Any:
    """The public part: a private key that slipped in is of no use here."""
    return {name: value[name] for name in _PUBLIC[kind] if isinstance(value.get(name), str)}


def key_for(keys: Keys, token: UnprovedToken) -> PublicKey | None:
    """The key that the token names, where it is one for the token's algorithm (RFC 8725 section 3.1)."""
    found = keys.get((token.key_name, "EC" if token.algorithm in CURVES else "RSA"))
    if found is None or found.algorithm not in ("", token.algorithm):
        return None
    if isinstance(found.key, ECKey) and found.key.curve_name != CURVES.get(token.algorithm):
        return None
    return found


class _Registry(jws.JWSRegistry):
    """What the header may hold is decided in token.py; sizes have one limit there."""

    max_header_length = 16_384
    max_signature_length = 2_048

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)


def is_signed_by(token: UnprovedToken, key: PublicKey) -> bool:
    """Whether the token's signature is by that key, with the token's algorithm, which the caller has allowed."""
    try:
        jws.deserialize_compact(token.text, key.key, registry=_Registry(token.algorithm))
    except (JoseError, ValueError, TypeError):
        return False
    return True
