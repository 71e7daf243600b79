"""The properties of Exchange's objects that are no fields here: which say nothing about mail flow, and what follows from the others."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.config.exchange import EXCHANGE_ONLY, Import
from mailwye.importing.report import Outcome


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What Microsoft365DSC adds to each block: how it logs in, and its own bookkeeping.
LOGIN = _words(
    """
    credential globaladminaccount applicationid applicationsecret tenantid certificatethumbprint certificatepath certificatepassword
    managedidentity accesstokens dependson psdscrunascredential issingleinstance resourceid resourcename sourceinfo modulename
    moduleversion
    """
)

FACTS_OF = {kind: LOGIN | {key for key, one in table.items() if one.imported is Import.FACT} for kind, table in EXCHANGE_ONLY.items()}
"""Kind → properties of which nothing is said, in lower case."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a property that is set does to the import: LEFT_OUT with `whole`, the object is; LEFT_OUT, the property is; CHANGED, the object
    means something else here.
    """

    outcome: Outcome
    reason: str
    remedy: str
    whole: bool = False
    unset: str = ""
    """In lower case: a value that stands for nothing set."""


_OUTCOMES = {Import.LEFT_OUT: Outcome.LEFT_OUT, Import.CHANGED: Outcome.CHANGED, Import.WHOLE: Outcome.LEFT_OUT}
# A field of ours that Exchange may mean otherwise.
_ASSOCIATED = Consequence(
    Outcome.CHANGED,
    "Microsoft's pages disagree about it; here it narrows which accepted domains prove the organization (OnPremises), or which "
    "recipients the restriction is for (Partner)",
    "Check it with `mailwye explain`",
)

CONSEQUENCES: dict[str, dict[str, Consequence]] = {
    kind: {
        key: Consequence(_OUTCOMES[one.imported], one.reason, one.remedy or one.text, one.imported is Import.WHOLE, one.unset)
        for key, one in table.items()
        if one.imported in _OUTCOMES
    }
    for kind, table in EXCHANGE_ONLY.items()
}
CONSEQUENCES["InboundConnector"]["associatedaccepteddomains"] = _ASSOCIATED

# Kinds of Exchange that have no counterpart; the remedy says what stands in for them.
NO_KIND = {
    "object": (
        "none of its properties tells what it is",
        "Name the kind: `@{InboundConnector = @(Get-InboundConnector)} | ConvertTo-Json -Depth 5`",
    ),
    "RemoteDomain": ("remote domains are about formats and automatic replies, which Mailwye does not touch", "Nothing is to be done"),
    "DynamicDistributionGroup": ("its members are found by a query", "Write a DistributionGroup with Members"),
    "GroupMailbox": ("a Microsoft 365 group keeps its mail in the service", "Write a MailUser, or a DistributionGroup with Members"),
    "PublicFolder": ("public folders do not exist here", "Write a MailUser for its address"),
}
