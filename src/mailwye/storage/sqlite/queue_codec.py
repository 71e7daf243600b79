"""Rows of the queue file to values and back. Every stored text carries a CRC-32, so that a flipped bit is found, not delivered.

Packed with msgspec as arrays: a later version may append fields (an older one ignores them), never change or remove one.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from mailwye.message.envelope import BodyType, Notify
from mailwye.queue.item import Delivery, DeliveryState, NewDelivery, NewMessage, Origin, QueuedMessage
from mailwye.smtp.address import Address


class CorruptRow(Exception):
    """A stored row is not what was written. The text says what is wrong."""


class _Meta(msgspec.Struct, array_like=True, frozen=True, gc=False):
    received_at: float
    sender: tuple[str, str] | None
    size: int
    origin: tuple[str, str, str, str, str, str, str]
    config_version: int
    body: str
    smtputf8: bool
    ret: str
    envid: str
    message_id: str
    subject: str
    auto_submitted: bool
    requires_8bit: bool
    plain: bool = False


class _Detail(msgspec.Struct, array_like=True, frozen=True, gc=False):
    recipient: tuple[str, str]
    original: tuple[str, str]
    notify: int
    orcpt: str
    attempts: int = 0
    first_failed_at: float = 0.0
    last_attempt_at: float = 0.0
    last_error: str = ""
    delay_notice_sent: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(_Meta).decode
_decode_detail = msgspec.msgpack.Decoder(_Detail).decode


def pack_message(new: NewMessage) -> bytes:
    """What is kept of a message beside id, deliveries and content.

    :raises UnicodeEncodeError: a text holds lone surrogates.
    """
    sender, origin = new.sender, new.origin
    return _seal(
        _encode(
            _Meta(
                new.received_at,
                None if sender is None else (sender.local, sender.domain),
                new.content.size,
                (
                    origin.session_id,
                    origin.caller_kind,
                    origin.connector,
                    origin.authenticated,
                    origin.peer_address,
                    origin.hello,
                    origin.listener,
                ),
                new.config_version,
                new.body.value,
                new.smtputf8,
                new.ret,
                new.envid,
                new.message_id,
                new.subject,
                new.auto_submitted,
                new.requires_8bit,
                new.plain,
            )
        )
    )


def unpack_message(message_id: str, packed: bytes) -> QueuedMessage:
    """The inverse of pack_message.

    :raises CorruptRow: it is damaged.
    """
    try:
        meta = _decode_meta(_unseal(packed))
        return QueuedMessage(
            message_id,
            meta.received_at,
            None if meta.sender is None else Address(*meta.sender),
            meta.size,
            Origin(*meta.origin),
            meta.config_version,
            BodyType(meta.body),
            meta.smtputf8,
            meta.ret,
            meta.envid,
            meta.message_id,
            meta.subject,
            meta.auto_submitted,
            meta.requires_8bit,
            meta.plain,
        )
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise CorruptRow(f"message {message_id}: {error}") from error


def pack_new_delivery(new: NewDelivery) -> bytes:
    """The detail of a delivery that was not attempted yet.

    :raises UnicodeEncodeError: a text holds lone surrogates.
    """
    recipient, original = new.recipient, new.original
    return _seal(_encode(_Detail((recipient.local, recipient.domain), (original.local, original.domain), new.notify.value, new.orcpt)))


def pack_delivery(one: Delivery) -> bytes:
    """The detail of a delivery as it stands. What an error text cannot be stored as UTF-8 is escaped."""
    return _seal(
        _encode(
            _Detail(
                (one.recipient.local, one.recipient.domain),
                (one.original.local, one.original.domain),
                one.notify.value,
                one.orcpt,
                one.attempts,
                one.first_failed_at,
                one.last_attempt_at,
                one.last_error.encode("utf-8", "backslashreplace").decode("utf-8"),
                one.delay_notice_sent,
            )
        )
    )


def unpack_delivery(number: int, message_id: str, state: DeliveryState, due: float, hop: str, packed: bytes) -> Delivery:
    """The inverse of pack_delivery and pack_new_delivery.

    :raises CorruptRow: it is damaged.
    """
    try:
        detail = _decode_detail(_unseal(packed))
        return Delivery(
            number,
            message_id,
            Address(*detail.recipient),
            Address(*detail.original),
            hop,
            Notify(detail.notify),
            detail.orcpt,
            state,
            due,
            detail.attempts,
            detail.first_failed_at,
            detail.last_attempt_at,
            detail.last_error,
            detail.delay_notice_sent,
        )
    except ValueError as error:
        raise CorruptRow(f"delivery {number} of message {message_id}: {error}") from error


def verify(data: object, checksum: int, what: str) -> bytes:
    """`data` as read, where its CRC-32 is `checksum`.

    :raises CorruptRow: it is damaged or gone.
    """
    if not isinstance(data, bytes):
        raise CorruptRow(f"{what} is gone")
    if crc32(data) != checksum:
        raise CorruptRow(f"{what} does not match its checksum")
    return data


def _seal(packed: bytes) -> bytes:
    return packed + crc32(packed).to_bytes(4, "big")


def _unseal(sealed: object) -> bytes:
    if not isinstance(sealed, bytes) or len(sealed) < 4:
        raise ValueError("the row is cut off")
    packed = sealed[:-4]
    if crc32(packed) != int.from_bytes(sealed[-4:], "big"):
        raise ValueError("the row does not match its checksum")
    return packed
