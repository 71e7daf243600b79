"""Scripts carried out in a test."""

from __future__ import annotations

from mailwye.cmdlets.execute import Execution, execute_text
from mailwye.cmdlets.records import Output, Style
from mailwye.config.schema import Organization


def run(text: str, organization: Organization | None = None) -> Execution:
    """Carry out a script that has no error."""
    execution = execute_text(organization or Organization(), text, "script.ps1")
    assert [str(problem) for problem in execution.problems if problem.is_error] == []
    return execution


def errors(text: str, organization: Organization | None = None) -> list[str]:
    """The errors of a script, which changes nothing."""
    before = organization or Organization()
    execution = execute_text(before, text, "script.ps1")
    assert execution.has_errors
    assert execution.organization is before
    return [str(problem) for problem in execution.problems if problem.is_error]


def warnings(text: str, organization: Organization | None = None) -> list[str]:
    """The warnings of a script without errors."""
    return [str(problem) for problem in run(text, organization).problems]


def names(text: str, organization: Organization | None = None) -> list[str]:
    """The first column of what a script prints."""
    return [str(row[output.columns[0]]) for output in tables(text, organization) for row in output.rows]


def tables(text: str, organization: Organization | None = None) -> list[Output]:
    """What it prints in columns."""
    return [output for output in run(text, organization).outputs if output.style in (Style.TABLE, Style.LIST)]
