"""MTA-STS as text and as values: the TXT record, the policy file, and the matching of MX names (RFC 8461). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailwye.connectors.matching import certificate_name_matches, is_domain_name, is_presentable

POLICY_OCTETS = 65_536
"""RFC 8461 section 3.3 suggests this limit."""

MAX_AGE_LIMIT = 31_557_600
"""Seconds: about a year (section 3.2)."""

PATTERNS_LIMIT = 1_000
"""mx fields of one policy: as many as 64 KiB may hold would make every look-up slow."""

_VERSION = re.compile(r"v=STSv1[ \t]*(?:;|$)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_EXTENSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*)")
_AGE = re.compile(r"[0-9]{1,10}")


class StsMode(Enum):
    """Section 5: what a sender does where validation fails. NONE: as if there were no policy."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """Section 3.2. `mx`: lower-case names and `*.` patterns; `max_age` in seconds."""

    mode: StsMode
    mx: tuple[str, ...]
    max_age: int


@dataclass(frozen=True, slots=True)
class CachedPolicy:
    """A policy with where it comes from: the Policy Domain, the id of the TXT record, when it was fetched (Unix seconds) and its text."""

    domain: str
    id: str
    policy: StsPolicy
    fetched_at: float
    text: str = ""

    @property
    def expires_at(self) -> float:
        """Unix seconds."""
        return self.fetched_at + self.policy.max_age


class PolicyError(ValueError):
    """This is no policy; the text says why."""


def record_name(domain: str) -> str:
    """Where the TXT record of `domain` stands (section 3.1)."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """The host that serves the policy of `domain` (section 3.3)."""
    return f"mta-sts.{domain}"


POLICY_PATH = "/.well-known/mta-sts.txt"


def policy_url(domain: str) -> str:
    """Where the policy of `domain` is (section 3.3)."""
    return f"https://{policy_host(domain)}{POLICY_PATH}"


def policy_id(records: Sequence[bytes]) -> str | None:
    """The id that the TXT records announce; None: this domain announces no policy (section 3.1: not exactly one, or an invalid one)."""
    texts = [record.decode("ascii", "replace") for record in records]
    ours = [text for text in texts if _VERSION.match(text)]
    if len(ours) != 1:
        return None
    fields = [field.strip(" \t") for field in ours[0].split(";")[1:]]
    if fields and not fields[-1]:
        fields.pop()  # the closing ";" is allowed
    ids = [field[3:] for field in fields if field.startswith("id=")]
    others = [field for field in fields if not field.startswith("id=")]
    if len(ids) != 1 or _ID.fullmatch(ids[0]) is None or not all(_EXTENSION.fullmatch(field) for field in others):
        return None
    return ids[0]


def parse_policy(body: bytes) -> StsPolicy:
    """The policy file → its value.

    :raises PolicyError: it breaks section 3.2; a sender must then act as if there were none.
    """
    if len(body) > POLICY_OCTETS:
        raise PolicyError(f"the policy has more than {POLICY_OCTETS} octets")
    try:
        text = body.decode("utf-8")  # extensions may hold UTF-8
    except UnicodeDecodeError as error:
        raise PolicyError("the policy is no UTF-8 text") from error
    first: dict[str, str] = {}
    patterns: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip(" \t"):
            continue
        field = _FIELD.fullmatch(line.rstrip(" \t"))
        if field is None:
            raise PolicyError(f"not a line of the form key: value: {line[:80]!r}")
        key, value = field.groups()
        if key == "mx":
            patterns.append(_pattern(value))
        else:
            first.setdefault(key, value)  # section 3.2: of a repeated field all but the first are ignored
    return _assembled(first, patterns)


def _assembled(fields: dict[str, str], patterns: list[str]) -> StsPolicy:
    if fields.get("version") != "STSv1":
        raise PolicyError("the policy has no line version: STSv1")
    try:
        mode = StsMode(fields.get("mode"))
    except ValueError as error:
        raise PolicyError(f"mode is none of enforce, testing, none: {fields.get('mode', '')[:40]!r}") from error
    age = fields.get("max_age", "")
    if _AGE.fullmatch(age) is None:
        raise PolicyError(f"max_age is no number of seconds: {age[:40]!r}")
    if not patterns and mode is not StsMode.NONE:
        raise PolicyError("the policy names no mx")
    if len(patterns) > PATTERNS_LIMIT:
        raise PolicyError(f"the policy has more than {PATTERNS_LIMIT} mx lines")
    # More than the greatest age is cut, not refused: to drop the policy for that would drop the protection.
    return StsPolicy(mode, tuple(dict.fromkeys(patterns)), min(int(age), MAX_AGE_LIMIT))


def _pattern(value: str) -> str:
    pattern = value.lower()
    if not (is_presentable(pattern) if pattern.startswith("*.") else is_domain_name(pattern)):
        raise PolicyError(f"mx is no host name or *.pattern: {value[:80]!r}")
    return pattern


def mx_matches(policy: StsPolicy, host: str) -> bool:
    """Whether the MX host name `host` is one that the policy allows; `*.` stands for exactly one label (section 4.1)."""
    return any(certificate_name_matches(pattern, host) for pattern in policy.mx)
