"""Mailbox addresses (RFC 5321 section 4.1.2, RFC 6531 section 3.3): one parser for wire, API, CLI and configuration.

In: text as a person or a peer wrote it. Out: an `Address` in the one form that rules, routing and storage compare.
Nothing that holds CR, LF, NUL or another control character gets through, so an address can never become a second SMTP command.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache

from mailwye.value import dataclass

LOCAL_PART_LIMIT = 64  # octets, RFC 5321 section 4.5.3.1.1
DOMAIN_LIMIT = 255  # octets, section 4.5.3.1.2
ADDRESS_LIMIT = 254  # octets: a path is at most 256 with its angle brackets, section 4.5.3.1.3
_CACHED = 4096  # parsed addresses kept; about 1 MB

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The mail of every day: dot-atom, at, letters-digits-hyphen labels, a last label that begins with a letter and is no number.
_PLAIN = re.compile(rf"({_ATEXT}++(?:\.{_ATEXT}++)*+)@((?:{_LABEL}\.)*[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?)").fullmatch
_DOT_STRING = re.compile(rf"(?:{_ATEXT}|[^\x00-\x7f])++(?:\.(?:{_ATEXT}|[^\x00-\x7f])++)*+").fullmatch
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~]|[^\x00-\x7f]|\\[ -~])*+"').fullmatch
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*").fullmatch
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*").fullmatch  # what inet_aton would take for a part of an address
_PATH = re.compile(r'<(?:[^">]|"(?:[^"\\]|\\.)*+")*+>').match  # a ">" within a quoted string does not end the path
_QUOTED_PAIR = re.compile(r"\\(.)")
# Controls, line separators, bidirectional overrides, and the look-alikes of "@" that a later normalisation would turn into one.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufe6b\uff20\ufffe\uffff]").search


class AddressError(ValueError):
    """Not a mailbox address. `code`, `enhanced` and the text make the SMTP reply that says so."""

    def __init__(self, text: str, *, code: int = 501, enhanced: str = "5.1.3") -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. `local`: the local part exactly as written (with its quotes, if any), so that it reaches the next hop unchanged.
    `domain`: canonical, that is lower-case A-labels without trailing dot, or an address literal `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The one form for comparing: unquoted local part in lower case, `@`, domain. Exchange compares local parts without case."""
        local = self.local
        if local.startswith('"'):
            local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
        if not local.isascii():
            local = unicodedata.normalize("NFC", local)
        return f"{local.lower()}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """False where the local part needs SMTPUTF8."""
        return self.local.isascii()

    @property
    def is_literal(self) -> bool:
        """True where the domain is an address in brackets (RFC 5321 section 4.1.3)."""
        return self.domain.startswith("[")

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_address(text: str) -> Address:
    """`local@domain` without angle brackets → Address.

    :raises AddressError: with the reply that the RFC gives for the fault.
    """
    return _parse_cached(text)


@lru_cache(maxsize=_CACHED)
def _parse_cached(text: str) -> Address:
    """The common form at once, the rest by `_parse_uncommon`. Faults are not kept: an attacker cannot fill the cache with rubbish."""
    if len(text) <= ADDRESS_LIMIT and (plain := _PLAIN(text)) is not None:
        local, domain = plain.groups()
        domain = domain.lower()
        if len(local) <= LOCAL_PART_LIMIT and "xn--" not in domain:
            return Address(local, domain)
    return _parse_uncommon(text)


def parse_domain(text: str) -> str:
    """A domain name in any case, U-labels or A-labels, with or without the final dot → canonical form (lower-case A-labels).

    :raises AddressError: not a domain name; address literals and bare IP addresses are none.
    """
    if not text.isascii() or "xn--" in text.lower():
        text = _to_ascii(text)
    domain = text.removesuffix(".").lower()
    if len(domain) > DOMAIN_LIMIT:
        raise AddressError(f"The domain name is longer than {DOMAIN_LIMIT} octets")
    if _DOMAIN(domain) is None:
        raise AddressError(f"Not a domain name: {_shown(text)}")
    if _NUMBER_LABEL(domain[domain.rfind(".") + 1 :]) is not None:
        raise AddressError(f"Not a domain name: {_shown(text)}; an IP address stands in brackets, as in user@[192.0.2.1]")
    return domain


def parse_path(text: str) -> tuple[Address | None, str]:
    """What follows `MAIL FROM:` or `RCPT TO:` → (address, rest of the line). `<>` gives None; a source route `@a,@b:` is checked
    and dropped (RFC 5321 section 3.6.1, appendix C). The rest is "" or what follows the blank after `>`.

    :raises AddressError: no path in angle brackets, or no address within.
    """
    if '"' in text:
        found = _PATH(text)
        end = found.end() if found is not None else 0
    else:
        end = text.find(">") + 1
    if not end or text[0] != "<":
        raise AddressError("The address must stand in angle brackets, as in <user@example.com>")
    if len(text) > end and text[end] != " ":
        raise AddressError("A blank must follow the '>' of the path")
    inner, rest = text[1 : end - 1], text[end + 1 :]
    if not inner:
        return None, rest
    if inner[0] == "@":
        inner = _without_route(inner)
    return parse_address(inner), rest


def _without_route(inner: str) -> str:
    """`@a,@b:user@c` → `user@c`."""
    route, colon, address = inner.partition(":")
    if not colon or len(inner) > ADDRESS_LIMIT:
        raise AddressError("Not a source route")
    for hop in route.split(","):
        if not hop.startswith("@"):
            raise AddressError("Not a source route")
        parse_domain(hop[1:])
    return address


def _parse_uncommon(text: str) -> Address:
    """Quoted strings, non-ASCII, literals, A-labels, trailing dots, and every fault."""
    if _UNSAFE(text) is not None:
        raise AddressError("The address holds a control character or another character that is not allowed")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise AddressError(f"Not an address: {_shown(text)}; it has the form user@domain")
    if len(local.encode()) > LOCAL_PART_LIMIT:
        raise AddressError(f"The part before the @ is longer than {LOCAL_PART_LIMIT} octets")
    if _DOT_STRING(local) is None and _QUOTED_STRING(local) is None:
        raise AddressError(f"Not allowed before the @: {_shown(local)}")
    canonical = _parse_literal(domain) if domain.startswith("[") else parse_domain(domain)
    if len(local.encode()) + 1 + max(len(canonical), len(domain.encode())) > ADDRESS_LIMIT:
        raise AddressError(f"The address is longer than {ADDRESS_LIMIT} octets")
    return Address(local, canonical)


def _parse_literal(text: str) -> str:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]` → canonical; an IPv4-mapped IPv6 address becomes the IPv4 address that it is."""
    inner = text[1:-1]
    try:
        if not text.endswith("]") or "%" in inner:  # RFC 5321 section 4.1.3 knows no zone
            raise ValueError("bracket or zone")
        if inner[:5].lower() != "ipv6:":
            return f"[{ipaddress.IPv4Address(inner)}]"
        address = ipaddress.IPv6Address(inner[5:])
    except ValueError as error:
        raise AddressError(f"Not an address literal: {_shown(text)}") from error
    mapped = address.ipv4_mapped
    return f"[IPv6:{address}]" if mapped is None else f"[{mapped}]"


def _to_ascii(text: str) -> str:
    """U-labels → A-labels, after UTS 46 mapping; A-labels are checked to be what their U-labels give (RFC 5891 section 5.4)."""
    if len(text) > DOMAIN_LIMIT or _UNSAFE(text) is not None:
        raise AddressError("Not a domain name")
    import idna  # few domains need it, and every command imports this file

    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"Not an internationalized domain name: {_shown(text)}") from error


def _shown(text: str) -> str:
    """Foreign text as a reply or a log may repeat it: ASCII, quoted, cut."""
    return ascii(text if len(text) <= 64 else text[:64] + "...")
