"""Rows that an earlier version wrote are read, and rows that a later one wrote."""

from __future__ import annotations

from zlib import crc32

import msgspec

from mailwye.message.envelope import Notify, TlsWish
from mailwye.queue.item import Delivery, DeliveryState, NewDelivery
from mailwye.smtp.address import Address
from mailwye.storage.sqlite import queue_codec
from mailwye.storage.sqlite.queue_codec import pack_delivery, pack_new_delivery, unpack_delivery
from tests.conformance.queue_samples import new_message

SUN = Address("sun", "example.net")
EARLIER = [("sun", "example.net"), ("sun", "example.net"), 0, "", 2, 1.0, 2.0, "451", True]  # before rules


def read(packed: bytes) -> Delivery:
    return unpack_delivery(7, "A", DeliveryState.QUEUED, 3.0, "mx:example.net", packed)


def sealed(values: list[object]) -> bytes:
    packed = msgspec.msgpack.encode(values)
    return packed + crc32(packed, 7).to_bytes(4, "big")


def test_a_row_without_the_connector_of_a_rule() -> None:
    found = read(sealed([*EARLIER]))
    assert (found.attempts, found.last_error, found.delay_notice_sent, found.rule_connector) == (2, "451", True, "")


def test_a_row_with_more_than_is_known() -> None:
    assert read(sealed([*EARLIER, "Site CA", "something new"])).rule_connector == "Site CA"


def test_a_row_without_rule_is_written_as_before() -> None:
    """Ordinary mail pays nothing for rules, and an earlier version reads it."""
    one = Delivery(7, "A", SUN, SUN, "mx:example.net", Notify.DEFAULT, "", DeliveryState.QUEUED, 3.0, 2, 1.0, 2.0, "451", True)
    assert pack_delivery(one) == sealed([*EARLIER])


def test_the_connector_of_a_rule_comes_back() -> None:
    assert read(pack_new_delivery(NewDelivery(SUN, SUN, "connector:Site CA", rule_connector="Site CA"), 7)).rule_connector == "Site CA"
    one = Delivery(7, "A", SUN, SUN, "mx:example.net", Notify.DEFAULT, "", DeliveryState.QUEUED, 3.0, 1, rule_connector="Site CA")
    assert read(pack_delivery(one)) == one


def test_a_packed_message_is_unpacked() -> None:
    new = new_message("A")
    message = queue_codec.unpack_message("A", queue_codec.pack_message(new, 1, 2, 3), 1, 2, 3)
    assert (message.id, message.sender, message.plain, message.tls) == ("A", new.sender, new.plain, TlsWish.REQUIRED)


def test_a_message_without_the_latest_field_has_its_default() -> None:
    packed = queue_codec.pack_message(new_message("A"), 1, 2, 3)
    place = queue_codec._message_place("A", 1, 2, 3)
    fields = msgspec.msgpack.decode(queue_codec._unseal(packed, place))
    older = queue_codec._seal(msgspec.msgpack.encode(fields[:-1]), place)
    assert queue_codec.unpack_message("A", older, 1, 2, 3).tls is TlsWish.DEFAULT
