"""What a ReceiveConnector says to a caller: whether he may send here at all, and whether he is the other side of the organization.

It narrows what attribution.py found, and grants one thing only: a peer whose certificate TlsDomainCapabilities name is believed the
organization's headers. Pure.
"""

from __future__ import annotations

from mailwye.connectors.certificates import certificate_missing
from mailwye.connectors.matching import sender_certificate_matches
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.own_server import PermissionGroup, ReceiveConnector
from mailwye.connectors.receive_table import ReceiveTable, Reception
from mailwye.connectors.selection import Candidate
from mailwye.message.facts import SessionFacts
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

_TLS_WANTED = Reply(530, "5.7.0", "Must issue a STARTTLS command first")  # RFC 3207 section 4

_ANONYMOUS, _USERS, _SERVERS, _PARTNERS = (
    PermissionGroup.ANONYMOUS_USERS,
    PermissionGroup.EXCHANGE_USERS,
    PermissionGroup.EXCHANGE_SERVERS,
    PermissionGroup.PARTNERS,
)


@dataclass(frozen=True, slots=True)
class OtherSide:
    """Whether the peer is the other side of the organization: the `connector` that it is taken for and the name of its certificate that
    matched, or None and "". `reasons`: why, or what is missing of a certificate that it presented.
    """

    connector: InboundConnector | None = None
    certificate_name: str = ""
    reasons: tuple[str, ...] = ()


def other_side(receiver: ReceiveConnector, facts: SessionFacts) -> OtherSide:
    """By TlsDomainCapabilities: a trusted certificate with one of the names, over TLS."""
    certificate = facts.tls.certificate if facts.tls is not None else None
    if certificate is None:
        return OtherSide()
    missing = ""
    for peer in receiver.peers():
        pattern = peer.tls_sender_certificate_name
        missing = certificate_missing(peer, facts)
        if not missing:
            name = next(name for name in certificate.names if sender_certificate_matches(name, pattern))
            reason = (
                f"{receiver.title} takes the peer for the other side of the organization: the trusted certificate's name {name} matches "
                f"{pattern} of TlsDomainCapabilities (AcceptCloudServicesMail)"
            )
            return OtherSide(peer, name, (reason,))
    return OtherSide(reasons=(f"TlsDomainCapabilities of {receiver.title} do not hold: {missing}",))


def without_relay(receiver: ReceiveConnector) -> str:
    """Why a peer of `other_side` may not send to the outside; "" where he may."""
    if receiver.permits(_SERVERS):
        return ""
    return f"{receiver.title} lets the other side send to accepted domains only: ExchangeServers is not among its PermissionGroups"


def refusal_of(receiver: ReceiveConnector, facts: SessionFacts, *, is_server: bool, partners: tuple[str, ...]) -> Reply | None:
    """The reply to MAIL where the caller may not send here; None where he may. `is_server`: a connector identified him; `partners`: Partner
    connectors for his sender's domain, whose conditions he met.
    """
    if receiver.require_tls and facts.tls is None:
        return _TLS_WANTED
    if facts.authenticated:
        if receiver.permits(_USERS):
            return None
        return Reply(550, "5.7.1", f"{receiver.title} takes no mail from mailbox users: ExchangeUsers is not among its PermissionGroups")
    if receiver.permits(_ANONYMOUS) or (is_server and receiver.permits(_SERVERS)) or (partners and receiver.permits(_PARTNERS)):
        return None
    missing = "ExchangeServers is" if is_server else "AnonymousUsers is"
    return Reply(530, "5.7.1", f"Client was not authenticated: {missing} not among the PermissionGroups of {receiver.title}")


def consider_receivers(table: ReceiveTable, facts: SessionFacts, reception: Reception | None) -> tuple[Candidate, ...]:
    """Every ReceiveConnector, whether it takes the session, and why or why not."""
    bound = {c.name for c in table.bound_to(facts.local)}
    chosen = reception.connector if reception is not None else None
    found = []
    for connector in table.connectors:
        if connector is chosen and reception is not None:
            reason = reception.reason
        elif connector.name not in bound:
            reason = f"ReceiveConnector: it is not bound to {facts.local or 'the listener'}"
        elif not connector.enabled:
            reason = "ReceiveConnector: it is disabled"
        elif chosen is not None:
            reason = f"ReceiveConnector: {chosen.name} is bound more closely to {facts.local}, or holds the address more closely"
        else:
            reason = f"ReceiveConnector: its RemoteIPRanges do not hold {facts.peer_address or 'the address'}"
        found.append(Candidate(connector.name, connector is chosen, reason))
    return tuple(found)
