"""Messages for tests of the queue."""

from __future__ import annotations

from collections.abc import Sequence

from mailwye.message.content import Content, InlineContent
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.queue.item import Lease, NewDelivery, NewMessage, Origin, Result, Settlement
from mailwye.smtp.address import Address

BODY = b"Subject: test\r\n\r\nHello.\r\n"


def new_message(
    name: str,
    *recipients: str,
    hop: str = "connector:Out",
    hops: Sequence[str] = (),
    content: Content | None = None,
    sender: str | None = "john@contoso.com",
    first_attempt_at: float | None = None,
) -> NewMessage:
    """A message for `recipients` ("sun@example.org"), all by `hop`, or each by its one of `hops`."""
    addresses = [Address(*one.split("@")) for one in recipients or ("sun@example.org",)]
    ways = hops or [hop] * len(addresses)
    return NewMessage(
        id=name,
        received_at=1000.0,
        sender=None if sender is None else Address(*sender.split("@")),
        deliveries=tuple(
            NewDelivery(one, Address("alias", "contoso.com"), way, Notify.FAILURE | Notify.DELAY, "rfc822;alias@contoso.com")
            for one, way in zip(addresses, ways, strict=True)
        ),
        content=content or InlineContent(BODY),
        origin=Origin("session-1", "connector", "Own Servers", "", "192.0.2.1", "mail.contoso.com", "mx"),
        config_version=7,
        body=BodyType.EIGHT_BIT_MIME,
        smtputf8=True,
        ret="HDRS",
        envid="envelope-1",
        message_id="<1@contoso.com>",
        subject="test €",
        auto_submitted=True,
        requires_8bit=True,
        tls=TlsWish.REQUIRED,
        first_attempt_at=first_attempt_at,
    )


def all_settled(lease: Lease, result: Result, *, due: float = 0.0, error: str = "", at: float = 0.0) -> list[Settlement]:
    """One settlement for each delivery of a lease."""
    return [Settlement(one.id, result, due=due, error=error, attempted_at=at) for one in lease.deliveries]


async def octets(content: Content | None) -> bytes:
    """All of a content."""
    assert content is not None
    pieces = [piece async for piece in content.chunks()]
    assert all(len(piece) <= 262_144 for piece in pieces)
    return b"".join(pieces)
