"""`explain --session`: the decisions about a recorded session made again, from the facts that the trace kept and with the settings of
today. The deciding functions are those of the live path; what was answered then stands beside what would be answered now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from mailwye.admin.explain import Explanation, HostResolver, explain_facts
from mailwye.admin.explain_rows import ExplanationRow
from mailwye.admin.explain_text import render, render_caller
from mailwye.admin.question import Question
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import SenderDecision, Unwrap, decide_sender
from mailwye.message.facts import PeerCertificate, SessionFacts, TlsFacts
from mailwye.smtp.address import Address, parse_address
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.presented import certificate_data, recorded_certificate

TRANSACTIONS_LIMIT = 100
"""How many pairs of sender and recipient of one session are thought through."""


@dataclass(frozen=True, slots=True)
class Then:
    """What happened: the event's sender and recipient ("" where MAIL FROM itself was refused), the answer, by which version of the
    settings, and the session's facts at that moment (STARTTLS and AUTH change them).
    """

    sender: str
    recipient: str
    answer: str
    config_version: int
    facts: SessionFacts


@dataclass(frozen=True, slots=True)
class Replayed:
    """One pair of sender and recipient, then and now. `now` None: refused at MAIL FROM then, so there is no recipient to decide on."""

    then: Then
    sender: SenderDecision
    now: Explanation | None

    @property
    def reply(self) -> str:
        """Today's answer."""
        return str(self.now.reply if self.now is not None else self.sender.reply)


class ThenRow(TypedDict):
    """What was answered, and by which version of the settings."""

    answer: str
    config_version: int


class NowRow(TypedDict):
    """What would be answered. `explanation` null: refused at MAIL FROM then, so there is no recipient."""

    reply: str
    explanation: ExplanationRow | None


class TransactionRow(TypedDict):
    """One pair of sender and recipient."""

    sender: str
    recipient: str
    then: ThenRow
    now: NowRow


class ReplayRow(TypedDict):
    """A recorded session decided again. `facts`: what is known of its peer. `notes`: what the reader has to know."""

    session: str
    config_version: int
    facts: SessionFacts
    notes: list[str]
    transactions: list[TransactionRow]


