"""The argument of XCLIENT (Postfix's XCLIENT_README): a declared front end names the client for whom it speaks."""

from __future__ import annotations

import ipaddress

from mailwye.smtp.events import ClientNamed
from mailwye.smtp.extensions import CommandError, decode_xtext, parse_parameters, syntax_error
from mailwye.smtp.reply import Reply

_KNOWN = frozenset({"NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT"})
_UNKNOWN_VALUES = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})


def parse_xclient(argument: str) -> ClientNamed:
    """`ADDR=192.0.2.1 PORT=40000 HELO=client.example …`. NAME, PROTO and the destination are read and decide nothing. LOGIN is refused: who
    logged in is proved to us, not told.

    :raises CommandError: bad syntax, an attribute that was not offered, or no IP address, so that no front end's own address stays in
        force by mistake.
    """
    attributes = {name: decode_xtext(value, name) for name, value in parse_parameters(argument).items()}
    if "LOGIN" in attributes:
        raise CommandError(Reply(501, "5.5.4", "LOGIN is not taken from a front end: let the client authenticate here"))
    if not _KNOWN.issuperset(attributes):
        raise syntax_error("XCLIENT takes NAME, ADDR, PORT, PROTO, HELO, DESTADDR and DESTPORT")
    hello = attributes.get("HELO", "")
    return ClientNamed(
        _address(attributes.get("ADDR", "")), _port(attributes.get("PORT", "")), "" if hello in _UNKNOWN_VALUES else hello[:255]
    )


def _address(text: str) -> str:
    if text[:5].upper() == "IPV6:":
        text = text[5:]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise syntax_error("XCLIENT must name the client's address: ADDR=192.0.2.1 or ADDR=IPV6:2001:db8::1") from None
    return str(address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else str(address)


def _port(text: str) -> int:
    if text in ("", *_UNKNOWN_VALUES):
        return 0
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65_536):
        raise syntax_error("PORT is no port")
    return int(text[:6])
