"""The cmdlets of PowerShell itself that stand behind a pipe: they choose, sort and format what Get-… found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mailwye.cmdlets.bind import Given
from mailwye.cmdlets.catalog import Cmdlet, Parameter, Shape
from mailwye.cmdlets.exchange import EVERYWHERE, ForeignParameter, Treatment
from mailwye.cmdlets.like import is_like
from mailwye.cmdlets.records import Output, Record, Style, default_columns
from mailwye.cmdlets.syntax import Block, Complaint
from mailwye.cmdlets.values import compare, is_true, property_of, text_of

Note = Callable[[Complaint], None]

_OPERATORS = ("EQ", "NE", "Like", "NotLike", "Contains", "NotContains", "In", "NotIn", "GT", "GE", "LT", "LE")
_LOOKS = "It is about how PowerShell's window looks"

ALIASES: Mapping[str, str] = {
    "ft": "format-table",
    "fl": "format-list",
    "fw": "format-table",
    "format-wide": "format-table",
    "select": "select-object",
    "where": "where-object",
    "?": "where-object",
    "sort": "sort-object",
    "measure": "measure-object",
    "%": "foreach-object",
    "foreach": "foreach-object",
    "echo": "write-output",
    "write": "write-output",
    "write-host": "write-output",
    "write-verbose": "out-null",
    "write-warning": "write-output",
    "out-string": "out-default",
    "out-host": "out-default",
}


def _filter(name: str, positional: tuple[str, ...], *parameters: tuple[str, Shape], looks: str = "") -> Cmdlet:
    verb, _, noun = name.partition("-")
    found = {one.lower(): Parameter(one, shape) for one, shape in parameters}
    for one, foreign in EVERYWHERE.items():
        found.setdefault(one.lower(), Parameter(one, Shape.SWITCH if foreign.is_switch else Shape.TEXT, "", (), foreign))
    for one in looks.split():
        switch = one.startswith("!")
        foreign = ForeignParameter(Treatment.SILENT, _LOOKS, switch)
        found[one.strip("!").lower()] = Parameter(one.strip("!"), Shape.SWITCH if switch else Shape.TEXT, "", (), foreign)
    return Cmdlet(verb, noun, "", lambda: found, positional)


FILTERS: Mapping[str, Cmdlet] = {
    one.name.lower(): one
    for one in (
        _filter("Format-Table", ("Property",), ("Property", Shape.LIST), looks="!AutoSize !Wrap !HideTableHeaders GroupBy View"),
        _filter("Format-List", ("Property",), ("Property", Shape.LIST), looks="GroupBy View"),
        _filter(
            "Select-Object",
            ("Property",),
            ("Property", Shape.LIST),
            ("ExpandProperty", Shape.TEXT),
            ("First", Shape.NUMBER),
            ("Last", Shape.NUMBER),
            ("Skip", Shape.NUMBER),
            ("Unique", Shape.SWITCH),
        ),
        _filter(
            "Where-Object",
            ("FilterScript", "Value"),
            ("FilterScript", Shape.TEXT),
            ("Property", Shape.TEXT),
            ("Value", Shape.TEXT),
            *((operator, Shape.TEXT) for operator in _OPERATORS),
        ),
        _filter("Sort-Object", ("Property",), ("Property", Shape.LIST), ("Descending", Shape.SWITCH), ("Unique", Shape.SWITCH)),
        _filter("Measure-Object", (), looks="!Line !Word"),
        _filter("ForEach-Object", ("Process",), ("Process", Shape.TEXT)),
        _filter("ConvertTo-Json", (), looks="Depth !Compress !AsArray"),
        _filter("ConvertTo-Csv", (), looks="!NoTypeInformation Delimiter !UseCulture"),
        _filter("Write-Output", ("InputObject",), ("InputObject", Shape.LIST), looks="ForegroundColor BackgroundColor !NoNewline"),
        _filter("Out-Null", ("InputObject",), ("InputObject", Shape.LIST)),
        _filter("Out-Default", (), looks="Width !Stream"),
    )
}


def apply_filter(
    cmdlet: Cmdlet, given: Mapping[str, Given], items: list[Any], at: int, test: Callable[[Block, Any], Any], note: Note
) -> list[Any]:
    """What `items` become. `test` computes a block for one object. :raises Complaint: it cannot be done."""
    match cmdlet.name.lower():
        case "format-table":
            return _formatted(Style.TABLE, given, items, note)
        case "format-list":
            return _formatted(Style.LIST, given, items, note)
        case "select-object":
            return _select(given, items, note)
        case "where-object":
            return _where(given, items, at, test)
        case "sort-object":
            return _sort(given, items, at)
        case "measure-object":
            return [Record("", {"Count": len(items)})]
        case "convertto-json":
            return [_as_json(items)]
        case "convertto-csv":
            records = _records(items)
            return [Output(Style.CSV, default_columns(records) if records else (), _rows(records, _all_columns(records), note, -1))]
        case "write-output":
            values = given["InputObject"].value if "InputObject" in given else items
            return values if isinstance(values, list) else [values]
        case "out-null":
            return []
    return items


def shown(items: Sequence[Any]) -> list[Output]:
    """What a pipeline leaves, as it appears without a format: objects as a table, text as it is."""
    found: list[Output] = []
    run: list[Record] = []
    for item in [*items, None]:
        if isinstance(item, Record) and (not run or run[-1].kind == item.kind):
            run.append(item)
            continue
        if run:
            columns = default_columns(tuple(run))
            style = Style.LIST if len(run) == 1 and len(columns) > 8 else Style.TABLE
            found.append(Output(style, columns, _rows(tuple(run), columns, lambda _: None, -1)))
            run = []
        if isinstance(item, Record):
            run.append(item)
        elif isinstance(item, Output):
            found.append(item)
        elif item is not None:
            found.append(Output(Style.TEXT, text=text_of(item)))
    return found


def _records(items: list[Any]) -> tuple[Record, ...]:
    return tuple(
        item if isinstance(item, Record) else Record("", {"Value": text_of(item)}) for item in items if not isinstance(item, Output)
    )


def _formatted(style: Style, given: Mapping[str, Given], items: list[Any], note: Note) -> list[Any]:
    records = _records(items)
    if not records:
        return []
    columns, at = _columns(given, records)
    if not columns:
        columns = default_columns(records) if style is Style.TABLE else _all_columns(records)
    return [Output(style, columns, _rows(records, columns, note, at))]


def _all_columns(records: tuple[Record, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record.properties))


def _columns(given: Mapping[str, Given], records: tuple[Record, ...]) -> tuple[tuple[str, ...], int]:
    """The properties that -Property names; * stands for more than one."""
    one = given.get("Property")
    if one is None:
        return (), -1
    known = _all_columns(records)
    columns: list[str] = []
    for name in one.value if isinstance(one.value, list) else [one.value]:
        if not isinstance(name, str):
            raise Complaint(one.at, "a computed column is not understood", "Name properties, with commas between them")
        if "*" in name or "?" in name:
            columns += [each for each in known if is_like(each, name)]
        else:
            columns.append(next((each for each in known if each.lower() == name.lower()), name))
    return tuple(dict.fromkeys(columns)), one.at


def _rows(records: tuple[Record, ...], columns: Sequence[str], note: Note, at: int) -> tuple[Mapping[str, Any], ...]:
    """The values of the columns. A property that does not exist is empty, and said once."""
    missing: dict[str, Complaint] = {}
    rows = []
    for record in records:
        row: dict[str, Any] = {}
        for column in columns:
            try:
                row[column] = record.kind if column == "Kind" and record.kind else property_of(record, column, at)
            except Complaint as complaint:
                row[column] = None
                missing.setdefault(column, complaint)
        rows.append(row)
    for one in missing.values():
        note(one)
    return tuple(rows)


def _select(given: Mapping[str, Given], items: list[Any], note: Note) -> list[Any]:
    skip, first, last = (_count(given, name) for name in ("Skip", "First", "Last"))
    items = items[skip or 0 :]
    if first is not None:
        items = items[:first]
    if last is not None:
        items = items[max(0, len(items) - last) :]
    if "ExpandProperty" in given:
        one = given["ExpandProperty"]
        values = [property_of(record, text_of(one.value), one.at) for record in _records(items)]
        items = [each for value in values for each in (value if isinstance(value, list) else [value])]
    elif "Property" in given:
        records = _records(items)
        columns, at = _columns(given, records)
        items = [Record("", row) for row in _rows(records, columns, note, at)]
    return _unique(items) if "Unique" in given else items


def _count(given: Mapping[str, Given], name: str) -> int | None:
    one = given.get(name)
    if one is None:
        return None
    text = str(one.value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Complaint(one.at, "must be a number", f"Write -{name} 10")
    return int(text)


def _unique(items: list[Any]) -> list[Any]:
    return list({_sort_key(item): item for item in reversed(items)}.values())[::-1]


def _where(given: Mapping[str, Given], items: list[Any], at: int, test: Callable[[Block, Any], Any]) -> list[Any]:
    block = given.get("FilterScript") or given.get("Property")
    if block is None:
        raise Complaint(at, "there is no condition", "Write Where-Object {$_.Enabled -eq $true}")
    if isinstance(block.value, Block):
        condition = block.value
        return [item for item in items if is_true(test(condition, item))]
    name = text_of(block.value)
    operators = [(one.lower(), given[one]) for one in _OPERATORS if one in given]
    if len(operators) > 1:
        raise Complaint(operators[1][1].at, "there are two comparisons", "Write Where-Object {$_.Enabled -eq $true -and …}")
    kept = []
    for record in _records(items):
        value = property_of(record, name, block.at)
        if is_true(value) if not operators else compare(operators[0][0], value, operators[0][1].value, operators[0][1].at):
            kept.append(record)
    return kept


def _sort(given: Mapping[str, Given], items: list[Any], at: int) -> list[Any]:
    one = given.get("Property")
    names = [] if one is None else [text_of(name) for name in (one.value if isinstance(one.value, list) else [one.value])]

    def key(item: Any) -> Any:
        if not names or not isinstance(item, Record):
            return _sort_key(item)
        return tuple(_sort_key(property_of(item, name, one.at if one is not None else at)) for name in names)

    ordered = sorted(items, key=key, reverse="Descending" in given)
    return _unique(ordered) if "Unique" in given else ordered


def _sort_key(value: Any) -> tuple[int, int, str]:
    if isinstance(value, Record) and value.thing is None:
        return 2, 0, json.dumps(dict(value.properties), default=str)
    if isinstance(value, int):
        return 0, int(value), ""
    return 1, 0, text_of(value).lower()


def _as_json(items: list[Any]) -> Output:
    values: list[Any] = [dict(item.properties) if isinstance(item, Record) else item for item in items if not isinstance(item, Output)]
    return Output(Style.JSON, rows=tuple(value if isinstance(value, Mapping) else {"Value": value} for value in values))
