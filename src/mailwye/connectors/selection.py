"""Which way out? SEMANTICS section 6: pure, with the reason for every candidate. (Values; the functions follow.)"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailwye.connectors.model import SmartHost, TlsSettings
from mailwye.smtp.address import Address


class RouteKind(Enum):
    """The three ways out, and none."""

    CONNECTOR = "connector"
    MAILBOX = "mailbox"
    MX = "mx"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One connector that was considered, whether it was chosen, and why or why not."""

    connector: str
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one recipient's copy. `recipient` is the envelope recipient at the next hop (an external address may have
    replaced the one that was asked for). `smart_hosts` is empty for MX: then `domain` is looked up. `mailbox` is the
    PrimarySmtpAddress for mailbox delivery. `failure` is the reply for NONE ("550 5.4.4 …").
    """

    kind: RouteKind
    recipient: Address
    connector: str = ""
    smart_hosts: tuple[SmartHost, ...] = ()
    domain: str = ""
    tls_settings: TlsSettings = TlsSettings.OPPORTUNISTIC
    tls_domain: str = ""
    client_certificate: str = ""
    cloud_services_mail_enabled: bool = False
    mailbox: str = ""
    failure_enhanced: str = ""
    failure: str = ""
    reasons: tuple[str, ...] = ()
    considered: tuple[Candidate, ...] = ()

    @property
    def next_hop(self) -> str:
        """The key by which the queue groups work: "mailbox", "connector:NAME", "mx:DOMAIN", "none".

        A connector with UseMXRecord gives "connector:NAME:DOMAIN", since each domain is another host.
        """
        match self.kind:
            case RouteKind.MAILBOX:
                return "mailbox"
            case RouteKind.CONNECTOR:
                return f"connector:{self.connector}" if self.smart_hosts else f"connector:{self.connector}:{self.domain}"
            case RouteKind.MX:
                return f"mx:{self.domain}"
            case RouteKind.NONE:
                return "none"
