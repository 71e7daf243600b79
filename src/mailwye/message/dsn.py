"""Delivery status notifications: multipart/report (RFC 6522) with a part for people, one for programs (RFC 3464, RFC 6533), and the
header or the whole of the message. Pure: values in, octets out.

The notice itself is 7 bit wherever the returned message allows it, so that every server can carry it.
"""

from __future__ import annotations

import quopri
import re
import textwrap
from base64 import b64encode, encodebytes
from dataclasses import dataclass
from enum import Enum

from mailwye.message.dsn_advice import Advice, Fixer, advise
from mailwye.message.received import date_text

LINE_LIMIT = 998  # RFC 5322 section 2.1.1
_WIDTH = 76
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_UNPRINTABLE = re.compile(r"[^ -~]+")


class Action(Enum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """What became of one recipient. Addresses as text; times in Unix seconds, 0 for none.

    `status`: the enhanced code ("5.1.1"); `diagnostic`: the reply as one line; `cause_status`, `cause_code`: those of the underlying error
    where `status` only says that time is up. `orcpt`: the sender's ORCPT, decoded ("rfc822;a@b"), "" for none. `remote`: the host that
    spoke (`mail.contoso.com[192.0.2.1]:25`), "" where it was this server. `connectors`: the way in and the way out, in words.
    """

    recipient: str
    original: str
    action: Action
    status: str
    diagnostic: str
    last_attempt: float
    orcpt: str = ""
    remote: str = ""
    retry_until: float = 0.0
    attempts: int = 1
    cause_status: str = ""
    cause_code: int = 0
    connectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """What is sent back: the header section, or with `full` the whole message (the limits are the caller's)."""

    octets: bytes
    full: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One notice. `id`: its queue id, for Message-ID and boundary; `to`, `postmaster`: addresses; `at`, `arrived_at`: Unix seconds;
    `subject`, `message_id`, `envid`: of the message that it is about.
    """

    id: str
    hostname: str
    postmaster: str
    to: str
    at: float
    arrived_at: float
    recipients: tuple[RecipientStatus, ...]
    returned: Returned
    subject: str = ""
    message_id: str = ""
    envid: str = ""
    reference: str = ""  # the queue id of the message

    @property
    def notice_message_id(self) -> str:
        """The Message-ID of the notice."""
        return f"<{self.id}@{self.hostname}>"


def title(report: Report) -> str:
    """The subject, before encoding."""
    actions = {recipient.action for recipient in report.recipients}
    if Action.FAILED in actions:
        word = "Undeliverable"
    elif Action.DELAYED in actions:
        word = "Delivery delayed"
    elif Action.RELAYED in actions:
        word = "Relayed"
    else:
        word = "Delivered"
    return f"{word}: {_CONTROLS.sub(' ', report.subject) or '(no subject)'}"


def render(report: Report) -> bytes:
    """The whole notice: header and body with CRLF line ends."""
    boundary = f"=_{report.id}_report"
    returned = _returned_part(report.returned)
    while boundary.encode("ascii") in returned:
        boundary += "_"
    parts = (_text_part(report), _status_part(report), returned)
    delimiter = f"--{boundary}\r\n".encode("ascii")
    body = b"".join(delimiter + part.rstrip(b"\r\n") + b"\r\n\r\n" for part in parts)
    return _header(report, boundary) + body + f"--{boundary}--\r\n".encode("ascii")


def _header(report: Report, boundary: str) -> bytes:
    fields = [
        f"From: Mail Delivery System <{report.postmaster}>",
        f"To: <{report.to}>",
        f"Subject: {_encoded(title(report))}",
        f"Date: {date_text(int(report.at))}",
        f"Message-ID: {report.notice_message_id}",
        "Auto-Submitted: auto-replied",  # RFC 3834 section 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"',
    ]
    reference = report.message_id
    if reference and reference.isascii() and " " not in reference and not _CONTROLS.search(reference):
        fields.insert(5, f"In-Reply-To: {reference}\r\nReferences: {reference}")
    return ("\r\n".join(fields) + "\r\n\r\n").encode()


# For people


def _text_part(report: Report) -> bytes:
    text = _text(report)
    octets = text.encode()
    if octets.isascii():
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + octets
    encoded = quopri.encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded


_OPENINGS = {
    Action.FAILED: "Your message could not be delivered to:",
    Action.DELAYED: "Your message has not been delivered yet to the recipients below. Nothing is lost: delivery is tried again on its own.",
    Action.DELIVERED: "Your message was delivered to:",
    Action.RELAYED: "Your message was handed over to the next mail system, which will not confirm its delivery, for:",
    Action.EXPANDED: "Your message was delivered to the members of:",
}


def _text(report: Report) -> str:
    blocks: list[str] = []
    for action in Action:
        chosen = [recipient for recipient in report.recipients if recipient.action is action]
        if not chosen:
            continue
        blocks.append(_wrapped(_OPENINGS[action]))
        for advice, recipients in _by_advice(chosen):
            blocks.append("\r\n".join(_wrapped(_addresses(one), "    ") for one in recipients))
            if advice is not None:
                blocks.append(_advice_text(advice, recipients[0]))
    details = ["Details for mail administrators", f"Generating server: {report.hostname}"]
    details += _about(report)
    for recipient in report.recipients:
        details += _details(recipient)
    return "\r\n\r\n".join(blocks) + "\r\n\r\n" + "\r\n".join(details) + "\r\n"


def _by_advice(recipients: list[RecipientStatus]) -> list[tuple[Advice | None, list[RecipientStatus]]]:
    """Recipients to whom the same applies stand together; good news need no advice."""
    groups: dict[Advice | None, list[RecipientStatus]] = {}
    for one in recipients:
        needs_advice = one.action in (Action.FAILED, Action.DELAYED)
        advice = advise(one.cause_status or one.status, one.diagnostic, one.cause_code) if needs_advice else None
        groups.setdefault(advice, []).append(one)
    return list(groups.items())


def _advice_text(advice: Advice, example: RecipientStatus) -> str:
    lines = [_wrapped(f"What happened: {advice.what}")]
    if example.action is Action.DELAYED:
        lines.append(_wrapped(f"Until when it is tried: {date_text(int(example.retry_until))}. You need not send it again."))
        lines.append(_wrapped(f"Who can speed it up: {advice.who.value}, if at all."))
        if advice.who is not Fixer.SENDER:
            lines.append(_wrapped(f"How: {advice.how}"))
        return "\r\n".join(lines)
    if example.cause_status and example.cause_status != example.status:
        lines.append(_wrapped("It was tried again and again until the time for it was up."))
    lines.append(_wrapped(f"Who can fix it: {advice.who.value}."))
    lines.append(_wrapped(f"How: {advice.how}"))
    return "\r\n".join(lines)


def _about(report: Report) -> list[str]:
    lines = [f"Message: {_clean(report.subject) or '(no subject)'}"]
    if report.message_id:
        lines.append(f"Message-ID: {_clean(report.message_id)}")
    lines.append(f"Received here: {date_text(int(report.arrived_at))} as {report.reference}")
    return [_wrapped(line) for line in lines]


def _details(one: RecipientStatus) -> list[str]:
    lines = ["", _wrapped(_addresses(one)), _wrapped(f"Status: {one.action.value}, {one.status}", "  ")]
    if one.remote:
        lines.append(_wrapped(f"Remote server: {one.remote}", "  "))
    lines.append(_wrapped(f"{'Answer' if one.remote else 'Cause'}: {_clean(one.diagnostic)}", "  "))
    lines += [_wrapped(connector, "  ") for connector in one.connectors]
    lines.append(_wrapped(f"Attempts: {one.attempts}, the last one {date_text(int(one.last_attempt))}", "  "))
    return lines


def _addresses(one: RecipientStatus) -> str:
    return _clean(one.original if one.original == one.recipient else f"{one.original} (as {one.recipient})")


def _wrapped(text: str, indent: str = "") -> str:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\r\n".join(line[:LINE_LIMIT] for line in lines)


def _clean(text: str) -> str:
    return _CONTROLS.sub(" ", text)


# For programs


def _status_part(report: Report) -> bytes:
    """RFC 3464 section 2; always in ASCII: other addresses have the type utf-8 in its 7-bit form (RFC 6533 section 3)."""
    lines = [f"Reporting-MTA: dns; {report.hostname}"]
    if report.envid:
        lines.append(_folded("Original-Envelope-Id", _ascii(report.envid)))
    lines.append(f"Arrival-Date: {date_text(int(report.arrived_at))}")
    for one in report.recipients:
        lines.append("")
        if one.orcpt:
            lines.append(_folded("Original-Recipient", original_recipient(one.orcpt)))
        lines.append(_folded("Final-Recipient", typed_address(one.recipient)))
        lines.append(f"Action: {one.action.value}")
        lines.append(f"Status: {one.status}")
        if one.remote:
            lines.append(f"Remote-MTA: dns; {_ascii(one.remote.partition('[')[0])}")
        lines.append(_folded("Diagnostic-Code", f"smtp; {_ascii(one.diagnostic)}"))
        lines.append(f"Last-Attempt-Date: {date_text(int(one.last_attempt))}")
        if one.retry_until and one.action is Action.DELAYED:
            lines.append(f"Will-Retry-Until: {date_text(int(one.retry_until))}")
    return b"Content-Type: message/delivery-status\r\n\r\n" + "\r\n".join(lines).encode("ascii") + b"\r\n"


def typed_address(address: str) -> str:
    """`rfc822; user@example.com`; beyond ASCII `utf-8; …`, each such character by its number (utf-8-addr-xtext, RFC 6533 section 3)."""
    if address.isascii():
        return f"rfc822; {_ascii(address)}"
    return f"utf-8; {_unicode_escaped(address)}"


def original_recipient(orcpt: str) -> str:
    """The sender's own ORCPT, `type;address`, made safe for a header field (W22)."""
    kind, separator, address = orcpt.partition(";")
    if not separator:
        return typed_address(orcpt)
    if address.isascii():
        return f"{_ascii(kind)}; {_ascii(address)}"
    return f"utf-8; {_unicode_escaped(address)}"


def _unicode_escaped(address: str) -> str:
    return "".join(c if "!" <= c <= "~" and c not in "+=\\" else f"\\x{{{ord(c):02X}}}" for c in address)


def _ascii(text: str) -> str:
    return _UNPRINTABLE.sub("?", text.replace("\n", " ").replace("\r", " "))


def _folded(name: str, value: str) -> str:
    lines = textwrap.wrap(f"{name}: {value}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [f"{name}:"]
    return "\r\n".join(lines)


# What is sent back


def _returned_part(returned: Returned) -> bytes:
    octets = returned.octets
    if returned.full:
        encoding = b"" if octets.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
        return b"Content-Type: message/rfc822\r\n" + encoding + b"\r\n" + octets
    if octets.isascii() and fits_lines(octets):
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + octets
    if fits_lines(octets):
        encoding, encoded = b"quoted-printable", quopri.encodestring(octets.replace(b"\r\n", b"\n"))
    else:
        encoding, encoded = b"base64", encodebytes(octets)
    try:
        octets.decode()
        kind = b"message/global-headers"  # RFC 6533 section 6.3
    except UnicodeDecodeError:
        kind = b"text/rfc822-headers; charset=unknown-8bit"
    return b"".join((b"Content-Type: ", kind, b"\r\nContent-Transfer-Encoding: ", encoding, b"\r\n\r\n", encoded.replace(b"\n", b"\r\n")))


def fits_lines(octets: bytes) -> bool:
    """True where the octets can stand in a MIME part as they are: CRLF lines of at most 998 octets, no NUL."""
    if b"\0" in octets:
        return False
    lines = octets.split(b"\r\n")
    return all(len(line) <= LINE_LIMIT and b"\r" not in line and b"\n" not in line for line in lines)


def _encoded(text: str) -> str:
    """A header value in encoded words where needed (RFC 2047), folded."""
    if text.isascii():
        return "\r\n ".join(textwrap.wrap(text, _WIDTH - 10, break_on_hyphens=False))
    words: list[str] = []
    piece = ""
    for character in text:
        if len((piece + character).encode()) > 42:  # 56 octets of base64 and the frame: below 75 (RFC 2047 section 2)
            words.append(piece)
            piece = ""
        piece += character
    words.append(piece)
    return "\r\n ".join(f"=?utf-8?B?{b64encode(word.encode()).decode('ascii')}?=" for word in words)
