"""An organization as the cmdlets would print it: `@{InboundConnector = @(Get-InboundConnector); …} | ConvertTo-Json -Depth 5`."""

from __future__ import annotations

import json
from typing import Any

from mailwye.config.export import in_order
from mailwye.config.schema import KINDS, ConfigObject, Organization


def to_exchange_json(organization: Organization) -> str:
    """Every property of every object, with what is default. `mailwye import exchange` reads it back to equal objects; fields that are ours
    alone (TrustedAuthorities, ClientCertificate, …) are in it too, and nobody else knows them.
    """
    ordered = in_order(organization)
    kinds = {kind: [_properties(kind, thing) for thing in ordered.objects(kind)] for kind in KINDS if ordered.objects(kind)}
    return json.dumps(kinds, ensure_ascii=False, indent=2)


def _properties(kind: str, thing: ConfigObject) -> dict[str, Any]:
    data = thing.plain()
    if kind == "TransportRule":
        data["State"] = "Enabled" if data.pop("Enabled") else "Disabled"
    elif kind in ("InboundConnector", "OutboundConnector", "SendConnector", "ReceiveConnector"):
        data["Identity"] = data["Name"]
    elif kind == "AcceptedDomain":
        data["Identity"] = data["DomainName"]
    elif "EmailAddresses" in data:
        data["EmailAddresses"] = [f"SMTP:{data['PrimarySmtpAddress']}", *(f"smtp:{alias}" for alias in data["EmailAddresses"])]
    return data
