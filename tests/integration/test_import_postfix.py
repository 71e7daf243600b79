"""The real Postfix and the organization that was imported from its files choose the same next hop for the same address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailwye.admin.explain import explain
from mailwye.admin.question import Question
from mailwye.config.compile import compile_snapshot
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.selection import RouteKind
from mailwye.importing.postfix.files import import_postfix, wanted_files
from mailwye.importing.postfix.hops import destinations
from mailwye.importing.postfix.main_cf import MainCf
from mailwye.importing.source import Source, decode
from tests.counterparts.place import make_place, remove_place
from tests.counterparts.postfix_routes import PostfixRoutes

SAMPLE = Path(__file__).resolve().parents[1] / "scenarios" / "imports" / "postfix"
RELAYHOST = Path(__file__).resolve().parents[1] / "scenarios" / "imports" / "postfix-relayhost"
FILES = ("main.cf", "transport", "relay_domains", "relay_recipients", "vmailbox", "virtual", "tls_policy", "relay_clientcerts")
TRANSPORTS = "".join(f"{name} unix - - n - - {command}\n" for name, command in (("smtp", "smtp"), ("relay", "smtp"), ("slow", "smtp")))
TRANSPORTS += "".join(f"{name} unix - n n - - {name}\n" for name in ("local", "virtual", "lmtp", "error", "discard"))
TRANSPORTS += "retry unix - - n - - error\nvacation unix - n n - - pipe user=nobody argv=/bin/false\n"

Hops = set[tuple[str, str]]
"""(recipient at the next hop, next hop)"""


class Pair:
    """One configuration in both."""

    def __init__(self, directory: Path, sample: Path) -> None:
        configuration = directory / "sample"
        configuration.mkdir()
        for name in FILES:
            if (sample / name).exists():
                # Its regexp: table is left out by the import, so it is not asked here.
                text = (sample / name).read_text().replace(", regexp:/etc/postfix/virtual.re", "")
                (configuration / name).write_text(text)
        self.postfix = PostfixRoutes(directory / "postfix", configuration, TRANSPORTS)
        main = decode((configuration / "main.cf").read_bytes(), "main.cf")
        self.main = MainCf(main)
        tables: dict[str, Source | str] = {
            path: decode((configuration / Path(path).name).read_bytes(), Path(path).name) for path in wanted_files(main)
        }
        master = Source("master.cf", TRANSPORTS)
        self.snapshot: Snapshot = compile_snapshot(import_postfix(main, tables, master=master).organization, 1)

    def postfix_says(self, address: str) -> Hops:
        """Aliases as cleanup expands them, the next hop of each final address as trivial-rewrite tells it."""
        return {(one, self._hop(one)) for one in self.expanded(address)}

    def expanded(self, address: str, depth: int = 0) -> set[str]:
        """The final addresses after virtual_alias_maps."""
        found = self.postfix.lookup("virtual", address)
        if not found or depth > 20:
            return {address}
        targets = {one.strip() for one in found.split(",")}
        if address in targets:
            return {address}  # what the report says: copies are not sent
        return {final for one in targets for final in self.expanded(one, depth + 1)}

    def _hop(self, address: str) -> str:
        resolved = self.postfix.resolve(address)
        if resolved.transport in ("smtp", "relay", "slow"):
            if resolved.nexthop == address.rpartition("@")[2]:
                return f"mx:{resolved.nexthop}"
            return ",".join(f"{one.host}:{one.port or 25}" for one in destinations(resolved.nexthop))
        return "mailbox" if resolved.transport in ("lmtp", "virtual", "local") else "none"

    def mailwye_says(self, address: str, ip: str) -> Hops:
        """What the deciding functions answer for a message of the own network."""
        answer = explain(self.snapshot, Question(sender="john@contoso.com", recipient=address, ip=ip))
        hops: Hops = set()
        for route in answer.routes:
            hosts = ",".join(f"{host.host}:{host.port or 25}" for host in sorted(route.smart_hosts, key=lambda host: host.priority))
            hop = {RouteKind.MAILBOX: "mailbox", RouteKind.NONE: "none"}.get(route.kind, hosts or f"mx:{route.domain}")
            hops.add((str(route.recipient).lower(), hop))
        return hops

    def is_refused(self, address: str, ip: str) -> bool:
        """True where the directory says that there is no such recipient."""
        answer = explain(self.snapshot, Question(sender="john@contoso.com", recipient=address, ip=ip))
        return answer.recipient.resolution.kind == "Unknown"


def _running(sample: Path) -> Iterator[Pair]:
    place = make_place()
    try:
        pair = Pair(place.directory, sample)
        pair.postfix.start()
        try:
            yield pair
        finally:
            pair.postfix.stop()
    finally:
        remove_place(place)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    yield from _running(SAMPLE)


@pytest.fixture(scope="module")
def relayhost() -> Iterator[Pair]:
    yield from _running(RELAYHOST)


PROBES = (
    "john@contoso.com",
    "JOHN@Contoso.COM",
    "john@sales.contoso.com",
    "john@a.b.contoso.com",
    "john@lab.contoso.com",
    "john@x.lab.contoso.com",
    "sun@fabrikam.com",
    "boss@fabrikam.com",
    "sun@sub.fabrikam.com",
    "sun@tailspintoys.com",
    "sun@sub.tailspintoys.com",
    "a@partner.example",
    "a@sub.partner.example",
    "a@x.slow.example",
    "a@slow.example",
    "a@plain.example",
    "a@bank.example",
    "a@sub.bank.example",
    "a@strict.example",
    "a@pinned.example",
    "a@example.net",
    "bob@hosted.example",
    "robert@hosted.example",
    "rob@hosted.example",
    "team@hosted.example",
    "all@brand.example",
    "sales@brand.example",
    "info@contoso.com",
)


@pytest.mark.counterpart("postfix")
@pytest.mark.parametrize("address", PROBES)
def test_both_choose_the_same_next_hop(pair: Pair, address: str) -> None:
    assert pair.mailwye_says(address, "10.20.1.1") == {(one.lower(), hop) for one, hop in pair.postfix_says(address.lower())}


@pytest.mark.counterpart("postfix")
@pytest.mark.parametrize(
    "address",
    [
        "john@contoso.com",
        "jane@contoso.com",
        "jane@sub.contoso.com",
        "bob@hosted.example",
        "ann@hosted.example",
        "a@fabrikam.com",
        "a@local.example",
        "a@direct.example",
        "a@sub.direct.example",
        "a@internet.example",
    ],
)
def test_both_choose_the_same_next_hop_with_a_relayhost(relayhost: Pair, address: str) -> None:
    assert relayhost.mailwye_says(address, "192.0.2.77") == relayhost.postfix_says(address)


@pytest.mark.counterpart("postfix")
@pytest.mark.parametrize(
    "name", ["mydestination", "relay_domains", "myorigin", "mynetworks", "transport_maps", "virtual_alias_maps", "mydomain"]
)
def test_main_cf_is_read_as_postconf_reads_it(pair: Pair, name: str) -> None:
    ours = " ".join(pair.main.get(name).replace(",", " ").split())
    real = " ".join(pair.postfix.setting(name).replace(str(pair.postfix.config), "/etc/postfix").replace(",", " ").split())
    assert ours == real


@pytest.mark.counterpart("postfix")
def test_what_the_import_left_out_is_what_postfix_does_otherwise(pair: Pair) -> None:
    """The three ways that no connector stands for: the report names them."""
    assert pair.postfix.resolve("a@bounce.example").transport == "error"
    assert pair.postfix.resolve("robot@contoso.com").transport == "vacation"
    assert pair.postfix.lookup("virtual", "@brand.example") == "catchall@hosted.example"
