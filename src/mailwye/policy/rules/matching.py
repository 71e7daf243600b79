"""Does a condition hold? One class for each field of Predicates: what it was compiled to, and what it says for people.

Everything that can be looked up is looked up when a snapshot is built: a group becomes the set of its members. An exception is a condition
too; only its name differs (ExceptIf…), and what the rule makes of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from mailwye.connectors.matching import parents
from mailwye.directory.lookup import Directory, ResolvedRecipient
from mailwye.message.headers import Header
from mailwye.message.mime_words import decode_words
from mailwye.policy.rules.model import Predicates, Scope
from mailwye.policy.rules.words import SearchedText, WordSearch, one_line
from mailwye.smtp.address import Address
from mailwye.value import dataclass

HEADER_CHARACTERS = 8_192
"""How much of one decoded header field is searched for words."""

HEADER_FIELDS = 64
"""How many fields of one name are searched."""

SHOWN = 3
"""Values that a sentence names."""

_S = TypeVar("_S")


class Match(Enum):
    """UNKNOWN: the header has not come yet (at RCPT), or `explain` was not told it."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HeaderQuestion:
    """Does a field `name` contain one of the words? `field`: its name in lower case. `key`: the same for the same question, whoever asks
    it, in whatever order and case the words are.
    """

    name: str
    field: bytes
    search: WordSearch
    key: str


