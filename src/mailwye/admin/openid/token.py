"""A JSON Web Token taken apart, believing nothing of it (RFC 7519, RFC 7515 section 7.1). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from mailwye.admin.strict_json import read_object

TOKEN_LIMIT = 16_384  # characters; looked at before anything else is
KEY_NAME_LIMIT = 255  # characters of a kid

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+").fullmatch


class TokenError(ValueError):
    """It is no token of the form that issuers send; the text says why and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class UnprovedToken:
    """What a token says of itself. Of its header only `algorithm`, `key_name` (kid) and `kind` (typ, in lower case without
    "application/", "" where there is none) are ever looked at: jku, x5u, jwk and x5c would let the token choose its own key (RFC 8725
    section 3.10).
    """

    text: str
    algorithm: str
    key_name: str
    kind: str
    claims: dict[str, Any]


def is_shaped_like_one(text: str) -> bool:
    """Three parts with dots between them. No token of ours has a dot."""
    return text.count(".") == 2


def read_token(text: str) -> UnprovedToken:
    """:raises TokenError: it is none."""
    if len(text) > TOKEN_LIMIT:
        raise TokenError(f"it has more than {TOKEN_LIMIT} characters")
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenError("it does not have three parts" + (": it is encrypted" if len(parts) == 5 else ""))
    header = _object(parts[0], "header")
    _octets(parts[2], "signature")
    if "crit" in header:  # RFC 7515 section 4.1.11: what is critical and not understood
        raise TokenError("its header asks for extensions (crit)")
    algorithm, key_name, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not isinstance(algorithm, str):
        raise TokenError("its header names no algorithm")
    if not isinstance(key_name, str) or not 0 < len(key_name) <= KEY_NAME_LIMIT:
        raise TokenError("its header names no key (kid)")
    if not isinstance(kind, str):
        raise TokenError("the typ of its header is no text")
    return UnprovedToken(text, algorithm, key_name, kind.lower().removeprefix("application/"), _object(parts[1], "payload"))


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        return read_object(_octets(part, name))
    except TokenError:
        raise
    except ValueError as error:
        raise TokenError(f"its {name} cannot be read: {error}") from error


def _octets(part: str, name: str) -> bytes:
    """Base64url without padding (RFC 7515 section 2), in its one spelling."""
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) if _BASE64URL(part) is not None else b""
    except (binascii.Error, ValueError):
        octets = b""
    if not octets or base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != part:
        raise TokenError(f"its {name} is no base64url")
    return octets
