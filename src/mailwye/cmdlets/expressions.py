"""Values of PowerShell: quoted text, variables, lists, tables, groups, comparisons."""

from __future__ import annotations

import re
from abc import abstractmethod

from mailwye.cmdlets.scanner import QUOTES, Scanner, Unreadable
from mailwye.cmdlets.syntax import (
    Block,
    Compare,
    Complaint,
    Foreign,
    Group,
    Joined,
    Literal,
    Logic,
    Many,
    Member,
    Node,
    Not,
    Source,
    Statement,
    Table,
    Variable,
)
from mailwye.config.exchange.powershell import DASHES, DOUBLE, SINGLE

NESTING_LIMIT = 32
"""Brackets within brackets."""
LINKS_LIMIT = 100
"""Operators and members in one statement that nest in the tree although no bracket shows it."""

COMPARISONS = ("eq", "ne", "like", "notlike", "contains", "notcontains", "in", "notin", "gt", "ge", "lt", "le")
_COMPARING = (*COMPARISONS, *(f"{case}{one}" for case in "ic" for one in COMPARISONS))
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}

_DOUBLE_STOP = re.compile(f"[{DOUBLE}`$]")
_HERE_STOP = re.compile("[`$]")
_VARIABLE = re.compile(r"\$(?:\{([^}\r\n]{1,200})\}|([A-Za-z_][A-Za-z0-9_]*))(?:(:)(?=[A-Za-z_]))?")
_NUMBER = re.compile(rf"[{DASHES}]?[0-9]{{1,18}}(?![\w.:/])")
_TYPE = re.compile(r"\[[A-Za-z][\w.\[\], ]{0,100}\](::[A-Za-z]\w*)?")
_OPERATOR = re.compile(rf"[{DASHES}]([A-Za-z]+)(?!\w)")
_ARITHMETIC = re.compile(rf"[+*/%]|[{DASHES}](?=[\s(0-9$])|\.\.")
_METHOD_REMEDY = "Write the value itself"


