"""Combinations that are allowed, mean something, and are known to surprise: docs/configuration.md lists them. Warnings only.

They come from what administrators of Exchange Online ask about; each says what happens here.
"""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.schema import InboundConnector, Organization, OutboundConnector, TransportRule
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.matching import pattern_matches, sender_certificate_matches
from mailwye.connectors.model import ConnectorType, TlsSettings
from mailwye.directory.lookup import Directory
from mailwye.policy.rules.model import RuleMode

SHOWN = 5
_HEADERS = "CloudServicesMailEnabled"


def check_traps(organization: Organization, snapshot: Snapshot, findings: Findings) -> None:
    """Each connector and rule against what usually goes wrong with it."""
    for connector in organization.outbound_connectors:
        if connector.enabled:
            _check_union(connector, findings)
            _check_headers_in_the_clear(connector, findings)
            _check_bare_domains(connector, snapshot, findings)
            _check_test_recipients(connector, snapshot.directory, findings)
    for restricting in organization.inbound_connectors:
        if restricting.enabled:
            _check_two_restrictions(restricting, findings)
            _check_unaccepted_senders(restricting, snapshot.directory, findings)
    _check_same_addresses(organization, findings)
    _check_header_pair(organization, findings)
    _check_strangers_headers(organization, findings)
    _check_filtering_behind_own_servers(organization, findings)
    _check_rules_after_the_last(organization.transport_rules, snapshot, findings)


def _check_union(connector: OutboundConnector, findings: Findings) -> None:
    if connector.all_accepted_domains and "*" in connector.recipient_domains and not connector.is_transport_rule_scoped:
        findings.warning(
            connector,
            "RecipientDomains",
            "* together with AllAcceptedDomains takes all Internet mail too: the two add up, neither narrows the other",
            'Remove "*" if the connector is for accepted domains only',
        )


def _check_headers_in_the_clear(connector: OutboundConnector, findings: Findings) -> None:
    if (
        connector.cloud_services_mail_enabled
        and connector.connector_type is ConnectorType.ON_PREMISES
        and connector.tls_settings is TlsSettings.OPPORTUNISTIC
    ):
        findings.warning(
            connector,
            _HEADERS,
            "with TlsSettings null: where a session has no TLS, the other side does not believe the organization's headers, and internal "
            "mail arrives there as a stranger's",
            "Set TlsSettings DomainValidation and TlsDomain, as the Hybrid Configuration Wizard does",
        )


def _check_bare_domains(connector: OutboundConnector, snapshot: Snapshot, findings: Findings) -> None:
    """`*.contoso.com` of RecipientDomains are the subdomains; in SenderDomains it is the domain too, hence the error."""
    if connector.is_transport_rule_scoped or connector.test_mode:
        return
    names = [one[2:] for one in connector.recipient_domains if one.startswith("*.")]
    bare = [name for name in names if snapshot.directory.accepted_domain(name) is None and snapshot.connectors.outside.find(name) is None]
    if bare:
        findings.warning(
            connector,
            "RecipientDomains",
            f"*.{bare[0]} means subdomains only: mail to {', '.join(bare[:SHOWN])} itself takes no connector",
            f"Add {bare[0]} too, if it is meant",
        )


def _check_test_recipients(connector: OutboundConnector, directory: Directory, findings: Findings) -> None:
    if connector.is_transport_rule_scoped or connector.route_all_messages_via_on_premises:
        return
    for address in connector.validation_recipients:
        inside = connector.all_accepted_domains and directory.accepted_domain(address.domain) is not None
        scope = connector.recipient_domains
        if not inside and not any(pattern_matches(pattern, address.domain, subdomains_only=True) for pattern in scope):
            findings.warning(
                connector,
                "ValidationRecipients",
                f"{address} is outside the connector's own scope: a test with this address proves nothing about its mail",
                "Name an address in RecipientDomains, one whose mailbox is on that server",
            )


def _check_two_restrictions(connector: InboundConnector, findings: Findings) -> None:
    if (
        connector.connector_type is ConnectorType.PARTNER
        and connector.restrict_domains_to_certificate
        and connector.restrict_domains_to_ip_addresses
    ):
        findings.warning(
            connector,
            "RestrictDomainsToIPAddresses",
            "together with RestrictDomainsToCertificate: a peer must have both, the certificate and the address, and a new address of the "
            "partner stops his mail",
            "Use one of them; the certificate outlives changes of addresses",
        )


def _check_unaccepted_senders(connector: InboundConnector, directory: Directory, findings: Findings) -> None:
    """Identified by address alone, the sender's domain is the only proof of the organization (SEMANTICS section 4)."""
    if connector.connector_type is not ConnectorType.ON_PREMISES or connector.tls_sender_certificate_name:
        return
    if any(one.startswith("*") or directory.accepted_domain(one) is not None for one in connector.sender_domains):
        return
    findings.warning(
        connector,
        "SenderDomains",
        f"{', '.join(connector.sender_domains[:SHOWN])}: none is an accepted domain, so nothing proves the organization and nothing is "
        "relayed",
        "Add an accepted domain, or identify the server by TlsSenderCertificateName in an accepted domain",
    )


