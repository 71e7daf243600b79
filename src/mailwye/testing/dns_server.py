"""A small authoritative DNS server for tests and the demo: zones as dicts, UDP and TCP, and misbehaviour on demand."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone: TypeAlias = dict[str, dict[str, list[Any]]]
"""name → type → values: {"example.net": {"MX": [(10, "mail.example.net")]}, "mail.example.net": {"A": ["192.0.2.1"]}}.

Values are tuples or text as in a zone file; names are absolute without their final dot ("." stays the root). TXT values are taken whole.
"""

_NAME_TYPES = frozenset({"CNAME", "PTR", "NS", "MX"})
_UDP_LIMIT = 512  # where the query has no EDNS


class Behaviour(Enum):
    """What the server does with questions for a name."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    SILENT = "silent"
    TRUNCATE = "truncate"  # every UDP answer is empty with TC: only TCP tells
    GARBAGE = "garbage"
    BARE_CNAME = "bare cname"  # the CNAME alone, its target must be asked for


class DnsServer:
    """Serves `zone`, which may be changed at any time. `questions`: (name, type) of everything that was asked, TCP in `over_tcp` too."""

    def __init__(
        self,
        zone: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
        *,
        behaviours: Mapping[str, Behaviour] | None = None,
        ttl: int = 300,
        negative_ttl: int = 60,
        authenticated: bool = False,
    ) -> None:
        self.zone: dict[str, dict[str, list[Any]]] = {
            name.lower(): {kind: list(values) for kind, values in records.items()} for name, records in (zone or {}).items()
        }
        self.behaviours = dict(behaviours or {})
        self.behaviour: Behaviour | None = None  # for every name that has none of its own
        self.ttl = ttl
        self.negative_ttl = negative_ttl
        self.authenticated = authenticated
        self.questions: list[tuple[str, str]] = []
        self.over_tcp: list[tuple[str, str]] = []
        self.address = ""
        self.port = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def nameserver(self) -> str:
        """As [dns] nameservers has it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on UDP and TCP of one port. :raises OSError: it is taken."""
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve_tcp, address, port)
        self.address, self.port = address, self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(address, self.port))

    async def stop(self) -> None:
        """Stop listening. Harmless when repeated or never started."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()
            self._tcp = None

    def answer(self, octets: bytes, *, tcp: bool) -> bytes | None:
        """The response to one query, None for silence."""
        try:
            query = dns.message.from_wire(octets)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        if tcp:
            self.over_tcp.append((name, kind))
        behaviour = self.behaviours.get(name, self.behaviour)
        if behaviour is Behaviour.SILENT:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if behaviour is Behaviour.GARBAGE:
            return octets[:2] + b"\xff" * 20
        if behaviour is Behaviour.SERVFAIL or behaviour is Behaviour.REFUSED:
            response.set_rcode(dns.rcode.SERVFAIL if behaviour is Behaviour.SERVFAIL else dns.rcode.REFUSED)
        elif behaviour is Behaviour.TRUNCATE and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind, bare=behaviour is Behaviour.BARE_CNAME)
        wire = response.to_wire(max_size=65_535)
        if not tcp and len(wire) > max(_UDP_LIMIT, query.payload):
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            wire = short.to_wire()
        return wire

    def _fill(self, response: dns.message.Message, name: str, kind: str, *, bare: bool) -> None:
        if self.authenticated:
            response.flags |= dns.flags.AD
        for _ in range(20):  # a loop of CNAMEs ends here
            records = self.zone.get(name)
            if records is None:
                if not self._has_children(name):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                self._soa(response)
                return
            if kind in records:
                response.answer.append(_rrset(name, kind, records[kind], self.ttl))
                return
            if "CNAME" not in records:
                self._soa(response)
                return
            response.answer.append(_rrset(name, "CNAME", records["CNAME"], self.ttl))
            name = str(records["CNAME"][0]).lower()
            if bare:
                return

    def _has_children(self, name: str) -> bool:
        return any(other.endswith(f".{name}") for other in self.zone)

    def _soa(self, response: dns.message.Message) -> None:
        values = f"ns.invalid. postmaster.invalid. 1 3600 600 86400 {self.negative_ttl}"
        response.authority.append(dns.rrset.from_text(".", self.ttl, dns.rdataclass.IN, "SOA", values))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                wire = self.answer(await reader.readexactly(length), tcp=True)
                if wire is None:
                    break
                writer.write(struct.pack("!H", len(wire)) + wire)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # not every loop's transport is a subclass of it

    def datagram_received(self, data: bytes, addr: Any) -> None:
        wire = self._server.answer(data, tcp=False)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


def _rrset(name: str, kind: str, values: Sequence[Any], ttl: int) -> dns.rrset.RRset:
    return dns.rrset.from_text(f"{name}.", ttl, dns.rdataclass.IN, kind, *(_value_text(kind, value) for value in values))


def _value_text(kind: str, value: Any) -> str:
    """As in a zone file, names made absolute."""
    if kind == "TXT":
        octets = value if isinstance(value, bytes) else str(value).encode()
        pieces = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
        return " ".join('"' + "".join(f"\\{octet:03d}" for octet in piece) + '"' for piece in pieces)
    text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"{text}." if kind in _NAME_TYPES and not text.endswith(".") else text
