"""The story that must always work (SEMANTICS section 1), row by row: each is sent by an independent client (smtplib) and judged by what
arrived at the other end.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailwye.testing.demo_world import BOB_PASSWORD, MX_PORT, SUBMISSION_PORT, DemoWorld
from mailwye.testing.peers import PeerServer

ARRIVAL_SECONDS = 15.0
LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Row:
    """One row to tell: who sends what to whom, which way it must take, and through which connector (of the way in or out)."""

    title: str
    sender: str
    recipient: str
    way: str
    connector: str
    send: Callable[[DemoWorld, Row, bytes], None]
    arrives: Callable[[DemoWorld], PeerServer | Path] | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A row as it came out. `milliseconds` from the connection to the arrival at the far end; `connector` as the trace has it."""

    row: Row
    message_id: str
    passed: bool
    result: str
    milliseconds: float
    connector: str = ""


def _message(row: Row, message_id: str) -> bytes:
    lines = (
        f"From: <{row.sender}>",
        f"To: <{row.recipient}>",
        f"Subject: {row.title}",
        "Date: Tue, 24 Nov 2026 08:00:00 +0000",
        f"Message-ID: {message_id}",
        "",
        f"{row.title}: a line, then a line that is one dot, then the end.",
        ".",
        "Gr\u00fc\u00dfe",
        "",
    )
    return "\r\n".join(lines).encode()


def from_own_server(world: DemoWorld, row: Row, content: bytes) -> None:
    """John's server: over TLS with the certificate mail.contoso.com, and it checks ours."""
    context = ssl.create_default_context(cafile=str(world.authority.certificate))
    context.load_cert_chain(world.john_pair.certificate, world.john_pair.private_key)
    with _client(world, MX_PORT, world.addresses.own) as client:
        client.starttls(context=context)
        _send(client, row, content)


def from_mailbox(world: DemoWorld, row: Row, content: bytes) -> None:
    """Bob's mail program: submission with AUTH under TLS."""
    context = ssl.create_default_context(cafile=str(world.authority.certificate))
    with _client(world, SUBMISSION_PORT, world.addresses.of(30)) as client:
        client.starttls(context=context)
        client.login("bob@contoso.com", BOB_PASSWORD)
        _send(client, row, content)


def from_internet(world: DemoWorld, row: Row, content: bytes) -> None:
    """Sun's server: anonymous, plain."""
    with _client(world, MX_PORT, world.addresses.sun) as client:
        _send(client, row, content)


def from_stranger(world: DemoWorld, row: Row, content: bytes) -> None:
    """Somebody who wants to relay."""
    with _client(world, MX_PORT, world.addresses.stranger) as client:
        _send(client, row, content)


def _client(world: DemoWorld, port: int, source: str) -> smtplib.SMTP:
    return smtplib.SMTP(world.addresses.service, port, local_hostname="demo.example", timeout=10, source_address=(source, 0))


def _send(client: smtplib.SMTP, row: Row, content: bytes) -> None:
    client.sendmail(row.sender, [row.recipient], content, mail_options=["BODY=8BITMIME"])


JOHN, BOB, SUN = "john@contoso.com", "bob@contoso.com", "sun@example.net"

STORY = (
    Row("John to Bob", JOHN, BOB, "own server > Mailwye > mailbox", "From our servers", from_own_server, lambda w: w.bobs_maildir),
    Row("Bob to John", BOB, JOHN, "mailbox > Mailwye > own server", "Connector 2", from_mailbox, lambda w: w.own),
    Row("John to Sun", JOHN, SUN, "own server > Mailwye > Sun's MX", "From our servers", from_own_server, lambda w: w.sun),
    Row("Sun to John", SUN, JOHN, "Internet > Mailwye > own server", "Connector 2", from_internet, lambda w: w.own),
    Row("Bob to Sun", BOB, SUN, "mailbox > Mailwye > Sun's MX", "", from_mailbox, lambda w: w.sun),
    Row("Sun to Bob", SUN, BOB, "Internet > Mailwye > mailbox", "", from_internet, lambda w: w.bobs_maildir),
    Row(
        "The page: all accepted",
        SUN,
        "john@fabrikam.com",
        "Internet > Mailwye > own server",
        "Connector 1",
        from_internet,
        lambda w: w.main,
    ),
    Row(
        "The page: exact domain", SUN, "john@contoso.com", "Internet > Mailwye > own server", "Connector 2", from_internet, lambda w: w.own
    ),
    Row(
        "The page: wildcard",
        SUN,
        "john@sales.contoso.com",
        "Internet > Mailwye > own server",
        "Connector 3",
        from_internet,
        lambda w: w.sales,
    ),
    Row("A stranger relays", "eve@evil.example", SUN, "refused", "", from_stranger, refusal="5.7.64"),
    Row("Unknown recipient", SUN, "nobody@contoso.com", "refused", "", from_internet, refusal="5.4.1"),
)


async def tell(world: DemoWorld, row: Row, number: int) -> Told:
    """Send one row and judge it."""
    message_id = f"<row-{number}.{int(world.clock.now())}@demo.example>"
    content = _message(row, message_id)
    started = world.clock.monotonic()

    def told(passed: bool, result: str) -> Told:
        return Told(row, message_id, passed, result, (world.clock.monotonic() - started) * 1000)

    try:
        await asyncio.to_thread(row.send, world, row, content)
    except smtplib.SMTPRecipientsRefused as refused:
        code, text = refused.recipients[row.recipient]
        words = f"{code} {text.decode(errors='replace')}"
        return told(bool(row.refusal) and f" {row.refusal} " in words, words)
    except (OSError, smtplib.SMTPException) as error:
        return told(False, f"{type(error).__name__}: {error}")
    if row.arrives is None:
        return told(False, "accepted, but should have been refused")
    end = row.arrives(world)
    arrived = await (_in_maildir(end, message_id) if isinstance(end, Path) else _at_peer(end, message_id))
    if arrived is None:
        return told(False, f"did not arrive within {ARRIVAL_SECONDS:.0f} s")
    if not arrived.endswith(content):
        return told(False, "arrived, but its octets were changed")
    return told(True, "delivered, octets identical")


async def _at_peer(peer: PeerServer, message_id: str) -> bytes | None:
    wanted = message_id.encode()
    message = await peer.arrived(lambda m: wanted in m.content, seconds=ARRIVAL_SECONDS)
    return message.content if message is not None else None


async def _in_maildir(maildir: Path, message_id: str) -> bytes | None:
    """The message in CRLF form: a Maildir holds LF line ends."""
    for _ in range(int(ARRIVAL_SECONDS / LOOK_SECONDS)):
        content = _look_into(maildir, message_id.encode())
        if content is not None:
            return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        await asyncio.sleep(LOOK_SECONDS)
    return None


def _look_into(maildir: Path, wanted: bytes) -> bytes | None:
    for path in maildir.glob("new/*"):
        content = path.read_bytes()
        if wanted in content:
            return content
    return None
