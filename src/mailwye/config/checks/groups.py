"""Distribution groups: members that exist, and no group within itself."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.schema import DistributionGroup, Organization
from mailwye.directory.lookup import Directory

SHOWN = 5
"""Unknown members that one warning names."""


def check_groups(organization: Organization, directory: Directory, findings: Findings) -> None:
    """Warnings only: expansion leaves out unknown members and cuts loops."""
    groups = {group.primary_smtp_address.key: group for group in organization.distribution_groups}
    below = {key: _groups_within(group, groups, directory) for key, group in groups.items()}
    in_cycle = _in_cycles(below)
    for key, group in groups.items():
        _check_members(group, directory, findings)
        if key in in_cycle:
            others = sorted(str(groups[other].primary_smtp_address) for other in in_cycle[key] if other != key)
            through = f" through {', '.join(others[:SHOWN])}" if others else ""
            findings.warning(group, "Members", f"the group contains itself{through}", "Remove one of the memberships")


def _check_members(group: DistributionGroup, directory: Directory, findings: Findings) -> None:
    if not group.members:
        findings.warning(group, "Members", "the group is empty: mail to it is refused", "Add members")
    unknown = [str(member) for member in group.members if directory.locate(member).kind == "Unknown"]
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        are = "is no known recipient" if len(unknown) == 1 else "are no known recipients"
        names = ", ".join(unknown[:SHOWN])
        findings.warning(group, "Members", f"{names}{more} {are}", "Add a Mailbox or a MailUser for it, or remove it from the group")


def _groups_within(group: DistributionGroup, groups: dict[str, DistributionGroup], directory: Directory) -> tuple[str, ...]:
    """Members that are groups themselves, also where an alias names them or an ExternalEmailAddress leads to them."""
    found = []
    for member in group.members:
        located = directory.locate(member)
        if located.kind == "DistributionGroup" and located.address.key in groups:
            found.append(located.address.key)
    return tuple(found)


def _in_cycles(below: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    """Groups that can be reached from themselves, with their circle (Tarjan's strongly connected components, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: dict[str, frozenset[str]] = {}
    for root in below:
        if root in order:
            continue
        path: list[tuple[str, int]] = [(root, 0)]
        while path:
            node, position = path.pop()
            if position == 0:
                order[node] = low[node] = len(order)
                stack.append(node)
                on_stack.add(node)
            children = below[node]
            if position and children[position - 1] in on_stack:
                low[node] = min(low[node], low[children[position - 1]])
            if position < len(children):
                path.append((node, position + 1))
                if children[position] not in order:
                    path.append((children[position], 0))
                continue
            if low[node] == order[node]:
                circle = set(stack[stack.index(node) :])
                del stack[stack.index(node) :]
                on_stack -= circle
                if len(circle) > 1 or node in children:
                    found.update(dict.fromkeys(circle, frozenset(circle)))
    return found
