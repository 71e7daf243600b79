"""Checks across objects, before anything is saved (SEMANTICS section 12): every error and warning at once."""

from __future__ import annotations

from mailwye.config.checks.findings import Findings
from mailwye.config.checks.groups import check_groups
from mailwye.config.checks.inbound import check_inbound
from mailwye.config.checks.loops import check_loops
from mailwye.config.checks.outbound import check_outbound
from mailwye.config.checks.receive import check_receive
from mailwye.config.checks.recipients import check_domains, check_recipients
from mailwye.config.checks.rules import check_rules
from mailwye.config.checks.scopes import check_scopes
from mailwye.config.checks.send import check_send
from mailwye.config.checks.traps import check_traps
from mailwye.config.compile import KeptTables
from mailwye.config.duplicates import find_duplicates
from mailwye.config.installation import Installation
from mailwye.config.parsed import Parsed
from mailwye.config.problem import Places, Problem
from mailwye.config.schema import Organization
from mailwye.runtime.garbage import collection_paused

__all__ = ["check_organization"]


def check_organization(
    organization: Organization,
    *,
    installation: Installation | None = None,
    source: Parsed[Organization] | None = None,
    known: KeptTables | None = None,
) -> tuple[Problem, ...]:
    """What several objects do together, and what one object says against itself.

    With an `installation`, also what it has to provide (client certificates) and loops to its own listeners. `source`: the file from
    which objects came, alone or merged into others, so that findings name their lines. `known`: tables that need not be built again where
    the objects are the same; the findings are those of the whole organization all the same.
    """
    with collection_paused():
        findings = Findings(source.value, source.places) if source is not None else Findings()
        duplicates = find_duplicates(organization, Places())
        snapshot = (known or KeptTables()).compiled(organization, 0)
        check_domains(organization, installation, findings)
        check_recipients(organization, snapshot.directory, findings)
        check_groups(organization, snapshot.directory, findings)
        check_inbound(organization, snapshot.directory, installation, findings)
        check_outbound(organization, snapshot.directory, installation, findings)
        check_send(organization, snapshot.directory, findings)
        check_receive(organization, installation, findings)
        check_loops(organization, snapshot, installation, findings)
        check_scopes(organization, snapshot, findings)
        check_rules(organization, snapshot, findings)
        check_traps(organization, snapshot, findings)
        return (*duplicates, *findings.all())
