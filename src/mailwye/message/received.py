"""The Received trace field that Mailwye prepends (RFC 5321 section 4.4), and the date in the form of RFC 5322 section 3.3."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from mailwye.message.facts import SessionFacts

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# What a HELO name may bring into a header: letters, digits and the marks of domains and address literals. White space,
# parentheses, semicolons and controls would change the meaning of the field (catalogue L1).
_HELLO = re.compile(r"[A-Za-z0-9._\-]+|\[[A-Za-z0-9.:]+\]")
_HELLO_FORBIDDEN = re.compile(r"[^A-Za-z0-9._\-]+")
_HELLO_LIMIT = 255  # RFC 5321 section 4.5.3.1.2
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=8)
def date_text(second: int) -> str:
    """Unix seconds → "Tue, 24 Nov 2026 03:25:51 +0000". The last few seconds are remembered: many messages share one."""
    at = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04d} {at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"


@lru_cache(maxsize=1024)
def _safe_hello(hello: str) -> str:
    """The HELO name as it may stand in a header: as given where it is a domain or literal in form, else its harmless characters."""
    if len(hello) <= _HELLO_LIMIT and _HELLO.fullmatch(hello):
        return hello
    return _HELLO_FORBIDDEN.sub("_", hello[:_HELLO_LIMIT]).strip("_.-") or "unknown"


def with_protocol(*, esmtp: bool, tls: bool, authenticated: bool, smtputf8: bool) -> str:
    """The keyword after `with`: RFC 3848, and RFC 6531 section 4.3 for messages with SMTPUTF8."""
    if not esmtp:
        return "SMTP"
    return f"{'UTF8SMTP' if smtputf8 else 'ESMTP'}{'S' if tls else ''}{'A' if authenticated else ''}"


def received_field(facts: SessionFacts, *, hostname: str, queue_id: str, at: float, recipient: str, smtputf8: bool = False) -> bytes:
    """One Received field with its CRLF, folded, for the message `queue_id` taken at `at` (Unix seconds).

    `recipient`: the forward-path where there is exactly one, else "": a `for` clause with several would tell each of the others
    (RFC 5321 section 7.6). It is left out too where it could not stand here unchanged: controls, or no ASCII without `smtputf8`.
    """
    address = f"IPv6:{facts.peer_address}" if ":" in facts.peer_address else facts.peer_address  # RFC 5321 section 4.1.3
    tls = facts.tls
    protocol = with_protocol(esmtp=facts.esmtp, tls=tls is not None, authenticated=bool(facts.authenticated), smtputf8=smtputf8)
    session = f" ({tls.version} {tls.cipher} {tls.bits} bits)" if tls is not None else ""
    clause = ""
    if recipient and (smtputf8 or recipient.isascii()) and not _CONTROLS.search(recipient):
        clause = f"\r\n\tfor <{recipient}>"
    return (
        f"Received: from {_safe_hello(facts.hello)} ([{address}])\r\n"
        f"\tby {hostname} (Mailwye) with {protocol}{session} id {queue_id}{clause};\r\n"
        f"\t{date_text(int(at))}\r\n"
    ).encode()
