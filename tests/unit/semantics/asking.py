"""How the tables of this folder ask: an organization as YAML, parsed, checked and compiled as `apply` does it, and then the functions that
decide. A table's row is a Case of its section; `rule` ties it to the sentence of SEMANTICS that it proves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import pytest

from mailwye.admin.explain import Explanation, explain_facts
from mailwye.admin.question import Question
from mailwye.config.checks import check_organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.config.problem import Problem
from mailwye.config.snapshot import Snapshot
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import parse_address
from tests.unit.connectors.world import session

F = TypeVar("F", bound=Callable[..., Any])

JOHN, BOB, SUN = "john@contoso.com", "bob@contoso.com", "sun@example.net"

# The accepted domains of the page's example; John on the own servers, Bob hosted here.
CONTOSO = """\
Organization: {Name: contoso}
AcceptedDomain:
  - {DomainName: contoso.com, Default: true}
  - {DomainName: sales.contoso.com}
  - {DomainName: fabrikam.com}
  - {DomainName: contoso.onmicrosoft.com}
Mailbox: {PrimarySmtpAddress: bob@contoso.com, EmailAddresses: robert@contoso.com}
MailUser:
  - {PrimarySmtpAddress: john@contoso.com}
  - {PrimarySmtpAddress: john@sales.contoso.com}
  - {PrimarySmtpAddress: john@fabrikam.com}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a table. `title`: what is special about it."""

    title: str


def rule(number: str, sentence: str, *cases: Case) -> Callable[[F], F]:
    """A table: the sentence of SEMANTICS with its number, and the cases that prove it, one test for each. A test may carry several."""
    assert cases, f"{number} has no row"

    def tie(function: F) -> F:
        function.__dict__.setdefault("rules", []).append((number, sentence))
        known: list[Case] = function.__dict__.setdefault("cases", [])
        known.extend(cases)
        marks = [mark for mark in function.__dict__.get("pytestmark", []) if mark.name != "parametrize"]
        marks.append(pytest.mark.parametrize("case", list(known), ids=[case.title for case in known]).mark)
        function.__dict__["pytestmark"] = marks
        return function

    return tie


def own(name: str, fields: str) -> str:
    """An OnPremises connector, as an entry of a list."""
    return f"{{Name: {name}, ConnectorType: OnPremises, {fields}}}"


def partner(name: str, fields: str) -> str:
    """A Partner connector, as an entry of a list."""
    return f"{{Name: {name}, ConnectorType: Partner, {fields}}}"


def out(name: str, fields: str, *, kind: str = "OnPremises") -> str:
    """An outbound connector with one smart host, as an entry of a list."""
    return f"{{Name: {name}, ConnectorType: {kind}, UseMXRecord: false, SmartHosts: mail.contoso.com, {fields}}}"


def organization(*, inbound: Sequence[str] = (), outbound: Sequence[str] = (), more: str = "", base: str = CONTOSO) -> str:
    """The file: the base, connectors, and further lines."""
    return f"{base}InboundConnector: [{', '.join(inbound)}]\nOutboundConnector: [{', '.join(outbound)}]\n{more}"


def problems(text: str) -> tuple[Problem, ...]:
    """Everything that `mailwye check` says about an organization."""
    parsed = read_organization(text, "organization.yaml")
    if parsed.value is None:
        return parsed.problems
    return (*parsed.problems, *check_organization(parsed.value, source=parsed))


def errors(text: str) -> list[str]:
    """For what it cannot be saved."""
    return [str(problem) for problem in problems(text) if problem.is_error]


def warnings(text: str) -> list[str]:
    """What is told when it is saved."""
    return [str(problem) for problem in problems(text) if not problem.is_error]


@lru_cache(maxsize=256)
def snapshot(text: str) -> Snapshot:
    """What the deciding functions read. The tables use only organizations that can be saved."""
    parsed = read_organization(text, "organization.yaml")
    assert parsed.value is not None, "\n".join(map(str, parsed.problems))
    found = errors(text)
    assert not found, "\n".join(found)
    return compile_snapshot(parsed.value, 1)


def ask(text: str, facts: SessionFacts, sender: str, to: str) -> Explanation:
    """MAIL FROM and RCPT TO of a session, decided by the functions that the service calls, with every reason. `sender` "<>" is null."""
    address = None if sender == "<>" else parse_address(sender)
    return explain_facts(snapshot(text), Question(sender, to), facts, address, parse_address(to))


def way(text: str, facts: SessionFacts, sender: str, to: str) -> str:
    """Where one copy goes: next hops, or the reply where it goes nowhere."""
    told = ask(text, facts, sender, to)
    return " ".join(route.next_hop for route in told.routes) if told.reply.is_success else str(told.reply)


OWN_SERVER = own("From our servers", "RequireTls: true, TlsSenderCertificateName: '*.contoso.com'")
FROM_OWN = session("mail.contoso.com")
STRANGER = session()
BOBS = session(auth=BOB, listener="submission", tls=True)