@lru_cache(maxsize=1024)
def header_question(name: str, words: tuple[str, ...]) -> HeaderQuestion:
    """The question of a condition."""
    lines = sorted({one_line(word) for word in words})
    digest = blake2b("\n".join(lines).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return HeaderQuestion(name, name.lower().encode("ascii"), WordSearch(words), f"{name.lower()}:{digest}")


class KnownHeader(Protocol):
    """What is known of a header section."""

    def holds(self, question: HeaderQuestion) -> Match:
        """The answer; UNKNOWN where only the header itself could give it."""
        ...

    def has(self, question: HeaderQuestion) -> bool:
        """Whether there is a field of that name, as far as is known."""
        ...


class SearchedHeader:
    """A header section whose fields are decoded when a rule looks at them, once for all rules."""

    __slots__ = ("_header", "_known")

    def __init__(self, header: Header) -> None:
        self._header = header
        self._known: dict[bytes, tuple[SearchedText, ...]] = {}

    def texts(self, name: bytes) -> tuple[SearchedText, ...]:
        """The values of the fields with this lower-case name, cut to HEADER_CHARACTERS each and to HEADER_FIELDS."""
        found = self._known.get(name)
        if found is None:
            header = self._header
            fields = [field for field in header.fields if field.name == name][:HEADER_FIELDS] if name in header.names else []
            decoded = (decode_words(header.value(field), HEADER_CHARACTERS) for field in fields)
            found = self._known[name] = tuple(map(SearchedText, decoded))
        return found

    def holds(self, question: HeaderQuestion) -> Match:
        """See KnownHeader."""
        return _answer(any(map(question.search.is_in, self.texts(question.field))))

    def has(self, question: HeaderQuestion) -> bool:
        """See KnownHeader."""
        return bool(self.texts(question.field))


class AnsweredHeader:
    """What rules were told about a header section that is not here any more: the answers to their questions, and nothing of its words.

    `answers`: sorted; the key of each question that was asked, with "+" before it where the answer was yes, "-" where it was no, and "0"
    before the name (in lower case) of each field that was asked about and that the header did not have. Plain text, so that it can be kept.
    """

    __slots__ = ("_absent", "_no", "_yes", "answers")

    def __init__(self, answers: tuple[str, ...]) -> None:
        self.answers = answers
        self._yes = frozenset(one[1:] for one in answers if one[0] == "+")
        self._no = frozenset(one[1:] for one in answers if one[0] == "-")
        self._absent = frozenset(one[1:] for one in answers if one[0] == "0")

    def holds(self, question: HeaderQuestion) -> Match:
        """See KnownHeader."""
        if question.key in self._yes:
            return Match.YES
        if question.key in self._no or question.name.lower() in self._absent:
            return Match.NO
        return Match.UNKNOWN

    def has(self, question: HeaderQuestion) -> bool:
        """See KnownHeader."""
        return question.key in self._yes or question.key in self._no


def header_answers(questions: Iterable[HeaderQuestion], header: KnownHeader) -> tuple[str, ...]:
    """The answers of `header` to `questions`, as AnsweredHeader takes them."""
    told: set[str] = set()
    for question in questions:
        if header.has(question):
            told.add(f"{'+' if header.holds(question) is Match.YES else '-'}{question.key}")
        else:
            told.add(f"0{question.name.lower()}")
    return tuple(sorted(told))


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What rules know of a message. `sender`: MAIL FROM. `header`: after the header firewall, None: not known yet.

    `internal`: the sender is in the organization (FromScope).
    """

    sender: Address | None
    internal: bool
    header: KnownHeader | None


def message_facts(directory: Directory, caller_kind: str, sender: Address | None, header: Header | None) -> MessageFacts:
    """`caller_kind` as in queue/item.Origin: who handed the message over.

    In the organization is who logged in, Mailwye itself, and the own servers (an OnPremises connector) where MAIL FROM is in an accepted
    domain. A stranger who writes an own domain into MAIL FROM is not (reference/connectors.md 1.5).
    """
    match caller_kind:
        case "mailbox" | "internal":
            internal = True
        case "connector":
            internal = sender is not None and directory.accepted_domain(sender.domain) is not None
        case _:
            internal = False
    return MessageFacts(sender, internal, None if header is None else SearchedHeader(header))


@dataclass(frozen=True, slots=True)
class Condition(Generic[_S]):
    """One field of a rule, about the message or about one recipient. `text`: the field and its values. `observed`: what was found instead,
    for people.
    """

    text: str
    holds: Callable[[_S], Match]
    observed: Callable[[_S], str]

    def reason(self, match: Match, subject: _S) -> str:
        """The answer as a sentence."""
        match match:
            case Match.YES:
                return f"{self.text} holds"
            case Match.NO:
                return f"{self.text} does not hold: {self.observed(subject)}"
            case Match.UNKNOWN:
                return f"{self.text} depends on the header, which is not known"


def about_message(wanted: Predicates, prefix: str = "") -> tuple[Condition[MessageFacts], ...]:
    """The conditions of `wanted` that all recipients share. `prefix`: "ExceptIf" for exceptions."""
    found = []
    if wanted.from_scope is not None:
        found.append(_from_scope(f"{prefix}FromScope", wanted.from_scope))
    if wanted.sender_domain_is:
        found.append(_sender_domain_is(f"{prefix}SenderDomainIs", wanted.sender_domain_is))
    if wanted.header_contains_message_header:
        field = f"{prefix}HeaderContainsWords"
        found.append(_header_contains_words(field, wanted.header_contains_message_header, wanted.header_contains_words))
    return tuple(found)


def about_recipient(wanted: Predicates, directory: Directory, prefix: str = "") -> tuple[Condition[ResolvedRecipient], ...]:
    """Those whose answer may differ between the recipients of one message; it is never UNKNOWN."""
    found = []
    if wanted.sent_to_scope is not None:
        found.append(_sent_to_scope(f"{prefix}SentToScope", wanted.sent_to_scope, directory))
    if wanted.sent_to:
        found.append(_sent_to(f"{prefix}SentTo", wanted.sent_to, directory))
    if wanted.sent_to_member_of:
        found.append(_sent_to_member_of(f"{prefix}SentToMemberOf", wanted.sent_to_member_of, directory))
    if wanted.recipient_domain_is:
        found.append(_recipient_domain_is(f"{prefix}RecipientDomainIs", wanted.recipient_domain_is))
    return tuple(found)


def _from_scope(field: str, scope: Scope) -> Condition[MessageFacts]:
    wanted = scope is Scope.IN_ORGANIZATION

    def observed(message: MessageFacts) -> str:
        return f"{_sender(message)} is {'' if message.internal else 'not '}taken for a sender of the organization"

    return Condition(f"{field} {scope.value}", lambda message: _answer(message.internal is wanted), observed)


def _sender_domain_is(field: str, domains: tuple[str, ...]) -> Condition[MessageFacts]:
    known = frozenset(domains)

    def holds(message: MessageFacts) -> Match:
        return _answer(message.sender is not None and _is_under(message.sender.domain, known))

    return Condition(f"{field} {_listed(domains)}", holds, lambda message: f"the sender is {_sender(message)}")


def _header_contains_words(field: str, name: str, words: tuple[str, ...]) -> Condition[MessageFacts]:
    question = header_question(name, words)

    def holds(message: MessageFacts) -> Match:
        return Match.UNKNOWN if message.header is None else message.header.holds(question)

    def observed(message: MessageFacts) -> str:
        found = message.header is not None and message.header.has(question)
        return f"no field {name} has one of them" if found else f"the header has no field {name}"

    return Condition(f"{field} {_listed(words)} in {name}", holds, observed)


def _sent_to_scope(field: str, scope: Scope, directory: Directory) -> Condition[ResolvedRecipient]:
    wanted = scope is Scope.IN_ORGANIZATION

    def belongs(recipient: ResolvedRecipient) -> bool:
        return recipient.kind in _INSIDE or directory.accepted_domain(recipient.address.domain) is not None

    def observed(recipient: ResolvedRecipient) -> str:
        return f"{recipient.address} is {'' if belongs(recipient) else 'not '}in the organization"

    return Condition(f"{field} {scope.value}", lambda recipient: _answer(belongs(recipient) is wanted), observed)


_INSIDE = frozenset({"Mailbox", "MailUser", "Relayed"})


def _sent_to(field: str, addresses: tuple[Address, ...], directory: Directory) -> Condition[ResolvedRecipient]:
    """An address means the recipient who bears it, whichever of his addresses the message names."""
    known = frozenset(key for address in addresses for key in (address.key, directory.locate(address).address.key))

    def holds(recipient: ResolvedRecipient) -> Match:
        return _answer(any(address.key in known for address in _addresses(recipient)))

    return Condition(f"{field} {_listed(map(str, addresses))}", holds, _recipient)


def _sent_to_member_of(field: str, groups: tuple[Address, ...], directory: Directory) -> Condition[ResolvedRecipient]:
    """Members are those whom mail to the group would reach, nested groups included: so one who was expanded from it is one, too."""
    members = frozenset(final.address.key for group in groups for final in directory.resolve(group).recipients)

    def holds(recipient: ResolvedRecipient) -> Match:
        return _answer(recipient.address.key in members)

    return Condition(f"{field} {_listed(map(str, groups))}", holds, lambda recipient: f"{recipient.address} is no member")


def _recipient_domain_is(field: str, domains: tuple[str, ...]) -> Condition[ResolvedRecipient]:
    known = frozenset(domains)

    def holds(recipient: ResolvedRecipient) -> Match:
        return _answer(any(_is_under(address.domain, known) for address in _addresses(recipient)))

    return Condition(f"{field} {_listed(domains)}", holds, _recipient)


def _answer(holds: bool) -> Match:
    return Match.YES if holds else Match.NO


def _is_under(domain: str, known: frozenset[str]) -> bool:
    return domain in known or not known.isdisjoint(_above(domain))


@lru_cache(maxsize=1024)
def _above(domain: str) -> tuple[str, ...]:
    """All rules ask about the same domain, one after the other."""
    return tuple(parents(domain))


def _addresses(recipient: ResolvedRecipient) -> tuple[Address, ...]:
    """Where the copy goes, and under which primary address the directory knows him, where that is another one."""
    return (recipient.address,) if recipient.known is None else (recipient.address, recipient.known)


def _recipient(recipient: ResolvedRecipient) -> str:
    known = f" ({recipient.known})" if recipient.known is not None else ""
    return f"the recipient is {recipient.address}{known}"


def _sender(message: MessageFacts) -> str:
    return str(message.sender) if message.sender is not None else "the null sender"


def _listed(values: Iterable[str]) -> str:
    known = list(values)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{', '.join(known[:SHOWN])}{more}"
