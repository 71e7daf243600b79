"""Values of a running script: text, numbers, true and false, None, lists (never within lists), tables (dict), blocks, records."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mailwye.cmdlets import syntax
from mailwye.cmdlets.catalog import name_field
from mailwye.cmdlets.exchange import RESULTS
from mailwye.cmdlets.like import is_like
from mailwye.cmdlets.records import Record
from mailwye.cmdlets.syntax import Complaint
from mailwye.config.problem import did_you_mean

STEPS_LIMIT = 5_000_000
"""Statements carried out and objects passed on by one script: loops within loops end there."""
TEXT_LIMIT = 1_048_576
"""Characters that one text may become."""


class Enough(Complaint):
    """A limit of the whole script is reached: nothing more is carried out."""


class Evaluator:
    """Computes nodes. Runner carries out statements."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
        self._steps = 0

    @abstractmethod
    def run_body(self, body: tuple[syntax.Statement, ...]) -> list[Any]:
        """Everything that the statements give."""

    def step(self, at: int, count: int = 1) -> None:
        """Count what is done. :raises Enough: too much."""
        self._steps += count
        if self._steps > STEPS_LIMIT:
            raise Enough(at, f"the script does more than {STEPS_LIMIT} steps", "Split it")

    def evaluate(self, node: syntax.Node) -> Any:
        """The value of a node. :raises Complaint: it has none here."""
        match node:
            case syntax.Literal():
                return node.value
            case syntax.Block():
                return node
            case syntax.Joined():
                return self._text(node)
            case syntax.Variable():
                if node.name not in self.variables:
                    raise Complaint(node.at, f"${node.name} has no value", "Assign it first, in the same script: $name = …")
                return self.variables[node.name]
            case syntax.Member():
                return self._member(self.evaluate(node.of), node)
            case syntax.Many():
                return self._many(node)
            case syntax.Table():
                return {key: self._entry(value) for key, value in node.entries}
            case syntax.Group():
                found = self.run_body(node.body)
                self.step(node.at, _size(found))
                return found if node.is_list else _unwrapped(found)
            case syntax.Foreign():
                raise Complaint(node.at, f"{node.what} is of PowerShell's own library, which is not here", node.remedy)
            case _:
                return self._truth(node)

    def _text(self, node: syntax.Joined) -> str:
        parts = []
        for part in node.parts:
            value = self.evaluate(part)
            self.step(node.at, _size(value))
            parts.append(text_of(value))
        text = "".join(parts)
        if len(text) > TEXT_LIMIT:
            raise Complaint(node.at, f"the text becomes longer than {TEXT_LIMIT} characters", "Shorten it")
        return text

    def _many(self, node: syntax.Many) -> list[Any]:
        found: list[Any] = []
        for item in node.items:
            value = self.evaluate(item)
            found += value if isinstance(value, list) else [value]
            self.step(node.at, _size(value))
        return found

    def _entry(self, node: syntax.Node) -> Any:
        value = self.evaluate(node)
        if any(isinstance(one, dict | syntax.Block) for one in (value if isinstance(value, list) else (value,))):
            raise Complaint(node.at, "a table within a table is not understood", "Write @{Add='…'; Remove='…'}")
        return value

    def _member(self, of: Any, node: syntax.Member) -> Any:
        if isinstance(of, list):
            if node.name.lower() in ("count", "length"):
                return len(of)
            self.step(node.at, len(of))
            values = [self._member(one, node) for one in of]
            return [one for value in values for one in (value if isinstance(value, list) else [value])]
        if isinstance(of, Record):
            return property_of(of, node.name, node.at)
        if isinstance(of, dict):
            return next((value for key, value in of.items() if key.lower() == node.name.lower()), None)
        if of is None:
            return None
        raise Complaint(node.at, f"text has no property {node.name} here", "Only objects of Get-… have properties")

    def _truth(self, node: syntax.Compare | syntax.Logic | syntax.Not) -> bool:
        match node:
            case syntax.Not():
                return not is_true(self.evaluate(node.of))
            case syntax.Logic():
                results = (is_true(self.evaluate(one)) for one in node.operands)
                return all(results) if node.operator == "and" else any(results)
            case syntax.Compare():
                left, right = self.evaluate(node.left), self.evaluate(node.right)
                self.step(node.at, _size(left) + _size(right))
                return compare(node.operator, left, right, node.at)


def property_of(record: Record, name: str, at: int) -> Any:
    """A property; one that only Exchange's objects have is None. :raises Complaint: there is no such property."""
    found, value = record.find(name)
    if not found and name.lower() not in RESULTS:
        remedy = did_you_mean(name[:64], record.properties, otherwise=f"Known: {', '.join(record.properties)}")
        raise Complaint(at, f"{record.kind or 'the object'} has no property {name}", remedy)
    return value


def text_of(value: Any) -> str:
    """A value within text, as PowerShell writes it."""
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case list():
            return " ".join(text_of(one) for one in value)
        case Record():
            return title_of(value)
        case dict():
            return "; ".join(f"{key}={text_of(one)}" for key, one in value.items())
        case _:
            return str(value)


def title_of(record: Record) -> str:
    """The name of an object; "" after Select-Object."""
    return str(record.properties[name_field(record.thing.kind)]) if record.thing is not None else ""


def is_true(value: Any) -> bool:
    """PowerShell's idea of it: something is true, nothing is not; a list of one is what it holds."""
    if isinstance(value, list) and len(value) == 1:
        return is_true(value[0])
    return bool(value) if isinstance(value, bool | int | str | list) else value is not None


def compare(operator: str, left: Any, right: Any, at: int) -> bool:
    """`left -operator right`; text is compared without case. A list on the left is true where one of its values is."""
    if operator.startswith("not"):
        return not compare(operator[3:], left, right, at)
    if operator == "ne" and not isinstance(left, list):
        return not _is_equal(left, right)
    if operator in ("contains", "in"):
        many, one = (left, right) if operator == "contains" else (right, left)
        return any(_is_equal(value, one) for value in (many if isinstance(many, list) else [many]))
    return any(_compare_one(operator, value, right, at) for value in (left if isinstance(left, list) else [left]))


def _compare_one(operator: str, left: Any, right: Any, at: int) -> bool:
    match operator:
        case "eq":
            return _is_equal(left, right)
        case "ne":
            return not _is_equal(left, right)
        case "like":
            return is_like(text_of(left), text_of(right))
    if isinstance(left, int) and isinstance(right, int):
        less, equal = left < right, left == right
    elif isinstance(left, str) and isinstance(right, str):
        less, equal = left.lower() < right.lower(), left.lower() == right.lower()
    else:
        raise Complaint(at, f"-{operator} needs two numbers or two texts", "Compare with -eq, -like or -contains")
    return {"lt": less, "le": less or equal, "gt": not (less or equal), "ge": not less}[operator]


def _is_equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return _flag(left) == _flag(right)
    if left is None or right is None:
        return (left is None or left in ("", [])) and (right is None or right in ("", []))
    if isinstance(right, list):
        return len(right) == 1 and _is_equal(left, right[0])
    return text_of(left).lower() == text_of(right).lower()


def _flag(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return is_true(value)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list) else 1


def _unwrapped(found: list[Any]) -> Any:
    if not found:
        return None
    return found[0] if len(found) == 1 else found
