"""Send connectors, one by one: the way, TLS, and what Exchange Server would refuse too (New-SendConnector)."""

from __future__ import annotations

from mailwye.config.checks.authentication import check_authentication
from mailwye.config.checks.findings import Findings
from mailwye.config.schema import Organization, SendConnector
from mailwye.connectors.model import TlsSettings
from mailwye.directory.lookup import Directory


def check_send(organization: Organization, directory: Directory, findings: Findings) -> None:
    """Each connector against itself and the accepted domains."""
    accepted = frozenset(domain.domain_name for domain in organization.accepted_domains)
    for connector in organization.send_connectors:
        _check_way(connector, directory, accepted, findings)
        _check_tls(connector, findings)
        check_authentication(connector, findings)
        if connector.cloud_services_mail_enabled:
            _check_cloud_services(connector, findings)


def _check_way(connector: SendConnector, directory: Directory, accepted: frozenset[str], findings: Findings) -> None:
    by_dns = connector.dns_routing_enabled
    if by_dns and connector.smart_hosts:
        findings.error(
            connector,
            "DNSRoutingEnabled",
            "must be false where SmartHosts are given (its default is true, and Exchange Server refuses this too)",
            "Set DNSRoutingEnabled false, or remove SmartHosts",
        )
    if not by_dns and not connector.smart_hosts:
        findings.error(
            connector,
            "SmartHosts",
            "is empty, and DNSRoutingEnabled is false: there is no way out",
            "Name a smart host, or set DNSRoutingEnabled true",
        )
    if by_dns and not connector.smart_hosts and "port" in connector.given:
        findings.warning(connector, "Port", "has no effect without SmartHosts: mail by MX records goes to port 25", "Remove it")
    for host in connector.smart_hosts:
        if host.look_up_mx and host.host in accepted:
            findings.warning(
                connector,
                "SmartHosts",
                f"{host} is an accepted domain: its MX record is looked up first, and where that points here, mail loops",
                f"Name the server itself, or write [{host}] to skip the MX record",
            )
    own = [space.domain for space in connector.address_spaces if directory.accepted_domain(space.domain) is not None]
    if by_dns and not connector.smart_hosts and own:
        findings.warning(
            connector,
            "DNSRoutingEnabled",
            f"{', '.join(own)}: where the MX record points at this installation, mail cannot leave by it",
            "Set DNSRoutingEnabled false and name the other side in SmartHosts",
        )


def _check_tls(connector: SendConnector, findings: Findings) -> None:
    level = connector.tls_auth_level
    if level is not TlsSettings.OPPORTUNISTIC and not connector.require_tls:
        findings.error(
            connector,
            "TlsAuthLevel",
            "needs RequireTLS true: without it mail also leaves where TLS is not offered (Exchange Server refuses this too)",
            "Set RequireTLS true, or remove TlsAuthLevel",
        )
    validates = level is TlsSettings.DOMAIN_VALIDATION
    if validates and not connector.tls_domain:
        findings.error(
            connector,
            "TlsDomain",
            "is missing: DomainValidation compares it with the certificate",
            "Set TlsDomain to the name in the other side's certificate, such as mail.protection.outlook.com, or TlsAuthLevel "
            "CertificateValidation",
        )
    if connector.tls_domain and not validates:
        findings.warning(
            connector,
            "TlsDomain",
            f"is ignored while TlsAuthLevel is {level.value or 'null'}",
            "Set TlsAuthLevel DomainValidation, or remove TlsDomain",
        )


def _check_cloud_services(connector: SendConnector, findings: Findings) -> None:
    field = "CloudServicesMailEnabled"
    if not connector.require_tls:
        findings.warning(
            connector,
            field,
            "lets the organization's headers cross, but RequireTLS is false: they may leave in plaintext, where nobody believes them",
            "Set RequireTLS true",
        )
    if connector.dns_routing_enabled and any(space.domain == "*" for space in connector.address_spaces):
        findings.warning(
            connector,
            field,
            "lets the organization's headers cross to every domain: the connector sends by the MX records of all domains",
            "Name the other side in SmartHosts with DNSRoutingEnabled false, or only its domain in AddressSpaces",
        )
