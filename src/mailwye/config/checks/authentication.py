"""Logging in at smart hosts: what belongs together, and who could read the password."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.schema import OutboundConnector
from mailwye.connectors.model import SmartHostAuthMechanism, TlsSettings


def check_authentication(connector: OutboundConnector, findings: Findings) -> None:
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
    if connector.use_mx_record:
        findings.error(
            connector,
            "SmartHostAuthMechanism",
            "needs SmartHosts: with UseMXRecord the password would be offered to the mail server of every recipient",
            "Set UseMXRecord false and name the smart host, such as [smtp.example.com]:587",
        )
    elif connector.tls_settings in (TlsSettings.OPPORTUNISTIC, TlsSettings.ENCRYPTION_ONLY):
        names = [host.host for host in connector.smart_hosts if not host.is_address]
        findings.warning(
            connector,
            "TlsSettings",
            "does not ask for a certificate: whoever gets between here and the smart host (a router, a forged DNS answer) could pretend to "
            "be it and be given the password",
            f"Set TlsSettings DomainValidation and TlsDomain {names[0] if names else 'to the name in its certificate'}",
        )
