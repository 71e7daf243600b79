"""The resolver against a real, small DNS server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailwye.runtime.dns_answer import Absence, Absent, Answer, Found, MxRecord, TlsaRecord, Unknown, merge_addresses
from mailwye.runtime.resolver import DnsResolver, parse_nameserver, system_nameservers
from mailwye.runtime.resolver_cache import ExpiringCache
from mailwye.testing.dns_server import Behaviour, DnsServer, Zone

ZONE: Zone = {
    "example.net": {"MX": [(10, "mail.example.net"), (20, "Backup.Example.NET")], "TXT": ["v=spf1 -all", "x" * 600]},
    "mail.example.net": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:DB8::1"]},
    "nomail.example": {"MX": [(0, ".")]},
    "www.example.net": {"CNAME": ["mail.example.net"]},
    "loop1.example": {"CNAME": ["loop2.example"]},
    "loop2.example": {"CNAME": ["loop1.example"]},
    "_25._tcp.mail.example.net": {"TLSA": [(3, 1, 1, "ab" * 32)]},
    "1.2.0.192.in-addr.arpa": {"PTR": ["mail.example.net"]},
    "large.example": {"MX": [(n, f"mx{n}.some-long-name-to-fill-the-answer.large.example") for n in range(500)]},
}


class HandClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    server = DnsServer(ZONE)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def resolver(server: DnsServer, clock: HandClock) -> AsyncIterator[DnsResolver]:
    resolver = DnsResolver(clock=clock, nameservers=[server.nameserver], timeout=1.0)
    yield resolver
    await resolver.close()


def records(answer: Answer[object]) -> set[object]:
    assert isinstance(answer, Found), answer
    return set(answer.records)


async def test_mx(resolver: DnsResolver) -> None:
    answer = await resolver.mx("example.net")
    assert records(answer) == {MxRecord(10, "mail.example.net"), MxRecord(20, "backup.example.net")}
    assert isinstance(answer, Found)
    assert (answer.ttl, answer.authenticated, answer.name) == (300.0, False, "example.net")


async def test_the_null_mx(resolver: DnsResolver) -> None:
    assert records(await resolver.mx("nomail.example")) == {MxRecord(0, "")}


async def test_addresses_of_both_families(resolver: DnsResolver) -> None:
    assert records(await resolver.addresses("mail.example.net")) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}


async def test_txt_tlsa_ptr(resolver: DnsResolver) -> None:
    assert records(await resolver.txt("example.net")) == {b"v=spf1 -all", b"x" * 600}
    assert records(await resolver.tlsa("_25._tcp.mail.example.net")) == {TlsaRecord(3, 1, 1, b"\xab" * 32)}
    assert records(await resolver.names("192.0.2.1")) == {"mail.example.net"}


async def test_what_is_not_there(resolver: DnsResolver) -> None:
    assert await resolver.mx("mail.example.net") == Absent(Absence.NODATA, 60.0)
    assert await resolver.mx("missing.example") == Absent(Absence.NXDOMAIN, 60.0)
    assert await resolver.addresses("missing.example") == Absent(Absence.NXDOMAIN, 60.0)
    assert await resolver.mx(f"{'a' * 64}.example") == Absent(Absence.NXDOMAIN)


@pytest.mark.parametrize("behaviour", [None, Behaviour.BARE_CNAME])
async def test_a_cname_is_followed(server: DnsServer, resolver: DnsResolver, behaviour: Behaviour | None) -> None:
    if behaviour is not None:
        server.behaviours["www.example.net"] = behaviour
    answer = await resolver.addresses("www.example.net")
    assert isinstance(answer, Found)
    assert set(answer.records) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}
    assert answer.name == "mail.example.net"


@pytest.mark.parametrize("behaviour", [None, Behaviour.BARE_CNAME])
async def test_a_loop_of_cnames_is_unknown(server: DnsServer, resolver: DnsResolver, behaviour: Behaviour | None) -> None:
    server.behaviour = behaviour
    answer = await resolver.addresses("loop1.example")
    assert isinstance(answer, Unknown)
    assert "loop" in answer.reason


@pytest.mark.parametrize("behaviour", [Behaviour.SERVFAIL, Behaviour.REFUSED, Behaviour.GARBAGE, Behaviour.SILENT])
async def test_no_usable_answer_is_unknown(server: DnsServer, clock: HandClock, behaviour: Behaviour) -> None:
    server.behaviour = behaviour
    resolver = DnsResolver(clock=clock, nameservers=[server.nameserver], timeout=0.1)
    answer = await resolver.mx("example.net")
    assert isinstance(answer, Unknown)
    assert server.nameserver in answer.reason
    asked = len(server.questions)
    assert asked == 2  # two rounds
    await resolver.mx("example.net")
    assert len(server.questions) == asked  # a failure is remembered for a moment
    clock.time += 6
    server.behaviour = None
    assert isinstance(await resolver.mx("example.net"), Found)


async def test_the_next_server_is_asked(server: DnsServer, clock: HandClock) -> None:
    broken = DnsServer({})
    broken.behaviour = Behaviour.SERVFAIL
    await broken.start()
    resolver = DnsResolver(clock=clock, nameservers=[broken.nameserver, server.nameserver])
    assert isinstance(await resolver.mx("example.net"), Found)
    await broken.stop()


async def test_a_truncated_answer_is_asked_for_over_tcp(server: DnsServer, resolver: DnsResolver) -> None:
    server.behaviours["example.net"] = Behaviour.TRUNCATE
    assert len(records(await resolver.mx("example.net"))) == 2
    assert server.over_tcp == [("example.net", "MX")]
    assert len(records(await resolver.mx("large.example"))) == 500
    assert server.over_tcp[-1] == ("large.example", "MX")


async def test_an_answer_is_kept_for_its_ttl_and_not_longer(server: DnsServer, resolver: DnsResolver, clock: HandClock) -> None:
    await resolver.mx("example.net")
    clock.time += 299
    await resolver.mx("example.net")
    assert len(server.questions) == 1
    server.zone["example.net"]["MX"] = [(1, "new.example.net")]
    clock.time += 1
    assert records(await resolver.mx("example.net")) == {MxRecord(1, "new.example.net")}


async def test_absence_is_kept_as_the_soa_says(server: DnsServer, resolver: DnsResolver, clock: HandClock) -> None:
    await resolver.mx("missing.example")
    clock.time += 59
    await resolver.mx("missing.example")
    assert len(server.questions) == 1
    clock.time += 1
    await resolver.mx("missing.example")
    assert len(server.questions) == 2


async def test_the_caps_on_ttl(server: DnsServer, clock: HandClock) -> None:
    server.ttl, server.negative_ttl = 1_000_000, 1_000_000
    resolver = DnsResolver(clock=clock, nameservers=[server.nameserver], cache_ttl_max=100, cache_ttl_negative_max=10)
    await resolver.mx("example.net")
    await resolver.mx("missing.example")
    clock.time += 11
    await resolver.mx("example.net")
    await resolver.mx("missing.example")
    assert server.questions == [("example.net", "MX"), ("missing.example", "MX"), ("missing.example", "MX")]
    clock.time += 100
    await resolver.mx("example.net")
    assert len(server.questions) == 4


async def test_who_asks_the_same_waits_for_one_question(server: DnsServer, resolver: DnsResolver) -> None:
    answers = await asyncio.gather(*(resolver.mx("example.net") for _ in range(50)))
    assert len({len(records(answer)) for answer in answers}) == 1
    assert server.questions == [("example.net", "MX")]


async def test_one_who_gives_up_takes_nothing_from_the_others(server: DnsServer, resolver: DnsResolver) -> None:
    first, second = asyncio.ensure_future(resolver.mx("example.net")), asyncio.ensure_future(resolver.mx("example.net"))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, Found)
    assert first.cancelled()


async def test_close_tells_who_waits(server: DnsServer, clock: HandClock) -> None:
    server.behaviour = Behaviour.SILENT
    resolver = DnsResolver(clock=clock, nameservers=[server.nameserver], timeout=60)
    waiting = asyncio.ensure_future(resolver.mx("example.net"))
    await asyncio.sleep(0)
    await resolver.close()
    answer = await waiting
    assert isinstance(answer, Unknown)
    assert "closed" in answer.reason


@pytest.mark.parametrize("validating", [True, False])
async def test_the_ad_bit_counts_only_where_it_may(server: DnsServer, clock: HandClock, validating: bool) -> None:
    server.authenticated = True
    resolver = DnsResolver(clock=clock, nameservers=[server.nameserver], validating=validating)
    answer = await resolver.mx("example.net")
    addresses = await resolver.addresses("mail.example.net")
    absent = await resolver.mx("missing.example")
    assert isinstance(answer, Found)
    assert isinstance(addresses, Found)
    assert isinstance(absent, Absent)
    assert answer.authenticated is addresses.authenticated is absent.authenticated is validating


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("[2001:DB8::1]:53", ("2001:db8::1", 53)),
        ("[::1]", ("::1", 53)),
        ("2001:db8::1", ("2001:db8::1", 53)),
    ],
)
def test_nameservers(text: str, server: tuple[str, int]) -> None:
    assert parse_nameserver(text) == server


@pytest.mark.parametrize("text", ["dns.example.com", "192.0.2.1:0", "192.0.2.1:99999", "192.0.2.1:x", "", "[::1"])
def test_no_nameservers(text: str) -> None:
    if text == "[::1":
        assert parse_nameserver(text) == ("::1", 53)
        return
    with pytest.raises(ValueError, match="not a name server"):
        parse_nameserver(text)


def test_the_system_has_a_nameserver() -> None:
    assert all(port == 53 and address for address, port in system_nameservers())


def test_a_family_that_is_unknown_does_not_spoil_the_other() -> None:
    ipv4 = Found(("192.0.2.1",), 300.0)
    merged = merge_addresses(ipv4, Unknown("AAAA: timeout"))
    assert isinstance(merged, Found)
    assert (merged.records, merged.ttl) == (("192.0.2.1",), 5.0)
    assert merge_addresses(Absent(Absence.NODATA), Unknown("timeout")) == Unknown("timeout")
    assert merge_addresses(Absent(Absence.NODATA, 60), Found(("2001:db8::1",), 300.0)) == Found(("2001:db8::1",), 300.0)


def test_the_cache_is_bounded_and_forgets_in_time() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(2)
    for number, key in enumerate("abc"):
        cache.put(key, number, until=10.0, now=0.0)
    assert [cache.get(key, 9.9) for key in "abc"] == [None, 1, 2]
    assert cache.get("c", 10.0) is None
    cache.put("d", 3, until=5.0, now=5.0)
    assert len(cache) == 1


def test_large_values_count_for_several() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(10)
    for number, key in enumerate("abc"):
        cache.put(key, number, until=10.0, now=0.0, weight=3)
    cache.put("d", 3, until=10.0, now=0.0, weight=5)
    assert [cache.get(key, 0.0) for key in "abcd"] == [None, None, 2, 3]
    cache.put("c", 4, until=10.0, now=0.0)
    for key in "efgh":
        cache.put(key, 5, until=10.0, now=0.0)
    assert len(cache) == 6  # 5 + 5 * 1
    cache.put("huge", 6, until=10.0, now=0.0, weight=11)
    assert (cache.get("huge", 0.0), len(cache)) == (None, 6)
    assert cache.get("d", 10.0) is None
    cache.clear()
    cache.put("all", 7, until=10.0, now=0.0, weight=10)
    assert cache.get("all", 0.0) == 7


async def test_answers_with_many_records_do_not_fill_the_memory() -> None:
    """Whoever owns a domain makes its answers as large as the DNS lets him, and has as many names as he likes."""
    names = [f"_25._tcp.mx{number}.evil.example" for number in range(4)]
    large: Zone = {name: {"TLSA": [(3, 1, 0, f"{number:04x}" + "ab" * 198) for number in range(200)]} for name in names}
    server = DnsServer({**ZONE, **large})
    await server.start()
    resolver = DnsResolver(clock=HandClock(), nameservers=[server.nameserver], timeout=1.0, cache_entries=200)
    for _ in range(2):
        for name in names:
            assert len(records(await resolver.tlsa(name))) == 200
    assert len(set(server.questions)) == 4
    assert len(server.questions) == 2 * 8  # over UDP, then TCP; three of 65 KiB fit into 200, so the oldest one is always gone
    for _ in range(2):
        await resolver.mx("example.net")
    assert len(server.questions) == 2 * 8 + 1
    await resolver.close()
    await server.stop()