def _check_same_addresses(organization: Organization, findings: Findings) -> None:
    """One network in two connectors: no prefix is longer, so the name decides. The whole list twice is another finding (inbound.py)."""
    first: dict[tuple[str, tuple[str, ...]], InboundConnector] = {}
    for connector in sorted(organization.inbound_connectors, key=lambda c: (c.identity, c.name)):
        own = connector.enabled and connector.connector_type is ConnectorType.ON_PREMISES
        if not own or connector.tls_sender_certificate_name:
            continue
        lost: dict[str, list[str]] = {}
        for network in connector.sender_ip_addresses:
            winner = first.setdefault((network, connector.sender_domains), connector)
            if winner is not connector and winner.sender_ip_addresses != connector.sender_ip_addresses:
                lost.setdefault(winner.label, []).append(network)
        for label, networks in lost.items():
            findings.warning(
                connector,
                "SenderIPAddresses",
                f"{', '.join(networks[:SHOWN])} is in {label} too, which wins by its name",
                "List each address in one connector",
            )


def _check_header_pair(organization: Organization, findings: Findings) -> None:
    """One half of a pair that keeps the organization's headers, and no other half."""
    outbound = [c for c in organization.outbound_connectors if c.enabled and c.connector_type is ConnectorType.ON_PREMISES]
    inbound = [c for c in organization.inbound_connectors if c.enabled and c.connector_type is ConnectorType.ON_PREMISES]
    out_keeping = [c for c in outbound if c.cloud_services_mail_enabled]
    in_keeping = [c for c in inbound if c.cloud_services_mail_enabled]
    if out_keeping and inbound and not in_keeping:
        findings.warning(
            out_keeping[0],
            _HEADERS,
            "no InboundConnector of type OnPremises has it: the organization's headers go there, and are not believed when they come back",
            f"Set {_HEADERS} in both connectors of the pair",
        )
    if in_keeping and outbound and not out_keeping:
        findings.warning(
            in_keeping[0],
            _HEADERS,
            "no OutboundConnector of type OnPremises has it: the organization's headers are believed here, but never sent there",
            f"Set {_HEADERS} in both connectors of the pair",
        )


def _check_strangers_headers(organization: Organization, findings: Findings) -> None:
    """SEMANTICS section 9: what a trusted server passes on is its own word, also what it had from the Internet. Settings do not tell where
    the MX records point; these two tell that Internet mail comes through such a server.
    """
    locks = [c for c in organization.inbound_connectors if c.enabled and _is_only_way_in(c)]
    for connector in organization.inbound_connectors:
        name = connector.tls_sender_certificate_name
        own = connector.enabled and connector.connector_type is ConnectorType.ON_PREMISES
        if not (own and connector.cloud_services_mail_enabled and name):
            continue
        lock = next((c for c in locks if _may_be_alike(c.tls_sender_certificate_name, name)), None)
        if connector.ef_skip_last_ip or connector.ef_skip_ips:
            because = f"{'EFSkipLastIP' if connector.ef_skip_last_ip else 'EFSkipIPs'} says that mail of others comes through it"
        elif lock is not None:
            because = f"{lock.label} lets in Internet mail only through it"
        else:
            continue
        findings.warning(
            connector,
            _HEADERS,
            f"the organization's headers are believed in all that this server passes on, and {because}: what a stranger writes there, "
            "such as X-MS-Exchange-Organization-AuthAs: Internal, counts as the organization's word unless the server removes it",
            "Make sure that it removes X-MS-Exchange-Organization-* and X-MS-Exchange-CrossPremises-* from what strangers send (Exchange "
            f"does; Postfix needs header_checks), or set {_HEADERS} false in both connectors of the pair",
        )


def _is_only_way_in(connector: InboundConnector) -> bool:
    """A Partner connector for every sender that keeps out who has not its certificate."""
    for_all = connector.connector_type is ConnectorType.PARTNER and "*" in connector.sender_domains
    return for_all and connector.restrict_domains_to_certificate and bool(connector.tls_sender_certificate_name)


def _may_be_alike(one: str, other: str) -> bool:
    """Whether one certificate may have both names."""
    return one == other or sender_certificate_matches(one, other) or sender_certificate_matches(other, one)


def _check_filtering_behind_own_servers(organization: Organization, findings: Findings) -> None:
    central = next((c for c in organization.outbound_connectors if c.enabled and c.route_all_messages_via_on_premises), None)
    if central is None:
        return
    for connector in organization.inbound_connectors:
        skips = connector.ef_skip_last_ip or bool(connector.ef_skip_ips)
        if connector.enabled and skips and connector.connector_type is ConnectorType.ON_PREMISES:
            findings.warning(
                connector,
                "EFSkipLastIP" if connector.ef_skip_last_ip else "EFSkipIPs",
                f"{central.label} has RouteAllMessagesViaOnPremises: Internet mail comes in a second time through this connector, and is "
                "filtered again by the address that it had the first time (Exchange does not support the two together)",
                "Use enhanced filtering where a gateway stands before this service, not behind it",
            )


def _check_rules_after_the_last(rules: tuple[TransportRule, ...], snapshot: Snapshot, findings: Findings) -> None:
    """A rule for every message that ends the processing: no rule after it is ever asked."""
    by_name = {rule.identity: rule for rule in rules}
    last: TransportRule | None = None
    for compiled in snapshot.rules.rules:
        rule = by_name[compiled.rule.name.lower()]
        if last is not None and rule.enabled:
            findings.warning(
                rule,
                "Priority",
                f"is never asked: {last.label} comes before it, is for every message and has StopRuleProcessing",
                "Give it a lower number, or give the other rule a condition",
            )
        if last is None and rule.enabled and rule.mode is RuleMode.ENFORCE and rule.stop_rule_processing:
            last = None if compiled.has_conditions or _has_exceptions(rule) else rule


def _has_exceptions(rule: TransportRule) -> bool:
    return any(getattr(rule, name) for name in type(rule).fields if name.startswith("except_if_"))
