"""Two objects with one identity: one of them would silently win."""

from __future__ import annotations

from mailwye.config.problem import Places, Problem
from mailwye.config.schema import KINDS, ConfigObject, Organization


def find_duplicates(organization: Organization, places: Places) -> list[Problem]:
    """Names of connectors (in any case), accepted domains, primary addresses across the kinds of recipients."""
    if not _any(organization):
        return []
    problems: list[Problem] = []
    first: dict[tuple[str, str], tuple[ConfigObject, int]] = {}
    for kind, entry in KINDS.items():
        for index, thing in enumerate(organization.objects(kind)):
            other, other_index = first.setdefault((entry.space, thing.identity), (thing, index))
            if (other.kind, other_index) == (kind, index):
                continue
            line, column = places.find((kind, index))
            other_line, _ = places.find((other.kind, other_index))
            where = f" in line {other_line}" if other_line else ""
            message = f"there is another one of this identity: {other.label}{where}"
            problems.append(Problem(message, "Rename or remove one of them", places.file, line, column, thing.label))
    return problems


def _any(organization: Organization) -> bool:
    """Whether there is one at all: quick, as there are none in what is saved."""
    spaces: dict[str, list[str]] = {}
    for kind, entry in KINDS.items():
        spaces.setdefault(entry.space, []).extend(thing.identity for thing in organization.objects(kind))
    return any(len(set(identities)) < len(identities) for identities in spaces.values())
