"""What came in, counted for replays: which envelopes from which peers, and what was decided about them.

On the reply path a known envelope costs one look-up and three assignments: decisions are remembered for all sessions of a worker
(decisions.py), so the thing that is counted is the remembered decision. Telling and storing it is another thread's work, now and then.
"""

from __future__ import annotations

import asyncio

from mailwye.inbound.decisions import KnownRecipient, KnownSender
from mailwye.policy.rules.matching import AnsweredHeader
from mailwye.whatif.answers import answer_to
from mailwye.whatif.traffic import Envelope, Occurrence, Peer, TrafficStore

FLUSH_SECONDS = 10.0
"""How long an occurrence waits in memory; a crash forgets so much."""

WAITING_LIMIT = 5_000
"""Kinds of envelopes that wait in memory, counted by their final recipients, for a large group is decided on anew for each message; with
one more they are stored at once. Some 3 MB.
"""


class Traffic:
    """The counter of one worker. `flush` and `close` are called in the event loop."""

    __slots__ = ("_copies", "_store", "_timer", "_waiting")

    def __init__(self, store: TrafficStore) -> None:
        self._store = store
        self._waiting: dict[object, _Seen] = {}
        self._copies = 0
        self._timer: asyncio.TimerHandle | None = None

    def saw(self, sender: KnownSender, recipient: KnownRecipient | None, header: tuple[str, ...] | None, at: float, trace_id: str) -> None:
        """One envelope was decided on. `recipient` None: MAIL FROM was refused. `header`: what rules learnt of it, None: none came."""
        # Decisions are counted by identity: to compare them would cost more than to make them. The entry keeps them alive.
        key = (id(recipient), header) if header else id(recipient or sender)
        seen = self._waiting.get(key)
        if seen is None:
            seen = self._first(key, sender, recipient, header)
        seen.count += 1
        seen.at = at
        seen.trace_id = trace_id

    def _first(self, key: object, sender: KnownSender, recipient: KnownRecipient | None, header: tuple[str, ...] | None) -> _Seen:
        copies = max(1, len(recipient.copies)) if recipient is not None else 1
        if self._waiting and self._copies + copies > WAITING_LIMIT:
            self._hand_over()
        self._copies += copies
        seen = self._waiting[key] = _Seen(sender, recipient, header)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._hand_over)
        return seen

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            waiting, self._waiting, self._copies = self._waiting, {}, 0
            self._store.add(list(waiting.values()))

    @property
    def dropped(self) -> int:
        """Kinds of envelopes that could not be stored."""
        return self._store.dropped

    async def flush(self) -> None:
        """Everything seen so far can be read."""
        self._hand_over()
        await self._store.flush()

    async def close(self) -> None:
        """Store what waits."""
        self._hand_over()
        await self._store.close()


class _Seen:
    """One kind of envelope and how often it came since the last time it was stored."""

    __slots__ = ("at", "count", "header", "recipient", "sender", "trace_id")

    def __init__(self, sender: KnownSender, recipient: KnownRecipient | None, header: tuple[str, ...] | None) -> None:
        self.sender = sender
        self.recipient = recipient
        self.header = header
        self.count = 0
        self.at = 0.0
        self.trace_id = ""

    def occurrence(self) -> Occurrence:
        """See whatif/traffic.Countable: everything here but the counts is a value, and the counts do not change any more."""
        known, recipient = self.sender, self.recipient
        snapshot, sender = known.snapshot, known.sender
        header = AnsweredHeader(self.header) if self.header is not None else None
        asked, at_rcpt = (recipient.asked, recipient.decision) if recipient is not None else (None, None)
        answer = answer_to(snapshot, known.decision, sender, asked, at_rcpt, header)
        envelope = Envelope(
            None if sender is None else (sender.local, sender.domain),
            None if recipient is None else (recipient.asked.local, recipient.asked.domain),
            self.header,
        )
        return Occurrence(Peer.of(known.facts), envelope, answer, snapshot.version, self.count, self.at, self.trace_id)
