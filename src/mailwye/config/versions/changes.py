"""A change as a value: objects before and after, that can be applied to an organization, reversed, joined and compared.

Whoever changes settings (a file, a PowerShell line, the API, a page) makes a ChangeSet; stores keep versions as ChangeSets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mailwye.config.rule_order import with_priorities
from mailwye.config.schema import DEFAULT_SETTINGS, KINDS, ConfigObject, Organization, OrganizationSettings
from mailwye.value import dataclass

SETTINGS = OrganizationSettings.kind
"""The kind of the one object that has no list: the organization's own settings. Its identity is ""."""

Key = tuple[str, str]  # a space of identities (schema.KINDS) and an identity in it
_ORDER = {kind: number for number, kind in enumerate((SETTINGS, *KINDS))}


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """One object. `before` None: it is added. `after` None: it is removed. `identity`: of both, so that a new name is a removal and an
    addition; a recipient that becomes one of another kind is so too.
    """

    kind: str
    identity: str
    before: ConfigObject | None
    after: ConfigObject | None

    @property
    def key(self) -> Key:
        """What two editors cannot both change: recipients of all kinds share their addresses."""
        return (KINDS[self.kind].space if self.kind in KINDS else self.kind, self.identity)


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Changes of several objects that belong together, each object once, in the order of kinds and identities (`of` sees to both)."""

    changes: tuple[ObjectChange, ...] = ()

    @classmethod
    def of(cls, changes: Iterable[ObjectChange]) -> ChangeSet:
        """Several changes of one object, in the order in which they were made, become one; what changes nothing is left out."""
        joined: dict[tuple[str, str], ObjectChange] = {}
        for change in changes:
            place = (change.kind, change.identity)
            first = joined.get(place)
            joined[place] = change if first is None else ObjectChange(change.kind, change.identity, first.before, change.after)
        kept = (change for change in joined.values() if change.before != change.after)
        return cls(tuple(sorted(kept, key=lambda change: (_ORDER.get(change.kind, len(_ORDER)), change.identity))))

    @classmethod
    def between(cls, old: Organization, new: Organization) -> ChangeSet:
        """What makes `new` out of `old`. Objects that both hold as the same Python object cost next to nothing."""
        return cls.of(_between(old, new))

    def applied_to(self, organization: Organization) -> Organization:
        """`organization` with each object of this change as it is afterwards, whatever it was before; kinds that change are in the order
        of identities, the others are taken over as they are. Rules without a Priority get one.
        """
        updated: dict[str, Any] = {}
        for kind in dict.fromkeys(change.kind for change in self.changes):
            after = {change.identity: change.after for change in self.changes if change.kind == kind}
            if kind == SETTINGS:
                updated["organization"] = after[""] or DEFAULT_SETTINGS
                continue
            kept = [thing for thing in organization.objects(kind) if thing.identity not in after]
            kept += [thing for thing in after.values() if thing is not None]
            updated[KINDS[kind].attribute] = tuple(sorted(kept, key=lambda thing: thing.identity))
        return with_priorities(organization.changed(**updated), {}) if updated else organization

    def reversed(self) -> ChangeSet:
        """What takes this change back."""
        return ChangeSet(tuple(ObjectChange(each.kind, each.identity, each.after, each.before) for each in self.changes))

    def then(self, later: ChangeSet) -> ChangeSet:
        """Both, one after the other, as one."""
        return ChangeSet.of((*self.changes, *later.changes))

    def __iter__(self) -> Iterator[ObjectChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)


NOTHING = ChangeSet()


def _between(old: Organization, new: Organization) -> Iterator[ObjectChange]:
    if old.organization != new.organization:
        yield ObjectChange(SETTINGS, "", old.organization, new.organization)
    for kind in KINDS:
        before, after = old.objects(kind), new.objects(kind)
        if before is after:
            continue
        was, stays = {id(thing) for thing in before}, {id(thing) for thing in after}
        gone = {thing.identity: thing for thing in before if id(thing) not in stays}
        come = {thing.identity: thing for thing in after if id(thing) not in was}
        for identity in gone.keys() | come.keys():
            yield ObjectChange(kind, identity, gone.get(identity), come.get(identity))
