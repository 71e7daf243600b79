"""Does one OnPremises connector identify this peer, and if not, what is missing? The live path, the near misses of a refusal and
`explain` all ask here.
"""

from __future__ import annotations

from mailwye.connectors.certificates import certificate_missing, trust_in
from mailwye.connectors.matching import pattern_matches, specificity
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the session shows, looked up in the indexes: numbers of OnPremises connectors (in `ConnectorTable.inbound`).

    `by_address`: whose SenderIPAddresses hold the peer, with the longest prefix. `by_certificate`: whose TlsSenderCertificateName
    matches a name of its certificate and who trusts it, with that name. `untrusted`: why nobody trusts a presented certificate, or "".
    """

    by_address: dict[int, int]
    by_certificate: dict[int, str]
    untrusted: str = ""

    def candidates(self) -> list[int]:
        """Connectors with a match of some kind, in alphabetical order."""
        if not self.by_certificate:
            return sorted(self.by_address)
        return sorted(self.by_address.keys() | self.by_certificate.keys())


@dataclass(frozen=True, slots=True)
class Examination:
    """One OnPremises connector against one transaction. `missing`: what it asks for and did not get; empty: it identifies the peer.
    `rank`: smaller is preferred; ends with the connector's number, so that there are no ties. `authority`: why its certificate is
    trusted, in words.
    """

    connector: InboundConnector
    missing: tuple[str, ...]
    rank: tuple[int, int, int, int]
    certificate_name: str = ""
    authority: str = ""

    @property
    def proof(self) -> str:
        """By what the peer was identified."""
        by_certificate, by_address = not self.rank[0], self.rank[2] <= 0
        if by_certificate:
            return "certificate and address" if by_address else "certificate"
        return "address" if by_address else ""

    @property
    def reason(self) -> str:
        """One sentence."""
        if self.missing:
            return "; ".join(self.missing)[:1].upper() + "; ".join(self.missing)[1:]
        parts = []
        if self.certificate_name:
            pattern = self.connector.tls_sender_certificate_name
            parts.append(
                f"the trusted certificate's name {self.certificate_name} matches TlsSenderCertificateName {pattern} ({self.authority})"
            )
        if self.rank[2] <= 0:
            parts.append(f"the peer's address is in SenderIPAddresses (a /{-self.rank[2]})")
        return f'OnPremises connector "{self.connector.name}" identifies the peer: {" and ".join(parts)}'

    def preferred_to(self, other: Examination) -> str:
        """Why this one comes before `other`."""
        causes = (
            "a certificate beats an address",
            "its TlsSenderCertificateName is more specific",
            "its address range is narrower",
            "its name comes first in alphabetical order",
        )
        return next(cause for mine, theirs, cause in zip(self.rank, other.rank, causes, strict=True) if mine != theirs)


def evidence_of(facts: SessionFacts, table: ConnectorTable) -> Evidence:
    """Look the peer up."""
    by_address = table.addresses.find(facts.peer_address)
    certificate = facts.tls.certificate if facts.tls is not None else None
    if certificate is None:
        return Evidence(by_address, {})
    named = table.certificates.find(certificate.names)
    by_certificate = {index: name for index, name in named.items() if trust_in(table.inbound[index], certificate).trusted}
    untrusted = "" if certificate.trusted or by_certificate else certificate.trust_reason or "no reason given"
    return Evidence(by_address, by_certificate, untrusted)


def examine(connector: InboundConnector, index: int, evidence: Evidence, facts: SessionFacts, sender: Address | None) -> Examination:
    """Hold an OnPremises connector (number `index`) against the transaction: enabled, SenderDomains, certificate, address, TLS."""
    name = evidence.by_certificate.get(index, "")
    rank = (
        0 if name else 1,
        -specificity(connector.tls_sender_certificate_name) if name else 0,
        -evidence.by_address.get(index, -1),  # 1 stands for "no range holds the address"
        index,
    )
    missing: list[str] = []
    if not connector.enabled:
        return Examination(connector, ("it is disabled",), rank)
    if not connector.tls_sender_certificate_name and not connector.sender_ip_addresses:
        missing.append("it names neither TlsSenderCertificateName nor SenderIPAddresses, so it can identify nobody")
    if connector.tls_sender_certificate_name and not name:
        missing.append(
            certificate_missing(connector, facts)
            or f"TlsSenderCertificateName {connector.tls_sender_certificate_name} is too wide to identify anybody"
        )
    if connector.sender_ip_addresses and index not in evidence.by_address:
        missing.append(f"the address {facts.peer_address or 'of the peer'} is not in SenderIPAddresses")
    if connector.require_tls and facts.tls is None and not connector.tls_sender_certificate_name:
        missing.append("the session has no TLS, and RequireTls is on")
    if not sender_matches(connector, sender):
        missing.append(f"SenderDomains {', '.join(connector.sender_domains)} do not hold {sender.domain if sender else 'the null sender'}")
    certificate = facts.tls.certificate if facts.tls is not None and name else None
    authority = trust_in(connector, certificate).reason if certificate is not None else ""
    return Examination(connector, tuple(missing), rank, name, authority)


def sender_matches(connector: InboundConnector, sender: Address | None) -> bool:
    """SenderDomains of an OnPremises connector against MAIL FROM. The null sender has no domain and matches: whether it may be
    relayed is decided by the certificate (SEMANTICS section 4).
    """
    if sender is None or "*" in connector.sender_domains:
        return True
    return any(pattern_matches(pattern, sender.domain, subdomains_only=False) for pattern in connector.sender_domains)
