"""TransportRule: mail flow rules as files, the API and the store hold them. The part that routing needs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import ClassVar

from mailwye.config.problem import Fault, shown
from mailwye.config.scalars import read_text
from mailwye.config.schema.config_object import ConfigObject, field
from mailwye.config.schema.value import choice_of, each, text_of, value_of
from mailwye.config.schema.values import FLAG, MAIL_ADDRESSES, NAME, TEXT, each_once, read_domain_text, sorted_texts
from mailwye.policy.rules.model import WORD_CHARACTERS, WORDS_LIMIT, RuleMode, Scope
from mailwye.smtp.address import Address

PRIORITY_LIMIT = 1_000_000
HEADER_NAME_LIMIT = 76  # characters: it fits into one line with its colon (RFC 5322 section 2.1.1)

# RFC 5322 section 3.6.8: printable US-ASCII but for the colon.
_HEADER_NAME = re.compile(r"[!-9;-~]+").fullmatch


def _read_priority(value: object) -> int:
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


# null is no value of these, but what leaving them out means.
_PRIORITY = value_of(int, _read_priority, {"type": "integer", "minimum": 0})
_SCOPE = replace(choice_of(Scope), schema={"enum": [None, *(scope.value for scope in Scope)]})
_HEADER_FIELD = text_of(_read_header_name)
_WORDS = each(text_of(_read_word), _few)
_DOMAINS = each(text_of(_read_rule_domain, format="hostname"), sorted_texts)


class TransportRule(ConfigObject):
    """A mail flow rule. The fields are those of policy/rules/model.py: conditions, and with ExceptIf before their name exceptions."""

    kind: ClassVar[str] = "TransportRule"

    name: str = field(NAME)
    priority: int | None = field(_PRIORITY, default=None)
    enabled: bool = field(FLAG, default=True)
    mode: RuleMode = field(choice_of(RuleMode), default=RuleMode.ENFORCE)
    sent_to: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    sent_to_member_of: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    recipient_domain_is: tuple[str, ...] = field(_DOMAINS, default=())
    sender_domain_is: tuple[str, ...] = field(_DOMAINS, default=())
    from_scope: Scope | None = field(_SCOPE, default=None)
    sent_to_scope: Scope | None = field(_SCOPE, default=None)
    header_contains_message_header: str = field(_HEADER_FIELD, default="")
    header_contains_words: tuple[str, ...] = field(_WORDS, default=())
    except_if_sent_to: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    except_if_sent_to_member_of: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    except_if_recipient_domain_is: tuple[str, ...] = field(_DOMAINS, default=())
    except_if_sender_domain_is: tuple[str, ...] = field(_DOMAINS, default=())
    except_if_from_scope: Scope | None = field(_SCOPE, default=None)
    except_if_sent_to_scope: Scope | None = field(_SCOPE, default=None)
    except_if_header_contains_message_header: str = field(_HEADER_FIELD, default="")
    except_if_header_contains_words: tuple[str, ...] = field(_WORDS, default=())
    route_message_outbound_connector: str = field(TEXT, default="")
    stop_rule_processing: bool = field(FLAG, default=False)
    comments: str = field(TEXT, default="")

    @property
    def identity(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """The kind and the name as written."""
        return f'{self.kind} "{self.name}"'
