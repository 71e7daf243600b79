"""JSON text → values that know their lines. Bounded depth, linear time, without recursion; several documents may follow one another, as
`… | ConvertTo-Json >> file` writes them.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mailwye.config.problem import Problem, shown
from mailwye.importing.source import ImportRefused, Source

DEPTH_LIMIT = 64

_TOKEN = re.compile(
    r"""[ \t\r\n]*+(?:
        (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*+")
      | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
      | (?P<word>[a-zA-Z]++)
      | (?P<sign>[{}\[\],:])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
).match
_WORDS = {"true": True, "false": False, "null": None}
_DIGITS = 18  # more than these are no setting; Python refuses very long ones


class JsonObject(dict[str, Any]):
    """An object; `line` is where it begins, `lines` where each key with a value other than null stands. Keys keep their case."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}


class _Open:
    """A container whose end has not come yet."""

    __slots__ = ("key", "key_line", "line", "value")

    def __init__(self, value: JsonObject | list[Any], line: int) -> None:
        self.value = value
        self.line = line
        self.key: str | None = None
        self.key_line = 0


def read_documents(source: Source) -> list[Any]:
    """All values of the text, in their order. :raises ImportRefused: with the line of the first fault."""
    return _Reader(source).read()


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._line = 1
        self._counted = 0
        self._documents: list[Any] = []
        self._keys: dict[str, str] = {}
        self._stack: list[_Open] = []
        self._expect = "value"

    def read(self) -> list[Any]:
        text, position = self._source.text, 0
        while True:
            found = _TOKEN(text, position)
            if found is None:
                raise self._unreadable(position)
            kind = str(found.lastgroup)
            start = found.start(kind)
            self._line += text.count("\n", self._counted, start)
            self._counted = start
            position = found.end()
            if kind == "end":
                break
            self._take(kind, found[kind])
        if self._stack:
            begun = self._stack[-1].line
            raise self._refuse(f"ends within what begins in line {begun}", "The export was cut off: make it again")
        return self._documents

    def _take(self, kind: str, text: str) -> None:
        if kind == "sign" and text in ",:":
            self._separator(text)
        elif kind == "sign" and text in "]}":
            self._close(text)
        elif self._expect in ("key", "key or }"):
            if kind != "string":
                raise self._unexpected(text)
            self._take_key(self._string(text))
        elif self._expect not in ("value", "value or ]"):
            raise self._unexpected(text)
        elif kind == "sign":
            self._open(text)
        else:
            self._attach(self._scalar(kind, text))

    def _separator(self, text: str) -> None:
        container = self._stack[-1] if self._stack else None
        if text == ":" and self._expect == ":":
            self._expect = "value"
        elif text == "," and container is not None and self._expect == ", or end":
            self._expect = "value" if isinstance(container.value, list) else "key"
        else:
            raise self._unexpected(text)

    def _take_key(self, key: str) -> None:
        container = self._stack[-1]
        assert isinstance(container.value, JsonObject)
        if key in container.value:
            first = container.value.lines.get(key, container.value.line)
            raise self._refuse(f"the key {shown(key)} is given twice, first in line {first}", "Keep one of them")
        container.key = self._keys.setdefault(key, key)  # a thousand objects have the same few
        container.key_line = self._line
        self._expect = ":"

    def _open(self, text: str) -> None:
        if len(self._stack) >= DEPTH_LIMIT:
            raise self._refuse(f"is nested deeper than {DEPTH_LIMIT} levels", "Export with ConvertTo-Json -Depth 5")
        self._stack.append(_Open(JsonObject(self._line) if text == "{" else [], self._line))
        self._expect = "key or }" if text == "{" else "value or ]"

    def _close(self, text: str) -> None:
        container = self._stack[-1] if self._stack else None
        fits = container is not None and isinstance(container.value, JsonObject) == (text == "}")
        if not fits or self._expect not in (", or end", "key or }" if text == "}" else "value or ]"):
            raise self._unexpected(text)
        self._attach(self._stack.pop().value)

    def _attach(self, value: Any) -> None:
        if not self._stack:
            self._documents.append(value)
            self._expect = "value"
            return
        container = self._stack[-1]
        if isinstance(container.value, list):
            container.value.append(value)
        else:
            assert container.key is not None
            container.value[container.key] = value
            if value is not None:
                container.value.lines[container.key] = container.key_line
        self._expect = ", or end"

    def _scalar(self, kind: str, text: str) -> Any:
        if kind == "string":
            return self._string(text)
        if kind == "word":
            if text not in _WORDS:
                raise self._unexpected(text)
            return _WORDS[text]
        whole = text.lstrip("-").isdigit() and len(text) <= _DIGITS
        return int(text) if whole else float(text)

    def _string(self, text: str) -> str:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise self._refuse(f"{shown(text)} has an escape that JSON does not know", "Correct it") from error
        assert isinstance(value, str)
        return value

    def _unreadable(self, position: int) -> ImportRefused:
        rest = self._source.text[position : position + 40].lstrip()
        self._line += self._source.text.count("\n", self._counted, self._source.text.find(rest[:1], position) if rest else position)
        if rest.startswith('"'):
            return self._refuse("a text begins here that does not end in its line", 'Close it with "')
        return self._unexpected(rest[:1])

    def _unexpected(self, text: str) -> ImportRefused:
        expected = {"value": "a value", "value or ]": "a value or ]", "key": "a key in quotes", "key or }": "a key in quotes or }"}
        wanted = expected.get(self._expect, '":"' if self._expect == ":" else "a comma or the end")
        remedy = "Export with ConvertTo-Json; the table that a cmdlet prints by itself cannot be read"
        return self._refuse(f"is no JSON: {shown(text)} stands where {wanted} should", remedy)

    def _refuse(self, message: str, remedy: str) -> ImportRefused:
        return ImportRefused(Problem(message, remedy, self._source.name, self._line))
