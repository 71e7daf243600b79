"""What `apply` does: objects of a file into the active organization. Applying the same file twice changes nothing the second time."""

from __future__ import annotations

from typing import Any

from mailwye.config.diff import diff
from mailwye.config.rule_order import priorities_of, with_priorities
from mailwye.config.schema import KINDS, Organization


def merge(current: Organization, file: Organization, *, prune: bool = False) -> Organization:
    """`current` with the objects of `file` in place of those with the same identity; other objects stay.

    An object is replaced as a whole: a field that the file leaves out has its default afterwards. A recipient replaces a recipient of
    any kind with the same primary address, so that a MailUser becomes a Mailbox by being written as one.
    `prune` also removes the objects that the file does not have, within the kinds that the file names (an empty list names its kind);
    kinds that the file does not mention stay as they are, so that a file of connectors never removes a mailbox.
    The objects of `file` themselves are in the result, so that checks can name their lines; but for rules without a Priority, which get
    one by their order in the file.
    """
    taken: dict[str, set[str]] = {}
    for kind, entry in KINDS.items():
        taken.setdefault(entry.space, set()).update(thing.identity for thing in file.objects(kind))
    named = file.given
    merged: dict[str, Any] = {}
    for kind, entry in KINDS.items():
        if prune and entry.attribute in named:
            merged[entry.attribute] = file.objects(kind)
        elif taken[entry.space]:  # else the kind stays the same Python object: checks and differences need not look at it
            kept = (thing for thing in current.objects(kind) if thing.identity not in taken[entry.space])
            merged[entry.attribute] = (*kept, *file.objects(kind))
    if "organization" in named:
        merged["organization"] = file.organization
    return with_priorities(current.changed(**merged), priorities_of(current))


def is_same(one: Organization, other: Organization) -> bool:
    """True where saving `other` over `one` would change nothing."""
    return not diff(one, other)
