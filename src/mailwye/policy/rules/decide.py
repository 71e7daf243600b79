"""Which rules match, and which way do they send a copy? All enabled rules in the order of their Priority, for each recipient by himself.

Each matching rule acts; where several name a connector, the last one counts, so a rule that is to have the last word sets
StopRuleProcessing (docs/decisions/0008). Rules in an audit mode act on nothing, so they neither route nor stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from mailwye.directory.lookup import Directory, ResolvedRecipient
from mailwye.policy.rules.matching import Condition, Match, MessageFacts, about_message, about_recipient, header_question
from mailwye.policy.rules.model import RuleMode, TransportRule
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule that matched: one value for each rule, whatever the message. `action`: what it does, or would do, in Exchange's words."""

    rule: str
    mode: str
    action: str
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For the reasons of a route."""
        return f'Mail flow rule "{self.rule}" matched: {"; ".join(self.reasons)}'


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """One rule for one recipient, as `explain` tells it. `match` None: it was not asked, `reasons` says why."""

    rule: str
    priority: int
    mode: str
    action: str
    match: Match | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """What the rules say of one recipient's copy. `connector`: the Name of the way that they chose, "" for none; `routing`: the hit that
    chose it. `open`: a rule that could still choose one depends on a header that is not known. `findings` only where explained.
    """

    connector: str = ""
    routing: RuleHit | None = None
    open: bool = False
    hits: tuple[RuleHit, ...] = ()
    findings: tuple[RuleFinding, ...] = ()


NOTHING = RuleDecision()


class CompiledRule:
    """A rule ready to be asked: what it asks of the message apart from what it asks of each recipient."""

    __slots__ = ("acts", "connector", "hit", "of_message", "of_recipient", "rule", "stops")

    def __init__(self, rule: TransportRule, directory: Directory) -> None:
        self.rule = rule
        self.of_message = _Asked(about_message(rule.conditions), about_message(rule.exceptions, _EXCEPT))
        self.of_recipient = _Asked(about_recipient(rule.conditions, directory), about_recipient(rule.exceptions, directory, _EXCEPT))
        self.acts = rule.mode is RuleMode.ENFORCE
        self.connector = rule.route_message_outbound_connector
        self.stops = self.acts and rule.stop_rule_processing
        texts = [*(each.text for each in self.of_message.conditions), *(each.text for each in self.of_recipient.conditions)]
        reasons = tuple(f"{text} holds" for text in texts) or ("It has no condition",)
        self.hit = RuleHit(rule.name, rule.mode.value, f'RouteMessageOutboundConnector "{self.connector}"', reasons)

    @property
    def asks_header(self) -> bool:
        """True where it acts, and the header has a say in whether."""
        parts = (self.rule.conditions, self.rule.exceptions)
        return self.acts and any(part.header_contains_message_header for part in parts)

    @property
    def has_conditions(self) -> bool:
        """False where it is for every message, but for its exceptions."""
        return bool(self.of_message.conditions or self.of_recipient.conditions)


_EXCEPT = "ExceptIf"
_S = TypeVar("_S")


class _Asked(Generic[_S]):
    """Conditions and exceptions about one subject: the message, or a recipient."""

    __slots__ = ("conditions", "exceptions")

    def __init__(self, conditions: tuple[Condition[_S], ...], exceptions: tuple[Condition[_S], ...]) -> None:
        self.conditions = conditions
        self.exceptions = exceptions

    def match(self, subject: _S) -> Match:
        """All conditions and no exception; NO as soon as one says so."""
        result = Match.YES
        for condition in self.conditions:
            match = condition.holds(subject)
            if match is Match.NO:
                return Match.NO
            result = _both(result, match)
        for condition in self.exceptions:
            match = condition.holds(subject)
            if match is Match.YES:
                return Match.NO
            result = _both(result, _opposite(match))
        return result

    def against(self, subject: _S, match: Match) -> Iterator[str]:
        """What speaks for the answer `match`, NO or UNKNOWN."""
        for condition in self.conditions:
            if condition.holds(subject) is match:
                yield condition.reason(match, subject)
        for condition in self.exceptions:
            if condition.holds(subject) is _opposite(match):
                yield condition.reason(_opposite(match), subject)


class RuleTable:
    """Frozen. `rules`: all, in the order of Priority; `active`: those that are enabled. `reads_header`: one of them looks at the header.
    `questions`: what all of them, disabled ones too, ask of it.
    """

    __slots__ = ("active", "questions", "reads_header", "rules")

    def __init__(self, directory: Directory, rules: Iterable[TransportRule] = ()) -> None:
        ordered = sorted(rules, key=lambda rule: (rule.priority, rule.name.lower()))
        self.rules = tuple(CompiledRule(rule, directory) for rule in ordered)
        self.active = tuple(each for each in self.rules if each.rule.enabled)
        self.reads_header = any(
            part.header_contains_message_header for each in self.active for part in (each.rule.conditions, each.rule.exceptions)
        )
        self.questions = tuple(
            header_question(part.header_contains_message_header, part.header_contains_words)
            for each in self.rules
            for part in (each.rule.conditions, each.rule.exceptions)
            if part.header_contains_message_header
        )


NO_RULES = RuleTable(Directory())


def decide_rules(
    table: RuleTable, message: MessageFacts, recipients: Sequence[ResolvedRecipient], *, explain: bool = False
) -> list[RuleDecision]:
    """One decision for each of `recipients`. With `explain`, `findings` tells of every rule; else only those that may match cost time."""
    asked = [(each, match) for each in table.active if (match := each.of_message.match(message)) is not Match.NO]
    decisions = [_decide(asked, recipient) if asked else NOTHING for recipient in recipients]
    if explain:
        pairs = zip(decisions, recipients, strict=True)
        return [_explained(table, message, recipient, decision) for decision, recipient in pairs]
    return decisions


def may_route(table: RuleTable, message: MessageFacts) -> Callable[[ResolvedRecipient], bool]:
    """The question at RCPT for a recipient to whom no other way leads: may a rule still give him one?"""

    def answer(recipient: ResolvedRecipient) -> bool:
        (decision,) = decide_rules(table, message, (recipient,))
        return bool(decision.connector) or decision.open

    return answer


def _decide(asked: Sequence[tuple[CompiledRule, Match]], recipient: ResolvedRecipient) -> RuleDecision:
    hits: list[RuleHit] = []
    connector, routing, undecided = "", None, False
    for each, before in asked:
        match = _both(before, each.of_recipient.match(recipient))
        if match is Match.UNKNOWN:
            undecided = undecided or each.acts
        elif match is Match.YES:
            hits.append(each.hit)
            if each.acts and each.connector:
                connector, routing = each.connector, each.hit
            if each.stops:
                break
    return RuleDecision(connector, routing, undecided, tuple(hits)) if hits or undecided else NOTHING


def _both(one: Match, other: Match) -> Match:
    if Match.NO in (one, other):
        return Match.NO
    return Match.UNKNOWN if Match.UNKNOWN in (one, other) else Match.YES


def _opposite(match: Match) -> Match:
    return _OPPOSITES[match]


_OPPOSITES = {Match.YES: Match.NO, Match.NO: Match.YES, Match.UNKNOWN: Match.UNKNOWN}


def _explained(table: RuleTable, message: MessageFacts, recipient: ResolvedRecipient, decision: RuleDecision) -> RuleDecision:
    """The decision with a finding for each rule, asked by the same conditions."""
    findings: list[RuleFinding] = []
    stopped = ""
    for each in table.rules:
        match, reasons = _finding(each, message, recipient, stopped)
        rule = each.rule
        findings.append(RuleFinding(rule.name, rule.priority, rule.mode.value, each.hit.action, match, reasons))
        if match is Match.YES and each.stops and not stopped:
            stopped = rule.name
    return RuleDecision(decision.connector, decision.routing, decision.open, decision.hits, tuple(findings))


def _finding(each: CompiledRule, message: MessageFacts, recipient: ResolvedRecipient, stopped: str) -> tuple[Match | None, tuple[str, ...]]:
    if not each.rule.enabled:
        return None, ("It is disabled",)
    if stopped:
        return None, (f'Rule "{stopped}" matched and has StopRuleProcessing',)
    match = _both(each.of_message.match(message), each.of_recipient.match(recipient))
    if match is Match.YES:
        return match, each.hit.reasons
    return match, (*each.of_message.against(message, match), *each.of_recipient.against(recipient, match))
