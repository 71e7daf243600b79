"""The Sender Rewriting Scheme (SRS): a foreign sender's address wrapped into one of ours, signed and dated, and back again.

    sun@example.net                              →  SRS0=HHHHHH=TT=example.net=sun@contoso.com
    SRS0=abcd=XY=example.net=sun@first.example   →  SRS1=HHHHHHTT=first.example==abcd=XY=example.net=sun@contoso.com

`HHHHHH` signs the rest (30 bits of a keyed hash), `TT` is the day modulo 1024; both are in base32, so that hosts which fold the case of
local parts do no harm. SRS1 is for senders that another forwarder has wrapped already: a bounce goes to that one, not round all of them.
Only the null sender may use such an address (connectors/mailflow.py), so a stolen one carries bounces to one address, for some weeks. Pure.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from enum import Enum
from hashlib import blake2b

from mailwye.smtp.address import Address, AddressError, parse_address
from mailwye.value import dataclass

DAY_SECONDS = 86_400
DAYS = 1_024
"""After so many days a day's two letters come again."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # RFC 4648 section 6
_SIGNATURE = 6
_WRAPPED = re.compile(r"SRS([01])[=+-](.+)", re.IGNORECASE | re.DOTALL)
_OURS_0 = re.compile(r"SRS0=([A-Z2-7]{6})=([A-Z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_OURS_1 = re.compile(r"SRS1=([A-Z2-7]{6})([A-Z2-7]{2})=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)
_THEIRS_1 = re.compile(r"SRS1[=+-][^=]*=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)


class Validity(Enum):
    """What a wrapped address is."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"  # or wrapped by somebody else


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What a wrapped address says. `address`: the sender to whom it leads; None where it is forged."""

    validity: Validity
    address: Address | None = None


class SenderRewriting:
    """Wraps and unwraps with one installation's secret. `days`: how long a wrapped address is good."""

    __slots__ = ("_key", "days")

    def __init__(self, secret: bytes, days: int) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"mailwye srs").digest()
        self.days = days

    def wrap(self, sender: Address, domain: str, now: float) -> Address | str:
        """`sender` as an address in `domain`, which is ours; or why it cannot be wrapped. `now`: Unix seconds."""
        day = _day_text(int(now // DAY_SECONDS))
        wrapped = _WRAPPED.fullmatch(sender.local)
        if sender.local.startswith('"') or sender.is_literal:
            return f"{sender} cannot be rewritten: quoted local parts and address literals fit into no other address"
        if wrapped is None:
            local = f"SRS0={self._sign('0', day, sender.domain, sender.local)}={day}={sender.domain}={sender.local}"
        else:
            theirs = _THEIRS_1.fullmatch(sender.local) if wrapped[1] == "1" else None
            first, rest = (theirs[1], theirs[2]) if theirs is not None else (sender.domain, sender.local[4:])
            local = f"SRS1={self._sign('1', day, first, rest)}{day}={first}={rest}"
        try:
            return parse_address(f"{local}@{domain}")
        except AddressError as error:
            return f"{sender} cannot be rewritten: {error}"

    def unwrap(self, address: Address, now: float) -> Unwrapped | None:
        """What `address` wraps; None where it has not the form of a wrapped one."""
        local = address.local
        if _WRAPPED.fullmatch(local) is None:
            return None
        if (match := _OURS_0.fullmatch(local)) is not None:
            kind, original = "0", f"{match[4]}@{match[3]}"
        elif (match := _OURS_1.fullmatch(local)) is not None:
            kind, original = "1", f"SRS0{match[4]}@{match[3]}"
        else:
            return Unwrapped(Validity.FORGED)
        signature, day = match[1].upper(), match[2].upper()
        if not hmac.compare_digest(self._sign(kind, day, match[3], match[4]), signature):
            return Unwrapped(Validity.FORGED)
        try:
            sender = parse_address(original)
        except AddressError:
            return Unwrapped(Validity.FORGED)
        age = (int(now // DAY_SECONDS) - _day_number(day)) % DAYS
        fresh = age <= self.days or age == DAYS - 1  # a day ahead: two clocks around midnight
        return Unwrapped(Validity.VALID if fresh else Validity.EXPIRED, sender)

    def _sign(self, kind: str, day: str, domain: str, rest: str) -> str:
        """Of the text without regard to case (Address.key)."""
        text = unicodedata.normalize("NFC", f"{kind}\0{day}\0{domain}\0{rest}").lower()
        digest = int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._key).digest())
        return "".join([_ALPHABET[digest >> shift & 31] for shift in range(0, 5 * _SIGNATURE, 5)])


def _day_text(day: int) -> str:
    return _ALPHABET[day >> 5 & 31] + _ALPHABET[day & 31]


def _day_number(text: str) -> int:
    return _ALPHABET.index(text[0]) << 5 | _ALPHABET.index(text[1])
