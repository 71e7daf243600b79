"""What New-, Set-, Remove-, Enable- and Disable- do to the workspace, or with -WhatIf would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mailwye.cmdlets.bind import Given, Halted, Report
from mailwye.cmdlets.catalog import CONFIG_NOUN, MEMBER_NOUN, RECIPIENT_KINDS, Cmdlet, name_field
from mailwye.cmdlets.fill import Filled, fill, shown_name
from mailwye.cmdlets.records import Output, Record, Style, settings_of
from mailwye.cmdlets.syntax import Complaint
from mailwye.cmdlets.values import is_true, text_of
from mailwye.cmdlets.workspace import Workspace
from mailwye.config.diff import as_text, diff
from mailwye.config.parse import validate_object
from mailwye.config.problem import Problem, shown
from mailwye.config.schema import KINDS, NO_OBJECTS, ConfigObject, Organization, OrganizationSettings
from mailwye.value import dataclass

_MEMBERS = "Members"
_RENAMED = frozenset({"Name"})  # of connectors and rules: what names them follows


@dataclass(frozen=True, slots=True)
class _Effect:
    """One object before and after; None where it was or is not there."""

    before: ConfigObject | None
    after: ConfigObject | None
    marks: Mapping[str, int]


def is_what_if(given: Mapping[str, Given]) -> bool:
    """Whether a cmdlet is to say what it would do, and not to do it: -WhatIf, but not -WhatIf:$false."""
    return "WhatIf" in given and is_true(given["WhatIf"].value)


class Changes:
    """Carries out the cmdlets that change something. `report` takes errors, `note` warnings."""

    def __init__(self, workspace: Workspace, report: Report, note: Report, incomplete: bool) -> None:
        """`incomplete`: some lines could not be read, so that an object that is missing is no error of the line that misses it."""
        self._workspace = workspace
        self._report = report
        self._note = note
        self._incomplete = incomplete

    def run(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> list[Output]:
        """Carry it out, for each object of the pipeline where one comes. :raises Complaint, Halted: not done."""
        # The next object is looked up when the one before it was changed: what a change brings with it is not undone by the next.
        changes: Iterable[list[_Effect]]
        if cmdlet.noun == MEMBER_NOUN:
            changes = [self._members(cmdlet, given, piped, at)]
        elif cmdlet.verb == "New":
            changes = [self._new(cmdlet, given, at)]
        else:
            changes = (self._change(cmdlet, given, thing, at) for thing in self.targets(cmdlet, given, piped, at))
        if is_what_if(given):
            return [_what_if(cmdlet, [effect for effects in changes for effect in effects])]
        for effects in changes:
            for effect in effects:
                self._apply(effect)
        return []

    def examine(self, cmdlet: Cmdlet, given: Mapping[str, Given], at: int) -> None:
        """Report what else is wrong with the values of a command that cannot be carried out."""
        if cmdlet.verb == "New":
            names = [text_of(given[name].value) for name in ("Name", "DomainName", "PrimarySmtpAddress") if name in given]
            self._workspace.broken |= {(cmdlet.kind, name.lower()) for name in names}
        elif cmdlet.verb != "Set":
            return
        try:
            filled = self._filled(cmdlet.kind, given, None, at)
        except Complaint as complaint:
            self._report(complaint)
            return
        for problem in validate_object(cmdlet.kind, filled.data)[1]:
            if problem.message != "is missing":
                self._report(_located(problem, filled.marks))

    def targets(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> Iterator[ConfigObject]:
        """The objects that Identity or the pipeline names, each as it is when it is asked for."""
        if cmdlet.noun == CONFIG_NOUN:
            yield self._workspace.settings
            return
        identity = given.get("Identity")
        if identity is not None and piped is not None:
            raise Complaint(identity.at, "the pipeline says already which object is meant", "Remove -Identity")
        if identity is None and piped is None:
            raise Complaint(at, f"{cmdlet.name} does not say which object", f'Write {cmdlet.name} "name" …')
        names = piped if identity is None else identity.value if isinstance(identity.value, list) else [identity.value]
        for name in names or []:
            yield self.target(cmdlet.kind, name, identity.at if identity is not None else at)

    def target(self, kind: str, name: Any, at: int) -> ConfigObject:
        """One object by its name, or as it came through the pipeline. :raises Complaint, Halted: there is none."""
        if isinstance(name, Record) and name.thing is not None:
            if name.kind != kind and not (name.kind in RECIPIENT_KINDS and not kind):
                raise Complaint(at, f"a {name.kind} came through the pipeline, {kind} is needed", f"Use Get-{kind}")
            name = str(name.properties[name_field(name.kind)])
        if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
            raise Complaint(at, "there is no name of an object here", "Write it in quotes")
        text = str(name)
        thing = self._workspace.find(kind, text)
        if thing is not None:
            return thing
        if self._incomplete or (kind, text.lower()) in self._workspace.broken:
            raise Halted
        raise Complaint(at, f"there is no {kind or 'recipient'} {shown(text)}", self._workspace.nearest(kind, text))

    def _new(self, cmdlet: Cmdlet, given: Mapping[str, Given], at: int) -> list[_Effect]:
        filled: Filled | None = None
        try:
            filled = self._filled(cmdlet.kind, given, None, at)
            thing = self._valid(cmdlet.kind, filled)
        except (Complaint, Halted):
            names = [text_of(given[name].value) for name in ("Name", "DomainName", "PrimarySmtpAddress") if name in given]
            if filled is not None:
                names.append(shown_name(cmdlet.kind, filled.data))
            self._workspace.broken |= {(cmdlet.kind, name.lower()) for name in names}
            raise
        other = self._workspace.same_identity(thing)
        if other is not None:
            return self._again(thing, other, filled.marks, at)
        return [_Effect(None, thing, filled.marks), *self._consequences(None, thing, given)]

    def _again(self, thing: ConfigObject, other: ConfigObject, given: Mapping[str, int], at: int) -> list[_Effect]:
        """The object exists. Where it has every value that was given, that is no error, so that a script can run twice."""
        if other.kind != thing.kind:
            raise Complaint(at, f"there is another one of this identity: {other.label}", "Rename or remove one of them", about=thing.label)
        differing = [field for change in _difference(other, thing) for field in (one.field for one in change.fields) if field in given]
        if not differing:
            self._note(Complaint(at, "exists already, with these settings", "Nothing was changed", about=thing.label))
            return []
        raise Complaint(
            at,
            f"exists already, with another {', '.join(differing)}",
            f"Use Set-{thing.kind} to change it, or Remove-{thing.kind} first",
            about=thing.label,
        )

    def _change(self, cmdlet: Cmdlet, given: Mapping[str, Given], thing: ConfigObject, at: int) -> list[_Effect]:
        if cmdlet.verb == "Remove":
            return [_Effect(thing, None, {})]
        if cmdlet.verb in ("Enable", "Disable"):
            filled = Filled(thing, at)
            filled.data["Enabled"] = cmdlet.verb == "Enable"
        else:
            filled = self._filled(cmdlet.kind, given, thing, at)
        after = self._valid(cmdlet.kind, filled)
        if after.identity != thing.identity:
            self._may_be_renamed(thing, after, at)
        return [_Effect(thing, after, filled.marks), *self._consequences(thing, after, given)]

    def _filled(self, kind: str, given: Mapping[str, Given], thing: ConfigObject | None, at: int) -> Filled:
        domain = next((one.identity for one in self._workspace.default_domains()), "")
        return fill(kind, given, thing, at, domain=domain, note=self._note)

    def _valid(self, kind: str, filled: Filled) -> ConfigObject:
        """The object that the schema makes of it. :raises Halted: it is wrong; every reason was reported."""
        thing, problems = validate_object(kind, filled.data)
        for problem in problems:
            self._report(_located(problem, filled.marks))
        if thing is None:
            raise Halted
        return thing

    def _may_be_renamed(self, thing: ConfigObject, after: ConfigObject, at: int) -> None:
        if thing.kind == "Mailbox":
            remedy = "Make a new Mailbox: stored mail and password belong to the old address"
            raise Complaint(at, "the primary address of a mailbox cannot be changed", remedy, about=thing.label)
        if name_field(thing.kind) not in _RENAMED and thing.kind not in RECIPIENT_KINDS:
            raise Complaint(
                at, f"{name_field(thing.kind)} cannot be changed", f"Make a new {thing.kind} and remove this one", about=thing.label
            )
        other = self._workspace.same_identity(after)
        if other is not None:
            raise Complaint(at, f"there is another one of this identity: {other.label}", "Choose another name", about=thing.label)

    def _consequences(self, before: ConfigObject | None, after: ConfigObject, given: Mapping[str, Given]) -> list[_Effect]:
        """What changes with it, as in Exchange: one default domain, rules that follow a renamed connector, rules that make room."""
        found: list[_Effect] = []
        if after.kind == "AcceptedDomain" and ("MakeDefault" in given or "Default" in given) and getattr(after, "default", False):
            others = [one for one in self._workspace.default_domains() if one.identity != after.identity]
            found += [self._with(domain, {"Default": False}) for domain in others]
        if after.kind == "OutboundConnector" and before is not None and before.identity != after.identity:
            rules = self._workspace.objects("TransportRule").values()
            named = [rule for rule in rules if getattr(rule, "route_message_outbound_connector", "").lower() == before.identity]
            found += [self._with(rule, {"RouteMessageOutboundConnector": getattr(after, "name", "")}) for rule in named]
        if after.kind == "TransportRule" and "Priority" in given:
            found += self._room(before, after)
        return found

    def _room(self, before: ConfigObject | None, after: ConfigObject) -> list[_Effect]:
        """The rules at this Priority and directly behind it move by one."""
        at = getattr(after, "priority", None)
        others = {
            getattr(rule, "priority", None): rule
            for rule in self._workspace.objects("TransportRule").values()
            if rule.identity != (before or after).identity
        }
        found: list[_Effect] = []
        while at is not None and at in others:
            found.append(self._with(others[at], {"Priority": at + 1}))
            at += 1
        return found

    def _with(self, thing: ConfigObject, values: Mapping[str, Any]) -> _Effect:
        after, problems = validate_object(thing.kind, {**settings_of(thing), **values})
        assert after is not None, problems
        return _Effect(thing, after, {})

    def _members(self, cmdlet: Cmdlet, given: Mapping[str, Given], piped: list[Any] | None, at: int) -> list[_Effect]:
        """Add-, Remove- and Update-DistributionGroupMember: the pipeline may bring the members."""
        name = "Members" if cmdlet.verb == "Update" else "Member"
        identity = given.get("Identity")
        if identity is None:
            raise Complaint(at, f"{cmdlet.name} does not say which group", f'Write {cmdlet.name} "group" -{name} …')
        group = self.target(cmdlet.kind, identity.value, identity.at)
        one = given.get(name)
        wanted = piped if one is None else one.value if isinstance(one.value, list) else [one.value]
        if wanted is None:
            raise Complaint(at, f"{cmdlet.name} does not say which members", f"Write -{name} address")
        members = [self._address(member, one.at if one is not None else at) for member in wanted if member is not None]
        filled = Filled(group, at)
        present = list(filled.data.get(_MEMBERS, []))
        lower = {member.lower() for member in members}
        kept = [] if cmdlet.verb == "Update" else [text for text in present if text.lower() not in lower]
        for member in members if cmdlet.verb != "Update" else ():
            if (member.lower() in {text.lower() for text in present}) is (cmdlet.verb == "Add"):
                what = "is a member already" if cmdlet.verb == "Add" else "is no member"
                self._note(Complaint(at, f"{shown(member)} {what}", "Nothing was changed for it", about=group.label, field=_MEMBERS))
        filled.data[_MEMBERS] = kept if cmdlet.verb == "Remove" else [*kept, *members]
        filled.marks[_MEMBERS] = one.at if one is not None else at
        return [_Effect(group, self._valid(cmdlet.kind, filled), filled.marks)]

    def _address(self, member: Any, at: int) -> str:
        """A member by its address, by another name of a recipient, or as it came through the pipeline."""
        if isinstance(member, Record):
            return str(self.target("", member, at).identity)
        found = self._workspace.find("", str(member))
        return str(getattr(found, "primary_smtp_address", member))

    def _apply(self, effect: _Effect) -> None:
        if effect.after is not None:
            self._workspace.put(effect.after, effect.before, effect.marks)
        elif effect.before is not None:
            self._workspace.remove(effect.before)


def _located(problem: Problem, marks: Mapping[str, int]) -> Complaint:
    """A finding of the schema, at the parameter that it is about."""
    field = problem.field
    at = marks.get(field, marks.get(field.partition("[")[0], marks[""]))
    remedy = f"Add -{field}" if problem.message == "is missing" else problem.remedy
    return Complaint(at, problem.message, remedy, about=problem.object, field=field)


def _difference(before: ConfigObject | None, after: ConfigObject | None) -> tuple[Any, ...]:
    return diff(_alone(before), _alone(after))


def _alone(thing: ConfigObject | None) -> Organization:
    if thing is None:
        return NO_OBJECTS
    if isinstance(thing, OrganizationSettings):
        return Organization(organization=thing)
    return NO_OBJECTS.changed(**{KINDS[thing.kind].attribute: (thing,)})


def _what_if(cmdlet: Cmdlet, effects: list[_Effect]) -> Output:
    """PowerShell's own sentence, and below it what would change."""
    things = [effect.after or effect.before for effect in effects[:1]]
    names = ", ".join(_title(thing) for thing in things if thing is not None)
    differences = "".join(as_text(_difference(effect.before, effect.after)) for effect in effects)
    text = f'What if: Performing the operation "{cmdlet.name}" on target "{names}".\n{differences}'
    return Output(Style.TEXT, text=text.rstrip("\n"))


def _title(thing: ConfigObject) -> str:
    plain = thing.plain()
    return str(plain[name_field(thing.kind)])
