"""Hops → OutboundConnectors: patterns that lead the same way with the same TLS share one; addresses that go their own way get a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mailwye.config.scalars import NAME_LIMIT
from mailwye.importing.collect import Collector, Note, Place
from mailwye.importing.postfix.hops import Destination, NoDestination, destinations, looks_up_mx_with_port, smart_hosts
from mailwye.importing.postfix.master_cf import Service
from mailwye.importing.postfix.routing import Hop, parents
from mailwye.importing.postfix.tls import Remark, Tls, TlsPolicies

SOMEBODY = "x--any"
"""A label that stands for any subdomain when Postfix is asked about `*` or `*.contoso.com`. No name can be like it (RFC 5890)."""
_RULES_LIMIT = 300
"""As many mail flow rules one organization has."""


@dataclass(frozen=True, slots=True)
class Way:
    """What makes connectors different. `hosts` empty: by MX records."""

    hosts: tuple[Destination, ...]
    tls: Tls

    @property
    def is_default(self) -> bool:
        """True for MX records and opportunistic TLS: what happens to mail for outside without a connector."""
        return not self.hosts and self.tls.is_plain

    @property
    def title(self) -> str:
        """For the name of the connector."""
        if self.hosts:
            return f"Postfix to {', '.join(one.text for one in self.hosts)}"
        extra = self.tls.settings or ("DANE" if self.tls.dane == "Mandatory" else "")
        return f"Postfix by MX, {extra}" if extra else "Postfix by MX"


class NoWay(Exception):
    """No connector can stand for the hop. `reason`, `remedy`: for the report."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


_INSTEAD = {
    "error": (
        "refuses mail with an error; no object does that",
        "Leave the domain out of the accepted domains, or refuse it on its own server",
    ),
    "discard": ("throws mail away; nothing accepted is ever lost here", "Route it to a mailbox that nobody reads"),
    "local": ("delivers to users of this machine", "Write a Mailbox for each of them (`mailwye mailbox add`)"),
    "virtual": ("delivers to mailboxes on this machine", "Write a Mailbox for each of them (`mailwye mailbox add`)"),
    "lmtp": ("delivers by LMTP", "Write a Mailbox for each recipient, and set `lmtp` in [delivery] of mailwye.toml to its server"),
    "pipe": ("runs a program for each message; Mailwye runs none", "Let the program listen on SMTP or LMTP, and make it a smart host"),
}


