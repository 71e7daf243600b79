"""Messages to send, and finding them again at the far end, octet by octet."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from tests.counterparts.process import wait_until

_numbers = itertools.count(1)


def new_id() -> str:
    """A Message-ID of its own."""
    return f"<{next(_numbers)}.{os.getpid()}@tests.example>"


def message(sender: str, recipient: str, body: bytes = b"A line.\r\n", *, message_id: str = "", header: bytes = b"") -> bytes:
    """A message with every field that some server would add otherwise. CRLF line ends."""
    head = (
        f"From: <{sender}>",
        f"To: <{recipient}>",
        "Subject: From one end to the other",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        f"Message-ID: {message_id or new_id()}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    return "\r\n".join((*head, "")).encode() + header + b"\r\n" + body


def id_of(content: bytes) -> str:
    """Its Message-ID."""
    return content.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()


def find(folder: Path, message_id: str) -> bytes | None:
    """The message in a Maildir (new or seen), in CRLF form: a Maildir holds LF line ends."""
    for path in (*folder.glob("new/*"), *folder.glob("cur/*")):
        content = path.read_bytes()
        if f"\nMessage-ID: {message_id}".encode() in content:
            return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return None


def arrived(folder: Path, message_id: str, *, log: str = "") -> bytes:
    """The message, as soon as it is there."""
    wait_until(lambda: find(folder, message_id), f"{message_id} in {folder} {log}")
    content = find(folder, message_id)
    assert content is not None
    return content


def assert_same_octets(there: bytes, sent: bytes) -> None:
    """Nothing changed but prepended header fields."""
    if not there.endswith(sent):
        body, sent_body = there.partition(b"\r\n\r\n")[2], sent.partition(b"\r\n\r\n")[2]
        at = next((i for i, (a, b) in enumerate(zip(body, sent_body, strict=False)) if a != b), min(len(body), len(sent_body)))
        raise AssertionError(
            f"changed; bodies of {len(body)} and {len(sent_body)} octets differ at {at}: "
            f"{body[max(0, at - 40) : at + 40]!r} instead of {sent_body[max(0, at - 40) : at + 40]!r}; header: {there[:1500]!r}"
        )
    prepended = there[: len(there) - len(sent)]
    assert prepended.startswith(b"\r\n") is False
    assert b"\r\n\r\n" not in prepended
