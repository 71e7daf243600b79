"""YAML text → plain values and their places, from PyYAML's events; the small and safe part of YAML that settings need.

Plain scalars mean what YAML 1.2 says: true, false, null and whole numbers; everything else is text (so `Name: on` or `no` is text,
and `Enabled: yes` is refused where true or false is meant). No tags, no merge keys, one document; nesting, aliases and size are bounded,
so that a file of a few lines cannot become a large value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.error import MarkedYAMLError

from mailwye.config.problem import PROBLEMS_LIMIT, Path, Places, Problem, cut, shown

DEPTH_LIMIT = 16
ALIAS_VALUES_LIMIT = 100_000
"""How many values aliases may add to those that are written."""

_Mark = Any  # yaml.error.Mark, or what the C parser has in its place
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})").fullmatch
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


class _Refused(Exception):
    """The rest of the file makes no sense."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    size_before: int
    key: str | None = None
    """The key that waits for its value."""
    keys: set[str] = field(default_factory=set)
    repeated: bool = False
    """The key that waits was there before: the first one stays."""


class YamlReader:
    """Reads one text. `value`, `places` and `problems` are the result of `read`."""

    def __init__(self, file: str) -> None:
        self.value: Any = None
        self.problems: list[Problem] = []
        self._file = file
        self._places: dict[Path, tuple[int, int]] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._size = 0
        self._alias_values = 0
        self._documents = 0

    def read(self, text: str) -> None:
        """Read it all; syntax errors and everything unsafe end the reading, duplicate keys do not."""
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event)
                if len(self.problems) >= PROBLEMS_LIMIT:
                    break
        except _Refused as refused:
            self.problems.append(refused.problem)
        except MarkedYAMLError as error:
            self.problems.append(self._syntax(error))
        except yaml.YAMLError as error:
            reason = str(error).splitlines()[0]
            self.problems.append(Problem(f"is no YAML text: {reason}", "Save it as UTF-8 without control characters", file=self._file))

    @property
    def places(self) -> Places:
        """Where everything stands."""
        return Places(self._file, self._places)

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refuse(event.start_mark, "a second document begins here", "Keep one organization in one file")
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.tag is not None and event.tag != "!":
            raise self._refuse(event.start_mark, f"the tag {shown(event.tag)} is not allowed", "Write the plain value")
        container = self._stack[-1] if self._stack else None
        if container is not None and isinstance(container.value, dict) and container.key is None:
            self._take_key(container, event)
            return
        plain = event.implicit[0] and event.style in (None, "")
        value = _plain_value(event.value) if plain else event.value
        self._size += 1
        self._remember(event.anchor, value, 1)
        self._place(value, event.start_mark)

    def _take_key(self, container: _Open, event: yaml.ScalarEvent) -> None:
        if event.value == "<<":
            raise self._refuse(event.start_mark, "merge keys (<<) are not supported", "Write the settings out")
        key = event.value
        lower = key.lower()
        path = (*container.path, lower)
        if lower in container.keys:
            line, _ = self._places[path]
            self.problems.append(
                self._problem(event.start_mark, f"{cut(key)} is given twice, first in line {line}", "Keep one of them", field=cut(key))
            )
            container.repeated = True
        container.keys.add(lower)
        self._places.setdefault(path, _line_and_column(event.start_mark))
        container.key = key

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.tag is not None and event.tag != "!":
            raise self._refuse(event.start_mark, f"the tag {shown(event.tag)} is not allowed", "Write the plain value")
        self._refuse_as_key(event.start_mark)
        if len(self._stack) >= DEPTH_LIMIT:
            raise self._refuse(event.start_mark, f"nested deeper than {DEPTH_LIMIT} levels", "Settings need three levels")
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._next_path()
        self._places.setdefault(path, _line_and_column(event.start_mark))
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)
        self._stack.append(_Open(value, path, event.anchor, self._size))
        self._size += 1

    def _close(self) -> None:
        done = self._stack.pop()
        self._remember(done.anchor, done.value, self._size - done.size_before)
        self._attach(done.value)

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._refuse_as_key(event.start_mark)
        known = self._anchors.get(event.anchor or "")
        if known is None:
            raise self._refuse(event.start_mark, f"*{event.anchor} refers to nothing before it", "Write the value out")
        value, size = known
        self._alias_values += size
        self._size += size
        if self._alias_values > ALIAS_VALUES_LIMIT:
            raise self._refuse(event.start_mark, f"aliases add more than {ALIAS_VALUES_LIMIT} values", "Write the values out")
        self._place(value, event.start_mark)

    def _refuse_as_key(self, mark: _Mark) -> None:
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            raise self._refuse(mark, "a key must be plain text", "Write the name of a setting")

    def _next_path(self) -> Path:
        if not self._stack:
            return ()
        container = self._stack[-1]
        if isinstance(container.value, list):
            return (*container.path, len(container.value))
        assert container.key is not None
        return (*container.path, container.key.lower())

    def _place(self, value: Any, mark: _Mark) -> None:
        self._places.setdefault(self._next_path(), _line_and_column(mark))
        self._attach(value)

    def _attach(self, value: Any) -> None:
        if not self._stack:
            self.value = value
            return
        container = self._stack[-1]
        if isinstance(container.value, list):
            container.value.append(value)
        elif container.key is not None:
            if not container.repeated:
                container.value[container.key] = value
            container.key, container.repeated = None, False

    def _remember(self, anchor: str | None, value: Any, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)

    def _problem(self, mark: _Mark, message: str, remedy: str, *, field: str = "") -> Problem:
        return Problem(message, remedy, self._file, *_line_and_column(mark), field=field)

    def _refuse(self, mark: _Mark, message: str, remedy: str) -> _Refused:
        return _Refused(self._problem(mark, message, remedy))

    def _syntax(self, error: MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = _line_and_column(mark)
        return Problem(f"YAML syntax error: {words}", "Check indentation, colons and quotes near this line", self._file, line, column)


def _line_and_column(mark: _Mark) -> tuple[int, int]:
    """From 1; (0, 0) where PyYAML tells no place."""
    return (0, 0) if mark is None else (mark.line + 1, mark.column + 1)


def _plain_value(text: str) -> str | int | bool | None:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _WHOLE_NUMBER(text) is not None else text
