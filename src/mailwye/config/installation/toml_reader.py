"""TOML text → plain values and the places of tables and keys. tomllib tells no places, so a light scan of the text finds them.

The scan runs only over text that tomllib accepted: it need not judge, only skip strings, comments and brackets.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from mailwye.config.problem import Path, Places, Problem

_ERROR_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_KEY_PART = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*(\.)?""")
# What a value may hold that can contain line ends, brackets or hash signs; longest quotes first.
_VALUE_PIECE = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


def read_toml(text: str, file: str) -> tuple[dict[str, Any], Places, Problem | None]:
    """The values, their places, and the syntax error if there is one (then the values are empty)."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _ERROR_PLACE.search(str(error))
        reason = _ERROR_PLACE.sub("", str(error))
        at_end = text.count("\n") + 1
        line, column = (int(found.group(1)), int(found.group(2))) if found is not None and found.group(1) else (at_end, 1)
        remedy = "Text values stand in quotes; a table begins with [name], a list entry with [[name]]"
        return {}, Places(file), Problem(f"TOML syntax error: {reason}", remedy, file, line, column)
    except RecursionError:
        return {}, Places(file), Problem("nested too deeply", "Settings need three levels", file)
    return data, Places(file, _Scan(text).places), None


class _Scan:
    """Walks statement by statement: header, key and value, comment, blank."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, tuple[int, int]] = {(): (1, 1)}
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._table: Path = ()
        self._counts: dict[Path, int] = {}
        while self._at < len(text):
            self._statement()

    def _statement(self) -> None:
        text = self._text
        while self._at < len(text) and text[self._at] in " \t\r":
            self._at += 1
        if self._at >= len(text):
            return
        if text[self._at] == "[":
            self._header()
        elif text[self._at] not in "#\n":
            self._remember((*self._table, *self._key()))
        self._skip_value()

    def _header(self) -> None:
        place = (self._line, self._at - self._line_start + 1)
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        path = self._within_lists(self._key(), last=is_list)
        self._at += 2 if is_list else 1
        self._table = path
        self.places.setdefault(path, place)

    def _within_lists(self, names: Path, *, last: bool) -> Path:
        """`a.b` → its path with the indexes of the list entries that it lies in; for [[a.b]] a new index at the end."""
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if last and position == len(names) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _key(self) -> Path:
        parts: list[str] = []
        while (found := _KEY_PART.match(self._text, self._at)) is not None:
            parts.append(next(part for part in found.groups()[:3] if part is not None).lower())
            self._at = found.end()
            if found.group(4) is None:
                break
        return tuple(parts)

    def _remember(self, path: Path) -> None:
        start = self._text.rfind("\n", 0, self._at) + 1
        column = len(self._text[start : self._at]) - len(self._text[start : self._at].lstrip()) + 1
        self.places.setdefault(path, (self._line, column))

    def _skip_value(self) -> None:
        """To the end of the line that ends the statement."""
        depth = 0
        while self._at < len(self._text):
            found = _VALUE_PIECE.match(self._text, self._at)
            piece = found.group() if found is not None else self._text[self._at]
            self._at += len(piece)
            if lines := piece.count("\n"):
                self._line += lines
                self._line_start = self._at - len(piece) + piece.rfind("\n") + 1
            if piece in ("[", "{"):
                depth += 1
            elif piece in ("]", "}"):
                depth -= 1
            elif piece == "\n" and depth <= 0:
                return
