"""Files → values, with all errors at once, each with its place and remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from mailwye.config.duplicates import find_duplicates
from mailwye.config.exchange import ANY_KIND, EXCHANGE_ONLY
from mailwye.config.parsed import Parsed, parsed_from, read_file, text_of
from mailwye.config.problem import PROBLEMS_LIMIT, Fault, Places, Problem, cut, did_you_mean, shown
from mailwye.config.problem import Path as Location
from mailwye.config.reading import Found
from mailwye.config.schema import KINDS, ConfigObject, Organization, OrganizationSettings, field_names
from mailwye.config.schema.config_object import Unknown

ORGANIZATION_FILE_LIMIT = 268_435_456  # octets: a million mailboxes and some


def read_organization(source: Path | bytes | str, file: str = "") -> Parsed[Organization]:
    """Read an organization from a file (Path), or from octets or text that messages call `file`. YAML, and so JSON too.

    What one object or one key shows to be wrong is found here; what several objects do together, by checks.py.
    """
    if not isinstance(source, str):
        file = file if isinstance(source, bytes) else str(source)
        limit = ORGANIZATION_FILE_LIMIT
        source, problem = text_of(source, limit, file) if isinstance(source, bytes) else read_file(source, limit)
        if problem is not None:
            return Parsed(None, (problem,), Places(file))
    from mailwye.config.yaml_reader import YamlReader  # who checks one object loads no YAML

    reader = YamlReader(file)
    reader.read(source)
    places = reader.places
    if reader.problems and reader.value is None:
        return Parsed(None, tuple(reader.problems), places)
    value, problems = validate_organization({} if reader.value is None else reader.value, places)
    problems = [*reader.problems, *problems]
    if value is not None:
        problems += find_duplicates(value, places)
    return parsed_from(value, problems, places)


def validate_organization(data: Any, places: Places) -> tuple[Organization | None, list[Problem]]:
    """Plain values (of YAML, JSON or the API) → Organization, or every error."""
    if not isinstance(data, Mapping):
        return None, [
            _at(places, (), Problem("must be a mapping of kinds to lists of objects", "Begin with a line such as AcceptedDomain:"))
        ]
    found: Found = []
    organization = Organization.read(data, (), found)
    return organization, _problems(found, data, places)


def validate_object(kind: str, data: Mapping[str, Any]) -> tuple[ConfigObject | None, list[Problem]]:
    """One object of `kind`, as the API and the command line give it. :raises KeyError: no such kind."""
    model = OrganizationSettings if kind == OrganizationSettings.kind else KINDS[kind].model
    found: Found = []
    thing = model.read(data, (kind,) if model is OrganizationSettings else (kind, 0), found)
    return thing, _problems(found, {kind: [data]}, Places())


def _at(places: Places, path: tuple[str | int, ...], problem: Problem) -> Problem:
    line, column = places.find(path)
    return Problem(problem.message, problem.remedy, places.file, line, column, problem.object, problem.field, problem.severity)


def _problems(found: Found, data: Mapping[str, Any], places: Places) -> list[Problem]:
    """As many as anybody reads. An object with very many wrong fields is looked at once for its label."""
    label = cache(partial(_label, data))
    return [_problem(at, fault, label, places) for at, fault in found[:PROBLEMS_LIMIT]]


def _problem(at: Location, fault: Fault, label_of: Callable[[str, str | int], str], places: Places) -> Problem:
    """One fault in its object."""
    kind = str(at[0]) if at else ""
    model: type[ConfigObject]
    if kind == OrganizationSettings.kind:
        within, label, model = at[1:], kind, OrganizationSettings
    elif kind in KINDS and len(at) > 1:
        within, label, model = at[2:], label_of(kind, at[1]), KINDS[kind].model
    else:
        within, label, model = at[1:], kind if kind in KINDS else "", Organization
    field = _field(within)
    message, remedy = fault.message, fault.remedy
    if isinstance(fault, Unknown):
        message, remedy = _unknown(kind if model is Organization else field, model)
        field = field or cut(kind)
    return _at(places, at, Problem(message, remedy, object=label, field=field))


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


def _unknown(key: str, model: type[ConfigObject]) -> tuple[str, str]:
    known = field_names(model)
    what = "kind of object" if model is Organization else "setting"
    foreign = EXCHANGE_ONLY.get(model.kind, ANY_KIND).get(key.lower()) if model is not Organization else None
    if foreign is not None:
        return "is a setting of Exchange that does not exist here", f"{foreign.text}; remove it"
    return f"is no {what} that Mailwye knows", did_you_mean(key, known, otherwise=f"Known: {', '.join(known)}")
