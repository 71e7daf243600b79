"""Connectors as the deciding functions see them. Field names are Exchange's, in snake_case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from mailwye.value import dataclass

_NO_COSTS: Mapping[str, int] = {}


class ConnectorType(Enum):
    """OnPremises: the organization's own servers (grants). Partner: any other (only restricts)."""

    ON_PREMISES = "OnPremises"
    PARTNER = "Partner"


class TlsSettings(Enum):
    """How much TLS an outbound connector asks for (SEMANTICS section 8)."""

    OPPORTUNISTIC = None
    ENCRYPTION_ONLY = "EncryptionOnly"
    CERTIFICATE_VALIDATION = "CertificateValidation"
    DOMAIN_VALIDATION = "DomainValidation"


class MtaStsMode(Enum):
    """Whether deliveries by MX follow the MTA-STS policy of the recipient's domain (RFC 8461)."""

    OPPORTUNISTIC = "Opportunistic"
    NONE = "None"


class SmtpDaneMode(Enum):
    """Whether deliveries by MX follow the TLSA records of the hosts (RFC 7672). MANDATORY: no delivery without them."""

    OPPORTUNISTIC = "Opportunistic"
    MANDATORY = "Mandatory"
    NONE = "None"


class SmartHostAuthMechanism(Enum):
    """Whether an outbound connector logs in at its smart hosts. BASIC_AUTH_REQUIRE_TLS: by SASL, within TLS only."""

    NONE = "None"
    BASIC_AUTH_REQUIRE_TLS = "BasicAuthRequireTLS"


@dataclass(frozen=True, slots=True)
class Credential:
    """Who logs in at smart hosts. `sealed_password`: encrypted for `owner` ("OutboundConnector:relay"); it is opened when a session logs in
    and no sooner, so that the password is in no table, route or trace.
    """

    user_name: str
    sealed_password: str = field(repr=False)
    owner: str


@dataclass(frozen=True, slots=True)
class SmartHost:
    """One entry of SmartHosts. `host`: a name (lower-case A-labels) or an IP address. `port` 0: the default (25).
    `look_up_mx` is False for addresses, `[name]` and `name:port`. Lower `priority` first; among equals random by `weight` (>= 1).
    """

    host: str
    port: int = 0
    priority: int = 10
    weight: int = 1
    look_up_mx: bool = True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host or (not self.look_up_mx and not self.port and not self.is_address) else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def is_address(self) -> bool:
        """True where `host` is an IP address."""
        return ":" in self.host or self.host.replace(".", "").isdigit()


@dataclass(frozen=True, slots=True)
class InboundConnector:
    """Mail from one of the organization's servers or a partner. Patterns are canonical text: "*", "contoso.com", "*.contoso.com".

    `trusted_authorities`: names of [tls.authorities], trusted for this connector beside those that are trusted for everybody.
    `tls_sender_certificate_pins`: SHA-256 of public keys in hex; one of them must be on the verified path of the certificate.
    """

    name: str
    enabled: bool = True
    connector_type: ConnectorType = ConnectorType.PARTNER
    sender_domains: tuple[str, ...] = ("*",)
    sender_ip_addresses: tuple[str, ...] = ()  # canonical CIDR: "192.0.2.0/24", "2001:db8::/32"
    tls_sender_certificate_name: str = ""
    trusted_authorities: tuple[str, ...] = ()
    tls_sender_certificate_pins: tuple[str, ...] = ()
    require_tls: bool = False
    restrict_domains_to_ip_addresses: bool = False
    restrict_domains_to_certificate: bool = False
    associated_accepted_domains: tuple[str, ...] = ()
    cloud_services_mail_enabled: bool = False
    treat_messages_as_internal: bool = False
    ef_skip_ips: tuple[str, ...] = ()
    ef_skip_last_ip: bool = False
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OutboundConnector:
    """A way out. `tls_domain` as `recipient_domains`: `*.x` means subdomains only. `client_certificate` names a file pair or ""."""

    name: str
    enabled: bool = True
    connector_type: ConnectorType = ConnectorType.PARTNER
    recipient_domains: tuple[str, ...] = ()
    all_accepted_domains: bool = False
    is_transport_rule_scoped: bool = False
    use_mx_record: bool = True
    smart_hosts: tuple[SmartHost, ...] = ()
    tls_settings: TlsSettings = TlsSettings.OPPORTUNISTIC
    tls_domain: str = ""
    mta_sts_mode: MtaStsMode = MtaStsMode.OPPORTUNISTIC
    smtp_dane_mode: SmtpDaneMode = SmtpDaneMode.OPPORTUNISTIC
    cloud_services_mail_enabled: bool = False
    route_all_messages_via_on_premises: bool = False
    sender_rewriting_enabled: bool = False
    remove_internal_received_headers: bool = False
    test_mode: bool = False
    validation_recipients: tuple[str, ...] = ()
    client_certificate: str = ""
    smart_host_auth_mechanism: SmartHostAuthMechanism = SmartHostAuthMechanism.NONE
    authentication_credential: Credential | None = None
    comment: str = ""

    @property
    def login(self) -> Credential | None:
        """With what it logs in at its smart hosts, None where it does not."""
        logs_in = self.smart_host_auth_mechanism is not SmartHostAuthMechanism.NONE and not self.use_mx_record
        return self.authentication_credential if logs_in else None

    @property
    def title(self) -> str:
        """As sentences name it."""
        return f'{self.connector_type.value} connector "{self.name}"'

    @property
    def scope_field(self) -> str:
        """Where its scope is written."""
        return "RecipientDomains"

    @property
    def costs(self) -> Mapping[str, int]:
        """Patterns of the scope whose cost is not 1: what decides between connectors that claim the same pattern, lower first."""
        return _NO_COSTS


@dataclass(frozen=True, slots=True)
class DirectDelivery:
    """What happens to mail that leaves without a connector, by the MX records: settings of Organization, named like a connector's."""

    sender_rewriting_enabled: bool = False
    remove_internal_received_headers: bool = False


AS_IT_IS = DirectDelivery()
"""The default."""
