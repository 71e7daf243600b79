"""Values of the fields: each reads what people write into one canonical form and says what is wrong with its remedy."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any, TypeVar

from mailwye.config.problem import Fault, shown
from mailwye.config.reading import scalar
from mailwye.config.scalars import NAME_LIMIT, TEXT_LIMIT, limited_text, read_networks, read_text
from mailwye.config.schema.value import Value, choice, choice_of, each, text_of, value_of
from mailwye.connectors.matching import is_registry
from mailwye.connectors.model import TlsSettings
from mailwye.smtp.address import Address, AddressError, parse_address, parse_domain

_T = TypeVar("_T")

TEXT = text_of(limited_text(TEXT_LIMIT), maxLength=TEXT_LIMIT)
NAME = text_of(limited_text(NAME_LIMIT, required=True), minLength=1, maxLength=NAME_LIMIT)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Fault(f"must be true or false, not {shown(value)}", "Write true or false without quotes")


FLAG = value_of(bool, _flag, {"type": "boolean"})


def _address_text(value: object) -> str:
    text = read_text(value)
    return text[5:] if text[:5].lower() == "smtp:" else text  # a proxy address as Exchange prints it


def read_address(value: object) -> Address:
    """A mailbox address, with or without Exchange's `SMTP:` before it."""
    if isinstance(value, Address):
        return value
    try:
        return parse_address(_address_text(value))
    except AddressError as error:
        raise Fault(str(error), "Write it as user@domain") from error


def read_domain(value: object) -> str:
    """A domain name without wildcard, canonical."""
    text = read_text(value)
    if "*" in text:
        raise Fault(
            f"{shown(text)} holds a wildcard",
            "Name the domain itself; for its subdomains set DomainType InternalRelay and MatchSubDomains true",
        )
    return read_domain_text(text)


def read_pattern(value: object) -> str:
    """`*`, `*.contoso.com` or `contoso.com`, canonical; also `smtp:*;1`, as Get-InboundConnector prints it."""
    text = read_text(value)
    if text[:5].lower() == "smtp:":
        text = text[5:].partition(";")[0]
    if text == "*":
        return text
    base = text.removeprefix("*.")
    if "*" in base:
        raise Fault(
            f"{shown(text)} has a wildcard in the wrong place", "Use *, *.contoso.com or contoso.com; a wildcard is never inside a name"
        )
    return text[: len(text) - len(base)] + read_domain_text(base)


def read_certificate_name(value: object) -> str:
    """`mail.contoso.com` or `*.contoso.com`; neither `*` nor a wildcard over a whole registry such as `*.com` or `*.co.uk` (RFC 9525)."""
    text = read_text(value)
    if not text:
        return ""
    if text.startswith("<"):
        raise Fault("names issuer and subject", "Write the domain name that the certificate carries, such as mail.contoso.com")
    pattern = read_pattern(text)
    if pattern == "*" or (pattern.startswith("*.") and is_registry(pattern[2:])):
        raise Fault(f"{shown(text)} would accept anybody's certificate", "Name your own domain, such as *.contoso.com")
    return pattern


def read_certificate_pin(value: object) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo) → 64 hexadecimal digits. Taken as hex, with or without colons, or as base64 (44
    characters, also as curl's `sha256//…`).
    """
    text = read_text(value)
    digits = text.replace(":", "").lower()
    if re.fullmatch("[0-9a-f]{64}", digits):
        return digits
    try:
        digest = base64.b64decode(re.sub("^sha256/{1,2}", "", text), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise Fault(
            f"{shown(text)} is no SHA-256 of a public key",
            "Write 64 hexadecimal digits or 44 characters of base64; `mailwye trace show` prints them",
        )
    return digest.hex()


def read_domain_text(text: str) -> str:
    """A domain name, canonical."""
    try:
        return parse_domain(text)
    except AddressError as error:
        raise Fault(str(error), "Write a domain name, such as contoso.com") from error


def each_once(values: tuple[_T, ...], key: Callable[[_T], Any]) -> tuple[_T, ...]:
    """The order of these lists has no meaning: each value once, sorted, so that two files that mean the same compare equal."""
    by_key = {key(value): value for value in reversed(values)}
    return tuple(by_key[k] for k in sorted(by_key))


def _network_order(text: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(text)
    return network.version, int(network.network_address), network.prefixlen


def _domain_order(pattern: str) -> tuple[str, ...]:
    return tuple(reversed(pattern.split(".")))


def _flatten(values: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return each_once(tuple(network for networks in values for network in networks), _network_order)


def _sorted_domains(values: tuple[str, ...]) -> tuple[str, ...]:
    return each_once(values, _domain_order)


def sorted_texts(values: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in the order of their characters."""
    return each_once(values, str)


MAIL_ADDRESS = value_of(Address, read_address, {"type": "string", "format": "email"}, write=str, kept=parse_address)
MAIL_ADDRESSES = each(MAIL_ADDRESS, lambda values: each_once(values, attrgetter("key")))
DOMAIN_NAME = text_of(read_domain, format="hostname")
DOMAIN_NAMES = each(DOMAIN_NAME, _sorted_domains)
DOMAIN_PATTERNS = each(text_of(read_pattern), _sorted_domains)
CERTIFICATE_NAME = text_of(read_certificate_name)
CERTIFICATE_PINS = each(text_of(read_certificate_pin), sorted_texts)
NAMES = each(NAME, sorted_texts)


_choose_tls = choice(TlsSettings)


def _read_tls_settings(value: object) -> TlsSettings:
    return TlsSettings.OPPORTUNISTIC if value is None else _choose_tls(value)


TLS_SETTINGS = choice_of(TlsSettings, _read_tls_settings)


def networks(*, required: bool = False) -> Value[tuple[str, ...]]:
    """One entry may become several networks."""
    return each(_SEVERAL_NETWORKS, _flatten, required=required)


_SEVERAL_NETWORKS: Value[Any] = replace(DOMAIN_NAME, read=scalar(read_networks), schema={"type": "string"})
NETWORKS = networks()
