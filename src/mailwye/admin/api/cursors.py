"""Where a page ended: opaque text that only this installation makes, bound to the question that it goes on with."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import Any

from mailwye.admin.api.problems import ApiError

LENGTH = 8_192  # characters of a cursor
MAC_OCTETS = 12


class Cursors:
    """`key`: octets that only this installation knows. Somebody who makes up a position could do no harm, but would get nonsense."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, question: str, position: Any) -> str:
        """`position`: plain values for JSON. `question`: what is listed, with its filters; another one does not take the cursor."""
        octets = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(question, octets) + octets).decode().rstrip("=")

    def open(self, question: str, cursor: str) -> Any:
        """:raises ApiError: 400, it is none of ours, or of another question."""
        try:
            octets = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            octets = b""
        mac, octets = octets[:MAC_OCTETS], octets[MAC_OCTETS:]
        if not hmac.compare_digest(mac, self._mac(question, octets)):
            raise ApiError(400, "the cursor is not one that came with this question: take `next` of the page before, and change only limit")
        return json.loads(octets)

    def _mac(self, question: str, octets: bytes) -> bytes:
        return hmac.digest(self._key, question.encode() + b"\n" + octets, "sha256")[:MAC_OCTETS]
