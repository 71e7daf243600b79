"""Recorded traffic: what the deciding functions knew of each envelope, and what they answered. No content, and of the header only the
answers that mail flow rules got from it.

Stored as arrays: a later version may append fields, never change or remove one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from mailwye.message.facts import PeerCertificate, SessionFacts, TlsFacts
from mailwye.policy.rules.matching import AnsweredHeader
from mailwye.smtp.address import Address
from mailwye.whatif.answers import Answer

HOUR = 3_600
"""Seconds: occurrences are counted by the hour."""

NAMES_KEPT = 100  # of a certificate: as many as decisions look at (connectors/table.CERTIFICATE_NAMES)


class Peer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a session proved, as far as decisions look at it: neither its port, nor the name in EHLO, nor the cipher. `tls`: version.
    `local`: where its listener listens, by which ReceiveConnectors take it; "" where that was not recorded.
    """

    listener: str
    listener_kind: str
    address: str
    tls: str = ""
    authenticated: str = ""
    certificate: PeerCertificate | None = None
    local: str = ""

    @classmethod
    def of(cls, facts: SessionFacts) -> Peer:
        """From the facts of a live session."""
        tls = facts.tls
        certificate = _kept(tls.certificate) if tls is not None and tls.certificate is not None else None
        version = tls.version if tls is not None else ""
        return cls(facts.listener, facts.listener_kind, facts.peer_address, version, facts.authenticated, certificate, facts.local)

    def facts(self) -> SessionFacts:
        """As deciding functions take them."""
        tls = TlsFacts(self.tls, "", 0, self.certificate) if self.tls else None
        return SessionFacts(
            "replay", self.listener, self.listener_kind, self.address, tls=tls, authenticated=self.authenticated, local=self.local
        )


class Envelope(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One sender (None: the null sender) and one recipient (None: MAIL FROM itself was refused), as (local part, domain).

    `header`: what rules were told about the header (policy/rules AnsweredHeader); None: nothing is known of it, as it never came.
    """

    sender: tuple[str, str] | None
    recipient: tuple[str, str] | None
    header: tuple[str, ...] | None = None

    @property
    def from_address(self) -> Address | None:
        """The sender."""
        return None if self.sender is None else Address(*self.sender)

    @property
    def to_address(self) -> Address | None:
        """The recipient."""
        return None if self.recipient is None else Address(*self.recipient)

    @property
    def known_header(self) -> AnsweredHeader | None:
        """As rules take it."""
        return AnsweredHeader(self.header) if self.header else _NOTHING_ASKED if self.header is not None else None


_NOTHING_ASKED = AnsweredHeader(())


class Occurrence(NamedTuple):
    """`times` envelopes that were alike in everything, answered alike by one version of the settings. `at`: the last of them, Unix seconds;
    `trace_id`: its queue id, or session id where it was refused.
    """

    peer: Peer
    envelope: Envelope
    answer: Answer
    version: int
    times: int
    at: float
    trace_id: str


class Answered(NamedTuple):
    """How often an envelope was answered so, in the time that was asked for."""

    answer: Answer
    version: int
    times: int
    at: float
    trace_id: str


class Recorded(NamedTuple):
    """One envelope from one peer, with all its answers."""

    peer: Peer
    envelope: Envelope
    answered: tuple[Answered, ...]


class Countable(Protocol):
    """Something that was seen and can be told when it is to be stored, in another thread."""

    def occurrence(self) -> Occurrence:
        """Tell it."""
        ...


class TrafficStore(Protocol):
    """Takes occurrences off the reply path and stores them. `dropped`: kinds of envelopes that were lost."""

    dropped: int

    def add(self, seen: Sequence[Countable]) -> None:
        """Store these soon. Returns at once; what cannot be stored is dropped and counted, and mail goes on."""
        ...

    async def flush(self) -> None:
        """Everything added so far can be read."""
        ...

    def close(self) -> Awaitable[None]:
        """Store what waits, then close."""
        ...


class Part(NamedTuple):
    """One of `of` parts of about the same size, from 0 on."""

    number: int
    of: int


EVERYTHING = Part(0, 1)


class RecordedTraffic(Protocol):
    """Reads it, of all workers."""

    def read(self, since: float, part: Part = EVERYTHING) -> Iterator[Recorded]:
        """What was seen in the hour of `since` (Unix seconds) and later, each envelope once, in no order in particular. All parts together
        are everything.
        """
        ...

    def envelopes(self, since: float) -> int:
        """About how many `read` gives."""
        ...


def _kept(certificate: PeerCertificate) -> PeerCertificate:
    """Without what decides nothing: the certificates that were presented behind it."""
    return PeerCertificate(
        certificate.subject,
        certificate.issuer,
        certificate.names[:NAMES_KEPT],
        certificate.not_before,
        certificate.not_after,
        certificate.fingerprint,
        certificate.trusted,
        certificate.trust_reason,
        certificate.public_key,
        certificate.path,
        (),
        certificate.verdicts,
    )
