"""Which deliveries a QueueQuery means. Pure."""

from __future__ import annotations

from mailwye.queue.item import Delivery, QueuedMessage, QueueQuery
from mailwye.smtp.address import Address, AddressError, parse_address


def matches(query: QueueQuery, message: QueuedMessage, delivery: Delivery) -> bool:
    """Whether `delivery` of `message` fits every field of `query` that is not empty (`limit` aside)."""
    if delivery.id <= query.after:
        return False
    if query.message_id and query.message_id != message.id:
        return False
    if query.next_hop and query.next_hop != delivery.next_hop:
        return False
    if query.states and delivery.state not in query.states:
        return False
    return address_matches(query.sender, message.sender) and address_matches(query.recipient, delivery.recipient)


def address_matches(pattern: str, address: Address | None) -> bool:
    """Whether `address` is meant by `pattern`: "" everything, `*@domain` the domain, `<>` the null sender, else that address."""
    if not pattern:
        return True
    if address is None:
        return pattern == "<>"
    wanted = pattern_key(pattern)
    return wanted == address.key or (wanted.startswith("*@") and wanted[2:] == address.domain)


def pattern_key(pattern: str) -> str:
    """`pattern` in the form of Address.key, for comparing; what is no address stays as it is, in lower case, and matches nothing."""
    try:
        return parse_address(pattern).key
    except AddressError:
        return pattern.lower()
