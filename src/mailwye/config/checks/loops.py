"""Routes that come back (SEMANTICS section 10): what is sure to turn in a circle is refused, what may is warned of.

Circles of groups are in groups.py, of external addresses in recipients.py. What no file can show (the other side's routes, its DNS) ends
at run time, by the path mark and the hop count.
"""

from __future__ import annotations

import ipaddress

from mailwye.config.checks.findings import Findings
from mailwye.config.checks.outbound import is_accepted_scope
from mailwye.config.compile_own_server import send_connector
from mailwye.config.installation import Installation, ListenerSettings
from mailwye.config.schema import Organization, OutboundConnector, SendConnector
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import ConnectorType, SmartHost
from mailwye.connectors.table import ConnectorTable

_MAIL_KINDS = ("mx", "submission", "submissions")


def check_loops(organization: Organization, snapshot: Snapshot, installation: Installation | None, findings: Findings) -> None:
    """Every outbound connector: where it leads, and whether what comes back would be sent there again."""
    table = snapshot.connectors
    recognized = any(c.enabled and c.connector_type is ConnectorType.ON_PREMISES for c in table.inbound)
    accepted = frozenset(domain.domain_name for domain in organization.accepted_domains)
    if installation is not None:
        for sending in organization.send_connectors:
            _check_own_listeners(sending, installation, findings)
    for connector in organization.outbound_connectors:
        if installation is not None:
            _check_own_listeners(connector, installation, findings)
        if not connector.enabled or connector.connector_type is not ConnectorType.ON_PREMISES or connector.is_transport_rule_scoped:
            continue
        if connector.route_all_messages_via_on_premises:
            _check_centralized(connector, findings, recognized=recognized)
            continue
        outside = [one for one in connector.recipient_domains if not is_accepted_scope(one, snapshot.directory, accepted)]
        if outside:
            _check_there_and_back(connector, outside, table, findings)


def _check_own_listeners(connector: OutboundConnector | SendConnector, installation: Installation, findings: Findings) -> None:
    hosts = send_connector(connector).smart_hosts if isinstance(connector, SendConnector) else connector.smart_hosts
    for host in hosts:
        listener = _own_listener(host, installation)
        if listener is not None:
            findings.error(
                connector,
                "SmartHosts",
                f"{host} is this installation's own listener {listener.name}: mail would loop",
                "Name the own mail server",
            )


def _check_centralized(connector: OutboundConnector, findings: Findings, *, recognized: bool) -> None:
    """Mail for hosted mailboxes goes to the own servers and comes back: it has to reach them, and to be recognized."""
    if connector.use_mx_record:
        findings.error(
            connector,
            "UseMXRecord",
            "loops together with RouteAllMessagesViaOnPremises: the MX records of hosted mailboxes lead here, not to the own servers",
            "Set UseMXRecord false and name the own servers in SmartHosts",
        )
    if not recognized:
        findings.error(
            connector,
            "RouteAllMessagesViaOnPremises",
            "loops: no enabled InboundConnector of type OnPremises recognizes the own servers, so what they send back for hosted mailboxes "
            "would be sent to them again",
            "Add an InboundConnector of type OnPremises that identifies the own servers by TlsSenderCertificateName or SenderIPAddresses",
        )


def _check_there_and_back(connector: OutboundConnector, outside: list[str], table: ConnectorTable, findings: Findings) -> None:
    """Mail for outside that the own server sends here is sent back to the same server."""
    for host in connector.smart_hosts:
        found = set(table.addresses.find(host.host) if host.is_address else table.certificates.find((host.host,)))
        names = [c.name for index, c in enumerate(table.inbound) if index in found and c.connector_type is ConnectorType.ON_PREMISES]
        if names:
            findings.warning(
                connector,
                "RecipientDomains",
                f'{host} is one of the own servers that InboundConnector "{names[0]}" identifies: what it sends here for '
                f"{', '.join(outside[:5])} is sent back to it, and loops unless it has another way for that mail",
                "For all Internet mail set RouteAllMessagesViaOnPremises, which sends nothing back to the own servers; "
                "else see that the server itself knows the way",
            )
            return


def _own_listener(host: SmartHost, installation: Installation) -> ListenerSettings | None:
    """The listener that answers at `host`: by address, by a wildcard address on this machine, or by one of our own names."""
    port = host.port or installation.delivery.smart_host_port
    own_names = (installation.hostname, installation.delivery.hello_name, "localhost")
    by_name = not host.is_address and (host.host in own_names or host.host.endswith(".localhost"))  # RFC 6761 section 6.3
    for listener in installation.listeners:
        if listener.kind not in _MAIL_KINDS or listener.port != port:
            continue
        if by_name or (host.is_address and _answers(listener, host.host)):
            return listener
    return None


def _answers(listener: ListenerSettings, address: str) -> bool:
    listening, wanted = _plain(listener.address), _plain(address)
    if listening.is_unspecified:
        return wanted.is_loopback or wanted.is_unspecified
    return listening == wanted or (wanted.is_unspecified and listening.is_loopback)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that IPv6 wraps is the IPv4 address."""
    found = ipaddress.ip_address(address)
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
