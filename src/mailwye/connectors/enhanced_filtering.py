"""Enhanced filtering: which address did a message really come from, where it passed a gateway on its way here? (EFSkipIPs, EFSkipLastIP)

A Received line is worth what its writer is worth. The top line is the last hop's; it counts where that hop is skipped, since then the
administrator has said whose it is. Each line names the hop before; the first address that is not skipped is the source, and what is
written below its line is the source's own and read by nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mailwye.connectors.attribution import Caller
from mailwye.connectors.certificates import certificate_missing
from mailwye.connectors.matching import longest_prefix
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import SessionFacts
from mailwye.message.received_from import received_from

HOPS_LIMIT = 10
"""How many Received lines are followed at most."""

# Addresses that nobody on the Internet has: always skipped (RFC 1918, 6598, 3927, 4193, 4291; loopback).
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a message came from. `address`: "" where a skipped hop's line does not say it. `connector`: whose settings were used, ""
    where nothing was skipped. `skipped`: the hops between, last one first. `reason`: one sentence.
    """

    address: str
    connector: str = ""
    skipped: tuple[str, ...] = ()
    reason: str = ""


def find_source(facts: SessionFacts, caller: Caller, table: ConnectorTable, received: Iterable[str]) -> Source:
    """The source of a message from `caller`. `received`: the unfolded values of its Received fields, top one first, as they came."""
    connector = filtering_connector(facts, caller, table)
    if connector is None:
        return Source(facts.peer_address)
    why = "EFSkipLastIP" if connector.ef_skip_last_ip else "EFSkipIPs"
    ranges = () if connector.ef_skip_last_ip else connector.ef_skip_ips
    skipped = [facts.peer_address]
    for hop, line in enumerate(received):
        if hop == HOPS_LIMIT:
            reason = f"{why} of {connector.name} skipped {HOPS_LIMIT} hops without an end"
            return Source("", connector.name, tuple(skipped), reason)
        address = received_from(line)
        if not address:
            reason = f"{why} of {connector.name} skips {skipped[-1]}, but its Received line does not say whom it had the mail from"
            return Source("", connector.name, tuple(skipped), reason)
        if longest_prefix(ranges, address) < 0 and not is_private(address):
            reason = f"{why} of {connector.name} skips {', '.join(skipped)}: the mail came from {address}"
            return Source(address, connector.name, tuple(skipped), reason)
        skipped.append(address)
    reason = f"{why} of {connector.name} skips {', '.join(skipped)}, and there is no further Received line"
    return Source("", connector.name, tuple(skipped), reason)


def filtering_connector(facts: SessionFacts, caller: Caller, table: ConnectorTable) -> InboundConnector | None:
    """The connector whose EFSkip settings count for this caller, if any: the OnPremises one that identified him, else the first Partner
    connector for the sender's domain of which he proved to be the gateway. Anybody may connect; only a gateway's line is believed.
    """
    if caller.connector is not None:
        return caller.connector if _skips(caller.connector, facts, identified=True) else None
    for name in caller.partners:
        connector = table.inbound_by_name[name]
        if _skips(connector, facts, identified=_is_partner(connector, facts)):
            return connector
    return None


def _skips(connector: InboundConnector, facts: SessionFacts, *, identified: bool) -> bool:
    """Is the last hop skipped? By EFSkipLastIP where it is identified; by EFSkipIPs where its address is among them, or a private one."""
    if connector.ef_skip_last_ip:
        return identified
    if not connector.ef_skip_ips:
        return False
    return longest_prefix(connector.ef_skip_ips, facts.peer_address) >= 0 or (identified and is_private(facts.peer_address))


def _is_partner(connector: InboundConnector, facts: SessionFacts) -> bool:
    """Does what the connector restricts to hold for the peer?"""
    by_address, by_certificate = connector.restrict_domains_to_ip_addresses, connector.restrict_domains_to_certificate
    if by_address and longest_prefix(connector.sender_ip_addresses, facts.peer_address) < 0:
        return False
    if by_certificate and certificate_missing(connector, facts):
        return False
    return by_address or by_certificate


@lru_cache(maxsize=4096)
def is_private(address: str) -> bool:
    """True for an address that is not one of the Internet's."""
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in _PRIVATE)
