"""A script carried out on an organization: another organization, what it prints, and every error. All or nothing: with one error, whoever
calls this saves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailwye.cmdlets.bind import Given, Halted, bind
from mailwye.cmdlets.catalog import MEMBER_NOUN, RECIPIENT_KINDS, Cmdlet, catalog
from mailwye.cmdlets.changes import Changes, is_what_if
from mailwye.cmdlets.elsewhere import NOTHING_TO_DO, USE_INSTEAD
from mailwye.cmdlets.fill import flag
from mailwye.cmdlets.filters import ALIASES, FILTERS, apply_filter, shown
from mailwye.cmdlets.records import Output, Record, record_of
from mailwye.cmdlets.syntax import PROBLEMS_LIMIT, Assignment, Block, Command, Complaint, Loop, Pipeline, Script, Source, Statement
from mailwye.cmdlets.values import Enough, Evaluator, compare, is_true
from mailwye.cmdlets.workspace import Workspace
from mailwye.config.parsed import Parsed
from mailwye.config.problem import Problem, Severity, cut, did_you_mean
from mailwye.config.problem import shown as quoted
from mailwye.config.schema import ConfigObject, Organization
from mailwye.value import dataclass

NOTES_LIMIT = 200
"""Warnings that are kept."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The result. `organization`: what would be saved. `touched`: what was made or changed, with its places, for the checks.
    `problems`: errors and warnings by line. `wants_change`: some cmdlet is to change something. `is_confirmed`: all of them said
    -Confirm:$false.
    """

    organization: Organization
    touched: Parsed[Organization]
    outputs: tuple[Output, ...]
    problems: tuple[Problem, ...]
    wants_change: bool
    is_confirmed: bool

    @property
    def has_errors(self) -> bool:
        """True where nothing may be saved."""
        return any(problem.is_error for problem in self.problems)


def execute_text(organization: Organization, text: str, file: str = "") -> Execution:
    """Read a script and carry it out. Never raises; `file` is its name in messages."""
    from mailwye.cmdlets.parser import parse  # `mailwye get` and its like come with a Script

    return execute(organization, parse(text, file))


def execute(organization: Organization, script: Script) -> Execution:
    """Carry out the statements that could be read, so that all their errors are found at once."""
    runner = _Runner(organization, script)
    runner.run()
    problems = sorted((*script.problems, *runner.problems), key=lambda problem: (problem.line, problem.column))
    failed = any(problem.is_error for problem in problems)
    return Execution(
        organization if failed else runner.workspace.organization(),
        runner.workspace.touched(script.source),
        tuple(runner.outputs),
        tuple(problems),
        runner.changes_count > 0,
        runner.changes_count > 0 and runner.changes_count == runner.confirmed_count,
    )


class _Runner(Evaluator):
    """Carries out statements, one after the other, on one workspace."""

    def __init__(self, organization: Organization, script: Script) -> None:
        super().__init__()
        self.workspace = Workspace(organization)
        self.outputs: list[Output] = []
        self.problems: list[Problem] = []
        self.changes_count = 0
        self.confirmed_count = 0
        self._script = script
        self._source: Source = script.source
        self._notes = 0
        self._changes = Changes(self.workspace, self._report, self._note, bool(script.problems))

    def run(self) -> None:
        """The whole script."""
        for statement in self._script.statements:
            try:
                self.outputs += shown(self._statement(statement))
            except Enough as complaint:
                self._report(complaint)
                return
            except Complaint as complaint:
                self._report(complaint)
                self._forget(statement)
            except Halted:
                self._forget(statement)
            if len(self.problems) - self._notes >= PROBLEMS_LIMIT:
                self._report(Complaint(-1, f"there are more than {PROBLEMS_LIMIT} errors", "Correct these first"))
                return

    def run_body(self, body: tuple[Statement, ...]) -> list[Any]:
        """See Evaluator."""
        return [value for statement in body for value in self._statement(statement)]

    def _forget(self, statement: Statement) -> None:
        """A variable whose value failed is nothing, so that what uses it is not told a second time."""
        if isinstance(statement, Assignment):
            self.variables[statement.name] = None

    def _report(self, complaint: Complaint) -> None:
        self.problems.append(self._source.problem(complaint))

    def _note(self, complaint: Complaint) -> None:
        self._notes += 1
        if self._notes <= NOTES_LIMIT:
            self.problems.append(self._source.problem(complaint, Severity.WARNING))

    def _statement(self, statement: Statement) -> list[Any]:
        self.step(statement.at)
        match statement:
            case Pipeline():
                return self._pipeline(statement)
            case Assignment():
                found = self._statement(statement.value)
                self.variables[statement.name] = found[0] if len(found) == 1 else (found or None)
                return []
            case Loop():
                over = self.evaluate(statement.over)
                return self._each(statement.body, statement.name, over if isinstance(over, list) else [over])

    def _each(self, body: Block, name: str, items: list[Any]) -> list[Any]:
        """The statements of a block for each object, which they call `name`."""
        before = self.variables.get(name)
        found: list[Any] = []
        for item in items:
            self.step(body.at)
            self.variables[name] = item
            found += self.run_body(body.body)
        self.variables[name] = before
        return found

    def _test(self, block: Block, item: Any) -> Any:
        found = self._each(block, "_", [item])
        return found[0] if len(found) == 1 else found

    def _pipeline(self, pipeline: Pipeline) -> list[Any]:
        piped: list[Any] | None = None
        for stage in pipeline.stages:
            if isinstance(stage, Command):
                piped = self._command(stage, piped)
            else:
                value = self.evaluate(stage)
                piped = value if isinstance(value, list) else [] if value is None else [value]
            self.step(pipeline.at, len(piped))
        return piped or []

    def _command(self, command: Command, piped: list[Any] | None) -> list[Any]:
        name = command.name.lower()
        name = ALIASES.get(name, name)
        if name in FILTERS:
            given, failed = bind(FILTERS[name], command, self.evaluate, self._report, self._note)
            if failed:
                raise Halted
            if name == "foreach-object":
                return self._for_each(command, given, piped or [])
            return apply_filter(FILTERS[name], given, piped or [], command.at, self._test, self._note)
        cmdlet = catalog().get(name)
        if cmdlet is None:
            return self._foreign(command, name)
        given, failed = bind(cmdlet, command, self.evaluate, self._report, self._note)
        try:
            if failed:
                self._changes.examine(cmdlet, given, command.at)
                raise Halted
            return self._carry_out(cmdlet, given, piped, command.at)
        except Complaint as complaint:
            if complaint.field and not complaint.object:
                complaint.object = cmdlet.name
            raise

    def _carry_out(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> list[Any]:
        if not cmdlet.is_change:
            return list(self._get(cmdlet, given, piped, at))
        if not is_what_if(given):
            self.changes_count += 1
            confirm = given.get("Confirm")
            self.confirmed_count += confirm is not None and not is_true(confirm.value)
        return list(self._changes.run(cmdlet, given, piped, at))

    def _for_each(self, command: Command, given: Mapping[str, Given], piped: list[Any]) -> list[Any]:
        block = given.get("Process")
        if block is None or not isinstance(block.value, Block):
            raise Complaint(command.at, "ForEach-Object needs { … }", "Write ForEach-Object { Set-… $_.Name … }")
        return self._each(block.value, "_", piped)

    def _foreign(self, command: Command, name: str) -> list[Any]:
        """A cmdlet that is carried out elsewhere, or nowhere."""
        for known in NOTHING_TO_DO:
            if known.lower() == name:
                self._note(Complaint(command.at, f"{known} is skipped: there is nothing to connect to or to load here"))
                return []
        for known, text in USE_INSTEAD.items():
            if known.lower() == name:
                raise Complaint(command.at, f"{known} is not carried out here", text)
        known_names = [one.name for one in catalog().values()] + [one.name for one in FILTERS.values()] + list(USE_INSTEAD)
        otherwise = "Put text in quotes" if "-" not in name else "`mailwye ps --cmdlets` lists those that are known"
        remedy = did_you_mean(command.name[:64], known_names, otherwise=otherwise)
        raise Complaint(command.at, f"{quoted(cut(command.name))} is no cmdlet that Mailwye knows", remedy)

    def _get(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> list[Record]:
        if cmdlet.noun == MEMBER_NOUN:
            return [record for group in self._changes.targets(cmdlet, given, piped, at) for record in self._members(group)]
        records = [record_of(thing) for thing in self._wanted(cmdlet, given, piped, at)]
        for one in given.values():
            if one.parameter.field:
                records = [record for record in records if _has(record, one)]
        test_mode = given.get("IncludeTestModeConnectors")
        if test_mode is not None and flag(test_mode.value, test_mode):
            records = [record for record in records if record.properties.get("TestMode")]
        return records[: _limit(given)]

    def _wanted(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> list[ConfigObject]:
        identity = given.get("Identity")
        if cmdlet.noun == "OrganizationConfig" or (identity is None and piped is None):
            if cmdlet.noun == "OrganizationConfig":
                return [self.workspace.settings]
            kinds = (cmdlet.kind,) if cmdlet.kind else RECIPIENT_KINDS
            return [thing for kind in kinds for thing in self.workspace.objects(kind).values()]
        if identity is None or piped is not None:
            return list(self._changes.targets(cmdlet, given, piped, at))
        found: dict[int, ConfigObject] = {}
        for name in identity.value if isinstance(identity.value, list) else [identity.value]:
            is_pattern = isinstance(name, str) and bool({"*", "?"} & set(name))
            things = self.workspace.matching(cmdlet.kind, name) if is_pattern else [self._changes.target(cmdlet.kind, name, identity.at)]
            found |= {id(thing): thing for thing in things}
        return list(found.values())

    def _members(self, group: ConfigObject) -> list[Record]:
        found = []
        for address in getattr(group, "members", ()):
            thing = self.workspace.find("", str(address))
            found.append(record_of(thing) if thing is not None else Record("", {"PrimarySmtpAddress": str(address), "DisplayName": ""}))
        return found


def _has(record: Record, wanted: Given) -> bool:
    """Whether a property has the value that a parameter of Get-… asks for; one of a list is enough."""
    value = record.properties.get(wanted.parameter.field)
    if isinstance(wanted.value, str) and {"*", "?"} & set(wanted.value) and not isinstance(value, bool):
        return compare("like", value, wanted.value, wanted.at) or compare("eq", value, wanted.value, wanted.at)
    return compare("eq", value, wanted.value, wanted.at)


def _limit(given: Mapping[str, Given]) -> int | None:
    one = given.get("ResultSize")
    if one is None or str(one.value).lower() == "unlimited":
        return None
    text = str(one.value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Complaint(one.at, "must be a number or Unlimited", "Write -ResultSize Unlimited")
    return int(text)
