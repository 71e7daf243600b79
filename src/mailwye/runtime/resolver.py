"""The DNS resolver: a cache and single flight over questions to recursive name servers (RFC 1034, 1035, 2308, 6891, 9520).

It asks servers that recurse, follows what they leave unfollowed, and believes their AD bit only where it is told to (RFC 6840 section 5.8).
/etc/hosts is not read: mail is routed by the DNS.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.reversename

from mailwye.runtime.clock import Clock
from mailwye.runtime.dns_answer import (
    FAILURE_SECONDS,
    Absence,
    Absent,
    Answer,
    Found,
    MxRecord,
    TlsaRecord,
    Unknown,
    merge_addresses,
)
from mailwye.runtime.resolver_cache import ExpiringCache

EDNS_PAYLOAD = 1_232  # octets: no fragments on any usual path (DNS Flag Day 2020)
ENTRY_OCTETS = 1_024  # what counts as one entry of the cache: an answer may have 65,535 octets, and its owner may make as many as he likes
RECORD_OCTETS = 128  # what a record takes beside its text or data
CHAIN_LIMIT = 8  # CNAMEs that are followed by further questions; within one answer dnspython follows 16
ROUND_SHARES = (0.4, 0.6)  # each server is asked twice; together this is `timeout`

_AS_RECORD: dict[str, Callable[[Any], Any]] = {
    "MX": lambda rdata: MxRecord(rdata.preference, _name_text(rdata.exchange)),
    "A": lambda rdata: str(ipaddress.ip_address(rdata.address)),
    "AAAA": lambda rdata: str(ipaddress.ip_address(rdata.address)),
    "TXT": lambda rdata: b"".join(rdata.strings),
    "TLSA": lambda rdata: TlsaRecord(rdata.usage, rdata.selector, rdata.mtype, rdata.cert),
    "PTR": lambda rdata: _name_text(rdata.target),
}

_Key = tuple[str, str]


class DnsResolver:
    """The Resolver of live processes. `nameservers`: "127.0.0.1:5353", "[::1]:53"; empty: the system's (/etc/resolv.conf).

    `timeout`: seconds for one question to one server, both attempts together. With `validating` the servers' AD bit counts.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        nameservers: Sequence[str] = (),
        validating: bool = False,
        timeout: float = 5.0,
        cache_entries: int = 100_000,
        cache_ttl_max: float = 86_400.0,
        cache_ttl_negative_max: float = 900.0,
    ) -> None:
        """:raises ValueError: a name server that is no IP address with or without a port."""
        self._clock = clock
        self._servers = tuple(map(parse_nameserver, nameservers)) or system_nameservers()
        self._validating = validating
        self._timeout = timeout
        self._ttl_max = cache_ttl_max
        self._ttl_negative_max = cache_ttl_negative_max
        self._cache: ExpiringCache[_Key, Answer[Any]] = ExpiringCache(cache_entries)
        self._flights: dict[_Key, asyncio.Task[Answer[Any]]] = {}

    async def mx(self, name: str) -> Answer[MxRecord]:
        """See Resolver."""
        return self._cache.get((name, "MX"), self._clock.monotonic()) or await self._ask((name, "MX"))

    async def addresses(self, name: str) -> Answer[str]:
        """See Resolver."""
        return self._cache.get((name, "A+AAAA"), self._clock.monotonic()) or await self._ask((name, "A+AAAA"))

    async def txt(self, name: str) -> Answer[bytes]:
        """See Resolver."""
        return self._cache.get((name, "TXT"), self._clock.monotonic()) or await self._ask((name, "TXT"))

    async def tlsa(self, name: str) -> Answer[TlsaRecord]:
        """See Resolver."""
        return self._cache.get((name, "TLSA"), self._clock.monotonic()) or await self._ask((name, "TLSA"))

    async def names(self, address: str) -> Answer[str]:
        """See Resolver."""
        name = dns.reversename.from_address(address).to_text(omit_final_dot=True).lower()
        return self._cache.get((name, "PTR"), self._clock.monotonic()) or await self._ask((name, "PTR"))

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    async def close(self) -> None:
        """Give up the questions under way; who waits for them gets Unknown."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    # Within

    async def _ask(self, key: _Key) -> Answer[Any]:
        """Single flight: everybody who asks the same while it is under way waits for one question."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._look_up(key))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        try:
            # One who gives up waiting takes nothing away from the others.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled():
                return Unknown(f"{key[1]} {key[0]}: the resolver was closed")
            raise

    async def _look_up(self, key: _Key) -> Answer[Any]:
        name, kind = key
        if kind == "A+AAAA":
            ipv4, ipv6 = await asyncio.gather(self._chase(name, "A"), self._chase(name, "AAAA"))
            answer = merge_addresses(ipv4, ipv6)
        else:
            answer = await self._chase(name, kind)
        now = self._clock.monotonic()
        self._cache.put(key, answer, now + self._seconds(answer), now, weight=_weight(answer))
        return answer

    def _seconds(self, answer: Answer[Any]) -> float:
        match answer:
            case Found():
                return min(answer.ttl, self._ttl_max)
            case Absent():
                return min(answer.ttl, self._ttl_negative_max)
            case Unknown():
                return FAILURE_SECONDS

    async def _chase(self, name: str, kind: str) -> Answer[Any]:
        """Ask, and go on where a server answers with a CNAME alone."""
        ttl = self._ttl_max
        seen: set[str] = set()
        while name not in seen and len(seen) < CHAIN_LIMIT:
            seen.add(name)
            response = await self._exchange(name, kind)
            if isinstance(response, Unknown | Absent):
                return response
            answer = read_response(response, kind, validating=self._validating)
            if not isinstance(answer, str):
                return answer if isinstance(answer, Unknown) else replace(answer, ttl=min(ttl, answer.ttl))
            name = answer
            ttl = min([ttl, *(rrset.ttl for rrset in response.answer)])
        return Unknown(f"{kind} {name}: the CNAMEs form a loop or are more than {CHAIN_LIMIT}")

    async def _exchange(self, name: str, kind: str) -> dns.message.Message | Absent | Unknown:
        """One question to the servers in turn until one gives NOERROR or NXDOMAIN."""
        try:
            query = dns.message.make_query(f"{name}.", kind, use_edns=0, payload=EDNS_PAYLOAD)
        except (dns.exception.DNSException, ValueError):  # an empty or over-long label: such a name cannot exist
            return Absent(Absence.NXDOMAIN)
        query.flags |= dns.flags.AD  # RFC 6840 section 5.7: we understand the bit
        reason = "no name server"
        for share in ROUND_SHARES:
            for host, port in self._servers:
                try:
                    # Over TCP where the answer is truncated (RFC 7766); answers to other questions are passed over.
                    response, _ = await dns.asyncquery.udp_with_fallback(
                        query, host, timeout=self._timeout * share, port=port, ignore_errors=True, ignore_unexpected=True
                    )
                except (dns.exception.DNSException, OSError, EOFError) as error:
                    reason = f"{host}:{port}: {_in_words(error)}"
                    continue
                rcode = response.rcode()
                if rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                    return response
                reason = f"{host}:{port} answered {dns.rcode.to_text(rcode)}"
        return Unknown(f"{kind} {name}: {reason}")


