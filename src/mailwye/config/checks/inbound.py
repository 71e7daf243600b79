"""Inbound connectors: what identifies the peer, what is asked of partners (SEMANTICS section 3, connectors.md section 9)."""

from __future__ import annotations

import ipaddress

from mailwye.config.checks.findings import Findings
from mailwye.config.installation import Installation
from mailwye.config.schema import InboundConnector, Organization
from mailwye.connectors.model import ConnectorType
from mailwye.directory.lookup import Directory

NARROWEST_WARNING = {4: 24, 6: 48}
"""Wider ranges than these on an OnPremises connector get a warning; Exchange refuses IPv4 ranges wider than /24."""


def check_inbound(organization: Organization, directory: Directory, installation: Installation | None, findings: Findings) -> None:
    """Each connector by itself, against the accepted domains and the installation's authorities, then the connectors together."""
    for connector in organization.inbound_connectors:
        if connector.connector_type is ConnectorType.ON_PREMISES:
            _check_on_premises(connector, directory, findings)
        else:
            _check_partner(connector, findings)
        _check_both(connector, directory, findings)
        _check_certificate(connector, installation, findings)
        if installation is not None and connector.enabled and not _offers_tls(installation):
            _check_without_tls(connector, findings)
    _check_same_identification(organization, findings)


def _offers_tls(installation: Installation) -> bool:
    """Whether a server that calls can have TLS."""
    default = installation.tls.certificate is not None
    return any(default or listener.certificate is not None for listener in installation.listeners if listener.kind == "mx")


def _check_without_tls(connector: InboundConnector, findings: Findings) -> None:
    """What asks for TLS where no listener offers it: nobody is recognized, or everybody is refused."""
    remedy = "Set certificate and private_key in [tls] of mailwye.toml, so that the listeners offer STARTTLS"
    if connector.connector_type is ConnectorType.ON_PREMISES:
        field = "TlsSenderCertificateName" if connector.tls_sender_certificate_name else "RequireTls" if connector.require_tls else ""
        if field:
            findings.warning(connector, field, "recognizes nobody: it needs TLS, which no listener of the installation offers", remedy)
        return
    field = "RequireTls" if connector.require_tls else "RestrictDomainsToCertificate" if connector.restrict_domains_to_certificate else ""
    if field:
        domains = ", ".join(connector.sender_domains)
        findings.warning(
            connector, field, f"refuses all mail from {domains}: it asks for TLS, which no listener of the installation offers", remedy
        )


def _check_on_premises(connector: InboundConnector, directory: Directory, findings: Findings) -> None:
    certificate = connector.tls_sender_certificate_name
    if not certificate and not connector.sender_ip_addresses:
        findings.error(
            connector,
            "",
            "identifies nobody: an OnPremises connector needs a certificate name or addresses",
            "Set TlsSenderCertificateName (recommended) or SenderIPAddresses",
        )
    for field, value in (
        ("RestrictDomainsToIPAddresses", connector.restrict_domains_to_ip_addresses),
        ("RestrictDomainsToCertificate", connector.restrict_domains_to_certificate),
    ):
        if value:
            findings.warning(connector, field, "is ignored: it restricts Partner connectors only", "Remove it, or make a Partner connector")
    if certificate and directory.accepted_domain(certificate.removeprefix("*.")) is None:
        findings.warning(
            connector,
            "TlsSenderCertificateName",
            f"{certificate} is not in an accepted domain: it identifies the server, but does not prove the organization, "
            "so bounces and forwarded mail cannot be relayed",
            "Use a name in one of the accepted domains, such as *.contoso.com, or add the accepted domain",
        )
    if certificate and not connector.require_tls and "require_tls" in connector.given:
        findings.warning(
            connector,
            "RequireTls",
            "has no effect: a certificate identifies only over TLS",
            "Set RequireTls true, or leave it out",
        )
    for network in connector.sender_ip_addresses:
        _check_width(connector, network, findings)


def _check_width(connector: InboundConnector, network: str, findings: Findings) -> None:
    parsed = ipaddress.ip_network(network)
    if parsed.prefixlen == 0:
        findings.error(
            connector,
            "SenderIPAddresses",
            f"{network} is every address: the whole Internet could relay through this connector",
            "Name the addresses of your own servers only",
        )
    elif parsed.prefixlen < NARROWEST_WARNING[parsed.version]:
        findings.warning(
            connector,
            "SenderIPAddresses",
            f"{network} is a wide range: everyone in it may relay in the name of your domains",
            "Name the addresses of your own servers only",
        )


