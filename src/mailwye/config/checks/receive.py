"""Receive connectors: listeners that they are bound to, whom they take mail from, and each against the others."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.installation import Installation
from mailwye.config.schema import Organization, ReceiveConnector
from mailwye.connectors.own_server import BASIC, AuthMechanism, Binding, PermissionGroup

MAIL_KINDS = ("mx", "submission", "submissions")


def check_receive(organization: Organization, installation: Installation | None, findings: Findings) -> None:
    """Each connector by itself, against the installation's listeners and limits, then the connectors together."""
    for connector in organization.receive_connectors:
        _check_groups(connector, findings)
        _check_authentication(connector, findings)
        _check_times(connector, findings)
        if installation is not None:
            _check_bindings(connector, installation, findings)
            _check_limits(connector, installation, findings)
    _check_same_sessions(organization, findings)


def _check_bindings(connector: ReceiveConnector, installation: Installation, findings: Findings) -> None:
    listeners = {one.binding: one for one in installation.listeners if one.kind in MAIL_KINDS}
    listed = ", ".join(f'"{one.name}" {binding}' for binding, one in listeners.items()) or "none"
    for binding in connector.bindings:
        covered = [one for local, one in listeners.items() if binding.covers(local)]
        if not covered:
            findings.error(
                connector,
                "Bindings",
                f"{binding} is no listener of the installation; those that take mail: {listed}",
                "Name one of them, or add a [[listener]] with this address and port to mailwye.toml",
            )
        basic = bool(BASIC & set(connector.auth_mechanism))
        for listener in covered:
            if listener.kind != "mx" and not basic:
                findings.warning(
                    connector,
                    "AuthMechanism",
                    f'listener "{listener.name}" is for mailbox users, who log in: BasicAuth is missing, so nobody can',
                    "Add BasicAuth and BasicAuthRequireTLS to AuthMechanism, and ExchangeUsers to PermissionGroups",
                )


def _check_groups(connector: ReceiveConnector, findings: Findings) -> None:
    groups = set(connector.permission_groups)
    if not groups:
        findings.warning(
            connector,
            "PermissionGroups",
            "is empty: nobody may send through this connector, and every MAIL is refused",
            "Set AnonymousUsers for the Internet and the service, ExchangeUsers for mailbox users, ExchangeServers for own servers",
        )
    if PermissionGroup.EXCHANGE_LEGACY_SERVERS in groups:
        findings.warning(connector, "PermissionGroups", "ExchangeLegacyServers means nothing here", "Remove it")
    if connector.tls_domain_capabilities and not groups & {PermissionGroup.ANONYMOUS_USERS, PermissionGroup.EXCHANGE_SERVERS}:
        findings.warning(
            connector,
            "TlsDomainCapabilities",
            "has no effect: neither AnonymousUsers nor ExchangeServers is among PermissionGroups, so the other side may not send",
            "Add AnonymousUsers; or ExchangeServers, which also lets it send to the outside",
        )


def _check_authentication(connector: ReceiveConnector, findings: Findings) -> None:
    offered = set(connector.auth_mechanism)
    has_tls = AuthMechanism.TLS in offered
    if connector.require_tls and not has_tls:
        findings.error(connector, "AuthMechanism", "lacks Tls, which RequireTLS needs", "Add Tls, or set RequireTLS false")
    if AuthMechanism.BASIC_AUTH_REQUIRE_TLS in offered and not (has_tls and AuthMechanism.BASIC_AUTH in offered):
        findings.error(
            connector, "AuthMechanism", "BasicAuthRequireTLS needs BasicAuth and Tls (Exchange Server refuses this too)", "Add both"
        )
    elif offered & BASIC and not has_tls:
        findings.warning(
            connector,
            "AuthMechanism",
            "BasicAuth is never offered without TLS: passwords do not cross in plaintext",
            "Add Tls and BasicAuthRequireTLS",
        )
    if connector.tls_domain_capabilities and not has_tls:
        findings.error(connector, "AuthMechanism", "lacks Tls: TlsDomainCapabilities look at certificates", "Add Tls")
    users = PermissionGroup.EXCHANGE_USERS in connector.permission_groups
    if users and not offered & BASIC:
        findings.warning(
            connector,
            "PermissionGroups",
            "ExchangeUsers has no effect: AuthMechanism offers no BasicAuth, so nobody can log in",
            "Add BasicAuth and BasicAuthRequireTLS to AuthMechanism",
        )
    if offered & BASIC and not users:
        findings.warning(
            connector,
            "AuthMechanism",
            "lets mailbox users log in, but they may not send: ExchangeUsers is not among PermissionGroups",
            "Add ExchangeUsers to PermissionGroups, or remove BasicAuth",
        )
    if AuthMechanism.INTEGRATED in offered:
        findings.warning(connector, "AuthMechanism", "Integrated (NTLM, Kerberos) is not offered here", "Remove it; use BasicAuth")


def _check_times(connector: ReceiveConnector, findings: Findings) -> None:
    if connector.connection_inactivity_timeout >= connector.connection_timeout:
        findings.error(
            connector,
            "ConnectionInactivityTimeout",
            "must be less than ConnectionTimeout (Exchange Server refuses this too)",
            "Lower it, or raise ConnectionTimeout",
        )


def _check_limits(connector: ReceiveConnector, installation: Installation, findings: Findings) -> None:
    limits = installation.limits
    given = connector.given
    pairs = (
        ("max_message_size", "MaxMessageSize", limits.message_size, "message_size"),
        ("max_recipients_per_message", "MaxRecipientsPerMessage", limits.recipients_per_message, "recipients_per_message"),
        ("max_inbound_connection", "MaxInboundConnection", limits.connections, "connections"),
        (
            "max_inbound_connection_per_source",
            "MaxInboundConnectionPerSource",
            limits.connections_per_address,
            "connections_per_address",
        ),
    )
    for attribute, field, limit, key in pairs:
        if attribute in given and getattr(connector, attribute) > limit:
            findings.warning(
                connector,
                field,
                f"is more than the installation takes: {key} = {limit} in [limits] of mailwye.toml holds",
                f"Raise {key} there, or lower {field}",
            )


def _check_same_sessions(organization: Organization, findings: Findings) -> None:
    """The same binding and the same range twice: the lower name would always win. Exchange Server refuses it."""
    first: dict[tuple[Binding, str], ReceiveConnector] = {}
    for connector in sorted(organization.receive_connectors, key=lambda c: (c.identity, c.name)):
        if not connector.enabled:
            continue
        told: set[str] = set()
        for binding in connector.bindings:
            for network in connector.remote_ip_ranges:
                winner = first.setdefault((binding, network), connector)
                if winner is not connector and winner.name not in told:
                    told.add(winner.name)
                    findings.error(
                        connector,
                        "RemoteIPRanges",
                        f"{winner.label} takes sessions on {binding} from {network} too",
                        "Give each range of one binding to one connector",
                    )