def read_response(response: dns.message.Message, kind: str, *, validating: bool) -> Answer[Any] | str:
    """A response with NOERROR or NXDOMAIN → the answer, or the name that must be asked next (a CNAME without its target). Pure."""
    authenticated = validating and bool(response.flags & dns.flags.AD)
    try:
        chain = cast("dns.message.QueryMessage", response).resolve_chaining()
    except dns.exception.DNSException as error:
        return Unknown(f"{kind} {response.question[0].name.to_text()}: {_in_words(error)}")
    name = _name_text(chain.canonical_name)
    if chain.answer is not None:
        records = tuple(map(_AS_RECORD[kind], chain.answer))
        return Found(records, float(chain.minimum_ttl), authenticated, name)
    has_soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
    if response.rcode() == dns.rcode.NOERROR and chain.cnames and not has_soa:
        return name
    absence = Absence.NXDOMAIN if response.rcode() == dns.rcode.NXDOMAIN else Absence.NODATA
    # RFC 2308 section 5: the SOA says how long; an answer without it is not remembered.
    return Absent(absence, float(chain.minimum_ttl) if has_soa else 0.0, authenticated)


def _weight(answer: Answer[Any]) -> int:
    """For how many entries of the cache it counts."""
    if not isinstance(answer, Found):
        return 1
    octets = sum(RECORD_OCTETS + len(_payload(record)) for record in answer.records)
    return 1 + octets // ENTRY_OCTETS


def _payload(record: str | bytes | MxRecord | TlsaRecord) -> str | bytes:
    match record:
        case MxRecord():
            return record.exchange
        case TlsaRecord():
            return record.data
        case _:
            return record


def parse_nameserver(text: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:53` → (address, port).

    :raises ValueError: anything else.
    """
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        number = int(port)
        address = str(ipaddress.ip_address(host))
    except ValueError:
        number, address = 0, ""
    if not 0 < number < 65_536:
        raise ValueError(f"not a name server: {text!r}; it has the form 192.0.2.1:53 or [2001:db8::1]:53")
    return address, number


def system_nameservers() -> tuple[tuple[str, int], ...]:
    """The machine's; the local one where none is configured."""
    try:
        found = dns.resolver.Resolver(configure=True).nameservers
    except dns.resolver.NoResolverConfiguration:
        found = []
    return tuple((str(server), 53) for server in found) or (("127.0.0.1", 53),)


def _name_text(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _in_words(error: BaseException) -> str:
    if isinstance(error, dns.exception.Timeout):
        return "no answer in time"
    if isinstance(error, dns.message.ChainTooLong):
        return "the CNAMEs form a loop or are too many"
    return str(error) or type(error).__name__