def _check_partner(connector: InboundConnector, findings: Findings) -> None:
    pairs = (
        (
            "RestrictDomainsToIPAddresses",
            connector.restrict_domains_to_ip_addresses,
            "SenderIPAddresses",
            bool(connector.sender_ip_addresses),
        ),
        (
            "RestrictDomainsToCertificate",
            connector.restrict_domains_to_certificate,
            "TlsSenderCertificateName",
            bool(connector.tls_sender_certificate_name),
        ),
    )
    for restrict, is_restricted, field, is_given in pairs:
        if is_restricted and not is_given:
            findings.error(connector, restrict, f"is true, but {field} is empty: all mail would be refused", f"Set {field}")
        if is_given and not is_restricted:
            findings.warning(
                connector, field, f"has no effect on a Partner connector while {restrict} is false", f"Set {restrict} true, or remove it"
            )
    if not connector.require_tls and not any(is_restricted for _, is_restricted, _, _ in pairs):
        findings.warning(
            connector,
            "",
            "restricts nothing: a Partner connector only refuses mail that misses a condition",
            "Set RequireTls, RestrictDomainsToIPAddresses or RestrictDomainsToCertificate; or ConnectorType OnPremises for own servers",
        )
    if connector.treat_messages_as_internal:
        findings.error(connector, "TreatMessagesAsInternal", "is for OnPremises connectors only", "Set it false")


def _check_both(connector: InboundConnector, directory: Directory, findings: Findings) -> None:
    if connector.cloud_services_mail_enabled and connector.treat_messages_as_internal:
        findings.error(
            connector,
            "TreatMessagesAsInternal",
            "excludes CloudServicesMailEnabled",
            "Keep CloudServicesMailEnabled for Exchange servers, TreatMessagesAsInternal for all others",
        )
    if connector.cloud_services_mail_enabled and not connector.tls_sender_certificate_name:
        findings.warning(
            connector,
            "CloudServicesMailEnabled",
            "has no effect: the organization's headers are trusted only from a server with a certificate",
            "Set TlsSenderCertificateName",
        )
    for domain in connector.associated_accepted_domains:
        if directory.accepted_domain(domain) is None:
            findings.error(
                connector, "AssociatedAcceptedDomains", f"{domain} is not an accepted domain", "Add the accepted domain, or remove it here"
            )
    unrestricted = not (connector.restrict_domains_to_ip_addresses or connector.restrict_domains_to_certificate)
    if connector.ef_skip_last_ip and connector.connector_type is ConnectorType.PARTNER and unrestricted:
        findings.warning(
            connector,
            "EFSkipLastIP",
            "has no effect: nothing proves that the last hop is the gateway, so anybody could write the address behind it",
            "Set RestrictDomainsToIPAddresses or RestrictDomainsToCertificate, or list the gateway in EFSkipIPs",
        )
    if connector.ef_skip_last_ip and connector.ef_skip_ips:
        findings.warning(connector, "EFSkipIPs", "is ignored while EFSkipLastIP is true", "Use one of them")


def _check_certificate(connector: InboundConnector, installation: Installation | None, findings: Findings) -> None:
    """What is asked of the certificate beside its name."""
    for field, value in (
        ("TrustedAuthorities", connector.trusted_authorities),
        ("TlsSenderCertificatePins", connector.tls_sender_certificate_pins),
    ):
        if value and not connector.tls_sender_certificate_name:
            remedy = "Set TlsSenderCertificateName, or remove it"
            findings.error(connector, field, "has no effect without TlsSenderCertificateName", remedy)
    known = installation.tls.authorities if installation is not None else None
    for name in connector.trusted_authorities:
        if known is not None and name not in known:
            listed = f"It has: {', '.join(sorted(known))}" if known else f'Add {name} = "authority.pem" below [tls.authorities]'
            findings.error(connector, "TrustedAuthorities", f"the installation has no [tls.authorities] of the name {name}", listed)


def _check_same_identification(organization: Organization, findings: Findings) -> None:
    """Two enabled OnPremises connectors that identify the same peers: the lower name always wins (SEMANTICS section 3, rule 2)."""
    first: dict[tuple[object, ...], InboundConnector] = {}
    for connector in sorted(organization.inbound_connectors, key=lambda c: (c.identity, c.name)):
        if not connector.enabled or connector.connector_type is not ConnectorType.ON_PREMISES:
            continue
        same = (
            connector.tls_sender_certificate_name,
            connector.sender_ip_addresses,
            connector.sender_domains,
            connector.trusted_authorities,
            connector.tls_sender_certificate_pins,
        )
        winner = first.setdefault(same, connector)
        if winner is not connector and any(same[:2]):
            findings.warning(
                connector,
                "",
                f"is never used: {winner.label} identifies the same servers and comes first in alphabetical order",
                "Remove one of them, or let them identify different servers",
            )
