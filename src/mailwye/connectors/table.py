"""All connectors of an organization with the indexes that make choosing independent of their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailwye.connectors.addresses import AddressIndex
from mailwye.connectors.matching import is_presentable, parents
from mailwye.connectors.model import AS_IT_IS, ConnectorType, DirectDelivery, InboundConnector, OutboundConnector
from mailwye.connectors.receive_table import ReceiveTable

CERTIFICATE_NAMES = 100
"""How many names of one certificate are looked at (catalogue C3: a certificate may bring 10,000)."""


class ScopeIndex:
    """Outbound connectors by RecipientDomains: for each pattern the one that is preferred. `*.x` means subdomains only.

    `preferred`: in descending preference, with the patterns that count for each; the first claim on a pattern stays.
    """

    __slots__ = ("accepted", "everything", "exact", "suffix")

    def __init__(self, preferred: Iterable[tuple[OutboundConnector, Sequence[str]]], *, accepted: bool = False) -> None:
        """`accepted`: AllAcceptedDomains counts."""
        self.exact: dict[str, OutboundConnector] = {}
        self.suffix: dict[str, OutboundConnector] = {}
        self.accepted: OutboundConnector | None = None
        self.everything: OutboundConnector | None = None
        for connector, patterns in preferred:
            if accepted and connector.all_accepted_domains and self.accepted is None:
                self.accepted = connector
            for pattern in patterns:
                if pattern == "*":
                    self.everything = self.everything or connector
                elif pattern.startswith("*."):
                    self.suffix.setdefault(pattern[2:], connector)
                else:
                    self.exact.setdefault(pattern, connector)

    def find(self, domain: str) -> tuple[OutboundConnector, str] | None:
        """The connector for `domain` and the pattern that chose it ("AllAcceptedDomains" is one): exact domain, longest `*.suffix`,
        AllAcceptedDomains, `*`.
        """
        found = self.exact.get(domain)
        if found is not None:
            return found, domain
        if self.suffix:
            dot = domain.find(".")
            while dot >= 0:
                parent = domain[dot + 1 :]
                found = self.suffix.get(parent)
                if found is not None:
                    return found, f"*.{parent}"
                dot = domain.find(".", dot + 1)
        if self.accepted is not None:
            return self.accepted, "AllAcceptedDomains"
        return (self.everything, "*") if self.everything is not None else None


class CertificateIndex:
    """TlsSenderCertificateName → numbers of connectors; agrees with matching.sender_certificate_matches."""

    __slots__ = ("_below", "_exact", "_suffix")

    def __init__(self, names: Iterable[tuple[str, int]]) -> None:
        self._exact: dict[str, list[int]] = {}
        self._below: dict[str, list[tuple[str, int]]] = {}  # parent → exact names one label below it, for presented wildcards
        self._suffix: dict[str, list[int]] = {}
        for name, connector in names:
            if not is_presentable(name):
                continue
            if name.startswith("*."):
                self._suffix.setdefault(name[2:], []).append(connector)
            else:
                self._exact.setdefault(name, []).append(connector)
                self._below.setdefault(name.partition(".")[2], []).append((name, connector))

    def find(self, presented: Sequence[str]) -> dict[int, str]:
        """Connectors whose TlsSenderCertificateName one of the `presented` names matches, each with the first such name."""
        found: dict[int, str] = {}
        for name in presented[:CERTIFICATE_NAMES]:
            name = name.lower()
            if is_presentable(name):
                for connector in self._matching(name):
                    found.setdefault(connector, name)
        return found

    def _matching(self, name: str) -> Iterator[int]:
        if name.startswith("*."):
            base = name[2:]
            yield from (connector for _, connector in self._below.get(base, ()))
        else:
            base = name
            yield from self._exact.get(name, ())
        if self._suffix:
            yield from self._suffix.get(base, ())
            for parent in parents(base):
                yield from self._suffix.get(parent, ())


class PartnerIndex:
    """Enabled Partner connectors by SenderDomains (`*.x` means x and its subdomains), most specific scope first."""

    __slots__ = ("_everybody", "_exact", "_suffix")

    def __init__(self, connectors: Iterable[InboundConnector]) -> None:
        self._exact: dict[str, list[InboundConnector]] = {}
        self._suffix: dict[str, list[InboundConnector]] = {}
        self._everybody: list[InboundConnector] = []
        for connector in connectors:
            for pattern in connector.sender_domains:
                if pattern == "*":
                    self._everybody.append(connector)
                elif pattern.startswith("*."):
                    self._suffix.setdefault(pattern[2:], []).append(connector)
                else:
                    self._exact.setdefault(pattern, []).append(connector)

    def find(self, domain: str) -> list[InboundConnector]:
        """Partner connectors whose SenderDomains match `domain` ("" for the null sender: only `*` does); each once."""
        found = list(self._exact.get(domain, ()))
        if self._suffix:
            for parent in (domain, *parents(domain)):
                found += self._suffix.get(parent, ())
        found += self._everybody
        return found if len(found) < 2 else list({connector.name: connector for connector in found}.values())


class ConnectorTable:
    """Frozen. `inbound` and `outbound` (with SendConnectors) in alphabetical order of Name. Built in time linear in the number of patterns
    and ranges. `receive` None: there are no ReceiveConnectors, and every listener takes mail as its kind says.
    """

    __slots__ = (
        "addresses",
        "centralized",
        "certificates",
        "direct",
        "inbound",
        "inbound_by_name",
        "inside",
        "outbound",
        "outbound_by_name",
        "outside",
        "outside_from_on_premises",
        "partners",
        "receive",
        "unusable_inside",
    )

    def __init__(
        self,
        inbound: Iterable[InboundConnector] = (),
        outbound: Iterable[OutboundConnector] = (),
        direct: DirectDelivery = AS_IT_IS,
        receive: ReceiveTable | None = None,
    ) -> None:
        self.direct = direct
        self.receive = receive
        self.inbound = tuple(sorted(inbound, key=lambda c: (c.name.lower(), c.name)))
        self.outbound = tuple(sorted(outbound, key=lambda c: (c.name.lower(), c.name)))
        self._index_inbound()
        self._index_outbound()

    def _index_inbound(self) -> None:
        self.inbound_by_name = {c.name: c for c in self.inbound}
        own = [(c, i) for i, c in enumerate(self.inbound) if c.enabled and c.connector_type is ConnectorType.ON_PREMISES]
        self.addresses = AddressIndex((text, i) for c, i in own for text in c.sender_ip_addresses)
        self.certificates = CertificateIndex((c.tls_sender_certificate_name.lower(), i) for c, i in own if c.tls_sender_certificate_name)
        self.partners = PartnerIndex(c for c in self.inbound if c.enabled and c.connector_type is ConnectorType.PARTNER)

    def _index_outbound(self) -> None:
        self.outbound_by_name = {c.name.lower(): c for c in self.outbound}
        usable = [c for c in self.outbound if is_chosen_by_domain(c)]
        own = [c for c in usable if c.connector_type is ConnectorType.ON_PREMISES]
        by_type = sorted(usable, key=lambda c: c.connector_type is ConnectorType.ON_PREMISES)  # stable: Partner first, then by name
        self.inside = ScopeIndex(claims(own), accepted=True)
        self.outside = ScopeIndex(claims(by_type))
        self.outside_from_on_premises = ScopeIndex(claims(c for c in by_type if not is_centralized(c)))
        self.centralized = ScopeIndex(claims(c for c in own if is_centralized(c)))
        names = {c.name for c in own}
        self.unusable_inside = ScopeIndex(claims(c for c in self.outbound if c.name not in names), accepted=True)


def is_chosen_by_domain(connector: OutboundConnector) -> bool:
    """Enabled, not scoped to rules, and not in TestMode (those are used by validation only)."""
    return connector.enabled and not connector.is_transport_rule_scoped and not connector.test_mode


def is_centralized(connector: OutboundConnector) -> bool:
    """RouteAllMessagesViaOnPremises, which only an OnPremises connector may have (SEMANTICS section 7)."""
    return connector.route_all_messages_via_on_premises and connector.connector_type is ConnectorType.ON_PREMISES


def scope_of(connector: OutboundConnector) -> tuple[str, ...]:
    """RecipientDomains, and `*` where RouteAllMessagesViaOnPremises stands for it (SEMANTICS section 6)."""
    if is_centralized(connector):
        return (*connector.recipient_domains, "*")
    return connector.recipient_domains


def claims(preferred: Iterable[OutboundConnector]) -> list[tuple[OutboundConnector, tuple[str, ...]]]:
    """What each connector claims, for ScopeIndex: lower cost first, among equals in the order given. Only address spaces of SendConnectors
    have a cost other than 1, so mostly nothing needs to be sorted.
    """
    found: list[tuple[OutboundConnector, tuple[str, ...]]] = []
    later: list[tuple[int, OutboundConnector, str]] = []
    for connector in preferred:
        scope, costs = scope_of(connector), connector.costs
        if costs:
            later += [(costs[pattern], connector, pattern) for pattern in scope if pattern in costs]
            scope = tuple(pattern for pattern in scope if pattern not in costs)
        found.append((connector, scope))
    later.sort(key=lambda claim: claim[0])
    return [*found, *((connector, (pattern,)) for _, connector, pattern in later)]
