"""The port of the parts that carry a message one hop further."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from enum import Enum
from typing import Protocol

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.selection import Route
from mailwye.message.envelope import TlsWish
from mailwye.queue.item import Delivery, Lease
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.transport.host_policy import NO_POLICY, HostPolicy
from mailwye.transport.tls_report import SessionResult
from mailwye.value import dataclass

_NO_WISH = TlsWish.DEFAULT


class Stage(Enum):
    """How far an attempt came: outcomes.py decides by it."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"
    PROTECTION = "protection"  # the host can be used, but not with the protection that the message asks for
    GREETING = "greeting"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    MAILBOX = "mailbox"

    __hash__ = object.__hash__  # members are unique; Enum's own is Python, called for every look-up


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened to one delivery in one attempt. `reply`: the far side's words, or the reply that describes the failure here
    (450 4.4.316 Connection refused …). `host` as people read it: `mail.contoso.com[192.0.2.1]:25`; `tls` "TLSv1.3 with CIPHER" or "".
    `offers_dsn`: the far side offers DSN, so it took over the duty to notify (RFC 3461 section 5.2).
    """

    delivery: Delivery
    stage: Stage
    reply: Reply
    host: str = ""
    tls: str = ""
    reasons: tuple[str, ...] = ()
    offers_dsn: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """A lease with the route of its deliveries: what a courier is asked to carry. `recipients`: the envelope recipients at the next
    hop, one per delivery, in order; left empty, a single delivery goes to `route.recipient`, several go each to its own recipient.
    `snapshot`: the configuration by which the route was chosen.
    """

    lease: Lease
    route: Route
    recipients: tuple[Address, ...] = ()
    snapshot: Snapshot | None = None

    @property
    def way(self) -> str:
        """The key of the connections that may carry it: the next hop, and what the message asks of TLS."""
        hop, wish = self.route.next_hop, self.lease.message.tls
        return hop if wish is _NO_WISH else way_key(hop, wish)

    @property
    def envelope_recipients(self) -> tuple[Address, ...]:
        """One per delivery of the lease, in its order."""
        if self.recipients:
            return self.recipients
        deliveries = self.lease.deliveries
        return (self.route.recipient,) if len(deliveries) == 1 else tuple(delivery.recipient for delivery in deliveries)


def way_key(next_hop: str, wish: TlsWish) -> str:
    """See Work.way. No name holds a line end, so that no connector's name reads like a wish."""
    return next_hop if wish is _NO_WISH else f"{next_hop}\n{wish.value}"


@dataclass(frozen=True, slots=True)
class Host:
    """One server to try. `name`: as MX or SmartHosts names it (lower-case A-labels; the address itself where none was named), the
    name that a certificate is checked against. `address`: the IP address to dial. `validated`: DNSSEC vouches for name and address.
    `policy`: what the recipient's domain demands of it, beside what a connector does.
    """

    name: str
    address: str
    port: int
    validated: bool = False
    policy: HostPolicy = NO_POLICY

    def __str__(self) -> str:
        """As people read it: `mail.contoso.com[192.0.2.1]:25`."""
        return f"{self.name}[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where a route leads: `hosts` in the order to try; or, with none, `failure`: the temporary (450 4.4.312 DNS query failed …) or
    permanent (556 5.1.10, 550 5.4.6 …) reply. `reasons` say how the list came about; `results` what TLS reports must hear of policies and
    hosts that could not be used.
    """

    hosts: tuple[Host, ...] = ()
    failure: Reply | None = None
    reasons: tuple[str, ...] = ()
    results: tuple[SessionResult, ...] = ()


class HostResolver(Protocol):
    """From a route to the servers behind it (outbound/resolve.py)."""

    async def hosts(self, route: Route) -> Hosts:
        """Look up MX or smart hosts; private addresses and ourselves are already dropped. Never raises for what DNS does."""
        ...


class Courier(Protocol):
    """Carries one message to one next hop, for one or several recipients."""

    def deliver(self, work: Work) -> Awaitable[Sequence[Attempt]]:
        """One Attempt per delivery of the lease, in its order. Never raises for what the far side does; cancelling it gives up the
        connection. The awaitable is an asyncio.Future or a coroutine.
        """
        ...

    async def close(self) -> None:
        """Finish what is in flight (bounded by the caller's timeout), say QUIT, close."""
        ...
