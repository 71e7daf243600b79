"""SendConnector and ReceiveConnector: where Mailwye stands in the place of Exchange Server. Field names are Exchange's, in snake_case."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import Enum

from mailwye.connectors.model import ConnectorType, InboundConnector, OutboundConnector
from mailwye.value import dataclass

UNLIMITED = 2**53
"""Stands for the value `unlimited` of a size or a count."""

MEGABYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """One entry of AddressSpaces. `domain`: "*", "contoso.com" or "*.contoso.com" (subdomains only). Lower `cost` first, 1 to 100."""

    domain: str
    cost: int = 1

    def __str__(self) -> str:
        return f"{self.domain};{self.cost}" if self.cost != 1 else self.domain


@dataclass(frozen=True, slots=True)
class SendConnector(OutboundConnector):
    """The own server's way out. For selection, pools, TLS and headers it is an outbound connector to another part of the organization
    (ConnectorType OnPremises), with costs; `recipient_domains` are the domains of `address_spaces`.

    `fqdn`: the EHLO name, "" for the usual one. `max_message_size` in octets, UNLIMITED for none. `client_certificate` may be a choice
    of connectors/own_certificates.py.
    """

    address_spaces: tuple[AddressSpace, ...] = ()
    fqdn: str = ""
    max_message_size: int = UNLIMITED

    @property
    def title(self) -> str:
        """As sentences name it."""
        return f'SendConnector "{self.name}"'

    @property
    def scope_field(self) -> str:
        """Where its scope is written."""
        return "AddressSpaces"

    @property
    def costs(self) -> Mapping[str, int]:
        """Address spaces whose cost is not 1."""
        return {space.domain: space.cost for space in self.address_spaces if space.cost != 1}


class PermissionGroup(Enum):
    """Who may send through a ReceiveConnector at all."""

    ANONYMOUS_USERS = "AnonymousUsers"
    EXCHANGE_USERS = "ExchangeUsers"
    EXCHANGE_SERVERS = "ExchangeServers"
    EXCHANGE_LEGACY_SERVERS = "ExchangeLegacyServers"
    PARTNERS = "Partners"


class AuthMechanism(Enum):
    """What a ReceiveConnector offers."""

    TLS = "Tls"
    INTEGRATED = "Integrated"
    BASIC_AUTH = "BasicAuth"
    BASIC_AUTH_REQUIRE_TLS = "BasicAuthRequireTLS"
    EXCHANGE_SERVER = "ExchangeServer"


BASIC = frozenset({AuthMechanism.BASIC_AUTH, AuthMechanism.BASIC_AUTH_REQUIRE_TLS})
EVERYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Binding:
    """A local address and port. `address` is canonical; 0.0.0.0 and :: stand for all of the machine of that kind."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @classmethod
    def of(cls, text: str) -> Binding:
        """The reverse of `str`. :raises ValueError: no such thing."""
        address, colon, port = text.rpartition(":")
        if not (colon and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise ValueError(f"not an address with a port: {text!r}")
        return cls(str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))), int(port))

    def covers(self, listener: Binding) -> bool:
        """Whether sessions of a listener at `listener` belong to this binding: the same one, or all addresses of its kind."""
        if self.port != listener.port:
            return False
        own, other = ipaddress.ip_address(self.address), ipaddress.ip_address(listener.address)
        return own == other or (own.is_unspecified and own.version == other.version)


@dataclass(frozen=True, slots=True)
class ReceiveConnector:
    """Who may talk to a listener, and with what limits. `certificate_choice`: which own certificate is presented, "" for the listener's
    (connectors/own_certificates.py). `cloud_services_domains`: names of TlsDomainCapabilities with AcceptCloudServicesMail. Sizes in
    octets, times in seconds; limits of connections count in each worker.
    """

    name: str
    enabled: bool = True
    bindings: tuple[Binding, ...] = ()
    remote_ip_ranges: tuple[str, ...] = EVERYWHERE  # canonical CIDR
    fqdn: str = ""
    certificate_choice: str = ""
    cloud_services_domains: tuple[str, ...] = ()
    permission_groups: tuple[PermissionGroup, ...] = ()
    auth_mechanism: tuple[AuthMechanism, ...] = (AuthMechanism.TLS,)
    require_tls: bool = False
    max_hop_count: int = 30
    max_message_size: int = 36 * MEGABYTE
    max_recipients_per_message: int = 200
    max_protocol_errors: int = 5
    max_inbound_connection: int = 5_000
    max_inbound_connection_per_source: int = 20
    connection_timeout: float = 600.0
    connection_inactivity_timeout: float = 300.0

    @property
    def title(self) -> str:
        """As sentences name it."""
        return f'ReceiveConnector "{self.name}"'

    def limits(self) -> dict[str, str]:
        """What a message or a session may have at most, by the setting's name, in words that can be compared."""
        return {
            "MaxHopCount": str(self.max_hop_count),
            "MaxMessageSize": f"{self.max_message_size} octets",
            "MaxRecipientsPerMessage": str(self.max_recipients_per_message),
            "MaxProtocolErrors": _count(self.max_protocol_errors),
            "MaxInboundConnection": _count(self.max_inbound_connection),
            "MaxInboundConnectionPerSource": _count(self.max_inbound_connection_per_source),
            "ConnectionTimeout": f"{self.connection_timeout:g} s",
            "ConnectionInactivityTimeout": f"{self.connection_inactivity_timeout:g} s",
        }

    def permits(self, *groups: PermissionGroup) -> bool:
        """Whether one of `groups` is among its PermissionGroups."""
        return any(group in self.permission_groups for group in groups)

    def peers(self) -> tuple[InboundConnector, ...]:
        """What TlsDomainCapabilities say, as connectors that identify the other side of the organization by its certificate."""
        return tuple(
            InboundConnector(
                self.name,
                connector_type=ConnectorType.ON_PREMISES,
                tls_sender_certificate_name=domain,
                cloud_services_mail_enabled=True,
            )
            for domain in self.cloud_services_domains
        )


def _count(number: int) -> str:
    return "unlimited" if number == UNLIMITED else str(number)
