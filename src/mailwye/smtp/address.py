"""Mailbox addresses (RFC 5321 section 4.1.2, RFC 6531 section 3.3): one parser for wire, API, CLI and configuration."""

from __future__ import annotations

from dataclasses import dataclass


class AddressError(ValueError):
    """Not a mailbox address. `code`, `enhanced` and the text make the SMTP reply that says so."""

    def __init__(self, text: str, *, code: int = 501, enhanced: str = "5.1.3") -> None:
        super().__init__(text)
        self.code = code
        self.enhanced = enhanced


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. `local`: the local part exactly as written (with its quotes, if any), so that it reaches the next hop unchanged.
    `domain`: canonical, that is lower-case A-labels without trailing dot, or an address literal `[192.0.2.1]`.
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The one form for comparing: unquoted local part in lower case, `@`, domain. Exchange compares local parts without case."""
        local = self.local
        if local.startswith('"'):
            local = local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return f"{local.lower()}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """False where the local part needs SMTPUTF8."""
        return self.local.isascii()

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_address(text: str) -> Address:
    """`local@domain` without angle brackets → Address.

    :raises AddressError: with the reply that the RFC gives for the fault.
    """
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise AddressError(f"not an address: {text!r}")
    return Address(local, domain.lower())


def parse_domain(text: str) -> str:
    """A domain name in any case, U-labels or A-labels → canonical form (lower-case A-labels, no trailing dot).

    :raises AddressError: not a domain name.
    """
    return text.lower().rstrip(".")
