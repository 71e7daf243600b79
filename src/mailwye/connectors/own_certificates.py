"""Which of the installation's own certificates is presented: by the host name that it must cover (Fqdn), or by issuer and subject
(TlsCertificateName). Pure: what the files hold is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailwye.connectors.matching import certificate_name_matches
from mailwye.value import dataclass

_FQDN = "<FQDN>"
_ISSUER_AND_SUBJECT = re.compile(r"<I>(.+?)<S>(.+)", re.IGNORECASE | re.DOTALL).fullmatch
# Spellings of one attribute: Windows' on the left, RFC 4514's (or its number) on the right.
_SAME = {
    "S": "ST",
    "E": "1.2.840.113549.1.9.1",
    "EMAIL": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
    "SERIALNUMBER": "2.5.4.5",
    "T": "2.5.4.12",
    "G": "2.5.4.42",
    "SN": "2.5.4.4",
}


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """One certificate of the installation. `use`: where it stands, for people; `issuer` and `subject` by RFC 4514; `not_after`: Unix
    seconds.
    """

    use: str
    names: tuple[str, ...]
    issuer: str
    subject: str
    not_after: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """`number`: of the certificate in the sequence, None where none fits. `reason`: a sentence."""

    number: int | None
    reason: str


def by_fqdn(name: str) -> str:
    """The choice by a host name, as text that `choose` understands."""
    return f"{_FQDN}{name}"


def is_choice(text: str) -> bool:
    """Whether `text` is a choice, and not the name of one certificate."""
    return text.startswith(_FQDN) or _ISSUER_AND_SUBJECT(text) is not None


def is_strict(choice: str) -> bool:
    """True where nothing else will do: issuer and subject name one certificate, a host name only asks for the best."""
    return not choice.startswith(_FQDN)


def in_words(choice: str) -> str:
    """A choice, or the name of one certificate, for people."""
    return f"the certificate for {choice[len(_FQDN) :]}" if choice.startswith(_FQDN) else f"the certificate {choice}"


def read_issuer_and_subject(text: str) -> tuple[str, str] | None:
    """`<I>issuer<S>subject` → both; None where it has not that form."""
    found = _ISSUER_AND_SUBJECT(text.strip())
    return (found[1].strip(), found[2].strip()) if found is not None else None


def choose(choice: str, known: Sequence[OwnCertificate]) -> Chosen:
    """By issuer and subject: the one with both. By host name: the one whose name it is, before one with a wildcard that stands for it. Of
    several the one that is good for longest, so that a renewed certificate takes over; then the first.
    """
    if choice.startswith(_FQDN):
        name = choice[len(_FQDN) :]
        fitting = [
            (0 if name in one.names else 1, -one.not_after, number)
            for number, one in enumerate(known)
            if any(certificate_name_matches(presented, name) for presented in one.names)
        ]
        if not fitting:
            return Chosen(None, f"no certificate of the installation is for {name}")
        best = min(fitting)[2]
        return Chosen(best, f"the certificate of {known[best].use} is for {name}")
    wanted = read_issuer_and_subject(choice)
    if wanted is None:
        return Chosen(None, f"{choice} names no issuer and subject")
    issuer, subject = map(canonical_name, wanted)
    same = [
        (-one.not_after, number)
        for number, one in enumerate(known)
        if _is_same(canonical_name(one.issuer), issuer) and _is_same(canonical_name(one.subject), subject)
    ]
    if not same:
        return Chosen(None, f"no certificate of the installation has the issuer {wanted[0]} and the subject {wanted[1]}")
    best = min(same)[1]
    return Chosen(best, f"the certificate of {known[best].use} has the issuer and the subject of TlsCertificateName")


def _is_same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Some programs print the most general part first."""
    return other in (one, one[::-1])


def canonical_name(text: str) -> tuple[str, ...]:
    """A distinguished name as a tuple that is the same for the spellings of Windows (`S=`, `E=`, quotes) and of RFC 4514 (backslashes)."""
    return tuple(_canonical_part(part) for part in _split(text))


def _split(text: str) -> list[str]:
    """At commas and semicolons that are neither quoted nor escaped; quotes and escapes are taken away."""
    parts: list[str] = []
    part: list[str] = []
    quoted = False
    position = 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            digits = text[position + 1 : position + 3]
            if re.fullmatch("[0-9A-Fa-f]{2}", digits):
                part.append(chr(int(digits, 16)))
                position += 2
            else:
                part.append(text[position + 1])
                position += 1
        elif character == '"':
            quoted = not quoted
        elif character in ",;" and not quoted:
            parts.append("".join(part))
            part = []
        else:
            part.append(character)
        position += 1
    parts.append("".join(part))
    return parts


def _canonical_part(part: str) -> str:
    attribute, _, value = part.partition("=")
    attribute = attribute.strip().upper().removeprefix("OID.")
    return f"{_SAME.get(attribute, attribute)}={' '.join(value.split()).casefold()}"
