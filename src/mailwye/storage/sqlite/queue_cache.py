"""Messages that were just accepted, as they came: their first attempt needs no read."""

from __future__ import annotations

from mailwye.queue.item import NewMessage

_OVERHEAD = 2_000  # octets of a message's values beside its content, roughly


class FreshMessages:
    """Bounded by octets: when it is full, the oldest go (the database has them all)."""

    __slots__ = ("_limit", "_messages", "_octets")

    def __init__(self, limit_octets: int) -> None:
        self._messages: dict[int, tuple[NewMessage, set[int]]] = {}
        self._limit = limit_octets
        self._octets = 0

    def add(self, seq: int, message: NewMessage, numbers: range) -> None:
        """Keep `message`, whose deliveries have the ids `numbers`."""
        self._messages[seq] = (message, set(numbers))
        self._octets += _OVERHEAD + message.content.size
        while self._octets > self._limit:
            self._drop(next(iter(self._messages)))

    def take(self, seq: int, numbers: list[int]) -> NewMessage | None:
        """The message for a first attempt on these deliveries; None where it is not here or one of them was attempted before."""
        found = self._messages.get(seq)
        if found is None or not found[1].issuperset(numbers):
            return None
        found[1].difference_update(numbers)
        if not found[1]:
            self._drop(seq)
        return found[0]

    def forget(self, seq: int, numbers: list[int]) -> None:
        """Deliveries that went another way."""
        found = self._messages.get(seq)
        if found is not None:
            found[1].difference_update(numbers)
            if not found[1]:
                self._drop(seq)

    def _drop(self, seq: int) -> None:
        message, _ = self._messages.pop(seq)
        self._octets -= _OVERHEAD + message.content.size
