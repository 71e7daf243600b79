"""The elements of one command → its parameters with their values, by the cmdlet's names for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailwye.cmdlets.catalog import Cmdlet, Parameter, Shape
from mailwye.cmdlets.exchange import Treatment
from mailwye.cmdlets.syntax import Command, Complaint, Literal, Many, Named, Node
from mailwye.cmdlets.values import is_true
from mailwye.value import dataclass

Evaluate = Callable[[Node], Any]
Report = Callable[[Complaint], None]

_EXAMPLES = {
    Shape.FLAG: "Write $true or $false after it",
    Shape.NUMBER: "Write a number after it",
    Shape.TEXT: "Write it after the name, in quotes where it holds spaces",
    Shape.CREDENTIAL: "Write @{UserName='…'; Password='…'} after it, or leave it out and use `mailwye secrets set`",
    Shape.LIST: "Write values with commas between them, @{Add='…'; Remove='…'}, or $null for none",
}


class Halted(Exception):
    """This statement cannot go on; why is told already."""


@dataclass(frozen=True, slots=True)
class Given:
    """The value of one parameter. `items`: where each value of a list stands."""

    parameter: Parameter
    value: Any
    at: int
    items: tuple[int, ...] = ()


def bind(cmdlet: Cmdlet, command: Command, evaluate: Evaluate, report: Report, note: Report) -> tuple[Mapping[str, Given], bool]:
    """(parameter name → value, whether something is wrong). Every error was reported."""
    binder = _Binder(cmdlet, evaluate, report, note)
    binder.take(command)
    return binder.given, binder.failed


class _Binder:
    def __init__(self, cmdlet: Cmdlet, evaluate: Evaluate, report: Report, note: Report) -> None:
        self._cmdlet = cmdlet
        self._evaluate = evaluate
        self._report = report
        self._note = note
        self.given: dict[str, Given] = {}
        self.failed = False

    def take(self, command: Command) -> None:
        """Names with the values after them first, then what has no name."""
        loose: list[Node] = []
        elements = [*command.elements]
        elements.reverse()
        while elements:
            one = elements.pop()
            if not isinstance(one, Named):
                loose.append(one)
                continue
            follows = bool(elements) and not isinstance(elements[-1], Named)
            parameter, trouble = self._cmdlet.find(one.name)
            if parameter is None:
                message, _, remedy = trouble.partition("\n")
                self._fail(Complaint(one.at, f"-{one.name} {message}", remedy))
                if one.value is None and follows:
                    elements.pop()
                continue
            node = one.value
            if node is None and parameter.shape is not Shape.SWITCH:
                if not follows:
                    self._fail(Complaint(one.at, f"-{parameter.name} has no value", _EXAMPLES[parameter.shape]))
                    continue
                value = elements.pop()
                assert not isinstance(value, Named)
                node = value
            self._give(parameter, node, one.at)
        self._take_loose(loose)

    def _take_loose(self, loose: list[Node]) -> None:
        open_names = [name for name in self._cmdlet.positional if name not in self.given]
        for number, node in enumerate(loose):
            if number < len(open_names):
                self._give(self._cmdlet.parameters[open_names[number].lower()], node, node.at)
                continue
            shown = f' "{node.value}"' if isinstance(node, Literal) else ""
            self._fail(
                Complaint(node.at, f"the value{shown} belongs to no parameter", "Put text with spaces in quotes, or name its -Parameter")
            )

    def _give(self, parameter: Parameter, node: Node | None, at: int) -> None:
        if parameter.foreign is not None:
            self._foreign(parameter, node, at)
            return
        if parameter.name in self.given:
            self._fail(Complaint(at, f"-{parameter.name} is given twice", "Keep one of them"))
            return
        value: Any = True
        try:
            value = True if node is None else self._evaluate(node)
        except Complaint as complaint:
            self._fail(complaint)
            return
        if parameter.shape is Shape.SWITCH and node is not None:
            value = is_true(value)
        items = tuple(item.at for item in node.items) if isinstance(node, Many) else ()
        self.given[parameter.name] = Given(parameter, value, node.at if node is not None and node.at >= 0 else at, items)

    def _foreign(self, parameter: Parameter, node: Node | None, at: int) -> None:
        """A parameter of Exchange only. Its value is not looked at: it may be something that nobody here can compute."""
        foreign = parameter.foreign
        assert foreign is not None
        if isinstance(node, Literal) and node.value in (None, False, ""):
            return
        if foreign.treatment is Treatment.REFUSED:
            self._fail(Complaint(at, f"-{parameter.name} is a parameter of Exchange that does not exist here", foreign.text))
        elif foreign.treatment is Treatment.IGNORED:
            self._note(Complaint(at, f"-{parameter.name} is ignored", foreign.text))

    def _fail(self, complaint: Complaint) -> None:
        self.failed = True
        self._report(complaint)