class Ways:
    """Collects patterns and addresses, and makes connectors and rules of them."""

    def __init__(self, services: dict[str, Service], policies: TlsPolicies, collector: Collector) -> None:
        self._services = services
        self._policies = policies
        self._collector = collector
        self._patterns: dict[str, tuple[Way, Place]] = {}
        self._addresses: dict[str, tuple[Way, Place]] = {}
        self._inside: set[Way] = set()

    def is_smtp(self, hop: Hop) -> bool:
        """True where the hop leads over SMTP to another server."""
        return self._command(hop) == "smtp"

    def is_delivery(self, hop: Hop) -> bool:
        """True where the hop ends in a mailbox: on this machine, or at an LMTP server."""
        return self._command(hop) in ("local", "virtual", "lmtp", "pipe")

    def way(self, hop: Hop, domain: str, pattern: str = "") -> Way:
        """Of mail for `domain`, which stands for `pattern` where that has a wildcard. :raises NoWay: it is not SMTP, or names no host."""
        service = self._services.get(hop.transport)
        command = self._command(hop)
        if command != "smtp":
            what = "its transport is not in master.cf" if service is None else f"runs {command}, which has no counterpart here"
            reason, remedy = _INSTEAD.get(command, (what, "Write an OutboundConnector for it"))
            raise NoWay(f"{hop.transport}: {reason}", remedy)
        level = service.options.get("smtp_tls_security_level", "") if service is not None else ""
        if not hop.nexthop or hop.nexthop.lower() == domain:
            return Way((), _for_pattern(self._policies.of(domain, domain, bracketed=False, mx=True, level=level), pattern))
        if "$" in hop.nexthop:
            raise NoWay(f"{hop.nexthop} names what the file does not say", "Give the output of `postconf -x` instead of main.cf")
        try:
            listed = destinations(hop.nexthop)
        except NoDestination as error:
            raise NoWay(f"{hop.nexthop}: {error}", "Write the host's name or address, and the port as a number") from error
        first = listed[0]
        return Way(tuple(listed), self._policies.of(first.text, first.host, bracketed=first.bracketed, level=level))

    def add_pattern(self, pattern: str, way: Way, place: Place) -> None:
        """Mail for `pattern` goes this way; the first word about a pattern counts."""
        if pattern != "*" or not way.is_default:
            self._patterns.setdefault(pattern, (way, place))
        else:
            self._remarks("smtp_tls_security_level", [(way, place)])

    def add_address(self, address: str, way: Way, place: Place) -> None:
        """Mail for one address goes this way, whatever holds for its domain."""
        self._addresses.setdefault(address, (way, place))

    def mark_inside(self, way: Way) -> None:
        """The way leads to mailboxes of accepted domains: only OnPremises connectors do that."""
        self._inside.add(way)

    def covering(self, pattern: str) -> Way | None:
        """The way that `pattern` has by the most specific one that was added: itself, the longest `*.suffix` above it, `*`."""
        above = (f"*.{parent}" for parent in parents(pattern.removeprefix("*.")))
        found = next((found for found in map(self._patterns.get, (pattern, *above, "*")) if found is not None), None)
        return found[0] if found is not None else None

    def emit(self) -> None:
        """Connectors, then rules."""
        names: set[str] = set()
        for way, patterns, place in _grouped(self._patterns):
            if way.is_default and way not in self._inside and not self._needs_exception(patterns):
                self._remarks("smtp_tls_policy_maps", [self._patterns[pattern] for pattern in patterns])
                continue
            name = _unique(way.title, names)
            if self._connector(name, way, place, {"RecipientDomains": patterns}):
                self._remarks(f'OutboundConnector "{name}": TlsSettings', [self._patterns[pattern] for pattern in patterns])
        groups = _grouped(self._addresses)
        for number, (way, addresses, place) in enumerate(groups):
            if number >= _RULES_LIMIT:
                reason = f"an organization has at most {_RULES_LIMIT} mail flow rules"
                self._collector.left_out(f"transport_maps {addresses[0]}", reason, "Route by domains where you can", place)
                continue
            name = _unique(f"{way.title}, addresses", names)
            if self._connector(name, way, place, {"IsTransportRuleScoped": True}):
                self._remarks(f'OutboundConnector "{name}": TlsSettings', [self._addresses[address] for address in addresses])
                rule = {"Name": name, "SentTo": addresses, "RouteMessageOutboundConnector": name}
                self._collector.add("TransportRule", rule, place)

    def _needs_exception(self, patterns: Iterable[str]) -> bool:
        """True where a wider pattern would take the mail of these another way."""
        if "*" in self._patterns:
            return True
        return any(f"*.{parent}" in self._patterns for pattern in patterns for parent in parents(pattern.removeprefix("*.")))

    def _remarks(self, what: str, ways: Iterable[tuple[Way, Place]]) -> None:
        """What TLS changes, each once: patterns of one connector may have been asked about in different words."""
        said = {(remark.reason, remark.remedy): place for way, place in reversed([*ways]) for remark in way.tls.remarks}
        for (reason, remedy), place in reversed(said.items()):
            self._collector.changed(what, reason, remedy, place)

    def _connector(self, name: str, way: Way, place: Place, scope: dict[str, Any]) -> bool:
        data: dict[str, Any] = {"Name": name, "ConnectorType": "OnPremises" if way in self._inside else "Partner", **scope}
        if way.hosts:
            data |= {"UseMXRecord": False, "SmartHosts": smart_hosts(list(way.hosts))}
        if way.tls.settings:
            data["TlsSettings"] = way.tls.settings
        if way.tls.domain:
            data["TlsDomain"] = way.tls.domain
        if way.tls.dane != "Opportunistic":
            data["SmtpDaneMode"] = way.tls.dane
        notes = []
        for one in way.hosts:
            if looks_up_mx_with_port(one):
                reason = f"{one.text}: Postfix looks up the MX records of {one.host}; with a port its addresses are taken here"
                notes.append(Note("SmartHosts", reason, "Name the servers that its MX records name, each with the port"))
        return self._collector.add("OutboundConnector", data, place, notes=notes)

    def _command(self, hop: Hop) -> str:
        service = self._services.get(hop.transport)
        return service.command if service is not None else ""


def _for_pattern(tls: Tls, pattern: str) -> Tls:
    """A name that a certificate must bear depends on the domain; one connector for many domains has one TlsDomain."""
    if SOMEBODY not in tls.domain:
        return tls
    if pattern == "*":
        reason = "a certificate for the name of each domain cannot be asked for in one connector: any name of a trusted authority passes"
        remedy = "Make a connector with TlsDomain for each domain that matters"
        return Tls("CertificateValidation", remarks=(*tls.remarks, Remark(reason, remedy)))
    reason = f"one TlsDomain stands for all subdomains: {pattern}"
    return replace(
        tls, domain=pattern, remarks=(Remark(reason, "Make a connector for each subdomain whose certificate bears another name"),)
    )


def _grouped(entries: dict[str, tuple[Way, Place]]) -> list[tuple[Way, list[str], Place]]:
    """Way → what goes it, in the order of the first of each."""
    groups: dict[Way, tuple[list[str], Place]] = {}
    for entry, (way, place) in entries.items():
        groups.setdefault(way, ([], place))[0].append(entry)
    return [(way, listed, place) for way, (listed, place) in groups.items()]


def _unique(title: str, names: set[str]) -> str:
    """At most 64 characters, and no other connector's name."""
    name, number = title[:NAME_LIMIT], 1
    while name.lower() in names:
        number += 1
        suffix = f" ({number})"
        name = title[: NAME_LIMIT - len(suffix)] + suffix
    names.add(name.lower())
    return name
