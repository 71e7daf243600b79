"""InboundConnector and OutboundConnector as files, the API and the store hold them. Field names are those of connectors/model.py."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from mailwye.config.schema.config_object import ConfigObject
from mailwye.config.schema.credential import Credential, Mechanism
from mailwye.config.schema.smart_host import SmartHosts
from mailwye.config.schema.values import (
    CertificateName,
    CertificatePins,
    DomainNames,
    DomainPatterns,
    Flag,
    MailAddresses,
    Name,
    Names,
    Networks,
    Text,
    choice,
)
from mailwye.connectors.model import ConnectorType, MtaStsMode, SmartHostAuthMechanism, SmtpDaneMode, TlsSettings

_choose_tls = choice(TlsSettings)


def _read_tls_settings(value: object) -> TlsSettings:
    return TlsSettings.OPPORTUNISTIC if value is None else _choose_tls(value)


_ConnectorType = Annotated[
    ConnectorType,
    PlainValidator(choice(ConnectorType)),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["OnPremises", "Partner"]}),
]
_TlsSettings = Annotated[
    TlsSettings,
    PlainValidator(_read_tls_settings),
    PlainSerializer(lambda value: value.value),
    WithJsonSchema({"enum": [None, "EncryptionOnly", "CertificateValidation", "DomainValidation"]}),
]


_MtaStsMode = Annotated[
    MtaStsMode,
    PlainValidator(choice(MtaStsMode)),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["Opportunistic", "None"]}),
]


_SmtpDaneMode = Annotated[
    SmtpDaneMode,
    PlainValidator(choice(SmtpDaneMode)),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["Opportunistic", "Mandatory", "None"]}),
]


class _Connector(ConfigObject):
    """What both have."""

    name: Name
    enabled: Flag = True
    connector_type: _ConnectorType = ConnectorType.PARTNER
    comment: Text = ""

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

    sender_domains: DomainPatterns = ("*",)
    sender_ip_addresses: Networks = ()
    tls_sender_certificate_name: CertificateName = ""
    trusted_authorities: Names = ()
    tls_sender_certificate_pins: CertificatePins = ()
    require_tls: Flag = False
    restrict_domains_to_ip_addresses: Flag = False
    restrict_domains_to_certificate: Flag = False
    associated_accepted_domains: DomainNames = ()
    cloud_services_mail_enabled: Flag = False
    treat_messages_as_internal: Flag = False
    ef_skip_ips: Networks = ()
    ef_skip_last_ip: Flag = False


class OutboundConnector(_Connector):
    """A way out. `client_certificate` names an entry of [tls.client_certificates] of the installation."""

    kind: ClassVar[str] = "OutboundConnector"

    recipient_domains: DomainPatterns = ()
    all_accepted_domains: Flag = False
    is_transport_rule_scoped: Flag = False
    use_mx_record: Flag = True
    smart_hosts: SmartHosts = ()
    tls_settings: _TlsSettings = TlsSettings.OPPORTUNISTIC
    tls_domain: CertificateName = ""
    mta_sts_mode: _MtaStsMode = MtaStsMode.OPPORTUNISTIC
    smtp_dane_mode: _SmtpDaneMode = SmtpDaneMode.OPPORTUNISTIC
    cloud_services_mail_enabled: Flag = False
    route_all_messages_via_on_premises: Flag = False
    sender_rewriting_enabled: Flag = False
    remove_internal_received_headers: Flag = False
    test_mode: Flag = False
    validation_recipients: MailAddresses = ()
    client_certificate: Text = ""
    smart_host_auth_mechanism: Mechanism = SmartHostAuthMechanism.NONE
    authentication_credential: Credential | None = None
