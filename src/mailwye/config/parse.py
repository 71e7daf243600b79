"""Files → values, with all errors at once, each with its place and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mailwye.config.duplicates import find_duplicates
from mailwye.config.encoding import decode
from mailwye.config.exchange import ANY_KIND, EXCHANGE_ONLY
from mailwye.config.installation import Installation
from mailwye.config.installation_reader import InstallationReader
from mailwye.config.problem import Places, Problem, Severity, cut, did_you_mean, shown
from mailwye.config.schema import KINDS, ConfigObject, Organization, OrganizationSettings, field_names
from mailwye.config.toml_reader import read_toml
from mailwye.config.yaml_reader import PROBLEMS_LIMIT, YamlReader

INSTALLATION_FILE_LIMIT = 1_048_576  # octets
ORGANIZATION_FILE_LIMIT = 268_435_456  # octets: a million mailboxes and some

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[_T]):
    """The result of reading one file. `value` is None where there is an error; warnings alone leave it in place.

    `places` tells where each object and field stands, for what is found later.
    """

    value: _T | None
    problems: tuple[Problem, ...]
    places: Places

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The findings that forbid using the file."""
        return tuple(problem for problem in self.problems if problem.is_error)


def read_installation(path: Path) -> Parsed[Installation]:
    """Read mailwye.toml. Never raises: an unreadable file is a Problem."""
    text, problem = _read_text(path, INSTALLATION_FILE_LIMIT)
    if problem is not None:
        return Parsed(None, (problem,), Places(str(path)))
    data, places, problem = read_toml(text, str(path))
    if problem is not None:
        return Parsed(None, (problem,), places)
    reader = InstallationReader(path.absolute(), places)
    value = reader.read(data)
    return _parsed(value, reader.problems, places)


def read_organization(source: Path | bytes | str, file: str = "") -> Parsed[Organization]:
    """Read an organization from a file (Path), or from octets or text that messages call `file`. YAML, and so JSON too.

    What one object or one key shows to be wrong is found here; what several objects do together, by checks.py.
    """
    if not isinstance(source, str):
        file = file if isinstance(source, bytes) else str(source)
        limit = ORGANIZATION_FILE_LIMIT
        source, problem = _text_of(source, limit, file) if isinstance(source, bytes) else _read_text(source, limit)
        if problem is not None:
            return Parsed(None, (problem,), Places(file))
    reader = YamlReader(file)
    reader.read(source)
    places = reader.places
    if reader.problems and reader.value is None:
        return Parsed(None, tuple(reader.problems), places)
    value, problems = validate_organization({} if reader.value is None else reader.value, places)
    problems = [*reader.problems, *problems]
    if value is not None:
        problems += find_duplicates(value, places)
    return _parsed(value, problems, places)


def validate_organization(data: Any, places: Places) -> tuple[Organization | None, list[Problem]]:
    """Plain values (of YAML, JSON or the API) → Organization, or every error."""
    if not isinstance(data, Mapping):
        return None, [
            _at(places, (), Problem("must be a mapping of kinds to lists of objects", "Begin with a line such as AcceptedDomain:"))
        ]
    try:
        return Organization.model_validate(data), []
    except ValidationError as error:
        return None, [_problem(dict(fault), data, places) for fault in error.errors(include_url=False)[:PROBLEMS_LIMIT]]


def validate_object(kind: str, data: Mapping[str, Any]) -> tuple[ConfigObject | None, list[Problem]]:
    """One object of `kind`, as the API and the command line give it. :raises KeyError: no such kind."""
    model = OrganizationSettings if kind == OrganizationSettings.kind else KINDS[kind].model
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        index = () if kind == OrganizationSettings.kind else (0,)
        faults = [{**fault, "loc": (kind, *index, *fault["loc"])} for fault in error.errors(include_url=False)]
        return None, [_problem(fault, {kind: [data]}, Places()) for fault in faults]


def _parsed(value: _T | None, problems: Iterable[Problem], places: Places) -> Parsed[_T]:
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    failed = any(problem.is_error for problem in ordered)
    return Parsed(None if failed else value, ordered, places)


