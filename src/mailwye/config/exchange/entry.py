"""One parameter of Exchange that does not exist here, with what it means to a cmdlet, a file and an import."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from mailwye.value import dataclass

RESULT = "It is a result of Exchange, not a setting"


class Treatment(Enum):
    """Of a parameter of New-… and Set-…: IGNORED: a warning says why. SILENT: it changes nothing here and says nothing. REFUSED: it would
    promise what nobody does.
    """

    IGNORED = "ignored"
    SILENT = "taken, without effect"
    REFUSED = "refused"


class Import(Enum):
    """Of a property of an imported object that is set. FACT: it says nothing about mail flow. LEFT_OUT: it is told. CHANGED: the object
    means something else here. WHOLE: the object is left out. UNKNOWN: as any property that nobody knows.
    """

    FACT = "fact"
    LEFT_OUT = "left out"
    CHANGED = "changed in meaning"
    WHOLE = "left out as a whole"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExchangeOnly:
    """`name`: Exchange's. `text`: why there is no such setting, or what to do in its place; no full stop. `treatment` None: it is no
    parameter but a result. `reason`, `remedy`: for the report of an import, `text` is the remedy where there is none. `unset`: a value in
    lower case that stands for nothing set.
    """

    name: str
    text: str
    treatment: Treatment | None = None
    imported: Import = Import.FACT
    reason: str = ""
    remedy: str = ""
    is_switch: bool = False
    unset: str = ""


def parameters(names: str, treatment: Treatment, text: str, *, is_switch: bool = False) -> Iterable[ExchangeOnly]:
    """Of which an import says nothing."""
    return (ExchangeOnly(name, text, treatment, is_switch=is_switch) for name in names.split())


def results(names: str) -> Iterable[ExchangeOnly]:
    """What Get-… prints and no cmdlet takes."""
    return (ExchangeOnly(name, RESULT) for name in names.split())


IGNORED, REFUSED = Treatment.IGNORED, Treatment.REFUSED
