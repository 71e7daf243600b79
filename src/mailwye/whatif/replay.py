"""Recorded traffic against other settings: what would be routed, restricted or refused differently, grouped by difference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailwye.whatif.answers import Answer
from mailwye.whatif.differences import Aspect, aspects_of, limit_aspects, row_of
from mailwye.whatif.evaluate import Evaluation
from mailwye.whatif.rows import TrafficExampleRow, TrafficGroupRow, TrafficRow
from mailwye.whatif.traffic import Answered, Envelope, Peer, Recorded

EXAMPLES = 3
GROUPS = 1_000
"""Kinds of difference that are told apart; a change that makes more is not one that anybody reads to its end."""

DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Example:
    """One envelope of a group: how often it came, the last time (Unix seconds) and its queue or session id, for `mailwye trace show`."""

    peer: Peer
    envelope: Envelope
    count: int
    at: float
    trace_id: str


@dataclass(slots=True)
class Group:
    """Envelopes that differ alike. `messages`: copies that came; `envelopes`: different ones among them; `title`: what it means."""

    title: str
    aspects: tuple[Aspect, ...]
    messages: int = 0
    envelopes: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example, limit: int) -> None:
        """One more; the examples are those that came most often."""
        self.messages += example.count
        self.envelopes += 1
        if len(self.examples) < limit:
            self.examples.append(example)
            self.examples.sort(key=lambda one: -one.count)
        elif self.examples and example.count > self.examples[-1].count:
            self.examples[-1] = example
            self.examples.sort(key=lambda one: -one.count)

    def join(self, other: Group, limit: int) -> None:
        """The same difference of others."""
        self.messages += other.messages
        self.envelopes += other.envelopes
        self.examples = sorted((*self.examples, *other.examples), key=lambda one: -one.count)[:limit]


@dataclass(slots=True)
class Outcome:
    """Counts of messages (one for each recipient). `groups`: most frequent first. `undecidable`: those whose answer depends on a header
    that is not kept, by rule. `drifted`: answered differently then, by an older version, than those in force answer: no difference of
    the candidate. `others`: differences beyond GROUPS.
    """

    groups: list[Group]
    undecidable: list[Group]
    unchanged: int = 0
    drifted: int = 0
    others: int = 0
    envelopes: int = 0

    def add(self, other: Outcome, examples: int) -> None:
        """Another part of the same replay."""
        for mine, its in ((self.groups, other.groups), (self.undecidable, other.undecidable)):
            known = {group.aspects: group for group in mine}
            for group in its:
                if (same := known.get(group.aspects)) is not None:
                    same.join(group, examples)
                elif len(mine) < GROUPS:
                    mine.append(group)
                else:
                    self.others += group.messages
            mine.sort(key=_sorting)
        self.unchanged += other.unchanged
        self.drifted += other.drifted
        self.others += other.others
        self.envelopes += other.envelopes

    @property
    def changed(self) -> int:
        """Messages with another answer."""
        return sum(group.messages for group in self.groups) + self.others

    @property
    def unknown(self) -> int:
        """Messages that cannot be decided."""
        return sum(group.messages for group in self.undecidable)

    @property
    def total(self) -> int:
        """Messages that were looked at."""
        return self.changed + self.unknown + self.unchanged

    @property
    def is_clean(self) -> bool:
        """Nothing would be answered differently, as far as that is known."""
        return not self.changed and not self.unknown

    def digest(self, base: int, candidate: str) -> str:
        """Names what is shown: the version that the candidate would replace, its content, and the kinds of difference. Not the counts,
        which grow while one reads. "" where the outcome is clean.
        """
        if self.is_clean:
            return ""
        kinds = sorted(f"{group.title}\n{group.aspects}" for group in (*self.groups, *self.undecidable))
        text = "\0".join((str(base), candidate, str(bool(self.others)), *kinds))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]


class Comparison:
    """Takes recorded envelopes one by one and compares what `base` and `candidate` answer. Memory does not grow with their number.

    What the version of `base` itself answered was recorded; asking it again could only say the same. So it is asked only about envelopes
    that other versions answered.
    """

    def __init__(self, base: Evaluation, candidate: Evaluation, *, examples: int = EXAMPLES) -> None:
        self._base = base
        self._candidate = candidate
        self._limit = examples
        self._groups: dict[tuple[Aspect, ...], Group] = {}
        self._unknown: dict[tuple[Aspect, ...], Group] = {}
        self._outcome = Outcome([], [])

    def add_all(self, recorded: Iterable[Recorded]) -> Outcome:
        """Compare all of them."""
        for one in recorded:
            self.add(one)
        return self.outcome()

    def add(self, recorded: Recorded) -> None:
        """Compare one envelope."""
        peer, envelope, answered = recorded
        self._outcome.envelopes += 1
        after = self._candidate.answer(peer, envelope)
        limits = limit_aspects(self._base.limits(peer), self._candidate.limits(peer)) if after.is_taken else ()
        for then in answered:
            self._compare(peer, envelope, then, self._before(peer, envelope, then), after, limits)

    def _before(self, peer: Peer, envelope: Envelope, then: Answered) -> Answer:
        if then.version == self._base.snapshot.version:
            return then.answer
        before = self._base.answer(peer, envelope)
        if before.is_undecided:
            return then.answer
        if before != then.answer:
            self._outcome.drifted += then.times
        return before

    def _compare(self, peer: Peer, envelope: Envelope, then: Answered, before: Answer, after: Answer, limits: tuple[Aspect, ...]) -> None:
        limits = limits if before.is_taken else ()
        if before == after and not after.open and not limits:
            self._outcome.unchanged += then.times
            return
        if after.is_undecided:
            what = "depends on the header" if after.is_taken else "depends on"
            undecided = (Aspect(what, "", ", ".join(after.open)),)
            self._add(self._unknown, "cannot be decided", undecided, Example(peer, envelope, then.times, then.at, then.trace_id))
        elif aspects := (*aspects_of(before, after), *limits):
            title = title_of(before, after, aspects)
            self._add(self._groups, title, aspects, Example(peer, envelope, then.times, then.at, then.trace_id))
        else:
            self._outcome.unchanged += then.times

    def _add(self, groups: dict[tuple[Aspect, ...], Group], title: str, aspects: tuple[Aspect, ...], example: Example) -> None:
        group = groups.get(aspects)
        if group is None:
            if len(groups) >= GROUPS:
                self._outcome.others += example.count
                return
            group = groups[aspects] = Group(title, aspects)
        group.add(example, self._limit)

    def outcome(self) -> Outcome:
        """What was found so far."""
        self._outcome.groups = sorted(self._groups.values(), key=_sorting)
        self._outcome.undecidable = sorted(self._unknown.values(), key=_sorting)
        return self._outcome


def title_of(before: Answer, after: Answer, aspects: tuple[Aspect, ...]) -> str:
    """What a difference means to those concerned."""
    if before.is_taken and not after.is_taken:
        return "restricted" if after.reply in _RESTRICTIONS else "refused"
    if after.is_taken and not before.is_taken:
        return "accepted"
    if not after.is_taken:
        return "refused otherwise"
    named = {aspect.what for aspect in aspects}
    if named & {"way", "ways", "smart hosts", "final recipient"}:
        return "routed"
    if named & {"TLS", "also"}:
        return "sent otherwise"
    if "caller" in named:
        return "taken for somebody else"
    return "other rules" if "mail flow rules" in named else "limited otherwise"


_RESTRICTIONS = frozenset({"550 5.7.51", "451 5.7.3"})
TITLES = {
    "routed": "would take another way",
    "refused": "would be refused",
    "restricted": "would be refused by a Partner connector",
    "accepted": "would be accepted",
    "refused otherwise": "would be refused with another reply",
    "sent otherwise": "would be sent with another protection or other changes",
    "taken for somebody else": "would come from another caller",
    "other rules": "would match other mail flow rules",
    "limited otherwise": "would come under other limits of a ReceiveConnector",
    "cannot be decided": "cannot be decided by what was recorded",
}


def _sorting(group: Group) -> tuple[int, tuple[Aspect, ...]]:
    return -group.messages, group.aspects


class Report:
    """An outcome for people and for programs, with the reasons of both sides for the examples."""

    def __init__(self, outcome: Outcome, base: Evaluation, candidate: Evaluation, digest: str, since: float) -> None:
        self.outcome = outcome
        self.digest = digest
        self._base = base
        self._candidate = candidate
        self._since = since

    def to_dict(self) -> TrafficRow:
        """Plain values for JSON. `version`: the settings in force, which the candidate is compared with. Times in Unix seconds."""
        found = self.outcome
        return {
            "version": self._base.snapshot.version,
            "since": self._since,
            "messages": found.total,
            "envelopes": found.envelopes,
            "changed": found.changed,
            "unchanged": found.unchanged,
            "undecidable": found.unknown,
            "answered_otherwise_then": found.drifted,
            "digest": self.digest,
            "groups": [self._group(group) for group in found.groups],
            "undecidable_groups": [self._group(group) for group in found.undecidable],
            "more_groups": found.others,
        }

    def _group(self, group: Group) -> TrafficGroupRow:
        return {
            "difference": group.title,
            "messages": group.messages,
            "envelopes": group.envelopes,
            "aspects": [row_of(aspect) for aspect in group.aspects],
            "examples": [self._example(example) for example in group.examples],
        }

    def _example(self, example: Example) -> TrafficExampleRow:
        peer, envelope = example.peer, example.envelope
        return {
            "sender": _text(envelope.sender) or "<>",
            "recipient": _text(envelope.recipient),
            "peer_address": peer.address,
            "listener": peer.listener,
            "tls": peer.tls,
            "certificate": peer.certificate.subject if peer.certificate is not None else "",
            "authenticated": peer.authenticated,
            "messages": example.count,
            "last_at": example.at,
            "trace_id": example.trace_id,
            "before": list(self._base.reasons(peer, envelope)),
            "after": list(self._candidate.reasons(peer, envelope)),
        }

    def lines(self) -> list[str]:
        """For people."""
        found = self.outcome
        lines = [f"{found.total} recorded messages ({found.envelopes} different envelopes), compared with version {self._version}"]
        for group in (*found.groups, *found.undecidable):
            lines += ["", f"{group.messages} {TITLES[group.title]} ({group.envelopes} different envelopes)"]
            lines += [f"  {aspect}" for aspect in group.aspects]
            for example in group.examples:
                lines += self._example_lines(example)
        if found.others:
            lines += ["", f"{found.others} differ in further ways"]
        lines += ["", f"{found.unchanged} would not change"]
        if found.drifted:
            lines.append(
                f"{found.drifted} were answered otherwise then, by older settings; they are compared with what those in force answer"
            )
        if self.digest:
            lines.append(f"This difference is {self.digest}; `mailwye apply --acknowledge {self.digest}` accepts it")
        return lines

    @property
    def _version(self) -> int:
        return self._base.snapshot.version

    def _example_lines(self, example: Example) -> list[str]:
        told = self._example(example)
        recipient = told["recipient"] or "(no recipient yet)"
        lines = [f"    {told['sender']} → {recipient} from {told['peer_address']}, {told['messages']} times, last {told['trace_id']}"]
        both = set(told["before"]) & set(told["after"])
        lines += [f"      now: {reason}" for reason in told["before"] if reason not in both]
        lines += [f"      new: {reason}" for reason in told["after"] if reason not in both]
        return lines


def _text(address: tuple[str, str] | None) -> str:
    return "" if address is None else "@".join(address)
