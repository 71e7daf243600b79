"""The cmdlets, made from the classes of the schema: a kind or a field that the schema gains has its cmdlets and parameters at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from enum import Enum
from functools import cache, partial

from mailwye.cmdlets.exchange import EVERYWHERE, PARAMETERS, READING, ForeignParameter
from mailwye.config.problem import did_you_mean
from mailwye.config.schema import KINDS, ConfigObject, DistributionGroup, Field, OrganizationSettings, field_names
from mailwye.config.schema.credential import AuthenticationCredential
from mailwye.value import dataclass

CONFIG_NOUN = "OrganizationConfig"
"""Exchange's noun for the organization's own settings."""
MEMBER_NOUN = "DistributionGroupMember"
RECIPIENT_KINDS = tuple(kind for kind, entry in KINDS.items() if entry.space == "recipient")

_WITHOUT_ENABLING = {*RECIPIENT_KINDS}  # Enable-Mailbox means something else in Exchange: elsewhere.py


class Shape(Enum):
    """What a parameter takes; the value is the word for it."""

    FLAG = "$true or $false"
    NUMBER = "number"
    TEXT = "text"
    LIST = "list"
    SWITCH = "switch"
    CREDENTIAL = "`@{UserName='…'; Password='…'}`"


@dataclass(frozen=True, slots=True)
class Parameter:
    """`field`: the schema's name that it sets, "" where it sets none. `choices`: the values that it may have, where they are few."""

    name: str
    shape: Shape
    field: str = ""
    choices: tuple[str, ...] = ()
    foreign: ForeignParameter | None = None


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """`noun` as Exchange writes it; `kind` is the schema's. `positional`: what the first value without a name is."""

    verb: str
    noun: str
    kind: str
    takes: Callable[[], Mapping[str, Parameter]] = field(compare=False)
    positional: tuple[str, ...]

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """By name in lower case. Those of our cmdlets are made when they are asked for: who carries out one needs no others."""
        return self.takes()

    @property
    def name(self) -> str:
        """`New-OutboundConnector`."""
        return f"{self.verb}-{self.noun}"

    @property
    def is_change(self) -> bool:
        """False for Get."""
        return self.verb != "Get"

    def find(self, written: str) -> tuple[Parameter | None, str]:
        """The parameter by its name or an unambiguous beginning of it, in any case; else what to say: a message and a remedy, with a
        line end between.
        """
        lower = written.lower()
        exact = self.parameters.get(lower)
        if exact is not None:
            return exact, ""
        begun = [one for name, one in self.parameters.items() if name.startswith(lower)]
        own = [one for one in begun if one.foreign is None] or begun
        if len(own) == 1:
            return own[0], ""
        if own:
            return None, f"could be {' or '.join('-' + one.name for one in own[:6])}\nWrite the whole name"
        known = [one.name for one in self.parameters.values() if one.foreign is None]
        names = [one.name for one in self.parameters.values()]
        remedy = did_you_mean(written[:64], names) or nearest_beginning(written[:64], known) or f"Known: -{', -'.join(known)}"
        return None, f"is no parameter of {self.name}\n{remedy}"


def nearest_beginning(written: str, names: Iterable[str]) -> str:
    """A remedy that names what begins nearly as `written`: -Smrt for SmartHosts, the shortest of several."""
    beginnings = {name[: len(written) + 1]: name for name in sorted(names, key=len, reverse=True)}
    near = did_you_mean(written, beginnings)
    return f"Did you mean {beginnings[near[13:-1]]}?" if near else ""


def model_of(kind: str) -> type[ConfigObject]:
    """The schema's class. :raises KeyError: no such kind."""
    return OrganizationSettings if kind == OrganizationSettings.kind else KINDS[kind].model


def name_field(kind: str) -> str:
    """The field in Exchange's spelling by which an object of `kind` is known."""
    fields = set(field_names(model_of(kind)))
    return next(name for name in ("DomainName", "PrimarySmtpAddress", "Name") if name in fields)


@cache
def catalog() -> Mapping[str, Cmdlet]:
    """Every cmdlet that is carried out on objects, by its name in lower case."""
    return {cmdlet.name.lower(): cmdlet for cmdlet in _all()}


def cmdlet(verb: str, kind: str) -> Cmdlet | None:
    """The cmdlet of `verb` for a schema kind, None where there is none."""
    noun = CONFIG_NOUN if kind == OrganizationSettings.kind else kind
    return catalog().get(f"{verb}-{noun}".lower())


@cache
def _fields(kind: str) -> Mapping[str, Field]:
    return {entry.name: entry for entry in model_of(kind).fields.values()}


