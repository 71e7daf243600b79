"""Which of several certificates a server presents: chosen by the name that the client asks for (SNI, RFC 6066 section 3). Pure."""

from __future__ import annotations

from collections.abc import Sequence

SERVER_NAME_LIMIT = 253
"""Octets of a server name that is looked at; a longer one is no DNS name."""


class NameTable:
    """The names of several certificates, each certificate's in lower case as runtime/tls_certificates.certificate_names gives them."""

    __slots__ = ("_exact", "_wildcard")

    def __init__(self, certificates: Sequence[Sequence[str]]) -> None:
        """In order of preference: where two certificates have one name, the first one gets it."""
        self._exact: dict[str, int] = {}
        self._wildcard: dict[str, int] = {}
        for number, names in enumerate(certificates):
            for name in names:
                if name.startswith("*."):
                    self._wildcard.setdefault(name[2:], number)
                else:
                    self._exact.setdefault(name, number)

    def find(self, server_name: str) -> int | None:
        """The number of the certificate for `server_name`; None where none has it. The exact name goes before a wildcard, and a wildcard
        stands for one label (RFC 9525 section 6.3).
        """
        if not server_name or len(server_name) > SERVER_NAME_LIMIT:
            return None
        name = server_name.lower().removesuffix(".")  # a client that sends the dot means the same host
        number = self._exact.get(name)
        if number is None:
            first, _, parent = name.partition(".")
            number = self._wildcard.get(parent) if first else None
        return number
