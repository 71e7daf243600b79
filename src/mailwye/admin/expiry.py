"""When to warn that a certificate expires, and in which words. Pure."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

DAY = 86_400.0
STEPS = (30, 14, 7, 1, 0)
"""Days before the end at which a warning is due, once each; 0: it has expired."""


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """One certificate at one place. `file`: where it was read from, "" for one that another server presented; then `last_seen` (Unix
    seconds) says when it did so last.
    """

    use: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: float
    fingerprint: str
    file: str = ""
    last_seen: float = 0.0

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What a renewed certificate of another server has in common with its predecessor."""
        return self.use, self.names or (self.subject,)


def days_left(now: float, not_after: float) -> int:
    """Whole days until it expires, rounded down; negative where it has expired."""
    return math.floor((not_after - now) / DAY)


def due_warning(now: float, not_after: float, warned: int | None) -> int | None:
    """Which of STEPS is to be told now, where `warned` was the last one that was told; None: none. A step that passed while nobody
    looked is not told any more when a later one is due.
    """
    reached = [step for step in STEPS if not_after - now <= step * DAY]
    if not reached or (warned is not None and warned <= reached[-1]):
        return None
    return reached[-1]


def due_warnings(now: float, known: Iterable[KnownCertificate], warned: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """(fingerprint, step, text) of each certificate for which a warning is due, the first to expire first. One at several places is told
    once, with all of them. `warned`: fingerprint → the last step that was told.
    """
    places: dict[str, list[KnownCertificate]] = {}
    for one in sorted(known, key=lambda one: one.not_after):
        places.setdefault(one.fingerprint, []).append(one)
    found = []
    for fingerprint, same in places.items():
        step = due_warning(now, same[0].not_after, warned.get(fingerprint))
        if step is not None:
            found.append((fingerprint, step, warning(now, same)))
    return found


def warning(now: float, same: Sequence[KnownCertificate]) -> str:
    """The alert about one certificate that is at all the places `same`."""
    one, left = same[0], days_left(now, same[0].not_after)
    day = f"{datetime.datetime.fromtimestamp(one.not_after, datetime.UTC):%Y-%m-%d}"
    if one.not_after <= now:
        when = f"expired on {day}"
    elif left < 1:
        when = f"expires within a day, on {day}"
    else:
        when = f"expires in {left} day{'s' if left > 1 else ''}, on {day}"
    uses = ", ".join(dict.fromkeys(each.use for each in same))
    files = ", ".join(dict.fromkeys(each.file for each in same if each.file))
    if files:
        return f"the certificate of {uses} {when}: {one.subject}, issued by {one.issuer}, in {files}; renew it"
    seen = f"{datetime.datetime.fromtimestamp(max(each.last_seen for each in same), datetime.UTC):%Y-%m-%d %H:%M} UTC"
    remedy = "ask its administrator to renew it; once it has expired it proves nothing"
    return f"the certificate that the other side of {uses} presented last on {seen} {when}: {one.subject}, issued by {one.issuer}; {remedy}"


class CertificateRow(TypedDict):
    """What is known of a certificate. Times in Unix seconds. `warned_days_before`: the last warning that was given, null: none yet.
    `last_seen`: of one that another server presented, null: it is in `file`.
    """

    use: str
    subject: str
    issuer: str
    names: list[str]
    not_after: float
    days_left: int
    state: Literal["expired", "expires soon", "valid"]
    warned_days_before: int | None
    fingerprint: str
    file: str
    last_seen: float | None


def row(now: float, one: KnownCertificate, warned: int | None) -> CertificateRow:
    """What `mailwye certificates` shows of one. `warned`: the last step that was told, None: none yet."""
    left = days_left(now, one.not_after)
    return {
        "use": one.use,
        "subject": one.subject,
        "issuer": one.issuer,
        "names": list(one.names),
        "not_after": one.not_after,
        "days_left": left,
        "state": "expired" if one.not_after <= now else "expires soon" if left < STEPS[0] else "valid",
        "warned_days_before": warned,
        "fingerprint": one.fingerprint,
        "file": one.file,
        "last_seen": one.last_seen or None,
    }
