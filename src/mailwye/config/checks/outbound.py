"""Outbound connectors, one by one: scope, smart hosts, TLS, and what the installation has to provide."""

from __future__ import annotations

from mailwye.config.checks.authentication import check_authentication
from mailwye.config.checks.findings import Findings
from mailwye.config.installation import Installation
from mailwye.config.schema import ConfigObject, Organization, OutboundConnector
from mailwye.connectors.model import ConnectorType, MtaStsMode, SmtpDaneMode, TlsSettings
from mailwye.directory.lookup import Directory


def check_outbound(organization: Organization, directory: Directory, installation: Installation | None, findings: Findings) -> None:
    """Each connector against itself, the accepted domains and the installation."""
    accepted = frozenset(domain.domain_name for domain in organization.accepted_domains)
    if organization.organization.sender_rewriting_enabled and not directory.default_domain:
        _no_default_domain(organization.organization, findings)
    for connector in organization.outbound_connectors:
        own = connector.connector_type is ConnectorType.ON_PREMISES
        if connector.sender_rewriting_enabled and own and not directory.default_domain:
            _no_default_domain(connector, findings)
        _check_scope(connector, findings)
        _check_centralized(connector, directory, accepted, findings)
        _check_way(connector, directory, accepted, findings)
        _check_tls(connector, findings)
        check_authentication(connector, findings)
        if installation is not None:
            _check_installation(connector, installation, findings)


def _no_default_domain(thing: ConfigObject, findings: Findings) -> None:
    findings.warning(
        thing,
        "SenderRewritingEnabled",
        "has no effect: senders are rewritten to addresses in the default domain, and there is none",
        "Set Default true on one AcceptedDomain, whose MX record leads here",
    )


def _check_scope(connector: OutboundConnector, findings: Findings) -> None:
    partner = connector.connector_type is ConnectorType.PARTNER
    has_scope = bool(connector.recipient_domains) or connector.all_accepted_domains
    if partner and connector.all_accepted_domains:
        findings.error(
            connector,
            "AllAcceptedDomains",
            "is for OnPremises connectors only: accepted domains are yours, not a partner's",
            "Set ConnectorType OnPremises, or use RecipientDomains",
        )
    if connector.is_transport_rule_scoped and has_scope:
        field = "RecipientDomains" if connector.recipient_domains else "AllAcceptedDomains"
        findings.warning(
            connector,
            field,
            "is ignored while IsTransportRuleScoped is true: only a mail flow rule chooses this connector",
            "Remove it, or set IsTransportRuleScoped false",
        )
    if not connector.is_transport_rule_scoped and not has_scope and not connector.route_all_messages_via_on_premises:
        findings.warning(
            connector,
            "",
            "is never chosen: it has no scope",
            "Set RecipientDomains, AllAcceptedDomains or IsTransportRuleScoped",
        )
    if connector.enabled and connector.test_mode:
        findings.warning(connector, "TestMode", "is true: the connector carries no mail but test messages", "Set it false after testing")
    if partner and connector.sender_rewriting_enabled:
        findings.warning(connector, "SenderRewritingEnabled", "is ignored on a Partner connector", "Remove it")
    if partner and connector.cloud_services_mail_enabled:
        findings.warning(
            connector,
            "CloudServicesMailEnabled",
            "is ignored on a Partner connector: the organization's headers never cross to a partner",
            "Remove it, or set ConnectorType OnPremises for own servers",
        )


def _check_centralized(connector: OutboundConnector, directory: Directory, accepted: frozenset[str], findings: Findings) -> None:
    """SEMANTICS section 7: OnPremises only, no accepted-domain scope."""
    field = "RouteAllMessagesViaOnPremises"
    if not connector.route_all_messages_via_on_premises:
        return
    if connector.connector_type is ConnectorType.PARTNER:
        findings.error(connector, field, "needs an OnPremises connector: own servers, not a partner's", "Set ConnectorType OnPremises")
    if connector.all_accepted_domains:
        findings.error(connector, field, "loops together with AllAcceptedDomains", "Set AllAcceptedDomains false in this connector")
    scoped = [pattern for pattern in connector.recipient_domains if is_accepted_scope(pattern, directory, accepted)]
    if scoped:
        findings.error(
            connector,
            field,
            f"loops together with the accepted domain scope {', '.join(scoped)}",
            'Set RecipientDomains to "*" or leave them out; use another connector for the accepted domains',
        )
    if connector.is_transport_rule_scoped:
        findings.error(connector, field, "excludes IsTransportRuleScoped: it stands for all mail", "Set one of the two false")


