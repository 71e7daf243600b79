"""`Get-… | ConvertTo-Json` → objects of an organization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mailwye.config.problem import Problem, shown
from mailwye.importing.collect import Collector, Imported, Place
from mailwye.importing.exchange.carry import Found, carry
from mailwye.importing.exchange.kinds import kind_of, kind_of_key
from mailwye.importing.json_reader import JsonObject, read_documents
from mailwye.importing.source import ImportRefused, Source

_Object = tuple[JsonObject, str, Source]
"""With its kind and its file."""

_ORDER = ("AcceptedDomain", "OutboundConnector", "InboundConnector")
"""Connectors before the rules that name them; other kinds in the order of the files."""


def import_exchange(sources: Iterable[Source]) -> Imported:
    """Objects of any kind in any number of files; one object, a list of them, or a mapping of kinds to lists.

    :raises ImportRefused: a file is no JSON; nothing is taken then.
    """
    collector = Collector()
    objects = [one for source in sources for one in _objects(source)]
    for one in sorted(objects, key=lambda one: _rank(one[1])):
        carry(_found(*one), collector)
    return collector.imported()


def _rank(kind: str) -> int:
    if kind in _ORDER:
        return 0
    return 2 if kind == "TransportRule" else 1


def _objects(source: Source) -> Iterator[_Object]:
    documents = read_documents(source)
    if not documents:
        remedy = "The cmdlet found nothing, or its output went elsewhere"
        raise ImportRefused(Problem("is empty", remedy, source.name))
    for document in documents:
        if document != {}:  # a mapping of no kinds, as `mailwye export` prints an organization without objects
            yield from _walk(document, "", source)


def _walk(value: Any, kind: str, source: Source) -> Iterator[_Object]:
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, kind, source)
        return
    if not isinstance(value, JsonObject):
        if value is None:
            return  # what ConvertTo-Json prints for no object at all
        remedy = "Pipe the objects themselves into ConvertTo-Json, not one of their properties"
        raise ImportRefused(Problem(f"holds {value!r:.40} where an object should be", remedy, source.name))
    if not value and kind:
        return  # no object of this kind, as Exchange's own shell prints an empty list
    by_kind = {key: kind_of_key(key) for key in value} if not kind else {}
    if by_kind and all(by_kind.values()) and all(isinstance(one, list | dict) or one is None for one in value.values()):
        for key, one in value.items():
            yield from _walk(one, by_kind[key], source)
        return
    if not kind and set(value) == {"value", "Count"} and isinstance(value["value"], list):
        yield from _walk(value["value"], kind, source)  # a list, as Windows PowerShell prints it at times
        return
    yield value, kind or kind_of({key.lower(): one for key, one in value.items()}) or "object", source


def _found(value: JsonObject, kind: str, source: Source) -> Found:
    properties = {key.lower(): one for key, one in value.items()}
    names = {key.lower(): key for key in value}
    if len(names) < len(value):
        twice = next(key for key in value if names[key.lower()] != key)
        raise ImportRefused(Problem(f"gives {shown(twice)} twice, in capital and small letters", "Keep one", source.name, value.line))
    lines = {key.lower(): line for key, line in value.lines.items()}
    return Found(kind, Place(source.name, value.line), properties, names, lines)
