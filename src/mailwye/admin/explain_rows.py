"""The answers of `explain` as JSON has them."""

from __future__ import annotations

from typing import TypedDict

from mailwye.admin.question import Question


class CandidateRow(TypedDict):
    """A connector that was looked at, and why it was chosen or not."""

    connector: str
    chosen: bool
    reason: str


class RuleRow(TypedDict):
    """What one mail flow rule said. `match`: "match", "no match", "unknown" as the engine has it, or "not asked"."""

    rule: str
    priority: int
    mode: str
    action: str
    match: str
    reasons: list[str]


class CallerRow(TypedDict):
    """Who the peer is taken for, and by which proof."""

    kind: str
    connector: str
    mailbox: str
    receive_connector: str
    proof: str
    certificate_name: str
    partners: list[str]
    reasons: list[str]
    considered: list[CandidateRow]


class RelayRow(TypedDict):
    """Whether the peer may send to this recipient. `near_miss`: what would be needed, where little is missing."""

    allowed: bool
    reasons: list[str]
    near_miss: str


class ResolutionRow(TypedDict):
    """Who the recipient is. `final`: the addresses behind it."""

    address: str
    kind: str
    accepted_domain: str
    domain_type: str
    final: list[str]
    reasons: list[str]


class RouteRow(TypedDict):
    """The way of one copy. `smart_hosts` as configured; `hosts`: those that the DNS says, where it was asked; `resolved`: the same, or why
    there are none; `resolution`: how that list came about. `failure`: the reply where there is no way.
    """

    kind: str
    recipient: str
    connector: str
    hosts: list[str]
    smart_hosts: list[str]
    resolved: list[str]
    resolution: list[str]
    domain: str
    mailbox: str
    tls: str | None
    user_name: str
    tls_domain: str
    hello_name: str
    client_certificate: str
    max_message_size: int
    failure: str
    reasons: list[str]
    changes: list[str]
    considered: list[CandidateRow]
    rules: list[RuleRow]


class ExplanationRow(TypedDict):
    """What would happen to a message. `route` is the first of `routes`, `considered` the connectors that were looked at for it."""

    config_version: int
    question: Question
    reply: str
    caller: CallerRow
    relay: RelayRow
    recipient: ResolutionRow
    route: RouteRow
    routes: list[RouteRow]
    considered: list[CandidateRow]
