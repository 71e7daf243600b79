"""The PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who really called, said by a trusted proxy before anything else.

Pure: call `parse_proxy_header` with all octets that came so far, until it returns a header. Ask it only for peers whose address is
configured as a proxy; from anyone else the same octets are an unknown command (W24).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mailwye.smtp.errors import RemoteProtocolError

V1_LIMIT = 107  # octets with CR LF, section 2.1
V2_LIMIT = 4_096  # octets after the fixed 16; the format allows 65,535, real proxies send below 300

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # section 2.2
_V1 = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) ([0-9]{1,5}) ([0-9]{1,5})").fullmatch
_FAMILIES = {0x11: 4, 0x21: 16}  # TCP over IPv4, over IPv6 → octets of one address; other families tell nothing of use


class ProxyError(RemoteProtocolError):
    """A peer that is configured as a proxy sent no PROXY header, or one beyond the limits. Close: section 2 forbids to guess."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the proxy said. Addresses are canonical (an IPv4-mapped IPv6 address is the IPv4 address that it is).
    `length`: octets of the header itself; what follows is the client's.

    `source` is "" where the proxy speaks for itself (LOCAL, a health check) or does not know: then the connection's own addresses count.
    """

    length: int
    source: str = ""
    source_port: int = 0
    destination: str = ""
    destination_port: int = 0


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Octets so far → header, or None when more are needed.

    :raises ProxyError: this is no PROXY header, or one beyond the limits.
    """
    if data.startswith(_SIGNATURE[: len(data)]):
        return _parse_v2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _parse_v1(data)
    raise ProxyError("no PROXY protocol header from a peer that is configured as a proxy")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, V1_LIMIT)
    if end < 0:
        if len(data) >= V1_LIMIT:
            raise ProxyError("PROXY v1 header is longer than 107 octets")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(end + 2)  # section 2.1: the rest of the line is ignored
    found = _V1(line)
    if found is None:
        raise ProxyError("malformed PROXY v1 header")
    version = 4 if found[1] == b"TCP4" else 6
    try:
        source, destination = ipaddress.ip_address(found[2].decode()), ipaddress.ip_address(found[3].decode())
    except ValueError as error:
        raise ProxyError("malformed address in the PROXY v1 header") from error
    ports = int(found[4]), int(found[5])
    if source.version != version or destination.version != version or max(ports) > 65_535:
        raise ProxyError("address family or port does not fit in the PROXY v1 header")
    return ProxyHeader(end + 2, _canonical(source), ports[0], _canonical(destination), ports[1])


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version, command = data[12] >> 4, data[12] & 0x0F
    length = int.from_bytes(data[14:16])
    if version != 2 or command > 1:
        raise ProxyError("unknown version or command in the PROXY v2 header")
    if length > V2_LIMIT:
        raise ProxyError(f"PROXY v2 header is longer than {V2_LIMIT} octets")
    width = _FAMILIES.get(data[13], 0)
    if command == 1 and length < 2 * width + (4 if width else 0):
        raise ProxyError("PROXY v2 header is too short for its addresses")
    if len(data) < 16 + length:
        return None
    if command == 0 or not width:  # LOCAL, or a family without addresses of use: section 2.2 says to take the connection's own
        return ProxyHeader(16 + length)
    body = data[16 : 16 + length]  # what follows the ports are TLVs: nothing there decides anything
    source, destination = ipaddress.ip_address(body[:width]), ipaddress.ip_address(body[width : 2 * width])
    ports = body[2 * width : 2 * width + 4]
    source_port, destination_port = int.from_bytes(ports[:2]), int.from_bytes(ports[2:])
    return ProxyHeader(16 + length, _canonical(source), source_port, _canonical(destination), destination_port)


def _canonical(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
