"""Whom does a Received line say that it had the message from? Read strictly: of what several MTAs write, only forms in which the
address of the connection cannot be mistaken for what the peer said of himself (RFC 5321 section 4.4: TCP-info).
"""

from __future__ import annotations

import ipaddress
import re

LINE_LIMIT = 2_000
"""Characters of an unfolded line that are looked at; real ones have a few hundred."""

_ATOM = r"[^ \t()\[\]]+"
_BRACKETED = r"\[(?P<address>[^\[\]()]+)\](?::\d+)?"
_PLAIN = r"(?P<address>[0-9A-Fa-f.:]+)"
_SPACE = r"[ \t]+"

# HELO holds neither white space nor parentheses here, and what follows is checked too: a peer cannot write the comment himself. A literal
# as HELO is only what he said.
_FORMS = tuple(
    re.compile(f"from{_SPACE}{form}").match
    for form in (
        # from HELO (RDNS [ADDRESS]), from HELO ([ADDRESS] helo=HELO): Postfix, Sendmail, OpenSMTPD, Exim, Mailwye
        rf"[^ \t()]+{_SPACE}\((?:{_ATOM}{_SPACE})?{_BRACKETED}(?:{_SPACE}(?:helo={_ATOM}|\(may be forged\)))*\)",
        # from [ADDRESS] (helo=HELO): Exim, for a peer without a name
        rf"{_BRACKETED}{_SPACE}\((?:port=\d+{_SPACE})?helo=[^ \t()]+\)",
        # from NAME (ADDRESS): Exchange
        rf"{_ATOM}{_SPACE}\({_PLAIN}\)",
        # from RDNS (HELO HELO) (ADDRESS): qmail
        rf"{_ATOM}{_SPACE}\((?:HELO|EHLO){_SPACE}[^ \t()]+\){_SPACE}\((?:[^ \t()@]+@)?{_PLAIN}\)",
    )
)
# Comments that MTAs put between the peer and "by".
_REMARK = re.compile(
    r"[ \t]+\((?:using|client|no client|authenticated|verified|mail from|envelope-from)\b(?:[^()]|\([^()\[\]]*\))*\)", re.IGNORECASE
).match
_BY = re.compile(r"[ \t]+by[ \t]").match


def received_from(value: str) -> str:
    """The address of the connection by which the message came to the writer of this unfolded Received value, in its one form
    (IPv4-mapped IPv6 as IPv4, no zone); "" where the line does not say it beyond doubt.
    """
    line = value[:LINE_LIMIT].strip(" \t")
    if not line.replace("\t", " ").isprintable():
        return ""
    for form in _FORMS:
        found = form(line)
        if found is not None and _goes_on_well(line, found.end()):
            return _canonical(found["address"])
    return ""


def _goes_on_well(line: str, position: int) -> bool:
    """Known remarks, then "by"."""
    while (remark := _REMARK(line, position)) is not None:
        position = remark.end()
    return _BY(line, position) is not None


def _canonical(text: str) -> str:
    text = text.strip(" \t")
    if text[:5].lower() == "ipv6:":  # RFC 5321 section 4.1.3
        text = text[5:]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return ""
        return str(address.ipv4_mapped or address)
    return str(address)
