"""The issuer's documents over HTTPS: what it is (OpenID Connect Discovery 1.0), and its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from mailwye.admin.strict_json import read_object
from mailwye.config.problem import shown
from mailwye.runtime.dns_answer import Absent, Found, Resolver, Unknown
from mailwye.runtime.https import HttpsError, HttpsRequest, HttpsResponse, exchange
from mailwye.runtime.network import Network
from mailwye.runtime.tls import ClientTlsContext, TlsError
from mailwye.smtp.address import AddressError, parse_domain
from mailwye.transport.policy_fetch import web_certificate_fault

DOCUMENT_OCTETS = 262_144
DISCOVERY_PATH = "/.well-known/openid-configuration"
ADDRESSES_TRIED = 3
HTTPS_PORT = 443


class DocumentError(Exception):
    """A document is not to be had, or is not what it should be; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class HttpsPlace:
    """An https URL in its parts. `host`: canonical. `target`: path and query."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """As the Host field has it (RFC 9110 section 7.2)."""
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


class Documents(Protocol):
    """Reads what an https URL names now."""

    async def read(self, url: str) -> bytes:
        """:raises DocumentError:"""
        ...


class HttpsDocuments:
    """The Documents of live processes. An administrator has named the issuer, so private addresses are dialled too; redirects are not
    followed. `timeout`: seconds for one document, shared out among the addresses of its host. `context` is made for each: it is rare, and
    files may have changed.
    """

    def __init__(self, *, network: Network, resolver: Resolver, context: Callable[[], ClientTlsContext], timeout: float) -> None:
        self._network = network
        self._resolver = resolver
        self._context = context
        self._timeout = timeout

    async def read(self, url: str) -> bytes:
        """See Documents."""
        place = https_place(url)
        fault = f"{url}: {place.host} has no address"
        addresses = await self._addresses(place.host)
        for address in addresses:
            try:
                return _body(await self._ask(place, address, self._timeout / len(addresses)), url)
            except HttpsError as error:
                fault = f"{url}: {error}"
        raise DocumentError(fault)

    async def _ask(self, place: HttpsPlace, address: str, timeout: float) -> HttpsResponse:
        try:
            context = self._context()
        except TlsError as error:
            raise DocumentError(str(error)) from error
        return await exchange(
            self._network,
            address,
            place.port,
            HttpsRequest(
                place.host, place.target, headers=(("Accept", "application/json"), ("User-Agent", "Mailwye")), authority=place.authority
            ),
            context=context,
            judge=lambda certificate: web_certificate_fault(certificate, place.host),
            timeout=timeout,
            body_limit=DOCUMENT_OCTETS,
        )

    async def _addresses(self, host: str) -> tuple[str, ...]:
        match await self._resolver.addresses(host):
            case Found(addresses):
                return tuple(addresses[:ADDRESSES_TRIED])
            case Absent(absence):
                raise DocumentError(f"{host} has no address ({absence.value})")
            case Unknown(reason):
                raise DocumentError(f"{host} cannot be looked up: {reason}")


def https_place(url: str) -> HttpsPlace:
    """:raises DocumentError: no https URL with a domain name."""
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS_PORT
        is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
        if parts.scheme == "https" and is_plain and not parts.fragment:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            return HttpsPlace(parse_domain(parts.hostname or ""), port, target)
    except (ValueError, AddressError) as error:
        raise DocumentError(f"{shown(url)} is no https URL with a domain name") from error
    raise DocumentError(f"{shown(url)} is no https URL with a domain name")


def discovery_url(issuer: str) -> str:
    """Section 4 of Discovery: the path goes behind that of the issuer."""
    return issuer.removesuffix("/") + DISCOVERY_PATH


def keys_url(document: bytes, issuer: str) -> str:
    """Where the keys are, by the discovery document of that issuer. :raises DocumentError: it is none, or another's (section 4.3)."""
    place = discovery_url(issuer)
    try:
        found = read_object(document)
    except ValueError as error:
        raise DocumentError(f"{place}: {error}") from error
    if found.get("issuer") != issuer:
        raise DocumentError(f"{place}: it is of the issuer {shown(found.get('issuer'))}, which is not exactly [oidc] issuer")
    url = found.get("jwks_uri")
    if not isinstance(url, str):
        raise DocumentError(f"{place}: it does not say where the keys are (jwks_uri)")
    https_place(url)
    return url


def _body(response: HttpsResponse, url: str) -> bytes:
    if response.status != 200:
        told = "; a redirect is not followed" if 300 <= response.status < 400 else ""
        raise DocumentError(f"{url}: status {response.status}{told}")
    if response.encoded or not (response.content_type == "application/json" or response.content_type.endswith("+json")):
        got = "a content coding" if response.encoded else shown(response.content_type)
        raise DocumentError(f"{url}: the media type must be JSON, not {got}")
    return response.body
