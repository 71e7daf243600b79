"""Where Postfix would send mail: address classes, transport_maps, relayhost (transport(5), ADDRESS_CLASS_README). Pure look-ups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from mailwye.importing.collect import Collector, Place
from mailwye.importing.postfix.main_cf import MainCf
from mailwye.importing.postfix.tables import Row, Tables, file_of, table_name, words

_DOMAIN_LIMIT = 255


class Style(Enum):
    """How a list of domains matches: names alone, a name with its subdomains, or `.name` for subdomains."""

    EXACT = "exact"
    PARENT = "parent"
    DOT = "dot"


class DomainClass(Enum):
    """Postfix's address classes, in the order in which it asks."""

    LOCAL = "mydestination"
    VIRTUAL_ALIAS = "virtual_alias_domains"
    VIRTUAL_MAILBOX = "virtual_mailbox_domains"
    RELAY = "relay_domains"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a list of domains. `subdomains`: it holds them; `itself`: it holds the name."""

    name: str
    itself: bool
    subdomains: bool
    place: Place


class DomainList:
    """One parameter such as relay_domains."""

    def __init__(self, value: str, parameter: str, style: Style, tables: Tables, collector: Collector, place: Place) -> None:
        self.entries: list[Listed] = []
        self._style = style
        for word, where, is_key in _listed_words(value, parameter, tables, place):
            if word.startswith("!"):
                reason = "exceptions do not exist here: what is under an accepted domain with MatchSubDomains is taken"
                collector.left_out(f"{parameter} {word}", reason, "List the subdomains that are meant instead", where)
            elif "$" in word:
                continue  # of a name that the text does not say: that is reported with the parameter
            elif "." in word or word == "localhost":
                dotted = word.startswith(".")
                if dotted and style is not Style.DOT:
                    collector.left_out(
                        f"{parameter} {word}", "Postfix never finds it: no domain begins with a dot", "Nothing is to be done", where
                    )
                    continue
                name = word.removeprefix(".").rstrip(".").lower()
                self.entries.append(Listed(name, not dotted, dotted or style is Style.PARENT, where))
            elif not is_key:  # a table of addresses has keys without a domain, too
                reason = "is no domain of the Internet: mail for a name without a dot is not taken here"
                collector.left_out(f"{parameter} {word}", reason, "Write the whole domain where it is meant", where)
        self._exact = {entry.name for entry in self.entries if entry.itself}
        self._parents = {entry.name for entry in self.entries if entry.subdomains}

    def matches(self, domain: str) -> bool:
        """True where Postfix says that `domain` (lower case) is in the list."""
        return domain in self._exact or any(parent in self._parents for parent in parents(domain))


def parents(domain: str) -> Iterator[str]:
    """`a.b.c` → `b.c`, `c`. None of what is too long for a domain (RFC 1035 section 2.3.4)."""
    dot = domain.find(".") if len(domain) <= _DOMAIN_LIMIT else -1
    while dot >= 0:
        yield domain[dot + 1 :]
        dot = domain.find(".", dot + 1)


def _listed_words(value: str, parameter: str, tables: Tables, place: Place) -> Iterator[tuple[str, Place, bool]]:
    """Each word, where it stands, and whether it is the key of a table."""
    for word in words(value):
        name = table_name(word)
        if name.type:
            for row in tables.rows(word, parameter, place):
                if "@" not in row.key:
                    yield row.key, row.place, True
        elif file_of(name):
            for here, text in tables.lines(name, parameter, place):
                for inner in words(text):
                    yield inner, here, False
        else:
            yield word, place, False


@dataclass(frozen=True, slots=True)
class Hop:
    """transport:nexthop. `nexthop` "" stands for the recipient's domain, that is its MX records. `key`: the row that decided, "" where
    none did. `source`: the parameter that decided.
    """

    transport: str
    nexthop: str
    key: str
    source: str
    place: Place


def split_hop(value: str) -> tuple[str, str]:
    """`smtp:[host]:25` → smtp, [host]:25."""
    transport, _, nexthop = value.partition(":")
    return transport.strip(), nexthop.strip()


class Router:
    """The choices of one main.cf."""

    def __init__(self, main: MainCf, lists: dict[DomainClass, DomainList], rows: Iterable[Row]) -> None:
        self.lists = lists
        self.parent_style = "transport_maps" in words_of(main, "parent_domain_matches_subdomains")
        self.rows = {row.key: row for row in rows}
        self._main = main

    def domain_class(self, domain: str) -> DomainClass:
        """Of a domain in lower case."""
        return next((kind for kind, listed in self.lists.items() if listed.matches(domain)), DomainClass.DEFAULT)

    def default_hop(self, domain: str) -> Hop:
        """What holds without transport_maps."""
        match self.domain_class(domain):
            case DomainClass.LOCAL:
                return self._hop_of("local_transport")
            case DomainClass.VIRTUAL_ALIAS:
                return Hop("error", "User unknown in virtual alias table", "", "virtual_alias_domains", Place(self._main.file))
            case DomainClass.VIRTUAL_MAILBOX:
                return self._hop_of("virtual_transport")
            case DomainClass.RELAY:
                return self._with_relayhost(self._hop_of("relay_transport"))
            case DomainClass.DEFAULT:
                return self._with_relayhost(self._hop_of("default_transport"))

    def domain_hop(self, domain: str) -> Hop:
        """Where mail for an address of `domain` that has no row of its own goes."""
        row = self._domain_row(domain)
        return self.default_hop(domain) if row is None else self.row_hop(row, domain)

    def address_hop(self, address: str) -> Hop:
        """Where mail for `address` goes."""
        row = self.rows.get(address)
        domain = address.rpartition("@")[2]
        return self.domain_hop(domain) if row is None else self.row_hop(row, domain)

    def row_hop(self, row: Row, domain: str) -> Hop:
        """What a row says for `domain`."""
        transport, nexthop = split_hop(row.value)
        default = self.default_hop(domain)
        if not transport and not nexthop:
            return Hop(default.transport, default.nexthop, row.key, default.source, row.place)
        return Hop(transport or default.transport, nexthop, row.key, "transport_maps", row.place)

    def _domain_row(self, domain: str) -> Row | None:
        found = self.rows.get(domain)
        if found is not None:
            return found
        for parent in parents(domain):
            found = self.rows.get(parent if self.parent_style else f".{parent}")
            if found is not None:
                return found
        return self.rows.get("*")

    def _hop_of(self, parameter: str) -> Hop:
        transport, nexthop = split_hop(self._main.get(parameter))
        return Hop(transport, nexthop, "", parameter, Place(self._main.file, self._main.line(parameter)))

    def _with_relayhost(self, hop: Hop) -> Hop:
        relayhost = self._main.get("relayhost")
        if hop.nexthop or not relayhost:
            return hop
        return Hop(hop.transport, relayhost, "", "relayhost", Place(self._main.file, self._main.line("relayhost")))


def words_of(main: MainCf, parameter: str) -> list[str]:
    """The words of a list."""
    return list(words(main.get(parameter)))