def _read_text(path: Path, limit: int) -> tuple[str, Problem | None]:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return "", Problem(f"cannot be read: {reason}", "Check the path, its owner and mode", file=str(path))
    return _text_of(data, limit, str(path))


def _text_of(data: bytes, limit: int, file: str) -> tuple[str, Problem | None]:
    if len(data) > limit:
        return "", Problem(f"is larger than {limit} octets", "Split it", file=file)
    return decode(data, file)


def _at(places: Places, path: tuple[str | int, ...], problem: Problem) -> Problem:
    line, column = places.find(path)
    return Problem(problem.message, problem.remedy, places.file, line, column, problem.object, problem.field, problem.severity)


def _problem(fault: dict[str, Any], data: Mapping[str, Any], places: Places) -> Problem:
    """What pydantic found, in our words, with its place."""
    location: tuple[str | int, ...] = tuple(fault["loc"])
    kind = str(location[0]) if location else ""
    model: type[ConfigObject]
    if kind == OrganizationSettings.kind:
        within, label, model = location[1:], kind, OrganizationSettings
    elif kind in KINDS and len(location) > 1:
        within, label, model = location[2:], _label(data, kind, location[1]), KINDS[kind].model
    else:
        within, label, model = location[1:], kind if kind in KINDS else "", Organization
    field = _field(within)
    message, remedy = _words(fault, kind if model is Organization else field, model)
    if model is Organization and not label and fault["type"] == "extra_forbidden":
        field = cut(kind)
    return _at(places, location, Problem(message, remedy, object=label, field=field))


def _field(within: tuple[str | int, ...]) -> str:
    """`SmartHosts[2]`: the field, and the entry of a list, counted from 1."""
    if not within:
        return ""
    name = cut(str(within[0]))
    return f"{name}[{within[1] + 1}]" if len(within) > 1 and isinstance(within[1], int) and within[1] else name


def _label(data: Mapping[str, Any], kind: str, index: str | int) -> str:
    """The faulty object as people know it: by what its identity seems to be, else by its number."""
    found = next((value for key, value in data.items() if str(key).lower() == kind.lower()), None)
    entry = found[index] if isinstance(found, list) and isinstance(index, int) and index < len(found) else found
    if isinstance(entry, Mapping):
        by_lower = {str(key).lower(): value for key, value in entry.items()}
        for key in ("domainname", "primarysmtpaddress", "externalemailaddress", "name"):
            if isinstance(by_lower.get(key), str):
                return f"{kind} {shown(by_lower[key])}"
    return f"{kind} {index + 1}" if isinstance(index, int) else kind


def _words(fault: dict[str, Any], field: str, model: type[ConfigObject]) -> tuple[str, str]:
    """(message, remedy) for one of pydantic's error types; ours carry theirs."""
    context = fault.get("ctx") or {}
    match fault["type"]:
        case "mailwye":
            return str(context["message"]), str(context["remedy"])
        case "missing":
            return "is missing", "Add it"
        case "extra_forbidden":
            return _unknown(field, model)
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping of settings", "Write lines such as Name: …"
        case "string_too_long" | "too_long":
            return f"is longer than {context['max_length']} characters", "Shorten it"
        case "string_too_short" | "too_short":
            return "is empty", "Give it a value"
        case other:
            return f"{fault['msg']} ({other})", "Correct it"


def _unknown(key: str, model: type[ConfigObject]) -> tuple[str, str]:
    known = field_names(model)
    what = "kind of object" if model is Organization else "setting"
    foreign = EXCHANGE_ONLY.get(model.kind, ANY_KIND).get(key.lower()) if model is not Organization else None
    if foreign is not None:
        return "is a setting of Exchange that does not exist here", f"{foreign.text}; remove it"
    return f"is no {what} that Mailwye knows", did_you_mean(key, known, otherwise=f"Known: {', '.join(known)}")


__all__ = [
    "Parsed",
    "Problem",
    "Severity",
    "read_installation",
    "read_organization",
    "validate_object",
    "validate_organization",
]
