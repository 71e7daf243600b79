"""SendConnector and ReceiveConnector (as saved) → as the deciding functions read them."""

from __future__ import annotations

from dataclasses import replace

from mailwye.config import schema
from mailwye.config.secrets import compiled_credential
from mailwye.connectors.model import ConnectorType, SmartHost, TlsSettings
from mailwye.connectors.own_certificates import by_fqdn
from mailwye.connectors.own_server import ReceiveConnector, SendConnector

DEFAULT_PORT = 25


def send_connector(written: schema.SendConnector) -> SendConnector:
    """The way out that it stands for."""
    return SendConnector(
        name=written.name,
        enabled=written.enabled,
        connector_type=ConnectorType.ON_PREMISES,
        recipient_domains=tuple(space.domain for space in written.address_spaces),
        use_mx_record=written.dns_routing_enabled,
        smart_hosts=tuple(_with_port(host, written.port) for host in written.smart_hosts),
        tls_settings=tls_settings(written),
        tls_domain=written.tls_domain,
        cloud_services_mail_enabled=written.cloud_services_mail_enabled,
        client_certificate=certificate_choice(written),
        smart_host_auth_mechanism=written.smart_host_auth_mechanism,
        authentication_credential=compiled_credential(written),
        comment=written.comment,
        address_spaces=written.address_spaces,
        fqdn=written.fqdn,
        max_message_size=written.max_message_size,
    )


def receive_connector(written: schema.ReceiveConnector) -> ReceiveConnector:
    """The same, with what TlsDomainCapabilities mean."""
    return ReceiveConnector(
        name=written.name,
        enabled=written.enabled,
        bindings=written.bindings,
        remote_ip_ranges=written.remote_ip_ranges,
        fqdn=written.fqdn,
        certificate_choice=certificate_choice(written),
        cloud_services_domains=tuple(one.partition(":")[0] for one in written.tls_domain_capabilities),
        permission_groups=written.permission_groups,
        auth_mechanism=written.auth_mechanism,
        require_tls=written.require_tls,
        max_hop_count=written.max_hop_count,
        max_message_size=written.max_message_size,
        max_recipients_per_message=written.max_recipients_per_message,
        max_protocol_errors=written.max_protocol_errors,
        max_inbound_connection=written.max_inbound_connection,
        max_inbound_connection_per_source=written.max_inbound_connection_per_source,
        connection_timeout=written.connection_timeout,
        connection_inactivity_timeout=written.connection_inactivity_timeout,
    )


def certificate_choice(written: schema.SendConnector | schema.ReceiveConnector) -> str:
    """Which own certificate is presented, for connectors/own_certificates.py; "" for the usual one."""
    return written.tls_certificate_name or (by_fqdn(written.fqdn) if written.fqdn else "")


def tls_settings(written: schema.SendConnector) -> TlsSettings:
    """RequireTLS and TlsAuthLevel together. Without RequireTLS, TLS is used where it is offered."""
    if not written.require_tls:
        return TlsSettings.OPPORTUNISTIC
    return TlsSettings.ENCRYPTION_ONLY if written.tls_auth_level is TlsSettings.OPPORTUNISTIC else written.tls_auth_level


def _with_port(host: SmartHost, port: int) -> SmartHost:
    """Port of the connector, where the smart host names none. 25 is no wish: [delivery] smart_host_port says otherwise."""
    return host if host.port or port == DEFAULT_PORT else replace(host, port=port)
