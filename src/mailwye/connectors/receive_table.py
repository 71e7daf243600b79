"""Which ReceiveConnector takes a session: by the listener that it came to, and the most specific range that holds the peer's address."""

from __future__ import annotations

from collections.abc import Iterable

from mailwye.connectors.addresses import AddressIndex
from mailwye.connectors.matching import parse_range
from mailwye.connectors.own_server import Binding, ReceiveConnector
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Reception:
    """`connector` None: no one takes the session, and `refusal` says so. `reason`: a sentence."""

    connector: ReceiveConnector | None
    reason: str
    refusal: Reply | None = None


class ReceiveTable:
    """Frozen, but for the indexes of listeners, which are made when they are first asked for. `connectors` in alphabetical order."""

    __slots__ = ("_by_listener", "connectors")

    def __init__(self, connectors: Iterable[ReceiveConnector]) -> None:
        self.connectors = tuple(sorted(connectors, key=lambda c: (c.name.lower(), c.name)))
        self._by_listener: dict[str, _Bound | None] = {}

    def find(self, listener: str, address: str) -> Reception | None:
        """For a peer at the canonical `address` ("" stands for one that no narrower range than everybody's holds) on `listener`, the text
        of its Binding ("" for none). None: no ReceiveConnector is bound to it, so it takes mail as its kind says.
        """
        bound = self._bound(listener)
        return None if bound is None else bound.find(listener, address)

    def bound_to(self, listener: str) -> tuple[ReceiveConnector, ...]:
        """The ReceiveConnectors, enabled or not, that are bound to `listener`."""
        bound = self._bound(listener)
        return () if bound is None else tuple(bound.connectors)

    def _bound(self, listener: str) -> _Bound | None:
        if listener not in self._by_listener:
            local = Binding.of(listener) if listener else None
            bound = [c for c in self.connectors if local is not None and any(binding.covers(local) for binding in c.bindings)]
            self._by_listener[listener] = _Bound(bound, local) if bound and local is not None else None
        return self._by_listener[listener]


class _Bound:
    """The connectors of one listener: those bound to its very address go before those bound to all addresses."""

    __slots__ = ("_is_open", "_levels", "connectors")

    def __init__(self, bound: list[ReceiveConnector], listener: Binding) -> None:
        self.connectors = bound
        usable = [(number, c) for number, c in enumerate(bound) if c.enabled]
        self._is_open = bool(usable)
        exact = [(number, c) for number, c in usable if listener in c.bindings]
        wide = [(number, c) for number, c in usable if listener not in c.bindings]
        self._levels = [_Level(level) for level in (exact, wide) if level]

    def find(self, listener: str, address: str) -> Reception:
        for level in self._levels:
            found = level.find(address)
            if found:
                # The longest prefix, then the alphabet: never a tie.
                number = min(found, key=lambda one: (-found[one], one))
                connector = self.connectors[number]
                where = f"its RemoteIPRanges hold {address or 'everybody'} (a /{found[number]})"
                return Reception(connector, f"{connector.title} takes the session on {listener}: {where}")
        if not self._is_open:
            reason = f"Every ReceiveConnector that is bound to {listener} is disabled: {_names(self.connectors)}"
            return Reception(None, reason, Reply(421, "4.3.2", "Service not available, try again later"))
        who = address or "an address that none names"
        reason = f"No RemoteIPRanges of the ReceiveConnectors on {listener} hold {who}: {_names(self.connectors)}"
        return Reception(None, reason, Reply(554, "5.7.1", f"No mail is taken here from {address or 'your address'}"))


class _Level:
    __slots__ = ("_everybody", "_index")

    def __init__(self, connectors: list[tuple[int, ReceiveConnector]]) -> None:
        self._index = AddressIndex((text, number) for number, c in connectors for text in c.remote_ip_ranges)
        self._everybody = {number: 0 for number, c in connectors if any(parse_range(text)[1] == 0 for text in c.remote_ip_ranges)}

    def find(self, address: str) -> dict[int, int]:
        """Numbers of connectors, each with its longest prefix."""
        return self._index.find(address) if address else self._everybody


def _names(connectors: list[ReceiveConnector]) -> str:
    return ", ".join(c.name for c in connectors)
