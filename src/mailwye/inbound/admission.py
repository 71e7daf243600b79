"""Who may come in at all: connections in all, per address, slots kept free for the organization's own servers, failed logins (V2, V3).

Counters only: no I/O; time is an argument (seconds that only grow). What a flood does is told by flood_watch.py.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable

from mailwye.config.installation import InboundLimits
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.connectors.own_server import ReceiveConnector
from mailwye.inbound.flood_watch import FloodWatch
from mailwye.runtime.network import counting_key
from mailwye.smtp.reply import Reply

LOGIN_ADDRESSES_LIMIT = 100_000
"""Addresses whose failed logins are remembered; beyond it, the one that failed first is forgotten."""

SHOWN_ADDRESSES = 3  # of those with most connections, in an alert

CONNECTOR_FULL = Reply(421, "4.3.2", "Too many connections to this service, try again later")
SERVER_FULL = Reply(421, "4.3.2", "Too many connections to this server, try again later")
ADDRESS_FULL = Reply(421, "4.7.0", "Too many connections from your address, close some or try again later")
LOGINS_FAILED = Reply(421, "4.7.0", "Too many failed logins from your address, try again later")


def names_own_server(active: ActiveSnapshot, address: str) -> bool:
    """True where an enabled OnPremises connector of the snapshot in force names the canonical `address`."""
    return bool(active.current.connectors.addresses.find(address))


class Admission:
    """The counters of one worker, shared by its listeners. Every `admit` that returned None wants one `release`."""

    __slots__ = ("_by_connector", "_connections", "_failures", "_is_own_server", "_limits", "_reserved", "_total", "_watch")

    def __init__(self, limits: InboundLimits, is_own_server: Callable[[str], bool], alert: Callable[[str], None]) -> None:
        """`is_own_server`: does an OnPremises connector name this canonical address? (names_own_server). `alert` takes a sentence for the
        administrator, once a minute at most.
        """
        self._limits = limits
        # Never more than half, so that a small installation still hears strangers.
        self._reserved = min(limits.connections_reserved_for_connectors, limits.connections // 2)
        self._is_own_server = is_own_server
        self._connections: dict[str, int] = {}
        # Open connections of each ReceiveConnector: (its name, counting_key of the peer), and (its name, "") for all.
        self._by_connector: Counter[tuple[str, str]] = Counter()
        self._failures: dict[str, deque[float]] = {}
        self._total = 0
        self._watch = FloodWatch(alert, self._open)

    @property
    def connections(self) -> int:
        """Admitted connections that are open."""
        return self._total

    def admit(self, address: str, now: float, receiver: ReceiveConnector | None = None) -> Reply | None:
        """Count a connection from the canonical `address`, or refuse it: the reply that says why, and nothing is counted. `receiver`: the
        ReceiveConnector that takes it, whose limits hold too.
        """
        limits = self._limits
        free = limits.connections - self._total
        # The last slots are for the organization's own servers: a flood from strangers must not stop its mail.
        if free <= 0 or (free <= self._reserved and not self._is_own_server(address)):
            self._watch.refused(
                f"all {limits.connections} connections are in use (limits.connections)"
                if free <= 0
                else f"all {limits.connections - self._reserved} connections that strangers may have are in use "
                "(limits.connections less connections_reserved_for_connectors)",
                now,
            )
            return SERVER_FULL
        key = counting_key(address)
        count = self._connections.get(key, 0)
        if count >= limits.connections_per_address:
            self._watch.refused("their address has as many as one may have (limits.connections_per_address)", now)
            return ADDRESS_FULL
        if receiver is not None:
            refusal = self._admit_to(receiver, key, now)
            if refusal is not None:
                return refusal
        self._connections[key] = count + 1
        self._total += 1
        self._watch.look(now)
        return None

    def _admit_to(self, receiver: ReceiveConnector, key: str, now: float) -> Reply | None:
        name, counts = receiver.name, self._by_connector
        if counts[name, ""] >= receiver.max_inbound_connection:
            self._watch.refused(f"{receiver.title} has as many as it takes (MaxInboundConnection)", now)
            return CONNECTOR_FULL
        if counts[name, key] >= receiver.max_inbound_connection_per_source:
            self._watch.refused(f"{receiver.title} has as many from their address as it takes (MaxInboundConnectionPerSource)", now)
            return ADDRESS_FULL
        counts[name, ""] += 1
        counts[name, key] += 1
        return None

    def cut(self, now: float) -> None:
        """A session ended because its peer was too slow for a deadline."""
        self._watch.cut(now)

    def _open(self) -> str:
        most = heapq.nlargest(SHOWN_ADDRESSES, self._connections.items(), key=lambda one: one[1])
        shown = ", ".join(f"{address} ({count})" for address, count in most)
        return f"Open: {self._total} from {len(self._connections)} addresses" + (f", most from {shown}" if most else "")

    def release(self, address: str, receiver: str = "") -> None:
        """An admitted connection from `address` ended; `receiver`: the name of its ReceiveConnector."""
        key = counting_key(address)
        if receiver:
            for counted in ((receiver, ""), (receiver, key)):
                self._by_connector[counted] -= 1
                if not self._by_connector[counted]:
                    del self._by_connector[counted]
        count = self._connections[key]
        if count == 1:
            del self._connections[key]
        else:
            self._connections[key] = count - 1
        self._total -= 1

    def login_failed(self, address: str, now: float) -> None:
        """Count a refused password from `address`."""
        key = counting_key(address)
        failures = self._failures.pop(key, None)
        if failures is None:
            failures = deque(maxlen=self._limits.failed_logins_per_address)
        failures.append(now)
        self._failures[key] = failures  # last in order: the newest failure
        if len(self._failures) > LOGIN_ADDRESSES_LIMIT:
            del self._failures[next(iter(self._failures))]

    def login_refusal(self, address: str, now: float) -> Reply | None:
        """The refusal where `address` failed too often within the window, else None."""
        key = counting_key(address)
        failures = self._failures.get(key)
        if failures is None:
            return None
        since = now - self._limits.failed_logins_window
        while failures and failures[0] <= since:
            failures.popleft()
        if not failures:
            del self._failures[key]
            return None
        return LOGINS_FAILED if len(failures) >= self._limits.failed_logins_per_address else None
