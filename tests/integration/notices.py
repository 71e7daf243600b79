"""Finding and reading the DSN about a message (RFC 3464) with the standard library's parser."""

from __future__ import annotations

import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import cast

from tests.counterparts.process import wait_until


@dataclass(frozen=True, slots=True)
class Notice:
    """`text` is what a person reads; `recipients` the per-recipient groups of message/delivery-status; `returned` the original."""

    message: EmailMessage
    text: str
    recipients: tuple[dict[str, str], ...]
    returned: str


def notice_about(folder: Path, message_id: str) -> Notice:
    """The one DSN in the Maildir `folder` that returns the message, as soon as it is there."""
    wait_until(lambda: notices_about(folder, message_id), f"a notice about {message_id} in {folder}")
    (one,) = notices_about(folder, message_id)
    return one


def notices_about(folder: Path, message_id: str) -> list[Notice]:
    """Every DSN in the Maildir `folder` that returns the message."""
    contents = [path.read_bytes() for path in (*folder.glob("new/*"), *folder.glob("cur/*"))]
    return [_parsed(one) for one in contents if b"multipart/report" in one and message_id.encode() in one]


def _parsed(content: bytes) -> Notice:
    message = BytesParser(policy=email.policy.default).parsebytes(content)
    assert not message.defects
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, returned = message.iter_parts()
    assert status.get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    groups = cast("list[EmailMessage]", status.get_payload())
    return Notice(
        message,
        cast("str", text.get_content()),
        tuple({str(name): str(value) for name, value in group.items()} for group in groups[1:]),
        returned.as_string(),
    )
