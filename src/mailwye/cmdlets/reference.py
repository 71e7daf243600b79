"""The tables of docs/cmdlets.md, made from the catalog. `mailwye ps --cmdlets` prints them; a test holds the page to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailwye.cmdlets.catalog import Cmdlet, Parameter, catalog
from mailwye.cmdlets.elsewhere import NOTHING_TO_DO, USE_INSTEAD
from mailwye.cmdlets.exchange import EVERYWHERE, READING, Treatment
from mailwye.cmdlets.filters import ALIASES, FILTERS


def as_markdown() -> str:
    """Every cmdlet and parameter."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for noun in dict.fromkeys(one.noun for one in catalog().values()):
        yield from _noun(noun, [one for one in catalog().values() if one.noun == noun])
    yield "### After a pipe"
    yield ""
    yield "| cmdlet | short | parameters |"
    yield "|---|---|---|"
    for one in FILTERS.values():
        short = ", ".join(f"`{alias}`" for alias, name in ALIASES.items() if name == one.name.lower() and alias != name)
        yield f"| `{one.name}` | {short} | {_names(each for each in one.parameters.values() if each.foreign is None)} |"
    yield ""
    yield "### For every cmdlet"
    yield ""
    yield f"Taken, without effect: {_plain_names(EVERYWHERE, Treatment.SILENT)}; with Get also {_plain_names(READING, Treatment.SILENT)}."
    yield f"Ignored with a warning: {_plain_names(EVERYWHERE, Treatment.IGNORED)}. Refused: {_plain_names(READING, Treatment.REFUSED)}."
    yield ""
    yield "### Refused cmdlets, and what to use"
    yield ""
    yield "| cmdlet | in its place |"
    yield "|---|---|"
    for name, text in USE_INSTEAD.items():
        yield f"| `{name}` | {text.replace('|', chr(92) + '|')} |"
    yield ""
    yield f"Skipped with a warning, because there is nothing to connect to or to load: {', '.join(f'`{name}`' for name in NOTHING_TO_DO)}."


def _noun(noun: str, cmdlets: list[Cmdlet]) -> Iterator[str]:
    yield f"### {noun}"
    yield ""
    yield f"{', '.join(f'`{one.name}`' for one in cmdlets)}"
    yield ""
    parameters: dict[str, Parameter] = {}
    verbs: dict[str, list[str]] = {}
    for cmdlet in cmdlets:
        for one in cmdlet.parameters.values():
            if one.foreign is None or one.name not in (*EVERYWHERE, *READING):
                parameters.setdefault(one.name, one)
                verbs.setdefault(one.name, []).append(cmdlet.verb)
    yield "| parameter | value | with |"
    yield "|---|---|---|"
    for one in parameters.values():
        if one.foreign is None:
            yield f"| `{one.name}` | {_shape(one)} | {', '.join(verbs[one.name])} |"
    yield ""
    for treatment, words in ((Treatment.IGNORED, "Ignored with a warning"), (Treatment.REFUSED, "Refused")):
        by_text: dict[str, list[str]] = {}
        for one in parameters.values():
            if one.foreign is not None and one.foreign.treatment is treatment:
                by_text.setdefault(one.foreign.text, []).append(f"`{one.name}`")
        for text, names in by_text.items():
            yield f"- {words}: {', '.join(names)}. {text}."
        if by_text:
            yield ""


def _shape(one: Parameter) -> str:
    if one.choices:
        return ", ".join(f"`{choice}`" for choice in one.choices)
    return one.shape.value


def _names(parameters: Iterable[Parameter]) -> str:
    return ", ".join(f"`{one.name}`" for one in parameters)


def _plain_names(table: object, treatment: Treatment) -> str:
    assert isinstance(table, dict)
    return ", ".join(f"`{name}`" for name, foreign in table.items() if foreign.treatment is treatment)
