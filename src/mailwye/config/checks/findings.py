"""Collects what the checks find, with the place of each object where it came from a file."""

from __future__ import annotations

from collections import Counter

from mailwye.config.problem import Places, Problem, Severity
from mailwye.config.schema import KINDS, ConfigObject, Organization, TransportRule

FINDINGS_LIMIT = 1_000
"""More errors, or more warnings, than these are counted, not kept."""


class Findings:
    """`errors` and `warnings` in the order in which they were found; `all` is sorted by place."""

    def __init__(self, origin: Organization | None = None, places: Places | None = None) -> None:
        """`origin`: the organization as it was read from the file that `places` describes. Objects that stand in the examined
        organization but not in the file (the active settings that a file is merged into) get no place.
        """
        self._places = places or Places()
        self._paths: dict[int, tuple[str, int]] = {}
        self._rules: dict[str, tuple[str, int]] = {}  # by identity: a rule without Priority was copied to get one
        self._problems: list[Problem] = []
        self._count: Counter[Severity] = Counter()
        if origin is not None and places is not None:
            self._paths = {id(thing): (kind, index) for kind in KINDS for index, thing in enumerate(origin.objects(kind))}
            self._rules = {rule.identity: (rule.kind, index) for index, rule in enumerate(origin.transport_rules)}

    def error(self, thing: ConfigObject, field: str, message: str, remedy: str) -> None:
        """`thing` cannot be saved like this."""
        self._add(thing, field, message, remedy, Severity.ERROR)

    def warning(self, thing: ConfigObject, field: str, message: str, remedy: str) -> None:
        """`thing` can be saved, but hardly means what was meant."""
        self._add(thing, field, message, remedy, Severity.WARNING)

    def all(self) -> tuple[Problem, ...]:
        """Errors and warnings by line; those without a line last."""
        found = sorted(self._problems, key=lambda problem: (not problem.line, problem.line, problem.column))
        for severity, count in self._count.items():
            if count > FINDINGS_LIMIT:
                message = f"{count - FINDINGS_LIMIT} more {severity.value}s are not shown"
                found.append(Problem(message, "Correct these first", file=self._places.file, severity=severity))
        return tuple(found)

    def _add(self, thing: ConfigObject, field: str, message: str, remedy: str, severity: Severity) -> None:
        self._count[severity] += 1
        if self._count[severity] > FINDINGS_LIMIT:
            return
        path = self._paths.get(id(thing))
        if path is None and isinstance(thing, TransportRule):
            path = self._rules.get(thing.identity)
        file, line, column = "", 0, 0
        if path is not None:
            file = self._places.file
            line, column = self._places.find((*path, field) if field else path)
        self._problems.append(Problem(message, remedy, file, line, column, thing.label, field, severity))
