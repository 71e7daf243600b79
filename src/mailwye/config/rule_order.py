"""Priority for rules that name none: the order of the file, as numbers, so that what is saved says the order by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailwye.config.schema import Organization, TransportRule


def priorities_of(organization: Organization) -> dict[str, int]:
    """Identity → Priority of the rules that have one."""
    return {rule.identity: rule.priority for rule in organization.transport_rules if rule.priority is not None}


def with_priorities(organization: Organization, current: Mapping[str, int]) -> Organization:
    """`organization` with a Priority for each rule. `current`: those of the active settings.

    Rules without one keep the number that they have now, as long as the order of the file holds; where it does not, and for new rules, the
    next number after all others. So a file that is applied twice changes nothing the second time, and rules of several files do not jump
    over one another. Those that name a Priority keep it.
    """
    rules = organization.transport_rules
    if all(rule.priority is not None for rule in rules):
        return organization
    return organization.changed(transport_rules=tuple(_numbered(rules, current)))


def _numbered(rules: Iterable[TransportRule], current: Mapping[str, int]) -> Iterable[TransportRule]:
    rules = tuple(rules)
    taken = {rule.priority for rule in rules if rule.priority is not None}
    kept = {rule.identity: current[rule.identity] for rule in rules if rule.priority is None and rule.identity in current}
    following = max((*taken, *kept.values()), default=-1) + 1
    last = -1
    for rule in rules:
        if rule.priority is not None:
            yield rule
            continue
        number = kept.get(rule.identity, -1)
        if number <= last or number in taken:
            number, following = following, following + 1
        taken.add(number)
        last = number
        yield rule.changed(priority=number)
