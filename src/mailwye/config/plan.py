"""A change before it is saved: what would be active, what differs, what speaks against it. `apply`, `diff` and the API ask here."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.config.checks import check_organization
from mailwye.config.diff import Change, ChangeKind, diff
from mailwye.config.installation import Installation
from mailwye.config.merge import merge
from mailwye.config.parse import Parsed
from mailwye.config.problem import Problem
from mailwye.config.rule_order import priorities_of, with_priorities
from mailwye.config.schema import Mailbox, Organization
from mailwye.config.store import ConfigStore, StoredVersion


class ChangeRefused(Exception):
    """The change has errors; `problems` are all findings. Nothing was saved."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems if problem.is_error))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Plan:
    """`base`: the version that the plan was made from. `organization`: what would be active; the base's where nothing could be read."""

    base: int
    organization: Organization
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        """True where it cannot be saved."""
        return any(problem.is_error for problem in self.problems)

    def save(self, store: ConfigStore, *, author: str, at: float, comment: str = "") -> int:
        """Make it active. A plan without changes saves nothing, so that applying a file twice leaves one version. → the active version.

        :raises ChangeRefused: it has errors. :raises VersionConflict: somebody saved since the plan was made. :raises ConfigStoreError:
        it is not durable.
        """
        if self.has_errors:
            raise ChangeRefused(self.problems)
        if not self.changes:
            return self.base
        version = store.save(self.organization, expected_version=self.base, author=author, at=at, comment=comment)
        for change in self.changes:
            # A mailbox that is made again one day must not open with the password of the one before.
            if change.object == Mailbox.kind and change.kind is ChangeKind.REMOVED:
                store.remove_password(change.identity)
        return version


def plan_file(current: StoredVersion, file: Parsed[Organization], *, prune: bool = False, installation: Installation | None = None) -> Plan:
    """Merge a file that was read into the current version; config/merge.py says how, and what `prune` removes."""
    if file.value is None:
        return Plan(current.version, current.organization, (), file.problems)
    merged = merge(current.organization, file.value, prune=prune)
    found = check_organization(merged, installation=installation, source=file)
    return Plan(current.version, merged, diff(current.organization, merged), (*file.problems, *found))


def plan_organization(
    current: StoredVersion,
    organization: Organization,
    *,
    installation: Installation | None = None,
    source: Parsed[Organization] | None = None,
) -> Plan:
    """Put `organization` as a whole in the place of the current version: an edit in the pages, or an older version again. `source`: where
    some of its objects come from, so that findings name their lines.
    """
    organization = with_priorities(organization, priorities_of(current.organization))
    found = check_organization(organization, installation=installation, source=source)
    return Plan(current.version, organization, diff(current.organization, organization), found)