def field_of(kind: str, field: str) -> Field:
    """The schema's description of a field in Exchange's spelling."""
    return _fields(kind)[field]


def _all() -> Iterator[Cmdlet]:
    for kind in KINDS:
        for verb in ("Get", "New", "Set", "Remove"):
            yield _cmdlet(verb, kind, kind)
        if "Enabled" in _fields(kind) and kind not in _WITHOUT_ENABLING:
            for verb in ("Enable", "Disable"):
                yield _cmdlet(verb, kind, kind)
    for verb in ("Get", "Set"):
        yield _cmdlet(verb, CONFIG_NOUN, OrganizationSettings.kind)
    yield _cmdlet("Get", "Recipient", "")
    if DistributionGroup.kind in KINDS:
        for verb in ("Get", "Add", "Remove", "Update"):
            yield _cmdlet(verb, MEMBER_NOUN, DistributionGroup.kind)


def _cmdlet(verb: str, noun: str, kind: str) -> Cmdlet:
    return Cmdlet(verb, noun, kind, cache(partial(_parameters, verb, noun, kind)), _positional(verb, noun))


def _parameters(verb: str, noun: str, kind: str) -> Mapping[str, Parameter]:
    parameters = {one.name.lower(): one for one in _foreign(verb, kind)}
    parameters |= {one.name.lower(): one for one in _special(verb, noun, kind)}
    if kind and noun != MEMBER_NOUN and verb in ("New", "Set", "Get"):
        parameters |= {one.name.lower(): one for one in _settings(kind) if verb != "Get" or _is_asked_for(one)}
    ordered = sorted(parameters.values(), key=lambda one: one.foreign is not None)
    return {one.name.lower(): one for one in ordered}


def _positional(verb: str, noun: str) -> tuple[str, ...]:
    if verb == "New":
        return ("Name",)
    return () if noun == CONFIG_NOUN else ("Identity",)


def _settings(kind: str) -> Iterator[Parameter]:
    for name, entry in _fields(kind).items():
        shape, choices = _shape(entry)
        yield Parameter(name, shape, name, choices)


def _is_asked_for(one: Parameter) -> bool:
    """False for what no Get- could find: it shows no password."""
    return one.shape is not Shape.CREDENTIAL


def _shape(entry: Field) -> tuple[Shape, tuple[str, ...]]:
    cls = entry.value.type
    if entry.value.is_list:
        return Shape.LIST, ()
    if issubclass(cls, Enum):
        return Shape.TEXT, tuple(str(one.value) for one in cls if one.value is not None)
    return _SHAPES.get(cls, Shape.TEXT), ()


_SHAPES: Mapping[type, Shape] = {bool: Shape.FLAG, int: Shape.NUMBER, AuthenticationCredential: Shape.CREDENTIAL}


def _special(verb: str, noun: str, kind: str) -> Iterator[Parameter]:
    """Parameters that set no field of their own name; execute.py and fill.py know what they do."""
    if verb != "New" and noun != CONFIG_NOUN:
        yield Parameter("Identity", Shape.TEXT)
    if verb == "Get":
        yield Parameter("ResultSize", Shape.TEXT)
        if kind == "OutboundConnector":
            yield Parameter("IncludeTestModeConnectors", Shape.FLAG)
        return
    yield Parameter("WhatIf", Shape.SWITCH)
    yield Parameter("Confirm", Shape.SWITCH)
    if noun == MEMBER_NOUN:
        yield Parameter("Members" if verb == "Update" else "Member", Shape.LIST)
    if verb in ("New", "Set"):
        yield from _by_kind(verb, kind)


def _by_kind(verb: str, kind: str) -> Iterable[Parameter]:
    if kind == "AcceptedDomain":
        return (Parameter("MakeDefault", Shape.FLAG),)
    if kind not in RECIPIENT_KINDS:
        return ()
    found = [Parameter("Name", Shape.TEXT)]
    if verb == "New":
        found.append(Parameter("Alias", Shape.TEXT))
    if kind in ("Mailbox", "MailUser"):
        found += [Parameter("UserPrincipalName", Shape.TEXT), Parameter("MicrosoftOnlineServicesID", Shape.TEXT)]
    return found


def _foreign(verb: str, kind: str) -> Iterator[Parameter]:
    tables = [EVERYWHERE]
    if verb == "Get":
        tables.append(READING)
    elif verb in ("New", "Set"):
        tables.append(PARAMETERS.get(CONFIG_NOUN if kind == OrganizationSettings.kind else kind, {}))
    for table in tables:
        for name, foreign in table.items():
            yield Parameter(name, Shape.SWITCH if foreign.is_switch else Shape.TEXT, "", (), foreign)
