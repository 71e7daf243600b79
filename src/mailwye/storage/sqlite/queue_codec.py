"""Rows of the queue file to values and back. Every stored text carries a CRC-32, so that a flipped bit is found, not delivered.

The CRC begins with the place where the text belongs, so that a row that a damaged page shows in another place is found as well: a message
must not go to the recipients of another one. Rows of schema version 1 have it without the place, which is accepted.

Packed with msgspec as arrays: a later version may append fields (an older one ignores them), never change or remove one.

Enumerations are asked for `_value_`, the attribute behind `value`: that is a property in Python, and there is one for each recipient.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from mailwye.message.envelope import BodyType, Notify, TlsWish
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
    tls: str = ""


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


class _RuledDetail(_Detail, array_like=True, frozen=True, gc=False):
    """Of a delivery whose way a mail flow rule chose, or that was pinned; all others are stored without."""

    rule_connector: str = ""
    pinned: str = ""


_NO_WISH = TlsWish.DEFAULT
_encode = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(_Meta).decode
_decode_detail = msgspec.msgpack.Decoder(_RuledDetail).decode


def pack_message(new: NewMessage, seq: int, staging: int, checksum: int) -> bytes:
    """What is kept of a message beside id, deliveries and content, for the row with these columns.

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
                new.body._value_,
                new.smtputf8,
                new.ret,
                new.envid,
                new.message_id,
                new.subject,
                new.auto_submitted,
                new.requires_8bit,
                new.plain,
                new.tls._value_,
            )
        ),
        _message_place(new.id, seq, staging, checksum),
    )


def unpack_message(message_id: str, packed: bytes, seq: int, staging: int, checksum: int) -> QueuedMessage:
    """The inverse of pack_message.

    :raises CorruptRow: it is damaged.
    """
    try:
        meta = _decode_meta(_unseal(packed, _message_place(message_id, seq, staging, checksum)))
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
            TlsWish(meta.tls) if meta.tls else _NO_WISH,
        )
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise CorruptRow(f"message {message_id}: {error}") from error


def pack_new_delivery(new: NewDelivery, number: int) -> bytes:
    """The detail of a delivery that was not attempted yet, for the row `number`.

    :raises UnicodeEncodeError: a text holds lone surrogates.
    """
    recipient, original = new.recipient, new.original
    detail = _Detail((recipient.local, recipient.domain), (original.local, original.domain), new.notify._value_, new.orcpt)
    if new.rule_connector:
        detail = _ruled(detail, new.rule_connector)
    packed = _encode(detail)
    return packed + crc32(packed, (number ^ number >> 32) & 0xFFFFFFFF).to_bytes(4, "big")  # _seal and _place, in one


def pack_delivery(one: Delivery) -> bytes:
    """The detail of a delivery as it stands. What an error text cannot be stored as UTF-8 is escaped."""
    detail = _Detail(
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
    if one.rule_connector or one.pinned:
        detail = _ruled(detail, one.rule_connector, one.pinned)
    return _seal(_encode(detail), _place(one.id))


def _ruled(detail: _Detail, connector: str, pinned: str = "") -> _Detail:
    """`detail`, with the connector that a rule chose, and the way on which an administrator keeps it."""
    return _RuledDetail(**msgspec.structs.asdict(detail), rule_connector=connector, pinned=pinned)


def unpack_delivery(number: int, message_id: str, state: DeliveryState, due: float, hop: str, packed: bytes) -> Delivery:
    """The inverse of pack_delivery and pack_new_delivery.

    :raises CorruptRow: it is damaged.
    """
    try:
        detail = _decode_detail(_unseal(packed, _place(number)))
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
            detail.rule_connector,
            detail.pinned,
        )
    except ValueError as error:
        raise CorruptRow(f"delivery {number} of message {message_id}: {error}") from error


def chunk_checksum(data: bytes, number: int) -> int:
    """The CRC-32 of the chunk `number`."""
    return crc32(data, _place(number))


def verify_chunk(data: object, checksum: int, number: int, what: str) -> bytes:
    """As `verify`, of the chunk `number`."""
    if isinstance(data, bytes) and crc32(data, _place(number)) == checksum:
        return data
    return verify(data, checksum, what)


def verify(data: object, checksum: int, what: str) -> bytes:
    """`data` as read, where its CRC-32 is `checksum`.

    :raises CorruptRow: it is damaged or gone.
    """
    if not isinstance(data, bytes):
        raise CorruptRow(f"{what} is gone")
    if crc32(data) != checksum:
        raise CorruptRow(f"{what} does not match its checksum")
    return data


def _place(number: int) -> int:
    """Where a CRC begins for the row `number`."""
    return (number ^ number >> 32) & 0xFFFFFFFF


def _message_place(message_id: str, seq: int, staging: int, checksum: int) -> int:
    return crc32(f"{seq} {staging} {checksum} {message_id}".encode())


def _seal(packed: bytes, place: int) -> bytes:
    return packed + crc32(packed, place).to_bytes(4, "big")


def _unseal(sealed: object, place: int) -> bytes:
    if not isinstance(sealed, bytes) or len(sealed) < 4:
        raise ValueError("the row is cut off")
    packed, checksum = sealed[:-4], int.from_bytes(sealed[-4:], "big")
    if checksum not in (crc32(packed, place), crc32(packed)):
        raise ValueError("the row does not match its checksum")
    return packed
