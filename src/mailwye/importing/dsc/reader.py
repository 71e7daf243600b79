"""DSC text → resource blocks with plain values. Variables that the text itself sets are put in; what needs PowerShell to know is Unknown.

EXOInboundConnector "From our servers"
{
Identity          = "From our servers";
SenderIPAddresses = @("198.51.100.10", "203.0.113.0/28")
Ensure            = "Present"
}
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailwye.config.exchange.powershell import DOUBLE
from mailwye.config.problem import Problem, shown
from mailwye.importing.dsc.tokens import Kind, Token, tokens
from mailwye.importing.source import ImportRefused, Source

TEXT_LIMIT = 65_536
"""Characters of one value: a few lines of variables that hold one another must not become gigabytes."""
COPIED_LIMIT = 16_777_216
"""Characters and entries that all values of a file together may hold: the same."""
NESTING_LIMIT = 16
"""Lists within lists."""

_RESOURCE = re.compile(r"[A-Za-z]\w*").fullmatch
# What stands in their brackets may count or not, once or often.
_CONDITIONS = frozenset(("if", "else", "elseif", "switch", "catch", "trap", "function", "filter"))
_CONDITIONS |= {"for", "foreach", "foreach-object", "%", "where-object", "?", "while", "do", "until"}
_NO_RESOURCES = _CONDITIONS | {"configuration", "node", "param", "begin", "process", "end", "try", "finally"}
_IN_TEMPLATE = re.compile(
    r"`u\{(?P<code>[0-9A-Fa-f]{1,6})\}|`(?P<escape>.)|"
    rf"(?P<quote>[{DOUBLE}]{{2}})|"
    r"\$(?P<name>\{[^{}\n]+\}|[A-Za-z_][\w:]*)|(?P<call>\$\()",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "", "a": "", "b": "", "f": "", "v": ""}
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}").fullmatch
_OPENING, _CLOSING = frozenset(("(", "{", "[", "@(", "@{", "$(", "${")), frozenset((")", "}", "]"))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only PowerShell could tell. `what`: `$ConfigurationData.NonNodeData.TenantId`, or words about an expression."""

    what: str


@dataclass(frozen=True, slots=True)
class Block:
    """One resource. `properties`: lower-case name → value; `names`, `lines`: the name as written, and its line. `within`: the word of
    PowerShell that decides whether it counts ("if"), "" where it does.
    """

    resource: str
    title: str
    line: int
    properties: dict[str, Any]
    names: dict[str, str]
    lines: dict[str, int]
    within: str = ""


def read_blocks(source: Source, variables: Mapping[str, str] | None = None) -> Iterator[Block]:
    """Every resource block of the text. `variables`: values from outside, by name without `$`.

    :raises ImportRefused: with the line of a fault.
    """
    return _Reader(source, variables or {}).blocks()


