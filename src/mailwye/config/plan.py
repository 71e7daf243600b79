"""A change before it is saved: what would be active, what differs, what speaks against it. For `apply`, drafts, rollback and the API."""

from __future__ import annotations

from dataclasses import replace

from mailwye.config.checks import check_organization
from mailwye.config.compile import KeptTables
from mailwye.config.diff import Change, changes_of
from mailwye.config.installation import Installation
from mailwye.config.merge import merge
from mailwye.config.parsed import Parsed
from mailwye.config.problem import Places, Problem
from mailwye.config.rule_order import priorities_of, with_priorities
from mailwye.config.schema import Organization
from mailwye.config.secrets import Vault, check_secrets, seal_secrets
from mailwye.config.store import ConfigStore, NoSuchVersion, StoredVersion
from mailwye.config.versions.changes import NOTHING, ChangeSet
from mailwye.config.versions.conflict import Conflict, conflict_of, reconcile
from mailwye.config.versions.drafts import DraftInfo, StoredDraft
from mailwye.value import dataclass


class ChangeRefused(Exception):
    """The change has errors; `problems` are all findings. Nothing was saved."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems if problem.is_error))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Plan:
    """`base`: the version that the plan was made from. `organization`: what would be active; the base's where nothing could be read.
    `changes`: for people; `change_set`: the same as objects, for the store. `restores`, `draft`: see ConfigStore.commit.
    """

    base: int
    organization: Organization
    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]
    change_set: ChangeSet = NOTHING
    restores: int = 0
    draft: DraftInfo | None = None

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
        return store.commit(
            self.change_set,
            expected_version=self.base,
            author=author,
            at=at,
            comment=comment,
            restores=self.restores,
            draft=self.draft,
        )


def plan_file(
    current: StoredVersion,
    file: Parsed[Organization],
    *,
    prune: bool = False,
    installation: Installation | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan:
    """Merge a file that was read into the current version; config/merge.py says how, and what `prune` removes. `vault` seals the passwords
    in it (config/secrets); without one a file that holds some has errors. `known`: see check_organization; a process that lives on
    gives all its plans the same.
    """
    file, unsealed = seal_secrets(current.organization, file, vault)
    if file.value is None:
        return Plan(current.version, current.organization, (), file.problems)
    merged = merge(current.organization, file.value, prune=prune)
    found = (*unsealed, *check_organization(merged, installation=installation, source=file, known=known), *check_secrets(merged, vault))
    return _plan(current, merged, (*file.problems, *found))


def changes_of_file(
    organization: Organization, file: Parsed[Organization], *, prune: bool = False, vault: Vault | None = None
) -> ChangeSet:
    """What plan_file would change, unchecked: for whoever plans with it and checks then. Nothing where the file cannot be read."""
    file, _ = seal_secrets(organization, file, vault)
    return NOTHING if file.value is None else ChangeSet.between(organization, merge(organization, file.value, prune=prune))


def plan_organization(
    current: StoredVersion,
    organization: Organization,
    *,
    installation: Installation | None = None,
    source: Parsed[Organization] | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan:
    """Put `organization` as a whole in the place of the current version: an edit in the pages, or by cmdlets. `source`: where some of its
    objects come from, so that findings name their lines. `known`, `vault`: see plan_file.
    """
    organization, unsealed = _sealed(current, with_priorities(organization, priorities_of(current.organization)), vault)
    checked = check_organization(organization, installation=installation, source=source, known=known)
    found = (*unsealed, *checked, *check_secrets(organization, vault))
    return _plan(current, organization, found)


def plan_changes(
    current: StoredVersion,
    changes: ChangeSet,
    *,
    installation: Installation | None = None,
    source: Parsed[Organization] | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan:
    """Change some objects of the current version. `source`: the file that some of them came from, so that findings name their lines.
    `known`, `vault`: see plan_file.
    """
    organization, unsealed = _sealed(current, changes.applied_to(current.organization), vault)
    checked = check_organization(organization, installation=installation, source=source, known=known)
    return _plan(current, organization, (*unsealed, *checked, *check_secrets(organization, vault)))


def plan_version(
    current: StoredVersion,
    older: StoredVersion,
    *,
    installation: Installation | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan:
    """Give the current version the content of an older one: activating it again, taking something back."""
    plan = plan_organization(current, older.organization, installation=installation, known=known, vault=vault)
    return replace(plan, restores=older.version)


def plan_edit(
    store: ConfigStore,
    base: int,
    changes: ChangeSet,
    *,
    installation: Installation | None = None,
    source: Parsed[Organization] | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan | Conflict:
    """Changes that were made from version `base`, which may not be current any more: put on top of what others changed since, where
    nobody touched the same objects; else what both changed. :raises NoSuchVersion: there is no version `base`.
    """
    current = store.current()
    if base != current.version:
        old = store.load(base).organization
        rebased, fields = reconcile(old, current.organization, changes)
        if fields:
            return conflict_of(base, current.version, old, current.organization, fields)
        changes = rebased
    return plan_changes(current, changes, installation=installation, source=source, known=known, vault=vault)


def plan_draft(
    store: ConfigStore,
    draft: StoredDraft,
    *,
    installation: Installation | None = None,
    known: KeptTables | None = None,
    vault: Vault | None = None,
) -> Plan | Conflict:
    """What activating a draft would do now. The plan's `base` is later than the draft's where others saved since."""
    found = plan_edit(store, draft.info.base, draft.changes, installation=installation, known=known, vault=vault)
    return replace(found, draft=draft.info) if isinstance(found, Plan) else found


def draft_version(store: ConfigStore, draft: StoredDraft) -> StoredVersion:
    """A draft as if it were a version, with the number of its base: what further saves into it are made from, and what `explain` asks."""
    base = store.load(draft.info.base)
    return StoredVersion(base.info, draft.changes.applied_to(base.organization))


def before_latest(store: ConfigStore) -> StoredVersion:
    """What a rollback without a number goes back to: the version before the one whose content is current. Rolling back twice goes back
    two versions, never forth again. :raises NoSuchVersion: there is nothing before it.
    """
    info = store.current().info
    while info.restores:
        info = store.load(info.restores).info
    if not info.version:
        raise NoSuchVersion(0)
    return store.load(info.parent)


def _sealed(current: StoredVersion, organization: Organization, vault: Vault | None) -> tuple[Organization, list[Problem]]:
    sealed, problems = seal_secrets(current.organization, Parsed(organization, (), Places()), vault)
    assert sealed.value is not None
    return sealed.value, problems


def _plan(current: StoredVersion, organization: Organization, problems: tuple[Problem, ...]) -> Plan:
    changes = ChangeSet.between(current.organization, organization)
    return Plan(current.version, organization, changes_of(changes), problems, changes)
