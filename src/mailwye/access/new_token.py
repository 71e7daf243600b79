"""A new API token. Pure: chance is given."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable

from mailwye.access.accounts import TOKEN_PREFIX, Token, token_digest
from mailwye.access.roles import Permission

SECRET_OCTETS = 32
ID_OCTETS = 4
DAY = 86_400.0


def make_token(
    user: str, scopes: frozenset[Permission], comment: str, *, days: int, now: float, secret: Callable[[int], bytes], ends: float = math.inf
) -> tuple[Token, str, str]:
    """The token, its secret for the user, and its digest for the store. `secret(n)`: n octets that nobody can guess.
    `ends`: Unix seconds beyond which it is not good for anything, whatever `days` says.
    """
    text = TOKEN_PREFIX + base64.urlsafe_b64encode(secret(SECRET_OCTETS)).decode().rstrip("=")
    return Token(secret(ID_OCTETS).hex(), user, comment, scopes, now, min(now + days * DAY, ends)), text, token_digest(text)
