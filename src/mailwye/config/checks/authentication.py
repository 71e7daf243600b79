"""Logging in at smart hosts: what belongs together, and who could read the password."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.compile_own_server import tls_settings
from mailwye.config.schema import OutboundConnector, SendConnector
from mailwye.connectors.model import SmartHostAuthMechanism, TlsSettings


def check_authentication(connector: OutboundConnector | SendConnector, findings: Findings) -> None:
    """Mechanism and credential of one connector, and its TLS."""
    logs_in = connector.smart_host_auth_mechanism is not SmartHostAuthMechanism.NONE
    if not logs_in:
        if connector.authentication_credential is not None:
            findings.error(
                connector,
                "AuthenticationCredential",
                "is not used: SmartHostAuthMechanism is None, so mail would go without logging in",
                "Set SmartHostAuthMechanism BasicAuthRequireTLS, or remove it",
            )
        return
    if connector.authentication_credential is None:
        findings.error(
            connector,
            "AuthenticationCredential",
            "is missing: SmartHostAuthMechanism BasicAuthRequireTLS logs in with it",
            "Write {UserName: …, Password: …}, or set SmartHostAuthMechanism None",
        )
    by_dns, dns_field = _by_dns(connector)
    if by_dns:
        findings.error(
            connector,
            "SmartHostAuthMechanism",
            f"needs SmartHosts: with {dns_field} the password would be offered to the mail server of every recipient",
            f"Set {dns_field} false and name the smart host, such as [smtp.example.com]:587",
        )
    else:
        _check_certificate(connector, findings)


def _by_dns(connector: OutboundConnector | SendConnector) -> tuple[bool, str]:
    """Whether it sends by the MX records of recipients, and the name of that field."""
    if isinstance(connector, SendConnector):
        return connector.dns_routing_enabled, "DNSRoutingEnabled"
    return connector.use_mx_record, "UseMXRecord"


def _check_certificate(connector: OutboundConnector | SendConnector, findings: Findings) -> None:
    own = isinstance(connector, SendConnector)
    level = tls_settings(connector) if isinstance(connector, SendConnector) else connector.tls_settings
    if level not in (TlsSettings.OPPORTUNISTIC, TlsSettings.ENCRYPTION_ONLY):
        return
    names = [host.host for host in connector.smart_hosts if not host.is_address]
    setting = "RequireTLS true, TlsAuthLevel DomainValidation" if own else "TlsSettings DomainValidation"
    findings.warning(
        connector,
        "TlsAuthLevel" if own else "TlsSettings",
        "does not ask for a certificate: whoever gets between here and the smart host (a router, a forged DNS answer) could pretend to "
        "be it and be given the password",
        f"Set {setting} and TlsDomain {names[0] if names else 'to the name in its certificate'}",
    )
