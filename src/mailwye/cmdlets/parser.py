"""Text → statements, with every error at its line and column. The subset of PowerShell that docs/cmdlets.md describes, in linear time."""

from __future__ import annotations

import re

from mailwye.cmdlets.expressions import Expressions, joined
from mailwye.cmdlets.scanner import QUOTES, Unreadable
from mailwye.cmdlets.syntax import (
    PROBLEMS_LIMIT,
    Assignment,
    Command,
    Complaint,
    Group,
    Literal,
    Loop,
    Many,
    Named,
    Node,
    Pipeline,
    Script,
    Source,
    Statement,
)
from mailwye.config.exchange.powershell import DASHES, DOUBLE, SINGLE
from mailwye.config.problem import Problem

SCRIPT_LIMIT = 4_194_304
"""Characters of one script."""

_KEYWORD = re.compile(r"([A-Za-z]+)(?=[\s({]|$)")
_KEYWORDS = re.compile(
    "begin|break|catch|class|continue|do|else|elseif|end|enum|exit|filter|finally|for|function|if|param|process|return|switch|throw|trap|"
    "try|until|using|while|workflow",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(r"\$(?:\{([^}:\r\n]{1,200})\}|([A-Za-z_][A-Za-z0-9_]*))[ \t]*([-+*/]?)=(?!=)")
_REDIRECTION = re.compile(r"[0-9*]?>|<")
_EXPRESSION = re.compile(rf"[$@(!{QUOTES}]|[{DASHES}]?[0-9]+(?![^\s,|;)}}])|\[[A-Za-z]|[{DASHES}]not\b", re.IGNORECASE)


def parse(text: str, file: str = "") -> Script:
    """Read a script; `file` is its name in messages. Never raises."""
    source = Source(text, file)
    if len(text) > SCRIPT_LIMIT:
        return Script(source, (), (Problem(f"is longer than {SCRIPT_LIMIT} characters", "Split it", file),))
    return Parser(source).script()


class Parser(Expressions):
    """Reads statements, one after the other."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._left_open = 0

    def script(self) -> Script:
        """The whole text. After an error it goes on with the next line."""
        statements: list[Statement] = []
        problems: list[Problem] = []
        source = self.scan.source
        while len(problems) < PROBLEMS_LIMIT:
            self.depth = self.links = 0
            try:
                self._between()
                if not self.scan.peek():
                    return Script(source, tuple(statements), tuple(problems))
                statements.append(self.statement())
                self._ended(")}" if self._left_open else "")
            except Unreadable as complaint:
                problems.append(source.problem(complaint))
                return Script(source, tuple(statements), tuple(problems))
            except Complaint as complaint:
                problems.append(source.problem(complaint))
                self._left_open += self.depth
                self.scan.skip_statement()
        problems.append(source.problem(Complaint(self.scan.at, f"there are more than {PROBLEMS_LIMIT} errors", "Correct these first")))
        return Script(source, tuple(statements), tuple(problems))

    def _between(self) -> None:
        """What may stand between statements; and brackets that an error left open."""
        scan = self.scan
        while True:
            scan.skip(newlines=True)
            if scan.take(";"):
                continue
            if self._left_open and self.depth == 0 and scan.peek() in (")", "}"):
                scan.at += 1
                self._left_open -= 1
                continue
            return

    def _ended(self, closing: str) -> None:
        """After a statement comes a line end, a ; or a bracket of `closing`."""
        self.scan.skip()
        one = self.scan.peek()
        if one and one not in "\r\n;" + closing:
            raise Complaint(self.scan.at, f'there is an unexpected "{one}"', "Put text that holds it in quotes, or remove it")

    def body(self, closing: str, opened: int) -> tuple[Statement, ...]:
        """Statements up to `closing`, which is taken."""
        statements: list[Statement] = []
        while True:
            self._between()
            if self.scan.take(closing):
                return tuple(statements)
            if not self.scan.peek():
                raise Unreadable(opened, f"the bracket is never closed: {closing} is missing", "Close it")
            statements.append(self.statement())
            self._ended(closing)

    def statement(self) -> Statement:
        """One statement."""
        scan = self.scan
        scan.skip_prompt()
        scan.visible()
        at = scan.at
        keyword = _KEYWORD.match(scan.text, at)
        if keyword and _KEYWORDS.fullmatch(keyword[1]):
            raise Unreadable(
                at,
                f'"{keyword[1]}" is of PowerShell\'s language, which is not understood: only cmdlets, pipelines, variables and foreach are',
                "Write the cmdlets themselves; what follows was not read",
            )
        if keyword and keyword[1].lower() == "foreach":
            return self._loop(at, keyword.end())
        assignment = _ASSIGNMENT.match(scan.text, at)
        if assignment:
            return self._assignment(assignment)
        return self.pipeline()

    def _assignment(self, found: re.Match[str]) -> Assignment:
        at = self.scan.at
        name = (found[1] or found[2]).lower()
        if found[3]:
            raise Complaint(at, f"{found[3]}= is not understood", "Assign the whole value with =")
        if name in ("whatifpreference", "psdefaultparametervalues"):
            raise Complaint(at, f"${found[1] or found[2]} is not understood", "Write -WhatIf, or use `mailwye ps --what-if`")
        if name in ("true", "false", "_"):
            raise Complaint(at, f"${name} cannot be assigned", "Choose another name")
        self.scan.at = found.end()
        self.scan.skip(newlines=True)
        return Assignment(name, self.pipeline(), at=at)

    def _loop(self, at: int, end: int) -> Loop:
        scan = self.scan
        scan.at = end
        scan.skip()
        opened = scan.at
        if not scan.take("("):
            raise Complaint(at, "after foreach must come ($name in …)", "Write foreach ($name in …) { … }")
        scan.skip(newlines=True)
        found = re.compile(r"\$([A-Za-z_]\w*)\s+in\s", re.IGNORECASE).match(scan.text, scan.at)
        if found is None:
            raise Complaint(scan.at, "after foreach ( must come $name in", "Write foreach ($name in …) { … }")
        scan.at = found.end()
        self.enter(opened)
        over = Group(self.body(")", opened), True, at=opened)
        self.depth -= 1
        scan.skip(newlines=True)
        if scan.peek() != "{":
            raise Complaint(scan.at, "after foreach ( … ) must come { … }", "Write foreach ($name in …) { … }")
        return Loop(found[1].lower(), over, self.block(), at=at)

    def pipeline(self) -> Pipeline:
        """Stages between |."""
        scan = self.scan
        at = scan.at
        stages = [self._stage(first=True)]
        while True:
            if not scan.take_pipe():
                return Pipeline(tuple(stages), at=at)
            if scan.peek() == "|":
                raise Complaint(scan.at - 1, "|| is not understood", "Write the two lines one below the other")
            scan.skip(newlines=True)
            stages.append(self._stage(first=False))

    def _stage(self, *, first: bool) -> Command | Node:
        scan = self.scan
        scan.visible()
        at, one = scan.at, scan.peek()
        if first and one in (")", "}", "|"):
            raise Complaint(at, f'there is an unexpected "{one}"', "Remove it")
        if not one or one in "\r\n;|)}":
            raise Complaint(at, "a cmdlet is missing here", "Add it")
        if one == "&" or (one == "." and scan.peek(1).isspace()):
            raise Complaint(at, f'"{one}" starts other programs, which Mailwye does not', "Write the cmdlet itself")
        if _EXPRESSION.match(scan.text, at):
            if not first:
                raise Complaint(at, "after | must come a cmdlet", "Write | Set-… or | Format-Table")
            return self.expression()
        return self._command()

    def _command(self) -> Command:
        scan = self.scan
        at = scan.at
        word = self._word()
        if not isinstance(word, Literal):
            raise Complaint(at, "the name of a cmdlet holds a variable", "Write the name itself")
        elements: list[Named | Node] = []
        while True:
            scan.skip()
            one = scan.peek()
            if not one or one in "\r\n;|)}":
                return Command(str(word.value), tuple(elements), at=at)
            if _REDIRECTION.match(scan.text, scan.at):
                raise Complaint(scan.at, "output cannot be written to a file here", "Redirect the output of `mailwye ps` itself")
            if one == "&":
                raise Complaint(scan.at, '"&" starts other programs, which Mailwye does not', "Put text that holds it in quotes")
            if one == ",":
                raise Complaint(scan.at, "a value is missing before the comma", "Put text in quotes: 'a','b'")
            elements.append(self._named() or self._argument())

    def _named(self) -> Named | None:
        scan = self.scan
        at = scan.at
        found = scan.parameter()
        if found is None:
            return None
        name, colon = found
        if not colon:
            return Named(name, at=at)
        scan.skip()
        return Named(name, self._argument(), at=at)

    def _argument(self) -> Node:
        """One value of a cmdlet; values between commas are one list."""
        scan = self.scan
        at = scan.at
        items = [self._item()]
        while True:
            end = scan.at
            scan.skip()
            comma = scan.at
            if not scan.take(","):
                scan.at = end
                return items[0] if len(items) == 1 else Many(tuple(items), at=at)
            scan.skip(newlines=True)
            if not scan.peek():
                raise Complaint(comma, "a value is missing after the comma", "Add it, or remove the comma")
            items.append(self._item())

    def _item(self) -> Node:
        scan = self.scan
        scan.visible()
        scan.after_backtick()
        at, one = scan.at, scan.peek()
        if not one or one in "\r\n;|)},&":
            raise Complaint(at, "a value is missing here", "Add it; text that holds this character belongs in quotes")
        if one in QUOTES:
            node = self.quoted()
        elif one == "{":
            node = self.block()
        elif one in ("@", "("):
            node = self.bracketed()
        elif one == "$" and (scan.peek(1) in ("(", "{", "_") or scan.peek(1).isalpha()):
            node = self.members(self.variable())
            if not self._is_delimiter(scan.peek()):
                return joined([node, self._word()], at)
        else:
            return self._word()
        if not self._is_delimiter(scan.peek()):
            raise Complaint(scan.at, "a space is missing here, or the quote ended too early", "Put the whole text in quotes")
        return node

    @staticmethod
    def _is_delimiter(one: str) -> bool:
        return not one or one.isspace() or one in "{}();,|&"

    def _word(self) -> Node:
        """Text without quotes around it; quotes and variables may be within."""
        scan = self.scan
        at = scan.at
        parts: list[str | Node] = []
        while True:
            one = scan.peek()
            if piece := scan.word_part():
                parts.append(piece)
            elif not one or one.isspace():
                break
            elif one in SINGLE:
                parts.append(scan.single_quoted())
            elif one in DOUBLE:
                parts.append(self.quoted())
            elif one == "$":
                parts.append(self.inner())
            elif one == "`" and scan.peek(1) not in ("", "\r", "\n"):
                parts.append(scan.escape())
            else:
                break
        if not parts:
            scan.visible()
            raise Complaint(at, f'there is an unexpected "{scan.peek()}"', "Put text that holds it in quotes, or remove it")
        return joined(parts, at, bare=True)
