"""Parameters → the plain values of one object, as a file would give them: what New-… makes, what Set-… changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailwye.cmdlets.bind import Given, Report
from mailwye.cmdlets.catalog import RECIPIENT_KINDS, Parameter, Shape, field_of, name_field
from mailwye.cmdlets.records import Record, settings_of
from mailwye.cmdlets.syntax import Block, Complaint
from mailwye.cmdlets.values import title_of
from mailwye.config.exchange import NO_MAIL
from mailwye.config.problem import shown
from mailwye.config.reading import Found
from mailwye.config.schema import ConfigObject

_ADD, _REMOVE = "add", "remove"
_PRIMARY = "PrimarySmtpAddress"


class Filled:
    """`data`: for validate_object. `marks`: where what was set stands, for messages."""

    def __init__(self, thing: ConfigObject | None, at: int) -> None:
        self.thing = thing
        self.data: dict[str, Any] = settings_of(thing) if thing is not None else {}
        self.marks: dict[str, int] = {"": at}

    def put(self, field: str, value: Any, given: Given) -> None:
        """Set one field; None is its default."""
        if value is None:
            self.data.pop(field, None)
        else:
            self.data[field] = value
        self.marks[field] = given.at
        self.marks |= {f"{field}[{number}]": at for number, at in enumerate(given.items[1:], 2)}


def fill(kind: str, given: Mapping[str, Given], thing: ConfigObject | None, at: int, *, domain: str, note: Report) -> Filled:
    """The values of a new object (`thing` None) or of a changed one. `domain`: the default accepted domain, for a name without one.

    :raises Complaint: a value that its parameter cannot take; what the schema refuses comes out later.
    """
    filled = Filled(thing, at)
    for one in given.values():
        if one.parameter.field:
            filled.put(one.parameter.field, _value(kind, one, thing, note), one)
    if kind in RECIPIENT_KINDS:
        _fill_recipient(kind, given, filled, domain, note)
    elif kind == "AcceptedDomain":
        _fill_domain(given, filled)
    return filled


def _fill_domain(given: Mapping[str, Given], filled: Filled) -> None:
    name = given.get("Name")
    if name is not None and filled.thing is None and "DomainName" not in given:
        filled.put("DomainName", filled.data.pop("Name"), name)
    default = given.get("MakeDefault")
    if default is not None:
        filled.put("Default", flag(default.value, default), default)


def _fill_recipient(kind: str, given: Mapping[str, Given], filled: Filled, domain: str, note: Report) -> None:
    for parameter in ("UserPrincipalName", "MicrosoftOnlineServicesID"):
        if parameter in given and _PRIMARY not in given and filled.thing is None:
            filled.put(_PRIMARY, _text(given[parameter]), given[parameter])
    name, alias = given.get("Name"), given.get("Alias")
    is_named_by_address = False
    if filled.thing is None and _PRIMARY not in filled.data:
        if alias is not None and domain:
            filled.put(_PRIMARY, f"{_text(alias)}@{domain}", alias)
        elif name is not None and "@" in str(_text(name)) and kind != "MailContact":
            is_named_by_address = True
            filled.put(_PRIMARY, _text(name), name)
        elif alias is not None:
            raise Complaint(
                alias.at, "-Alias needs a default accepted domain", "Add -PrimarySmtpAddress, or use Set-AcceptedDomain -MakeDefault"
            )
    _fill_addresses(given, filled, note)
    if name is not None and "DisplayName" not in given and not is_named_by_address and not _is_address(_text(name), filled):
        filled.put("DisplayName", _text(name), name)


def _is_address(name: Any, filled: Filled) -> bool:
    """A name that is the address again says nothing: Exchange demands one."""
    return str(name).lower() == str(filled.data.get(_PRIMARY, filled.data.get("ExternalEmailAddress", ""))).lower()


def _fill_addresses(given: Mapping[str, Given], filled: Filled, note: Report) -> None:
    """EmailAddresses as Exchange writes them: SMTP: in capitals is the primary one, other protocols are for other programs."""
    one = given.get("EmailAddresses")
    written = filled.data.get("EmailAddresses")
    if one is None or not isinstance(written, list):
        return
    kept = []
    for address in written:
        text = address if isinstance(address, str) else ""
        if text.lower().startswith(NO_MAIL):
            note(Complaint(one.at, f"{shown(text)} is ignored", "Only SMTP addresses exist here"))
        elif text.startswith("SMTP:"):
            filled.data[_PRIMARY] = text[5:]
            filled.marks[_PRIMARY] = one.at
        else:
            kept.append(address)
    primary = str(filled.data.get(_PRIMARY, "")).lower()
    filled.data["EmailAddresses"] = [one for one in kept if str(one).lower().removeprefix("smtp:") != primary]


def _value(kind: str, given: Given, thing: ConfigObject | None, note: Report) -> Any:
    match given.parameter.shape:
        case Shape.FLAG:
            return flag(given.value, given)
        case Shape.NUMBER:
            return _number(given)
        case Shape.LIST:
            return _list(kind, given, thing, note)
        case Shape.CREDENTIAL:
            return _credential(given)
        case _:
            return _text(given) if given.value is not None else None


def flag(value: Any, given: Given) -> bool:
    """$true and $false, also as 1 and 0, as PowerShell takes them. :raises Complaint: something else."""
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value in ("0", "1"):
        return value == "1"
    word = "$null" if value is None else shown(value if isinstance(value, str) else repr(value))
    correct = f"Write ${value.lower()}" if isinstance(value, str) and value.lower() in ("true", "false") else "Write $true or $false"
    raise Complaint(given.at, f"must be $true or $false, not {word}", correct, field=given.parameter.name)


def _number(given: Given) -> Any:
    value = given.value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value


def _text(given: Given) -> Any:
    value = given.value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | dict | Block):
        raise Complaint(given.at, "takes one value", "Put text that holds commas in quotes", field=given.parameter.name)
    if isinstance(value, bool):
        raise Complaint(given.at, f"must be text, not ${str(value).lower()}", "Put it in quotes", field=given.parameter.name)
    return _plain(value)


def _credential(given: Given) -> Any:
    """No message repeats what stands there: it could be a password."""
    if given.value is not None and not isinstance(given.value, dict):
        remedy = "Write @{UserName='…'; Password='…'}, or leave it out and use `mailwye secrets set`"
        raise Complaint(given.at, "must be a table of UserName and Password", remedy, field=given.parameter.name)
    return given.value


def _list(kind: str, given: Given, thing: ConfigObject | None, note: Report) -> Any:
    value = given.value
    if isinstance(value, dict) and {key.lower() for key in value} <= {_ADD, _REMOVE}:
        return _merged(kind, given.parameter, value, thing, given, note)
    return _entries(value, given)


def _entries(value: Any, given: Given) -> list[Any]:
    if value is None:
        return []
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if isinstance(entry, bool | Block):
            raise Complaint(given.at, "must be a list of texts", _list_example(given.parameter), field=given.parameter.name)
        if isinstance(entry, dict) and {key.lower() for key in entry} & {_ADD, _REMOVE}:
            raise Complaint(given.at, "mixes Add or Remove with other values", _list_example(given.parameter), field=given.parameter.name)
    return [_plain(entry) for entry in entries if entry is not None and entry != ""]


def _list_example(parameter: Parameter) -> str:
    return f"Write -{parameter.name} 'a','b' or -{parameter.name} @{{Add='a'; Remove='b'}}"


def _merged(kind: str, parameter: Parameter, table: Mapping[str, Any], thing: ConfigObject | None, given: Given, note: Report) -> list[Any]:
    """The list that the object has, without what is removed, with what is added. Where a value cannot be read, that value alone, so that
    the schema says what is wrong with it.
    """
    by_key = {key.lower(): _entries(value, given) for key, value in table.items()}
    added, removed = by_key.get(_ADD, []), by_key.get(_REMOVE, [])
    declared = field_of(kind, parameter.field)
    found: Found = []
    # Nothing is no value of a list that must not be empty, but nothing may well be added or removed.
    extra, gone = (declared.value.read(values, (), found) if values else () for values in (added, removed))
    if found:
        return [*added, *removed]
    present = tuple(getattr(thing, declared.attribute)) if thing is not None else ()
    keys = {_key(one) for one in gone}
    for one in gone:
        if _key(one) not in {_key(other) for other in present}:
            note(Complaint(given.at, f"{shown(str(one))} was not in {parameter.name}", "Nothing was removed for it", field=parameter.name))
    known = {_key(one) for one in extra}
    kept = [one for one in present if _key(one) not in keys and _key(one) not in known]
    write = declared.value.write
    return list(write((*kept, *extra)) if write is not None else (*kept, *extra))


def _key(value: Any) -> Any:
    return getattr(value, "key", value)


def _plain(value: Any) -> Any:
    """An object where a name is meant is its name."""
    return title_of(value) if isinstance(value, Record) else value


def shown_name(kind: str, data: Mapping[str, Any]) -> str:
    """What the object is called, as far as it was given."""
    return str(data.get(name_field(kind), data.get("Name", "")))
