"""All connectors of an organization with the indexes that make choosing independent of their number. (Interface.)"""

from __future__ import annotations

from collections.abc import Iterable

from mailwye.connectors.model import InboundConnector, OutboundConnector


class ConnectorTable:
    """Frozen. `inbound` and `outbound` in alphabetical order of Name."""

    __slots__ = ("inbound", "outbound")

    def __init__(self, inbound: Iterable[InboundConnector] = (), outbound: Iterable[OutboundConnector] = ()) -> None:
        self.inbound = tuple(sorted(inbound, key=lambda c: c.name.lower()))
        self.outbound = tuple(sorted(outbound, key=lambda c: c.name.lower()))
