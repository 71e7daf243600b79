"""Fetches the MTA-STS policy of a domain over HTTPS, safely (RFC 8461 section 3.3): no redirect, no private address, nothing large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailwye.config.installation import TransportSettings
from mailwye.connectors.matching import certificate_name_matches
from mailwye.runtime.dns_answer import Absent, Found, Resolver, Unknown
from mailwye.runtime.https import HttpsError, HttpsFault, HttpsRequest, HttpsResponse, exchange
from mailwye.runtime.network import Network, is_private
from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate, TlsError
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.mta_sts import POLICY_PATH, policy_host, policy_url

ADDRESSES_TRIED = 3


class PolicyFetchError(Exception):
    """There is no policy to be had; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause)
        self.failure = failure


class PolicyFetcher(Protocol):
    """Asks the policy host of a domain."""

    async def fetch(self, domain: str) -> bytes:
        """The policy file as it is served now. :raises PolicyFetchError: it is not."""
        ...


class HttpsPolicyFetcher:
    """The PolicyFetcher of live processes. `private_allowed`: policy hosts may be on private addresses (only in tests)."""

    def __init__(
        self,
        *,
        network: Network,
        resolver: Resolver,
        context: Callable[[], ClientTlsContext],
        settings: TransportSettings,
        private_allowed: bool = False,
    ) -> None:
        self._network = network
        self._resolver = resolver
        self._context = context
        self._settings = settings
        self._private_allowed = private_allowed

    async def fetch(self, domain: str) -> bytes:
        """See PolicyFetcher."""
        host = policy_host(domain)
        failure = Failure(FailureType.STS_POLICY_FETCH_ERROR, f"{host} has no address to dial")
        for address in await self._addresses(host):
            try:
                return _policy_of(await self._ask(host, address), policy_url(domain))
            except HttpsError as error:
                kind = FailureType.STS_WEBPKI_INVALID if error.fault is HttpsFault.CERTIFICATE else FailureType.STS_POLICY_FETCH_ERROR
                failure = Failure(kind, f"{policy_url(domain)}: {error}")
        raise PolicyFetchError(failure)

    async def _ask(self, host: str, address: str) -> HttpsResponse:
        try:
            context = self._context()
        except TlsError as error:
            raise HttpsError(HttpsFault.TLS, str(error)) from error
        settings = self._settings
        return await exchange(
            self._network,
            address,
            settings.policy_port,
            HttpsRequest(host, POLICY_PATH, headers=(("Accept", "text/plain"), ("User-Agent", "Mailwye"))),
            context=context,
            judge=lambda certificate: web_certificate_fault(certificate, host),
            timeout=settings.policy_timeout,
            body_limit=settings.policy_octets,
        )

    async def _addresses(self, host: str) -> list[str]:
        """The very addresses that are dialled are judged: no second look-up, so no rebinding."""
        answer = await self._resolver.addresses(host)
        match answer:
            case Unknown(reason):
                raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, f"DNS query failed: {reason}"))
            case Absent(absence):
                raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, f"{host} has no address ({absence.value})"))
            case Found(addresses):
                kept = [address for address in addresses if self._private_allowed or not is_private(address)]
                if not kept:
                    cause = f"{host} has only private or special addresses ({', '.join(addresses[:3])}): never dialled"
                    raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, cause))
                return kept[:ADDRESSES_TRIED]


def web_certificate_fault(certificate: PresentedCertificate | None, host: str) -> str:
    """What is wrong with the certificate of the web server `host`, "" for nothing. The subject's CN counts for nothing."""
    if certificate is None:
        return "the server presented no certificate"
    if not certificate.trusted:
        return f"the certificate is not trusted: {certificate.trust_reason}"
    names = () if certificate.from_common_name else certificate.names
    if not any(certificate_name_matches(name, host) for name in names):
        return f"expected a certificate for {host}, presented {', '.join(names[:5]) or 'no name at all'}"
    return ""


def _policy_of(response: HttpsResponse, url: str) -> bytes:
    if response.status != 200:
        told = "a redirect is not followed (RFC 8461 section 3.3)" if 300 <= response.status < 400 else "only 200 counts"
        raise PolicyFetchError(Failure(FailureType.STS_POLICY_FETCH_ERROR, f"{url}: status {response.status}; {told}"))
    if response.content_type != "text/plain" or response.encoded:
        got = "a content coding" if response.encoded else response.content_type[:60] or "none"
        raise PolicyFetchError(Failure(FailureType.STS_POLICY_INVALID, f"{url}: the media type must be text/plain, not {got}"))
    return response.body
