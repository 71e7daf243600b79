"""May he send there? SEMANTICS section 4.

Two checks, kept apart: the identity of the peer (attribution.py: which OnPremises connector) and the proof of the organization (here: a
domain of the certificate or of MAIL FROM that is accepted).
"""

from __future__ import annotations

from mailwye.connectors.attribution import Caller, CallerKind
from mailwye.connectors.certificates import certificate_missing
from mailwye.connectors.identification import Evidence, evidence_of, examine
from mailwye.connectors.matching import parents
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address
from mailwye.value import dataclass

NEAR_MISSES = 50
"""How many connectors are examined for the sentence in a refusal: strangers may ask for many refusals."""


@dataclass(frozen=True, slots=True)
class RelayDecision:
    """May the caller send to this domain? `near_miss`: where not, which connector nearly matched and what was missing."""

    allowed: bool
    reasons: tuple[str, ...]
    near_miss: str = ""


def relay_to_accepted(accepted: AcceptedDomain) -> RelayDecision:
    """Everyone may send to an accepted domain."""
    return RelayDecision(True, (f"{accepted.domain_name} is an accepted domain: everyone may send to it",))


def decide_relay(
    directory: Directory, table: ConnectorTable, facts: SessionFacts, caller: Caller, sender: Address | None, domain: str
) -> RelayDecision:
    """May the caller send to `domain`, which is not accepted?"""
    if caller.kind is CallerKind.MAILBOX:
        return RelayDecision(True, (f"{domain} is outside: the mailbox user {caller.mailbox} may send anywhere",))
    if caller.connector is None:
        miss = near_miss(directory, table, facts, sender)
        return RelayDecision(False, (f"{domain} is outside, and anonymous callers may send to accepted domains only",), miss)
    if caller.no_relay:
        return RelayDecision(False, (f"{domain} is outside: {caller.no_relay}",), f"{caller.no_relay}.")
    proof, missing = organization_proof(directory, caller.connector, caller.certificate_name, sender)
    if proof:
        return RelayDecision(True, (f'{domain} is outside: connector "{caller.connector.name}" identifies the peer, and {proof}',))
    miss = f'Connector "{caller.connector.name}" identified the server, but nothing proves the organization: {missing}.'
    return RelayDecision(False, (f"{domain} is outside, and the organization is not proven: {missing}",), miss)


def organization_proof(directory: Directory, connector: InboundConnector, certificate_name: str, sender: Address | None) -> tuple[str, str]:
    """(what proves the organization, "") or ("", what is missing), for a peer that `connector` identified.

    The certificate proves it where the name that matched, or the domain of TlsSenderCertificateName, is accepted; else MAIL FROM in
    an accepted domain does. AssociatedAcceptedDomains narrow both.
    """
    if certificate_name:
        for name in (certificate_name.removeprefix("*."), connector.tls_sender_certificate_name.lower().removeprefix("*.")):
            accepted = _accepted_for(directory, connector, name)
            if accepted is not None:
                return f"the certificate proves the organization: its domain {name} is an accepted domain", ""
    if sender is not None and _accepted_for(directory, connector, sender.domain) is not None:
        return f"the sender's domain {sender.domain} is an accepted domain", ""
    who = f"the sender's domain {sender.domain} is not an accepted domain" if sender is not None else "the sender is <>"
    if certificate_name:
        name = certificate_name.removeprefix("*.")
        above = next((parent for parent in parents(name) if _accepted_for(directory, connector, parent) is not None), "")
        remedy = f" (TlsSenderCertificateName *.{above} would prove it)" if above else ""
        return "", f"{who}, and the certificate's domain {name} is not an accepted domain{remedy}"
    return "", f"{who}, and the connector identifies the server by address, not by a certificate of an accepted domain"


def _accepted_for(directory: Directory, connector: InboundConnector, domain: str) -> AcceptedDomain | None:
    accepted = directory.accepted_domain(domain)
    if accepted is None or (connector.associated_accepted_domains and accepted.domain_name not in connector.associated_accepted_domains):
        return None
    return accepted


def near_miss(directory: Directory, table: ConnectorTable, facts: SessionFacts, sender: Address | None) -> str:
    """For a peer that no connector identifies: which one nearly does, and what is missing, as sentences for the reply.

    Nearly: fewest conditions missing, then most conditions met, among connectors of which the peer shows a part, or (for a peer that
    shows a certificate or an own sender domain) the first ones by name.
    """
    own = [i for i, c in enumerate(table.inbound[: 4 * NEAR_MISSES]) if c.connector_type is ConnectorType.ON_PREMISES]
    if not own and not any(c.connector_type is ConnectorType.ON_PREMISES for c in table.inbound):
        return (
            "There is no inbound connector of type OnPremises. Create one that identifies the own mail server by "
            "TlsSenderCertificateName or SenderIPAddresses."
        )
    evidence = evidence_of(facts, table)
    certificate = facts.tls.certificate if facts.tls is not None else None
    shown = certificate is not None or (sender is not None and directory.accepted_domain(sender.domain) is not None)
    partial = evidence.candidates() + _untrusted(evidence, facts, table)
    indexes = partial[:NEAR_MISSES] or (own[:NEAR_MISSES] if shown else [])
    if not indexes:
        tls = "presented no certificate" if facts.tls is not None else "used no TLS"
        return f"No inbound connector knows {facts.peer_address or 'the peer'}: its address is in no SenderIPAddresses, and it {tls}."
    return _sentence(min(_distance(table, index, evidence, facts, sender) for index in indexes))


def _untrusted(evidence: Evidence, facts: SessionFacts, table: ConnectorTable) -> list[int]:
    """Connectors whose name the certificate bears, though they do not trust it."""
    certificate = facts.tls.certificate if facts.tls is not None else None
    if certificate is None:
        return []
    return sorted(table.certificates.find(certificate.names).keys() - evidence.by_certificate.keys() - evidence.by_address.keys())


def _distance(
    table: ConnectorTable, index: int, evidence: Evidence, facts: SessionFacts, sender: Address | None
) -> tuple[bool, int, int, int, str, str]:
    """How far a connector is from identifying the peer (smaller is nearer), its name, and what is missing."""
    connector = table.inbound[index]
    missing = examine(connector, index, evidence, facts, sender).missing
    asked = bool(connector.tls_sender_certificate_name) + bool(connector.sender_ip_addresses)
    untried = bool(connector.tls_sender_certificate_name and certificate_missing(connector, facts))
    proven = (index in evidence.by_certificate) + (index in evidence.by_address)
    return (not connector.enabled, len(missing), -proven, asked - (not untried), connector.name, "; ".join(missing))


def _sentence(nearest: tuple[bool, int, int, int, str, str]) -> str:
    return f'Connector "{nearest[4]}" nearly matched: {nearest[5]}.'
