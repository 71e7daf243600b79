"""Lookup tables by their source text: `hash:/etc/postfix/transport` is read from /etc/postfix/transport, as postmap reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailwye.importing.collect import Collector, Place
from mailwye.importing.postfix.main_cf import logical_lines
from mailwye.importing.source import Source

# Types whose source is a text of keys and values.
TEXT_TYPES = frozenset(("hash", "btree", "texthash", "lmdb", "cdb", "dbm", "sdbm"))
_PATTERNS = frozenset(("regexp", "pcre", "cidr"))
_SPLIT = re.compile(r"[\s,]*+((?:[^\s,{]|\{(?:[^{}]|\{[^{}]*+\})*+\})++)").match

_PROXIES = re.compile("(?:proxy:)*+").match


@dataclass(frozen=True, slots=True)
class Row:
    """One entry. `key` in lower case, as indexed tables fold it."""

    key: str
    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class TableName:
    """`type:name` of main.cf, `proxy:` taken off. `type` "" for a /file/name pattern or plain word of a list."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}" if self.type else self.name


def words(value: str) -> Iterator[str]:
    """A list of main.cf: separated by commas and white space, braces kept together. What follows a brace without end is one word."""
    position = 0
    while (found := _SPLIT(value, position)) is not None:
        yield found[1]
        position = found.end()
    rest = value[position:].strip(", \t\r\n")
    if rest:
        yield rest


def table_name(word: str) -> TableName:
    """`proxy:hash:/etc/postfix/x` → hash, /etc/postfix/x."""
    head, colon, name = word[_PROXIES(word).end() :].partition(":")  # type: ignore[union-attr]  # * always matches
    if colon and head.isalnum():
        return TableName(head.lower(), name)
    return TableName("", head + colon + name)


def file_of(name: TableName) -> str:
    """The path of its source text, "" where it has none."""
    if name.type in TEXT_TYPES or (not name.type and name.name.startswith("/")):
        return name.name
    return ""


class Tables:
    """Reads tables for those who ask, and reports once what cannot be read."""

    def __init__(self, files: Mapping[str, Source | str], collector: Collector) -> None:
        """`files`: path → its text, or (str) why there is none."""
        self._files = files
        self._collector = collector
        self._read: dict[str, tuple[Row, ...]] = {}

    def rows(self, value: str, parameter: str, place: Place) -> tuple[Row, ...]:
        """All entries of the tables in `value` in the order of search. Of one key in several places, the first one counts."""
        found: dict[str, Row] = {}
        for word in words(value):
            for row in self._table(table_name(word), parameter, place):
                found.setdefault(row.key, row)
        return tuple(found.values())

    def lines(self, name: TableName, parameter: str, place: Place) -> Iterator[tuple[Place, str]]:
        """The lines of a /file/name pattern."""
        source = self._files.get(name.name, "was not given")
        if isinstance(source, str):
            self._collector.left_out(f"{parameter} {name}", f"the file {source}", "Put it where main.cf says", place)
            return
        for line, text in logical_lines(source.text):
            yield Place(source.name, line), text

    def _table(self, name: TableName, parameter: str, place: Place) -> tuple[Row, ...]:
        known = self._read.get(str(name))
        if known is None:
            known = self._read[str(name)] = tuple(self._rows_of(name, parameter, place))
        return known

    def _rows_of(self, name: TableName, parameter: str, place: Place) -> Iterator[Row]:
        what = f"{parameter} {name}"
        if name.type == "inline":
            yield from self._inline_rows(name, what, place)
        elif name.type == "static":
            reason = "a static: table answers every question alike; there are no entries to carry over"
            self._collector.left_out(what, reason, "Write the objects by hand", place)
        elif not file_of(name):
            self._collector.left_out(what, *_unreadable(name), place)
        else:
            yield from self._text_rows(name, what, place)

    def _inline_rows(self, name: TableName, what: str, place: Place) -> Iterator[Row]:
        """`inline:{ key=value, {key = text with spaces} }`."""
        if not (name.name.startswith("{") and name.name.endswith("}")):
            self._collector.left_out(what, "its { … } is missing or has no end", "Close it with }", place)
            return
        for entry in words(name.name[1:-1]):
            key, _, value = (part.strip() for part in entry.removeprefix("{").removesuffix("}").partition("="))
            if key and value:
                yield Row(key.lower(), value, place)
            else:
                self._collector.left_out(f"{what}: {key}", "is no entry of the form key=value", "Give it a value or remove it", place)

    def _text_rows(self, name: TableName, what: str, place: Place) -> Iterator[Row]:
        source = self._files.get(file_of(name), "was not given")
        if isinstance(source, str):
            remedy = f"`postmap -s {name} > table` prints its entries: put them where the source file should be"
            self._collector.left_out(what, f"the source text {file_of(name)} {source}", remedy, place)
            return
        seen: dict[str, int] = {}
        for line, text in logical_lines(source.text):
            here = Place(source.name, line)
            parts = text.split(None, 1)
            key = parts[0].lower()
            if len(parts) < 2:
                self._collector.left_out(f"{what}: {key}", "has no value; postmap passes over it, too", "Give it one or remove it", here)
            elif key in seen:
                reason = f"is given twice, first in line {seen[key]}; postmap takes the first one, too"
                self._collector.left_out(f"{what}: {key}", reason, "Remove one of them", here)
            else:
                seen[key] = line
                yield Row(key, parts[1].strip(), here)


def _unreadable(name: TableName) -> tuple[str, str]:
    if name.type in _PATTERNS:
        return (
            f"patterns ({name.type}:) have no list of addresses or domains that could be carried over",
            "Write the domains as RecipientDomains (`*.contoso.com` for subdomains), or the addresses as recipients",
        )
    if not name.type:
        return "is no table of the form type:name", "Correct it"
    return (
        f"a {name.type}: table lives outside of Postfix's files",
        "Query it for all its entries, write them into a text file, and name that as texthash:FILE in a copy of main.cf",
    )
