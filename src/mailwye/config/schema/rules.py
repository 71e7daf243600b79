"""TransportRule: mail flow rules as files, the API and the store hold them. The part that routing needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from mailwye.config.problem import Fault, shown
from mailwye.config.scalars import as_list, read_text
from mailwye.config.schema.config_object import ConfigObject
from mailwye.config.schema.values import Flag, MailAddresses, Name, Text, choice, each_once, read_domain_text
from mailwye.policy.rules.model import WORD_CHARACTERS, WORDS_LIMIT, RuleMode, Scope

PRIORITY_LIMIT = 1_000_000
HEADER_NAME_LIMIT = 76  # characters: it fits into one line with its colon (RFC 5322 section 2.1.1)

# RFC 5322 section 3.6.8: printable US-ASCII but for the colon.
_HEADER_NAME = re.compile(r"[!-9;-~]+").fullmatch


def _read_priority(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < PRIORITY_LIMIT:
        raise Fault(f"must be a number from 0 to {PRIORITY_LIMIT - 1}, not {shown(value)}", "0 is asked first; leave it out for file order")
    return value


def _read_header_name(value: object) -> str:
    name = read_text(value)
    if name and (_HEADER_NAME(name) is None or len(name) > HEADER_NAME_LIMIT):
        raise Fault(f"{shown(name)} is no name of a header field", "Write the name alone, such as X-Site, without the colon")
    return name


def _read_word(value: object) -> str:
    word = " ".join(read_text(value).split())
    if not word:
        raise Fault("is empty", "Give it a word or remove it")
    if len(word) > WORD_CHARACTERS:
        raise Fault(f"is longer than {WORD_CHARACTERS} characters", "Shorten it")
    return word


def _read_rule_domain(value: object) -> str:
    text = read_text(value)
    if "*" in text:
        raise Fault(f"{shown(text)} holds a wildcard", "Write contoso.com: its subdomains are meant too")
    return read_domain_text(text)


def _few(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(words) > WORDS_LIMIT:
        raise Fault(f"has more than {WORDS_LIMIT} words", "Split the rule")
    return each_once(words, str.casefold)


def _optional(read: Callable[[object], Scope]) -> Callable[[object], Scope | None]:
    return lambda value: None if value is None else read(value)


def _value(member: Enum | None) -> str | None:
    return None if member is None else str(member.value)


_Priority = Annotated[int | None, PlainValidator(_read_priority), WithJsonSchema({"type": "integer", "minimum": 0})]
_Mode = Annotated[
    RuleMode,
    PlainValidator(choice(RuleMode)),
    PlainSerializer(_value),
    WithJsonSchema({"type": "string", "enum": ["Enforce", "Audit", "AuditAndNotify"]}),
]
_Scope = Annotated[
    Scope | None,
    PlainValidator(_optional(choice(Scope))),
    PlainSerializer(_value),
    WithJsonSchema({"enum": [None, "InOrganization", "NotInOrganization"]}),
]
_HeaderName = Annotated[str, PlainValidator(_read_header_name), WithJsonSchema({"type": "string"})]
_Word = Annotated[str, PlainValidator(_read_word), WithJsonSchema({"type": "string"})]
_Words = Annotated[tuple[_Word, ...], BeforeValidator(as_list), AfterValidator(_few)]
_Domain = Annotated[str, PlainValidator(_read_rule_domain), WithJsonSchema({"type": "string", "format": "hostname"})]
_Domains = Annotated[tuple[_Domain, ...], BeforeValidator(as_list), AfterValidator(lambda values: each_once(values, str))]


class TransportRule(ConfigObject):
    """A mail flow rule. The fields are those of policy/rules/model.py: conditions, and with ExceptIf before their name exceptions."""

    kind: ClassVar[str] = "TransportRule"

    name: Name
    priority: _Priority = None
    enabled: Flag = True
    mode: _Mode = RuleMode.ENFORCE
    sent_to: MailAddresses = ()
    sent_to_member_of: MailAddresses = ()
    recipient_domain_is: _Domains = ()
    sender_domain_is: _Domains = ()
    from_scope: _Scope = None
    sent_to_scope: _Scope = None
    header_contains_message_header: _HeaderName = ""
    header_contains_words: _Words = ()
    except_if_sent_to: MailAddresses = ()
    except_if_sent_to_member_of: MailAddresses = ()
    except_if_recipient_domain_is: _Domains = ()
    except_if_sender_domain_is: _Domains = ()
    except_if_from_scope: _Scope = None
    except_if_sent_to_scope: _Scope = None
    except_if_header_contains_message_header: _HeaderName = ""
    except_if_header_contains_words: _Words = ()
    route_message_outbound_connector: Text = ""
    stop_rule_processing: Flag = False
    comments: Text = ""

    @property
    def identity(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """The kind and the name as written."""
        return f'{self.kind} "{self.name}"'
