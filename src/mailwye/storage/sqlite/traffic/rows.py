"""Occurrences to rows and back. What is told many times is stored once, under a number made from what it says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from mailwye.whatif.answers import Answer
from mailwye.whatif.traffic import HOUR, Envelope, Occurrence, Peer

SCHEMA_VERSION = 1
# The numbers of peers, envelopes and answers are 63 bits of a hash of what they say: the same in each file, so that files can be merged
# without comparing texts. `seen` stands in the order of envelopes: reading both is one walk.
SCHEMA = """
CREATE TABLE peer(id INTEGER PRIMARY KEY, facts BLOB NOT NULL);
CREATE TABLE answer(id INTEGER PRIMARY KEY, answer BLOB NOT NULL);
CREATE TABLE envelope(id INTEGER PRIMARY KEY, peer INTEGER NOT NULL, facts BLOB NOT NULL);
CREATE TABLE seen(
  envelope INTEGER NOT NULL, hour INTEGER NOT NULL, answer INTEGER NOT NULL, version INTEGER NOT NULL,
  count INTEGER NOT NULL, at REAL NOT NULL, trace_id TEXT NOT NULL,
  PRIMARY KEY(envelope, hour, answer, version)) WITHOUT ROWID;
"""
ADD_PEER = "INSERT OR IGNORE INTO peer VALUES(?, ?)"
ADD_ANSWER = "INSERT OR IGNORE INTO answer VALUES(?, ?)"
ADD_ENVELOPE = "INSERT OR IGNORE INTO envelope VALUES(?, ?, ?)"
ADD_SEEN = """
INSERT INTO seen VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  count = count + excluded.count, at = max(at, excluded.at), trace_id = iif(excluded.at >= at, excluded.trace_id, trace_id)"""
READ = """
SELECT e.id, e.peer, p.facts, e.facts, s.answer, s.version, s.count, s.at, s.trace_id
FROM envelope e CROSS JOIN seen s ON s.envelope = e.id CROSS JOIN peer p ON p.id = e.peer
WHERE e.id BETWEEN ? AND ? AND s.hour >= ? ORDER BY e.id"""
COUNT = "SELECT count(*) FROM envelope"
READ_ANSWER = "SELECT answer FROM answer WHERE id = ?"

NUMBERS = 1 << 63
"""Numbers are below it, and evenly spread."""

_encode = msgspec.msgpack.Encoder().encode
decode_peer = msgspec.msgpack.Decoder(Peer).decode
decode_envelope = msgspec.msgpack.Decoder(Envelope).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


class Rows:
    """The rows of some occurrences, each peer, answer and envelope once; sorted, since the tables are."""

    def __init__(self, occurrences: Iterable[Occurrence]) -> None:
        self.peers: dict[int, bytes] = {}
        self.answers: dict[int, bytes] = {}
        self.envelopes: dict[int, tuple[int, bytes]] = {}
        self.seen: list[tuple[int, int, int, int, int, float, str]] = []
        for one in occurrences:
            peer = self._number(self.peers, _encode(one.peer))
            answer = self._number(self.answers, _encode(one.answer))
            facts = _encode(one.envelope)
            envelope = _hashed(peer.to_bytes(8, "big") + facts)
            self.envelopes[envelope] = peer, facts
            self.seen.append((envelope, int(one.at // HOUR), answer, one.version, one.times, one.at, one.trace_id))
        self.seen.sort()

    @staticmethod
    def _number(known: dict[int, bytes], packed: bytes) -> int:
        number = _hashed(packed)
        known[number] = packed
        return number


def _hashed(packed: bytes) -> int:
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "big") >> 1
