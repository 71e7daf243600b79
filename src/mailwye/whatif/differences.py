"""Two answers to the same envelope: what differs, and what many such differences have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypedDict

from mailwye.whatif.answers import NOWHERE, Answer, Way

_INSTALLATION = "as mailwye.toml says"


class Aspect(NamedTuple):
    """One thing that differs, in words that many messages share."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.what}: {self.after}"
        return f"{self.what}: {self.before} → {self.after}"


class AspectRow(TypedDict):
    """One thing that differs."""

    what: str
    before: str
    after: str


def row_of(aspect: Aspect) -> AspectRow:
    """For JSON."""
    return {"what": aspect.what, "before": aspect.before, "after": aspect.after}


def aspects_of(before: Answer, after: Answer) -> tuple[Aspect, ...]:
    """What differs between two answers; empty where nothing does."""
    found: list[Aspect] = []
    if before.reply != after.reply:
        found.append(Aspect("reply", before.reply, after.reply))
    if before.caller != after.caller:
        found.append(Aspect("caller", before.caller, after.caller))
    if before.ways == after.ways:
        return tuple(found)
    if not (before.is_taken and after.is_taken):
        if before.is_taken:
            return tuple(found)  # the reply says it; which way it took is in the examples
        return (*found, Aspect("way", NOWHERE, _listed(after.ways)))
    if len(before.ways) == len(after.ways) == 1:
        return (*found, *way_aspects(before.ways[0], after.ways[0]))
    gone = [way for way in before.ways if way not in after.ways]
    new = [way for way in after.ways if way not in before.ways]
    found.append(Aspect("ways", _listed(gone) or "(as before)", _listed(new) or "(one less)"))
    return tuple(found)


def limit_aspects(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Aspect, ...]:
    """What differs between the limits of two ReceiveConnectors; empty ones are those of the installation."""
    if before == after:
        return ()
    names = sorted(before.keys() | after.keys())
    told = ((name, before.get(name, _INSTALLATION), after.get(name, _INSTALLATION)) for name in names)
    return tuple(Aspect(name, old, new) for name, old, new in told if old != new)


def way_aspects(before: Way, after: Way) -> tuple[Aspect, ...]:
    """What differs between two ways of one copy."""
    if before == after:
        return ()
    found = []
    if before.by != after.by:
        found.append(Aspect("way", before.by, after.by))
    if before.to != after.to:
        found.append(Aspect("final recipient", "one address", "another"))
    if before.hosts != after.hosts and (before.hosts and after.hosts):
        found.append(Aspect("smart hosts", ", ".join(before.hosts), ", ".join(after.hosts)))
    if before.tls != after.tls and (before.tls and after.tls):
        found.append(Aspect("TLS", before.tls, after.tls))
    if before.also != after.also and NOWHERE not in (before.by, after.by):
        found.append(Aspect("also", ", ".join(before.also) or "nothing", ", ".join(after.also) or "nothing"))
    if before.rules != after.rules:
        found.append(Aspect("mail flow rules", ", ".join(before.rules) or "none", ", ".join(after.rules) or "none"))
    return tuple(found)


def _listed(ways: Iterable[Way]) -> str:
    """The kinds of several ways, each once."""
    told = dict.fromkeys(f"{way.by} to {', '.join(way.hosts)} with TLS {way.tls}" if way.hosts else way.by for way in ways)
    return "; ".join(told)
