"""InboundConnector and OutboundConnector as files, the API and the store hold them. Field names are those of connectors/model.py."""

from __future__ import annotations

from typing import ClassVar

from mailwye.config.schema.config_object import ConfigObject, field
from mailwye.config.schema.credential import CREDENTIAL, MECHANISM, AuthenticationCredential
from mailwye.config.schema.smart_host import SMART_HOSTS
from mailwye.config.schema.value import choice_of
from mailwye.config.schema.values import (
    CERTIFICATE_NAME,
    CERTIFICATE_PINS,
    DOMAIN_NAMES,
    DOMAIN_PATTERNS,
    FLAG,
    MAIL_ADDRESSES,
    NAME,
    NAMES,
    NETWORKS,
    TEXT,
    TLS_SETTINGS,
)
from mailwye.connectors.model import ConnectorType, MtaStsMode, SmartHost, SmartHostAuthMechanism, SmtpDaneMode, TlsSettings
from mailwye.smtp.address import Address


class _Connector(ConfigObject):
    """What both have."""

    name: str = field(NAME)
    enabled: bool = field(FLAG, default=True)
    connector_type: ConnectorType = field(choice_of(ConnectorType), default=ConnectorType.PARTNER)
    comment: str = field(TEXT, default="")

    @property
    def identity(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """The kind and the name as written."""
        return f'{self.kind} "{self.name}"'


class InboundConnector(_Connector):
    """Mail from one of the own servers (OnPremises: grants) or from a partner (only restricts). `trusted_authorities` names entries of
    [tls.authorities] of the installation.
    """

    kind: ClassVar[str] = "InboundConnector"

    sender_domains: tuple[str, ...] = field(DOMAIN_PATTERNS, default=("*",))
    sender_ip_addresses: tuple[str, ...] = field(NETWORKS, default=())
    tls_sender_certificate_name: str = field(CERTIFICATE_NAME, default="")
    trusted_authorities: tuple[str, ...] = field(NAMES, default=())
    tls_sender_certificate_pins: tuple[str, ...] = field(CERTIFICATE_PINS, default=())
    require_tls: bool = field(FLAG, default=False)
    restrict_domains_to_ip_addresses: bool = field(FLAG, default=False)
    restrict_domains_to_certificate: bool = field(FLAG, default=False)
    associated_accepted_domains: tuple[str, ...] = field(DOMAIN_NAMES, default=())
    cloud_services_mail_enabled: bool = field(FLAG, default=False)
    treat_messages_as_internal: bool = field(FLAG, default=False)
    ef_skip_ips: tuple[str, ...] = field(NETWORKS, default=())
    ef_skip_last_ip: bool = field(FLAG, default=False)


class OutboundConnector(_Connector):
    """A way out. `client_certificate` names an entry of [tls.client_certificates] of the installation."""

    kind: ClassVar[str] = "OutboundConnector"

    recipient_domains: tuple[str, ...] = field(DOMAIN_PATTERNS, default=())
    all_accepted_domains: bool = field(FLAG, default=False)
    is_transport_rule_scoped: bool = field(FLAG, default=False)
    use_mx_record: bool = field(FLAG, default=True)
    smart_hosts: tuple[SmartHost, ...] = field(SMART_HOSTS, default=())
    tls_settings: TlsSettings = field(TLS_SETTINGS, default=TlsSettings.OPPORTUNISTIC)
    tls_domain: str = field(CERTIFICATE_NAME, default="")
    mta_sts_mode: MtaStsMode = field(choice_of(MtaStsMode), default=MtaStsMode.OPPORTUNISTIC)
    smtp_dane_mode: SmtpDaneMode = field(choice_of(SmtpDaneMode), default=SmtpDaneMode.OPPORTUNISTIC)
    cloud_services_mail_enabled: bool = field(FLAG, default=False)
    route_all_messages_via_on_premises: bool = field(FLAG, default=False)
    sender_rewriting_enabled: bool = field(FLAG, default=False)
    remove_internal_received_headers: bool = field(FLAG, default=False)
    test_mode: bool = field(FLAG, default=False)
    validation_recipients: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    client_certificate: str = field(TEXT, default="")
    smart_host_auth_mechanism: SmartHostAuthMechanism = field(MECHANISM, default=SmartHostAuthMechanism.NONE)
    authentication_credential: AuthenticationCredential | None = field(CREDENTIAL, default=None)