def is_accepted_scope(pattern: str, directory: Directory, accepted: frozenset[str]) -> bool:
    """Whether a pattern of RecipientDomains holds accepted domains of its own accord; `*` holds everything, so it does not count."""
    if pattern == "*":
        return False
    if pattern.startswith("*."):
        return directory.accepted_domain(f"x{pattern[1:]}") is not None or any(name.endswith(pattern[1:]) for name in accepted)
    return directory.accepted_domain(pattern) is not None


def _check_way(connector: OutboundConnector, directory: Directory, accepted: frozenset[str], findings: Findings) -> None:
    if not connector.use_mx_record and not connector.smart_hosts:
        findings.error(
            connector, "SmartHosts", "is empty, and UseMXRecord is false: there is no way out", "Name a smart host, or set UseMXRecord true"
        )
    if connector.use_mx_record and connector.smart_hosts:
        findings.error(connector, "UseMXRecord", "must be false where SmartHosts are given", "Set UseMXRecord false, or remove SmartHosts")
    for host in connector.smart_hosts:
        if host.look_up_mx and host.host in accepted:
            findings.warning(
                connector,
                "SmartHosts",
                f"{host} is an accepted domain: its MX record is looked up first, and where that points here, mail loops",
                f"Name the server itself, or write [{host}] to skip the MX record",
            )
    if not connector.use_mx_record or connector.connector_type is ConnectorType.PARTNER:
        return
    if connector.is_transport_rule_scoped or connector.route_all_messages_via_on_premises:
        return
    own = [domain for domain in connector.recipient_domains if directory.accepted_domain(domain) is not None]
    if own or connector.all_accepted_domains:
        which = ", ".join(own) if own else "all accepted domains"
        findings.warning(
            connector,
            "UseMXRecord",
            f"{which}: where the MX record points at this installation, mail cannot leave by it",
            "Set UseMXRecord false and name the own server in SmartHosts",
        )


def _check_tls(connector: OutboundConnector, findings: Findings) -> None:
    validates = connector.tls_settings is TlsSettings.DOMAIN_VALIDATION
    if validates and not connector.tls_domain:
        findings.error(
            connector,
            "TlsDomain",
            "is missing: DomainValidation compares it with the certificate",
            "Set TlsDomain to the name in the server's certificate, or TlsSettings CertificateValidation",
        )
    if connector.tls_domain and not validates:
        findings.warning(
            connector,
            "TlsDomain",
            f"is ignored while TlsSettings is {connector.tls_settings.value or 'null'}",
            "Set TlsSettings DomainValidation, or remove TlsDomain",
        )

    changed = {
        "MtaStsMode": connector.mta_sts_mode is not MtaStsMode.OPPORTUNISTIC,
        "SmtpDaneMode": connector.smtp_dane_mode is not SmtpDaneMode.OPPORTUNISTIC,
    }
    for field, is_changed in changed.items():
        if is_changed and connector.smart_hosts:
            findings.warning(
                connector,
                field,
                "has no effect with SmartHosts: it is about MX records",
                "Remove it; TlsSettings says what smart hosts must prove",
            )


def _check_installation(connector: OutboundConnector, installation: Installation, findings: Findings) -> None:
    known = installation.tls.client_certificates
    if connector.client_certificate and connector.client_certificate not in known:
        listed = f"It has: {', '.join(sorted(known))}" if known else f"Add [tls.client_certificates.{connector.client_certificate}]"
        findings.error(
            connector, "ClientCertificate", f"the installation has no client certificate of the name {connector.client_certificate}", listed
        )
    if connector.smtp_dane_mode is SmtpDaneMode.MANDATORY and not installation.dns.validating:
        findings.error(
            connector,
            "SmtpDaneMode",
            "is Mandatory, but no name server of [dns] is trusted to validate: nothing could be delivered",
            "Set nameservers and validating = true in [dns] for a validating resolver on this machine, or SmtpDaneMode Opportunistic",
        )
