"""Parameters of Exchange's cmdlets that set no field here: those of PowerShell itself, and those of config/exchange."""

from __future__ import annotations

from collections.abc import Mapping

from mailwye.config.exchange import ANY_KIND, EXCHANGE_ONLY, ExchangeOnly, Treatment
from mailwye.value import dataclass

__all__ = ["EVERYWHERE", "PARAMETERS", "READING", "RESULTS", "ForeignParameter", "Treatment"]


@dataclass(frozen=True, slots=True)
class ForeignParameter:
    """A parameter of Exchange without a field here. `text` says why it is ignored, or what to do instead."""

    treatment: Treatment
    text: str
    is_switch: bool = False


def _each(treatment: Treatment, names: str, text: str, *, is_switch: bool = False) -> dict[str, ForeignParameter]:
    return {name: ForeignParameter(treatment, text, is_switch) for name in names.split()}


_NO_DIRECTORY = "There is no Active Directory here"

EVERYWHERE: Mapping[str, ForeignParameter] = {
    **_each(
        Treatment.SILENT,
        "ErrorAction WarningAction InformationAction ProgressAction ErrorVariable WarningVariable InformationVariable "
        "OutVariable OutBuffer PipelineVariable",
        "It steers PowerShell itself",
    ),
    **_each(Treatment.SILENT, "Verbose Debug Force AsJob", "It steers PowerShell itself", is_switch=True),
    **_each(Treatment.IGNORED, "DomainController GlobalCatalog", _NO_DIRECTORY),
    **_each(Treatment.IGNORED, "IgnoreDefaultScope BypassSecurityGroupManagerCheck", _NO_DIRECTORY, is_switch=True),
}

READING: Mapping[str, ForeignParameter] = {
    **_each(Treatment.REFUSED, "Filter RecipientPreviewFilter Anr", "Use | Where-Object {$_.Name -like 'x*'}"),
    **_each(Treatment.SILENT, "SortBy ReadFromDomainController OrganizationalUnit", _NO_DIRECTORY),
    **_each(Treatment.SILENT, "RecipientTypeDetails RecipientType", "Each kind has a cmdlet of its own here"),
}


def _foreign(one: ExchangeOnly, treatment: Treatment) -> ForeignParameter:
    text = f"{one.text}; leave it out" if treatment is Treatment.REFUSED else one.text
    return ForeignParameter(treatment, text, one.is_switch)


PARAMETERS: Mapping[str, Mapping[str, ForeignParameter]] = {
    kind: {one.name: _foreign(one, one.treatment) for one in table.values() if one.treatment is not None}
    for kind, table in EXCHANGE_ONLY.items()
}
"""Of New-… and Set-…, by kind."""

RESULTS = frozenset(ANY_KIND) | {"alias", "name", "recipienttype", "recipienttypedetails", "exchangeguid"}
"""Properties that Exchange's objects have and ours lack: asked for, they are empty, as they would be without a value."""