@dataclass(frozen=True, slots=True)
class Replay:
    """`facts`: the session at its last decision. `config_version`: today's. `notes`: what the reader has to know."""

    session: str
    facts: SessionFacts
    config_version: int
    replayed: tuple[Replayed, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> ReplayRow:
        """Plain values for JSON."""
        return {
            "session": self.session,
            "config_version": self.config_version,
            "facts": self.facts,
            "notes": list(self.notes),
            "transactions": [
                {
                    "sender": one.then.sender,
                    "recipient": one.then.recipient,
                    "then": {"answer": one.then.answer, "config_version": one.then.config_version},
                    "now": {"reply": one.reply, "explanation": one.now.to_dict() if one.now is not None else None},
                }
                for one in self.replayed
            ],
        }


def replay(
    snapshot: Snapshot,
    events: Sequence[TraceEvent],
    listeners: Mapping[str, tuple[str, str]],
    resolve: HostResolver | None = None,
    unwrap: Unwrap | None = None,
) -> Replay:
    """Think the session of `events` through again with `snapshot`. `listeners`: name → (kind, Binding as text) of the installation's
    listeners; `unwrap`: see decide_recipient.

    :raises ValueError: the events tell of no session, or of nothing that was decided in it.
    """
    sessions = [event.session for event in events if event.session]
    if not sessions:
        raise ValueError("the trace tells of no session under this ID")
    session = sessions[0]
    told = [event for event in events if event.session == session]
    notes: dict[str, None] = {}
    asked = _asked(_Recorded(session, listeners, notes), told)
    if not asked:
        raise ValueError(f"in session {session} nothing was decided: no sender was refused and no message taken")
    versions = sorted({then.config_version for then in asked})
    if versions != [snapshot.version]:
        then_versions = ", ".join(map(str, versions))
        notes[
            f"Decided then with configuration version {then_versions}; what follows is by version {snapshot.version}, today's: "
            "a difference may come from the change"
        ] = None
    if len(asked) > TRANSACTIONS_LIMIT:
        notes[f"Only the first {TRANSACTIONS_LIMIT} of {len(asked)} pairs of sender and recipient follow"] = None
    replayed = tuple(_again(snapshot, then, resolve, unwrap) for then in asked[:TRANSACTIONS_LIMIT])
    return Replay(session, asked[-1].facts, snapshot.version, replayed, tuple(notes))


def render_replay(again: Replay) -> str:
    """The replay as a story for people."""
    facts = again.facts
    tls = f"{facts.tls.version} with {facts.tls.cipher}" if facts.tls is not None else "no TLS"
    lines = [f"Session {again.session}: {facts.peer_address}, EHLO {facts.hello or '(none)'}, listener {facts.listener}, {tls}"]
    if facts.authenticated:
        lines.append(f"Logged in as {facts.authenticated}")
    if facts.tls is not None and facts.tls.certificate is not None:
        lines += _certificate_lines(facts.tls.certificate)
    lines += [f"Note: {note}" for note in again.notes]
    for one in again.replayed:
        lines += ["", f"Then: {one.then.sender} → {one.then.recipient or '(no recipient yet)'}: {one.then.answer}"]
        if one.now is not None:
            lines.append(render(one.now).rstrip("\n"))
        else:
            lines += [*render_caller(one.sender.caller), f"Reply: {one.reply}"]
    return "\n".join(lines) + "\n"


class _Recorded:
    """Facts of one session from its events, one after the other."""

    def __init__(self, session: str, listeners: Mapping[str, tuple[str, str]], notes: dict[str, None]) -> None:
        self._session = session
        self._listeners = listeners
        self._notes = notes
        self._data: Mapping[str, str] = {}
        self._certificate: PeerCertificate | None = None

    def take(self, event: TraceEvent) -> None:
        """Learn what the event tells of the session."""
        self._certificate = recorded_certificate(event.data) or self._certificate
        if "hello" in event.data:  # Reject and Receive say how the session stood
            self._data = event.data

    def facts(self) -> SessionFacts:
        """The session as it stood at the last event."""
        data = self._data
        listener = data.get("listener", "")
        kind, local = self._listeners.get(listener, ("", ""))
        if not kind:
            self._notes[f"The installation has no listener {listener!r} any more; it is taken for one of kind mx"] = None
        certificate = self._certificate if data.get("certificate") else None
        if data.get("certificate") and certificate is None:
            self._notes["The trace holds no more of the certificate than its subject, so what follows is as if none had been presented"] = (
                None
            )
        version, _, cipher = data.get("tls", "").partition(" with ")
        return SessionFacts(
            session_id=self._session,
            listener=listener,
            listener_kind=kind or "mx",
            peer_address=data.get("peer_address", ""),
            hello=data.get("hello", ""),
            esmtp=True,
            tls=TlsFacts(version, cipher, 0, certificate) if version else None,
            authenticated=data.get("authenticated", ""),
            local=local,
        )


def _asked(recorded: _Recorded, events: Sequence[TraceEvent]) -> list[Then]:
    """Every pair of sender and recipient that was decided on, each once with its last answer, in the order of the events."""
    found: dict[tuple[str, str], Then] = {}
    for event in events:
        recorded.take(event)
        match event.kind:
            case EventKind.REJECT:
                recipient, answer = event.recipient, event.reply or "; ".join(event.reasons)
            case EventKind.ROUTE:
                recipient, answer = event.data.get("original", event.recipient), f"accepted as {event.message}"
            case _:
                continue
        if event.sender:
            found[event.sender, recipient] = Then(event.sender, recipient, answer, event.config_version, recorded.facts())
    return list(found.values())


def _again(snapshot: Snapshot, then: Then, resolve: HostResolver | None, unwrap: Unwrap | None) -> Replayed:
    facts = then.facts
    sender = _address(then.sender)
    decision = decide_sender(snapshot.directory, snapshot.connectors, facts, sender, explain=True)
    recipient = _address(then.recipient)
    if recipient is None:
        return Replayed(then, decision, None)
    question = Question(
        then.sender,
        then.recipient,
        ip=facts.peer_address,
        auth=facts.authenticated,
        helo=facts.hello,
        listener=facts.listener_kind,
        tls=facts.tls is not None,
        local=facts.local,
    )
    return Replayed(then, decision, explain_facts(snapshot, question, facts, sender, recipient, resolve, unwrap))


def _address(text: str) -> Address | None:
    return parse_address(text) if text not in ("", "<>") else None


def _certificate_lines(certificate: PeerCertificate) -> list[str]:
    words = {
        "certificate": "subject",
        "certificate_sha256": "SHA-256",
        "certificate_public_key_sha256": "public key, SHA-256",
    }
    data = certificate_data(certificate)
    shown = [f"  {words.get(name, name.removeprefix('certificate_').replace('_', ' '))}: {data[name]}" for name in data]
    return ["The certificate that it presented, and the verdict of that moment:", *shown]
