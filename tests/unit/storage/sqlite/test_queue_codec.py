"""Rows of the queue file that an older Mailwye wrote are read like those of this one."""

from __future__ import annotations

import msgspec

from mailwye.message.envelope import TlsWish
from mailwye.storage.sqlite import queue_codec
from tests.conformance.queue_samples import new_message


def test_what_is_packed_is_unpacked() -> None:
    new = new_message("A")
    message = queue_codec.unpack_message("A", queue_codec.pack_message(new, 1, 2, 3), 1, 2, 3)
    assert (message.id, message.sender, message.plain, message.tls) == ("A", new.sender, new.plain, TlsWish.REQUIRED)


def test_a_row_without_the_latest_field_has_its_default() -> None:
    packed = queue_codec.pack_message(new_message("A"), 1, 2, 3)
    place = queue_codec._message_place("A", 1, 2, 3)
    fields = msgspec.msgpack.decode(queue_codec._unseal(packed, place))
    older = queue_codec._seal(msgspec.msgpack.encode(fields[:-1]), place)
    assert queue_codec.unpack_message("A", older, 1, 2, 3).tls is TlsWish.DEFAULT
