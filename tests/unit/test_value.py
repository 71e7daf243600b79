"""What mailwye.value.dataclass makes is what the standard library would make, but for the guard."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import field
from typing import Any

import pytest

from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    name: str
    size: int = 3
    parts: tuple[str, ...] = ()
    notes: dict[str, int] = field(default_factory=dict, compare=False)
    secret: str = field(default="", repr=False)
    seen: int = field(default=7, init=False, compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    name: str
    size: int = 3
    parts: tuple[str, ...] = ()
    notes: dict[str, int] = field(default_factory=dict, compare=False)
    secret: str = field(default="", repr=False)
    seen: int = field(default=7, init=False, compare=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("no name")


@dataclass(frozen=True, slots=True)
class More(Given):
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Named:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name.lower() == self.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return f"<{self.name}>"


@pytest.mark.parametrize("values", [("a",), ("a", 4), ("a", 4, ("x",), {"y": 1}, "hidden")])
def test_values_are_made_and_shown_as_by_the_standard_library(values: tuple[Any, ...]) -> None:
    ours, theirs = Given(*values), Standard(*values)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert repr(ours) == repr(theirs).replace("Standard", "Given")
    assert Given.__match_args__ == Standard.__match_args__
    assert not hasattr(ours, "__dict__")


def test_values_are_compared_by_what_counts() -> None:
    one, same, other = Given("a", notes={"x": 1}), Given("a", notes={"y": 2}), Given("a", 4)
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    another: object = Standard("a")
    assert one != another
    assert len({one, same, other}) == 2
    assert dataclasses.replace(one, size=4) == other
    assert Named("A") == Named("a")
    assert repr(Named("A")) == "<A>"
    assert len({Named("A"), Named("a")}) == 1


def test_values_are_inherited_copied_and_pickled() -> None:
    more = More("a", 4, weight=5)
    assert (more.name, more.weight, more.seen) == ("a", 5, 7)
    assert more != Given("a", 4)
    assert copy.copy(more) == copy.deepcopy(more) == pickle.loads(pickle.dumps(more)) == more


@pytest.mark.parametrize("values", [{}, {"name": "a", "colour": 1}, {"name": "a", "seen": 1}])
def test_values_that_cannot_be_made(values: dict[str, Any]) -> None:
    for cls in (Given, Standard):
        with pytest.raises(TypeError, match=r"__init__\(\)"):
            cls(**values)
        with pytest.raises(ValueError, match="no name"):
            cls("")


def test_a_value_is_frozen_and_has_slots() -> None:
    with pytest.raises(TypeError, match="frozen=True, slots=True"):
        dataclass(frozen=True, slots=False)
