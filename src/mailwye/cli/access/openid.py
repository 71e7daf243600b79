"""The OpenID provider of [oidc], put together: for the service's API, and for `mailwye oidc check`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwye.admin.openid.gate import OpenIdGate
    from mailwye.config.installation import Installation, OidcSettings
    from mailwye.runtime.resolver import DnsResolver

INSTALL = "pip install 'mailwye[oidc]'"


class ExtraMissing(ValueError):
    """[oidc] is set, and the extra is not installed; the text says how to install it."""


class OpenId:
    """The gate for tokens, and what it works with."""

    def __init__(self, installation: Installation, settings: OidcSettings, tell: Callable[[str], None]) -> None:
        """:raises ExtraMissing: see there. :raises TlsError: a file of `authorities` cannot be used."""
        try:
            from mailwye.admin.openid.gate import OpenIdGate
            from mailwye.admin.openid.provider import Provider
        except ModuleNotFoundError as error:
            raise ExtraMissing(f"mailwye.toml has [oidc], and {error.name} is not installed: `{INSTALL}`, or remove [oidc]") from error
        from mailwye.admin.openid.documents import HttpsDocuments
        from mailwye.app import dns_resolver
        from mailwye.runtime.clock import SystemClock
        from mailwye.runtime.network import SystemNetwork
        from mailwye.runtime.tls import ClientTlsContext

        tls = installation.tls
        authorities = tuple(map(str, (*tls.trusted_authorities, *settings.authorities)))

        def context() -> ClientTlsContext:
            return ClientTlsContext(trusted_authorities=authorities)

        context()  # bad files are told of now
        self._starting: asyncio.Future[None] | None = None
        clock = SystemClock()
        self._resolver: DnsResolver = dns_resolver(installation, clock)
        documents = HttpsDocuments(network=SystemNetwork(), resolver=self._resolver, context=context, timeout=settings.timeout)
        self.gate: OpenIdGate = OpenIdGate(settings, Provider(settings, documents, clock, tell), clock)

    def start(self) -> None:
        """Fetch the keys before somebody needs them, beside whatever else is done."""
        self._starting = asyncio.ensure_future(self.gate.warm_up())

    async def close(self) -> None:
        """Ask nobody any more."""
        await self.gate.close()
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._resolver.close()


def open_openid(installation: Installation, tell: Callable[[str], None]) -> OpenId | None:
    """None where there is no [oidc]. `tell`: hears why keys could not be fetched. :raises ExtraMissing, TlsError: see OpenId."""
    return OpenId(installation, installation.oidc, tell) if installation.oidc is not None else None
