"""Delivery into mailboxes by LMTP (RFC 2033): Dovecot, Cyrus, and whatever else speaks it. One reply for each recipient."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.selection import Route
from mailwye.outbound.courier import Attempt, Host, Hosts, Work
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.runtime.clock import Clock
from mailwye.runtime.network import Network
from mailwye.smtp.client_events import ClientMode

LMTP_PORT = 24


def parse_lmtp_address(text: str) -> Host:
    """`127.0.0.1:24`, `[::1]:24`, `127.0.0.1` or a socket path (`/run/dovecot/lmtp`, with or without `unix:`) → the host to dial.

    :raises ValueError: neither an address nor an absolute path; LMTP names no host by DNS here, since it stays on the own machines.
    """
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        return Host(path, path, 0)
    address, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon or (":" in address.strip("[]") and not address.startswith("[")):
        address, port = text, str(LMTP_PORT)
    address = address.removeprefix("[").removesuffix("]")
    if not address or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"not an LMTP address: {text!r}; write 127.0.0.1:24, [::1]:24 or a socket path")
    return Host(address, address, int(port))


class _OneHost:
    """A HostResolver for a fixed place."""

    def __init__(self, host: Host) -> None:
        self._hosts = Hosts((host,))

    async def hosts(self, route: Route) -> Hosts:
        """See HostResolver."""
        return self._hosts


class LmtpCourier:
    """The Courier for RouteKind.MAILBOX where [delivery] lmtp is set. Plaintext: a local socket, or the own network."""

    def __init__(self, address: str, *, network: Network, clock: Clock, settings: DeliverySettings, hostname: str) -> None:
        """`address` as parse_lmtp_address takes it. :raises ValueError: it is none."""
        self._smtp = SmtpCourier(
            network=network,
            resolver=_OneHost(parse_lmtp_address(address)),
            tls_contexts=lambda _name: None,
            clock=clock,
            settings=settings,
            hostname=hostname,
            mode=ClientMode.LMTP,
        )

    def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
        """See Courier."""
        return self._smtp.deliver(work)

    async def close(self) -> None:
        """See Courier."""
        await self._smtp.close()