class _Reader:
    def __init__(self, source: Source, variables: Mapping[str, str]) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._ahead: list[Token] = []
        self._given = {name.lower().lstrip("$"): value for name, value in variables.items()}
        self._variables: dict[str, Any] = dict(self._given)
        self._copied = 0

    def blocks(self) -> Iterator[Block]:
        opened: list[tuple[Token, str]] = []  # brackets, each with the condition under which its content counts
        condition, level = "", 0  # whose { has not come yet, and how deep it will be
        while (token := self._next()).kind is not Kind.END:
            within = opened[-1][1] if opened else ""
            if token.kind is Kind.SIGN and token.text in _OPENING:
                begins = condition and token.text == "{" and len(opened) == level
                opened.append((token, condition if begins else within))
                condition = "" if begins else condition
            elif token.kind is Kind.SIGN and token.text in _CLOSING:
                del opened[-1:]
            elif token.kind is Kind.WORD and token.text.lower() in _CONDITIONS:
                condition, level = token.text.lower(), len(opened)
            elif token.kind is Kind.VARIABLE and self._peek().is_sign("="):
                self._next()
                value = self._expression()
                if token.text.lower() not in self._given:
                    self._variables[token.text.lower()] = Unknown(f"${token.text}") if within else value
            elif token.kind is Kind.WORD and _RESOURCE(token.text) and token.text.lower() not in _NO_RESOURCES:
                block = self._block(token, within)
                if block is not None:
                    yield block
        if opened:
            raise self._refuse(
                opened[-1][0], f"{opened[-1][0].text} begins something here that does not end", "Export it again, or close it"
            )

    def _block(self, resource: Token, within: str) -> Block | None:
        """`Resource Title {` and what follows; None where the word is something else, which is then passed over."""
        title = self._peek()
        if title.kind not in (Kind.WORD, Kind.TEXT, Kind.TEMPLATE, Kind.VARIABLE):
            return None
        self._next()
        self._skip_lines()
        if not self._peek().is_sign("{"):
            return None
        opening = self._next()
        block = Block(resource.text, self._title(title), resource.line, {}, {}, {}, within)
        while True:
            token = self._next()
            if token.is_sign("}"):
                return block
            if token.kind is Kind.END:
                raise self._refuse(opening, f"the block of {resource.text} that begins here does not end", "Close it with }")
            if token.kind is Kind.NEW_LINE or token.is_sign(";"):
                continue
            self._property(block, token)

    def _property(self, block: Block, name: Token) -> None:
        if name.kind not in (Kind.WORD, Kind.TEXT) or not self._peek().is_sign("="):
            raise self._refuse(name, f"{shown(name.text)} stands where a line such as Name = value should", "Correct it")
        self._next()
        self._skip_lines()
        key = name.text.lower()
        if key in block.properties:
            raise self._refuse(name, f"{name.text} is given twice, first in line {block.lines[key]}", "Keep one of them")
        block.names[key], block.lines[key] = name.text, name.line
        block.properties[key] = self._expression()

    def _title(self, token: Token) -> str:
        value = self._value_of(token)
        return value if isinstance(value, str) else f"${token.text}"

    def _expression(self) -> Any:
        """A value, or several with commas between, up to the end of the statement. What else stands there makes it Unknown."""
        values = [self._operand(0)]
        while self._peek().is_sign(","):
            self._next()
            self._skip_lines()
            values.append(self._operand(0))
        rest = self._peek()
        if not self._ends_statement(rest):
            self._skip_statement()
            return Unknown("an expression")
        return values[0] if len(values) == 1 else self._flat(values, rest)

    def _operand(self, depth: int) -> Any:
        token = self._next()
        if token.is_sign("@("):
            return self._list(token, depth)
        if token.kind is Kind.SIGN:
            if token.text in _OPENING:
                self._skip_balanced(token)
                return Unknown("an expression" if token.text != "@{" else "a table @{…}")
            if self._ends_statement(token):
                self._ahead.insert(0, token)
                return Unknown("nothing")
            return Unknown("an expression")
        if token.kind is Kind.WORD and self._peek().is_sign("{"):
            self._skip_balanced(self._next())
            return Unknown(f"an embedded {token.text}")
        return self._value_of(token)

    def _list(self, opening: Token, depth: int) -> Any:
        if depth >= NESTING_LIMIT:
            raise self._refuse(opening, f"lists are nested deeper than {NESTING_LIMIT} levels", "Write one list")
        values: list[Any] = []
        while True:
            token = self._peek()
            if token.kind is Kind.END:
                raise self._refuse(opening, "the list that begins here does not end", "Close it with )")
            if token.kind is Kind.NEW_LINE or token.is_sign(",") or token.is_sign(";"):
                self._next()
            elif token.is_sign(")"):
                self._next()
                return self._flat(values, opening)
            else:
                value = self._operand(depth + 1)
                if not (self._ends_statement(self._peek()) or self._peek().is_sign(",")):
                    self._skip_statement()
                    value = Unknown("an expression")
                values.append(value)

    def _value_of(self, token: Token) -> Any:
        match token.kind:
            case Kind.TEXT:
                return token.text
            case Kind.TEMPLATE:
                return self._filled(token)
            case Kind.VARIABLE:
                return self._variable(token.text)
            case _:
                return int(token.text) if _WHOLE_NUMBER(token.text) else token.text

    def _variable(self, name: str) -> Any:
        lower = name.lower()
        if lower in _CONSTANTS:
            return _CONSTANTS[lower]
        value = self._variables.get(lower)
        return Unknown(f"${name}") if lower not in self._variables or isinstance(value, Unknown) else value

    def _filled(self, token: Token) -> Any:
        """The text of double quotes with its variables and escapes."""
        parts: list[str] = []
        size, end = 0, 0
        for found in _IN_TEMPLATE.finditer(token.text):
            piece: Any = token.text[end : found.start()]
            parts.append(piece)
            end = found.end()
            if found["call"]:
                return Unknown("an expression in a text")
            if found["escape"]:
                piece = _ESCAPES.get(found["escape"], found["escape"])
            elif found["quote"]:
                piece = found["quote"][0]
            elif found["code"]:
                code = int(found["code"], 16)
                if code > sys.maxunicode or 0xD800 <= code < 0xE000:
                    return Unknown(found[0])
                piece = chr(code)
            else:
                piece = self._variable(found["name"].strip("{}"))
                if isinstance(piece, Unknown):
                    return piece
                piece = "" if piece is None else str(piece)
            parts.append(piece)
            size += len(piece)
            if size > TEXT_LIMIT:
                raise self._refuse(token, f"the variables make this text longer than {TEXT_LIMIT} characters", "Write it out")
        parts.append(token.text[end:])
        self._charge(size, token)
        return "".join(parts)

    def _flat(self, values: list[Any], token: Token) -> Any:
        """Lists within a list are one list, as PowerShell has it; one unknown value makes it unknown."""
        flat: list[Any] = []
        for value in values:
            if isinstance(value, Unknown):
                return value
            flat += value if isinstance(value, list) else [value]
            self._charge(len(value) if isinstance(value, list) else 1, token)
        return flat

    def _charge(self, size: int, token: Token) -> None:
        self._copied += size
        if self._copied > COPIED_LIMIT:
            raise self._refuse(token, f"the variables of this file make more than {COPIED_LIMIT} values of it", "Write them out")

    def _ends_statement(self, token: Token) -> bool:
        return token.kind in (Kind.NEW_LINE, Kind.END) or token.is_sign(";") or token.is_sign("}") or token.is_sign(")")

    def _skip_statement(self) -> None:
        while not self._ends_statement(self._peek()):
            token = self._next()
            if token.kind is Kind.SIGN and token.text in _OPENING:
                self._skip_balanced(token)

    def _skip_balanced(self, opening: Token) -> None:
        depth = 1
        while depth:
            token = self._next()
            if token.kind is Kind.END:
                raise self._refuse(opening, f"{opening.text} begins something here that does not end", "Close it")
            if token.kind is Kind.SIGN:
                depth += (token.text in _OPENING) - (token.text in _CLOSING)

    def _skip_lines(self) -> None:
        while self._peek().kind is Kind.NEW_LINE:
            self._next()

    def _peek(self) -> Token:
        if not self._ahead:
            self._ahead.append(next(self._tokens))
        return self._ahead[0]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind is not Kind.END:
            self._ahead.pop(0)
        return token

    def _refuse(self, token: Token, message: str, remedy: str) -> ImportRefused:
        return ImportRefused(Problem(message, remedy, self._source.name, token.line))
