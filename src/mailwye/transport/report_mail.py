"""The mail that carries a TLS report (RFC 8460 section 5.3). Pure.

It is not signed: Mailwye has no DKIM yet, and receivers may drop unsigned reports (section 3), so reports go by mail only where the setting
asks for it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from mailwye.message.received import date_text
from mailwye.transport.tls_report import Submitter, file_name, report_id

_LINE = 76  # characters of base64 (RFC 2045 section 6.8)


@dataclass(frozen=True, slots=True)
class ReportMail:
    """`packed`: the report, compressed; `id`: the queue id of the mail; `at`: Unix seconds."""

    id: str
    at: float
    day: str
    domain: str
    to: str
    packed: bytes

    @property
    def message_id_local(self) -> str:
        """The left side of its Message-ID."""
        return f"tlsrpt.{self.id}"


def title(mail: ReportMail, submitter: Submitter) -> str:
    """The subject in the form that section 5.3 wants."""
    return f"Report Domain: {mail.domain} Submitter: {submitter.hostname} Report-ID: <{report_id(mail.day, mail.domain, submitter)}>"


def render(mail: ReportMail, submitter: Submitter) -> bytes:
    """The whole message with CRLF line ends."""
    boundary = f"=_mailwye_{mail.id}"
    encoded = base64.b64encode(mail.packed).decode("ascii")
    subject = title(mail, submitter).replace(" Submitter:", "\r\n Submitter:").replace(" Report-ID:", "\r\n Report-ID:")
    lines = [
        f"From: TLS reports <{submitter.contact}>",
        f"To: <{mail.to}>",
        f"Date: {date_text(int(mail.at))}",
        f"Message-ID: <{mail.message_id_local}@{submitter.hostname}>",
        f"Subject: {subject}",
        f"TLS-Report-Domain: {mail.domain}",
        f"TLS-Report-Submitter: {submitter.hostname}",
        "TLS-Required: No",  # RFC 8689 section 5 names this use: a report about broken TLS must arrive all the same
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report about TLS connections to {mail.domain} on {mail.day} (UTC), from {submitter.hostname}.",
        "It was asked for by the record _smtp._tls." + mail.domain + " (RFC 8460).",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n filename="{file_name(mail.day, mail.domain, submitter)}"',
        "",
        *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
        "",
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")
