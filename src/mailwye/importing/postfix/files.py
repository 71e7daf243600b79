"""main.cf, master.cf and the tables that they name → objects of an organization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailwye.importing.collect import Collector, Imported, Note, Place
from mailwye.importing.postfix.inbound import read_client_certificates, read_networks
from mailwye.importing.postfix.main_cf import MainCf
from mailwye.importing.postfix.master_cf import read_services
from mailwye.importing.postfix.parameters import report
from mailwye.importing.postfix.recipients import Recipients, targets
from mailwye.importing.postfix.routing import DomainClass, DomainList, Hop, Router, Style, words_of
from mailwye.importing.postfix.tables import Row, Tables, file_of, table_name
from mailwye.importing.postfix.tls import TlsPolicies
from mailwye.importing.postfix.ways import SOMEBODY, NoWay, Ways
from mailwye.importing.source import Source

_TABLES = (
    "transport_maps",
    "relay_domains",
    "relay_recipient_maps",
    "virtual_alias_maps",
    "virtual_alias_domains",
    "virtual_mailbox_domains",
    "virtual_mailbox_maps",
    "mydestination",
    "smtp_tls_policy_maps",
    "relay_clientcerts",
    "mynetworks",
)


def wanted_files(main: Source, *, directory: str = "/etc/postfix") -> tuple[str, ...]:
    """The paths of the tables whose text `import_postfix` wants. :raises ImportRefused: the text is no main.cf."""
    settings = MainCf(main, directory=directory)
    paths: dict[str, None] = {}
    for parameter in _TABLES:
        for word in words_of(settings, parameter):
            path = file_of(table_name(word.removeprefix("!")))
            if path:
                paths[path] = None
    return tuple(paths)


def import_postfix(
    main: Source, files: Mapping[str, Source | str], *, master: Source | None = None, directory: str = "/etc/postfix"
) -> Imported:
    """`files`: path → text of a table, or (str) why there is none.

    :raises ImportRefused: the text is no main.cf; nothing is taken then.
    """
    return _Import(MainCf(main, directory=directory), files, master).run()


@dataclass(frozen=True, slots=True)
class _Domain:
    """An accepted domain to be."""

    name: str
    kind: DomainClass
    subdomains: bool
    place: Place


class _Import:
    def __init__(self, main: MainCf, files: Mapping[str, Source | str], master: Source | None) -> None:
        self._main = main
        self._collector = Collector()
        self._tables = Tables(files, self._collector)
        self._policies = TlsPolicies(main, self._rows("smtp_tls_policy_maps"))
        self._router = Router(main, self._lists(), self._rows("transport_maps"))
        self._ways = Ways(read_services(master), self._policies, self._collector)
        self._domains = list(self._accepted())
        self._aliased = {
            row.key for row in self._rows("virtual_alias_maps") if "@" in row.key and row.key not in map(str.lower, targets(row.value))
        }
        self._listed = {row.key for row in self._rows("relay_recipient_maps")} if self._value("relay_recipient_maps") else None

    def run(self) -> Imported:
        kept = [domain for domain in self._domains if self._add_domain(domain)]
        self._add_ways(kept)
        self._add_recipients(kept)
        read_networks(self._main, self._tables, self._collector)
        read_client_certificates(self._main, self._tables, self._collector)
        report(self._main, self._collector)
        return self._collector.imported()

    def _place(self, parameter: str) -> Place:
        return Place(self._main.file, self._main.line(parameter))

    def _value(self, parameter: str) -> str:
        return self._main.get(parameter)

    def _rows(self, parameter: str) -> tuple[Row, ...]:
        value = self._value(parameter)
        return self._tables.rows(value, parameter, self._place(parameter)) if value else ()

    def _lists(self) -> dict[DomainClass, DomainList]:
        parent = "relay_domains" in words_of(self._main, "parent_domain_matches_subdomains")
        lists: dict[DomainClass, DomainList] = {}
        for kind in DomainClass:
            if kind is DomainClass.DEFAULT:
                continue
            style = Style.EXACT if kind is not DomainClass.RELAY else Style.PARENT if parent else Style.DOT
            value = self._value(kind.value)
            lists[kind] = DomainList(value, kind.value, style, self._tables, self._collector, self._place(kind.value))
        return lists

    def _accepted(self) -> Iterator[_Domain]:
        seen: set[str] = set()
        for kind, listed in self._router.lists.items():
            for entry in listed.entries:
                local = entry.name == "localhost" or entry.name.startswith("localhost.")
                if entry.name not in seen and not (local and kind is DomainClass.LOCAL):
                    seen.add(entry.name)
                    yield _Domain(entry.name, kind, entry.subdomains, entry.place)
        yield from self._relay_subdomains(seen)

    def _relay_subdomains(self, seen: set[str]) -> Iterator[_Domain]:
        """Subdomains of relay_domains of which relay_recipient_maps lists addresses: accepted by their own name."""
        for row in self._rows("relay_recipient_maps"):
            domain = row.key.rpartition("@")[2]
            if domain not in seen and "@" in row.key and self._router.domain_class(domain) is DomainClass.RELAY:
                seen.add(domain)
                yield _Domain(domain, DomainClass.RELAY, False, row.place)

    def _lists_recipients(self, domain: _Domain) -> bool:
        """True where Postfix refuses addresses of the relay domain that are in no table."""
        return self._listed is not None and f"@{domain.name}" not in self._listed

    def _add_domain(self, domain: _Domain) -> bool:
        data: dict[str, object] = {"DomainName": domain.name}
        notes: list[Note] = []
        hop = self._router.domain_hop(domain.name)
        away = self._ways.is_smtp(hop)
        if domain.kind is DomainClass.RELAY:
            if not self._lists_recipients(domain):
                data["DomainType"] = "InternalRelay"
                if domain.subdomains:
                    data["MatchSubDomains"] = True
        elif domain.kind in (DomainClass.LOCAL, DomainClass.VIRTUAL_MAILBOX):
            unlisted = domain.kind is DomainClass.LOCAL or not self._value("virtual_mailbox_maps")
            if away and unlisted:
                data["DomainType"] = "InternalRelay"
            elif unlisted:
                reason = "its users are known to the machine alone: all other addresses of the domain are refused here"
                notes.append(Note("", reason, "Write a Mailbox for each (`mailwye mailbox add`) before mail comes here"))
        return self._collector.add("AcceptedDomain", data, domain.place, notes=notes)

    def _add_ways(self, domains: Iterable[_Domain]) -> None:
        for row in self._router.rows.values():
            self._add_row(row)
        if "*" not in self._router.rows:
            outside = self._router.default_hop(f"{SOMEBODY}.invalid")
            self._try_pattern("*", outside, f"{SOMEBODY}.invalid", outside.source)
        for domain in domains:
            self._add_inside(domain.name, domain.name)
            if domain.subdomains:
                self._add_inside(f"*.{domain.name}", f"{SOMEBODY}.{domain.name}")
        for row in self._policies.rows.values():
            self._add_policy(row)
        if self._policies.level == "none":
            reason = "Postfix sends without TLS; here TLS is used where it is offered"
            place = self._place("smtp_tls_security_level")
            self._collector.changed("smtp_tls_security_level", reason, "Nothing is to be done", place)
        self._ways.emit()

    def _add_row(self, row: Row) -> None:
        what = f"transport_maps {row.key}"
        if "@" in row.key:
            domain = row.key.rpartition("@")[2]
            hop = self._router.row_hop(row, domain)
            if row.key in self._aliased:
                reason = "virtual_alias_maps comes first: no mail for this address is left when Postfix looks here"
                self._collector.left_out(what, reason, "Remove one of them", row.place)
                return
            if self._ways.is_delivery(hop) and self._router.domain_class(domain) in (DomainClass.LOCAL, DomainClass.VIRTUAL_MAILBOX):
                return
            try:
                way = self._ways.way(hop, domain)
            except NoWay as error:
                self._collector.left_out(what, error.reason, error.remedy, row.place)
                return
            self._ways.add_address(row.key, way, row.place)
            if self._router.domain_class(domain) is not DomainClass.DEFAULT:
                self._ways.mark_inside(way)
            return
        dotted = row.key.startswith(".")
        if dotted and self._router.parent_style:
            reason = "Postfix never looks it up: transport_maps is in parent_domain_matches_subdomains"
            self._collector.left_out(what, reason, "Nothing is to be done", row.place)
            return
        if row.key == "*":
            self._try_pattern("*", self._router.row_hop(row, f"{SOMEBODY}.invalid"), f"{SOMEBODY}.invalid", what)
            return
        name = row.key.removeprefix(".")
        example = f"{SOMEBODY}.{name}"
        if not dotted:
            self._try_pattern(name, self._router.row_hop(row, name), name, what)
        if dotted or self._router.parent_style:
            self._try_pattern(f"*.{name}", self._router.row_hop(row, example), example, what)

    def _try_pattern(self, pattern: str, hop: Hop, domain: str, what: str) -> None:
        delivers = self._ways.is_delivery(hop)
        if delivers and self._router.domain_class(domain) in (DomainClass.LOCAL, DomainClass.VIRTUAL_MAILBOX) and hop.transport != "lmtp":
            return  # mailboxes of this machine: they are here, too
        try:
            way = self._ways.way(hop, domain, pattern)
        except NoWay as error:
            self._collector.left_out(what, error.reason, error.remedy, hop.place)
            return
        self._ways.add_pattern(pattern, way, hop.place)
        if self._router.domain_class(domain) is not DomainClass.DEFAULT:
            self._ways.mark_inside(way)

    def _add_inside(self, pattern: str, domain: str) -> None:
        """A connector for an accepted domain, where its mail goes on to another server."""
        hop = self._router.domain_hop(domain)
        if not self._ways.is_smtp(hop):
            if hop.transport == "lmtp" and not hop.key:
                reason = f"{hop.transport}:{hop.nexthop} delivers by LMTP"
                remedy = "Write a Mailbox for each recipient, and set `lmtp` in [delivery] of mailwye.toml to its server"
                self._collector.left_out(f"{hop.source} for {domain}", reason, remedy, hop.place)
            return
        try:
            way = self._ways.way(hop, domain, pattern)
        except NoWay:
            return  # said where the row was read
        self._ways.mark_inside(way)
        if self._ways.covering(pattern) != way:
            # What a row leaves to the class of the domain is another way for an accepted domain than for those around it.
            self._ways.add_pattern(pattern, way, hop.place)

    def _add_policy(self, row: Row) -> None:
        """A policy about a domain whose mail goes to its MX hosts needs a connector of its own."""
        name = row.key.removeprefix(".")
        if "[" in name or ":" in name or "." not in name:
            return  # about a next hop of transport_maps or relayhost: read there
        dotted = row.key.startswith(".")
        domain, pattern = (f"{SOMEBODY}.{name}", f"*.{name}") if dotted else (name, name)
        hop = self._router.domain_hop(domain)
        if not self._ways.is_smtp(hop):
            return
        try:
            way = self._ways.way(hop, domain, pattern)
        except NoWay:
            return
        if not way.hosts:
            self._ways.add_pattern(pattern, way, row.place)
        elif all(one.text != row.key for one in way.hosts) and hop.nexthop.lower() not in self._policies.rows:
            reason = f"it has no effect in Postfix: the next hop for {name} is {hop.nexthop}"
            self._collector.left_out(f"smtp_tls_policy_maps {row.key}", reason, "Nothing is to be done", row.place)

    def _add_recipients(self, domains: list[_Domain]) -> None:
        accepted = ((domain.name, domain.subdomains) for domain in domains)
        recipients = Recipients(self._collector, accepted, self._ends_here)
        for parameter, wanted in (
            ("virtual_mailbox_maps", DomainClass.VIRTUAL_MAILBOX),
            ("relay_recipient_maps", DomainClass.RELAY),
        ):
            for row in self._rows(parameter):
                self._add_recipient(recipients, row, parameter, wanted)
        origin = self._main.get("myorigin")
        origin = "" if "$" in origin or origin.startswith("/") else origin
        own = [domain.name for domain in domains if domain.kind is DomainClass.LOCAL]
        recipients.add_aliases(self._rows("virtual_alias_maps"), own, origin)
        recipients.emit()

    def _ends_here(self, address: str) -> bool:
        """True where the address is of a domain whose mailboxes are all listed and delivered to on this machine."""
        kind = self._router.domain_class(address.rpartition("@")[2])
        listed = kind is DomainClass.VIRTUAL_MAILBOX and bool(self._value("virtual_mailbox_maps"))
        return listed and not self._ways.is_smtp(self._router.address_hop(address))

    def _add_recipient(self, recipients: Recipients, row: Row, parameter: str, wanted: DomainClass) -> None:
        local, at, domain = row.key.rpartition("@")
        what = f"{parameter} {row.key}"
        if not at:
            if self._router.domain_class(row.key) is not wanted:
                self._collector.left_out(what, "is no address", "Write it as user@domain", row.place)
        elif self._router.domain_class(domain) is not wanted:
            reason = f"{domain} is not in {wanted.value}, so Postfix does not look here"
            self._collector.left_out(what, reason, "Nothing is to be done", row.place)
        elif local:
            hop = self._router.address_hop(row.key)
            recipients.add_known(row.key, "MailUser" if self._ways.is_smtp(hop) else "Mailbox", row.place)
        elif wanted is DomainClass.VIRTUAL_MAILBOX:
            reason = "a mailbox for all addresses of a domain (catch-all) does not exist here"
            self._collector.left_out(what, reason, "List the addresses", row.place)