class Expressions:
    """The part of the parser that reads values. Parser adds statements."""

    def __init__(self, source: Source) -> None:
        self.scan = Scanner(source)
        self.depth = 0
        self.links = 0

    @abstractmethod
    def body(self, closing: str, opened: int) -> tuple[Statement, ...]:
        """Statements up to `closing`."""

    def enter(self, at: int) -> None:
        """One bracket deeper."""
        self.depth += 1
        if self.depth > NESTING_LIMIT:
            raise Unreadable(at, f"brackets are nested deeper than {NESTING_LIMIT}", "Split the line; what follows was not read")

    def link(self, at: int) -> None:
        """One operator or member more in this statement."""
        self.links += 1
        if self.links > LINKS_LIMIT:
            raise Complaint(at, f"has more than {LINKS_LIMIT} operators in one statement", "Split it")

    def expression(self) -> Node:
        """`a -eq b -and c`, as a block, a group or the right side of = holds it."""
        left = self._comparison()
        while operator := self._operator("and", "or"):
            at = self.scan.at
            operands = [left]
            again = operator
            while again == operator:
                self.link(at)
                operands.append(self._comparison())
                again = self._operator(operator)
            left = Logic(operator, tuple(operands), at=at)
        return left

    def _operator(self, *wanted: str) -> str:
        """The operator that comes next if it is one of `wanted`; "" and nothing taken otherwise."""
        self.scan.skip()
        found = _OPERATOR.match(self.scan.text, self.scan.at)
        if found is None or found[1].lower() not in wanted:
            return ""
        self.scan.at = found.end()
        self.scan.skip(newlines=True)
        return found[1].lower()

    def _comparison(self) -> Node:
        left = self._list()
        while operator := self._operator(*_COMPARING):
            at = self.scan.at
            self.link(at)
            if operator not in COMPARISONS:
                operator = operator[1:]  # -ieq, -ceq: names here have no case
            left = Compare(operator, left, self._list(), at=at)
        self._refuse_other_operators()
        return left

    def _refuse_other_operators(self) -> None:
        scan = self.scan
        found = _OPERATOR.match(scan.text, scan.at)
        if found and found[1].lower() not in ("and", "or"):
            raise Complaint(scan.at, f"the operator -{found[1]} is not understood", f"Known: -{', -'.join(COMPARISONS)}, -and, -or, -not")
        if _ARITHMETIC.match(scan.text, scan.at):
            raise Complaint(scan.at, f'"{scan.peek()}": Mailwye does not calculate', _METHOD_REMEDY)

    def _list(self) -> Node:
        at = self.scan.at
        items = [self._unary()]
        while True:
            self.scan.skip()
            if not self.scan.take(","):
                return items[0] if len(items) == 1 else Many(tuple(items), at=at)
            self.scan.skip(newlines=True)
            items.append(self._unary())

    def _unary(self) -> Node:
        at = self.scan.at
        negations = 0
        while self.scan.take("!") or self._operator("not"):
            negations += 1
            self.scan.skip()
        node = self._primary()
        return node if not negations else Not(node if negations % 2 else Not(node, at=at), at=at)

    def _primary(self) -> Node:
        scan = self.scan
        scan.visible()
        at, one = scan.at, scan.peek()
        number = _NUMBER.match(scan.text, at)
        if number:
            scan.at = number.end()
            return Literal(int(number[0].replace("–", "-").replace("—", "-").replace("―", "-")), at=at)
        if one and one in QUOTES:
            return self.members(self.quoted())
        if one in ("$", "@", "("):
            return self.bracketed()
        kind = _TYPE.match(scan.text, at)
        if kind:
            scan.at = kind.end()
            if not kind[1]:
                raise Complaint(at, f"the type {kind[0]} is not understood", "Leave it out")
            if scan.peek() == "(":
                self._call()
            return self.members(Foreign(kind[0], _METHOD_REMEDY, at=at))
        if not one or one in "\r\n;|)}":
            raise Complaint(at, "a value is missing here", "Add it")
        raise Complaint(at, "text must be in quotes here", "Write 'text'")

    def bracketed(self) -> Node:
        """What begins with $, @ or a round bracket, with its members."""
        scan = self.scan
        at = scan.at
        if scan.take("@("):
            return self.members(self._group(at, is_list=True))
        if scan.take("@{"):
            return self._table(at)
        if scan.take("("):
            return self.members(self._group(at, is_list=False))
        if scan.peek() == "$":
            return self.members(self.variable())
        here = scan.here_string()
        if here is not None:
            return self._here(here, at)
        raise Complaint(at, "@name (splatting) is not understood", "Write the parameters themselves, or quote text that begins with @")

    def variable(self) -> Node:
        """`$name`, `${name}`, `$( … )`, `$true`; the position is at the $."""
        scan = self.scan
        at = scan.at
        if scan.take("$("):
            return self._group(at, is_list=False)
        found = _VARIABLE.match(scan.text, at)
        if found is None:
            raise Complaint(at, "there is no name after $", "Put text that holds $ into single quotes")
        name = (found[1] or found[2]).lower()
        if found[3] or ":" in name:
            raise Complaint(at, f"the variable ${name}: is of another place than this script", "Write the value itself")
        scan.at = found.end()
        if name in CONSTANTS:
            return Literal(CONSTANTS[name], at=at)
        return Variable("_" if name == "psitem" else name, at=at)

    def members(self, node: Node) -> Node:
        """`.Name` after a value; a call makes it something that cannot be computed."""
        scan = self.scan
        while scan.peek() == "." and (scan.peek(1).isalpha() or scan.peek(1) == "_"):
            at = scan.at
            self.link(at)
            scan.at += 1
            name = scan.name()
            if scan.peek() == "(":
                self._call()
                node = Foreign(f".{name}()", _METHOD_REMEDY, at=at)
            else:
                node = Member(node, name, at=at)
        if scan.peek() == "[":
            raise Complaint(scan.at, "an index in [ ] is not understood", "Use Select-Object -First 1, or name the object")
        return node

    def _call(self) -> None:
        """The arguments of a method, which nobody computes."""
        opened = self.scan.at
        self.scan.at += 1
        self.enter(opened)
        self.body(")", opened)
        self.depth -= 1

    def _group(self, at: int, *, is_list: bool) -> Group:
        self.enter(at)
        body = self.body(")", at)
        self.depth -= 1
        return Group(body, is_list, at=at)

    def block(self) -> Block:
        """`{ … }`; the position is at the bracket."""
        at = self.scan.at
        self.scan.at += 1
        self.enter(at)
        body = self.body("}", at)
        self.depth -= 1
        return Block(body, at=at)

    def _table(self, at: int) -> Table:
        scan = self.scan
        self.enter(at)
        entries: list[tuple[str, Node]] = []
        known: set[str] = set()
        while True:
            scan.skip(newlines=True)
            if scan.take(";"):
                continue
            if scan.take("}"):
                self.depth -= 1
                return Table(tuple(entries), at=at)
            if not scan.peek():
                raise Unreadable(at, "the @{ is never closed", "Close it with }")
            place = scan.at
            key = self._key()
            if key.lower() in known:
                raise Complaint(place, f"{key} stands twice in @{{…}}", "Write one list of values: @{Add='a','b'}")
            known.add(key.lower())
            scan.skip()
            if not scan.take("="):
                raise Complaint(scan.at, f"after {key} in @{{…}} must come =", "Write @{Add='…'; Remove='…'}")
            scan.skip(newlines=True)
            entries.append((key, self.expression()))
            scan.skip()
            if scan.peek() and scan.peek() not in ";}\r\n":
                raise Complaint(scan.at, "entries of @{…} are separated by ; or line ends", "Write @{Add='…'; Remove='…'}")

    def _key(self) -> str:
        at = self.scan.at
        if self.scan.peek() in SINGLE:
            return self.scan.single_quoted()
        if self.scan.peek() in DOUBLE:
            node = self.quoted()
            if isinstance(node, Literal):
                return str(node.value)
        elif name := self.scan.name():
            return name
        raise Complaint(at, "there is no key in @{…} here", "Write @{Add='…'; Remove='…'}")

    def quoted(self) -> Node:
        """Text in single or double quotes; the position is at the quote."""
        at = self.scan.at
        if self.scan.peek() in SINGLE:
            return Literal(self.scan.single_quoted(), at=at)
        self.scan.at += 1
        return joined(self._parts(_DOUBLE_STOP, len(self.scan.text), at), at)

    def _here(self, here: tuple[str, int, bool], at: int) -> Node:
        text, start, expands = here
        after = self.scan.at
        if not expands:
            return Literal(text, at=at)
        self.scan.at = start
        parts = self._parts(_HERE_STOP, start + len(text), at)
        self.scan.at = after
        return joined(parts, at)

    def _parts(self, stop: re.Pattern[str], limit: int, at: int) -> list[str | Node]:
        """Text and variables up to a quote, or (here-string) up to `limit`."""
        scan = self.scan
        parts: list[str | Node] = []
        while True:
            found = stop.search(scan.text, scan.at, limit)
            parts.append(scan.text[scan.at : found.start() if found else limit])
            if found is None:
                if stop is _DOUBLE_STOP:
                    raise Unreadable(at, "the quote has no end", "Close it; a quote inside is written twice")
                return parts
            scan.at = found.start()
            one = scan.peek()
            if one == "`":
                parts.append(scan.escape())
            elif one == "$":
                parts.append(self.inner())
            elif scan.peek(1) and scan.peek(1) in DOUBLE:
                parts.append(scan.peek(1))
                scan.at += 2
            else:
                scan.at += 1
                return parts

    def inner(self) -> str | Node:
        """A variable within text, or the $ that is none."""
        if self.scan.peek(1) in ("(", "{", "_") or self.scan.peek(1).isalpha():
            return self.variable()
        self.scan.at += 1
        return "$"


def joined(parts: list[str | Node], at: int, *, bare: bool = False) -> Node:
    """Neighbouring text as one; text alone as a literal."""
    nodes: list[Node] = []
    text: list[str] = []
    for part in parts:
        if isinstance(part, str):
            text.append(part)
            continue
        if any(text):
            nodes.append(Literal("".join(text), at=at))
        text = []
        nodes.append(part)
    if not nodes:
        return Literal("".join(text), bare, at=at)
    if any(text):
        nodes.append(Literal("".join(text), at=at))
    return Joined(tuple(nodes), at=at)
