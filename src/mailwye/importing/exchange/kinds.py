"""Which kind of object a cmdlet printed: ConvertTo-Json does not say, the properties do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECIPIENT_TYPES = {
    "usermailbox": "Mailbox",
    "sharedmailbox": "Mailbox",
    "roommailbox": "Mailbox",
    "equipmentmailbox": "Mailbox",
    "linkedmailbox": "Mailbox",
    "legacymailbox": "Mailbox",
    "schedulingmailbox": "Mailbox",
    "mailuser": "MailUser",
    "guestmailuser": "MailUser",
    "remoteusermailbox": "MailUser",
    "remotesharedmailbox": "MailUser",
    "remoteroommailbox": "MailUser",
    "remoteequipmentmailbox": "MailUser",
    "mailcontact": "MailContact",
    "mailforestcontact": "MailContact",
    "mailuniversaldistributiongroup": "DistributionGroup",
    "mailuniversalsecuritygroup": "DistributionGroup",
    "mailnonuniversalgroup": "DistributionGroup",
    "roomlist": "DistributionGroup",
}

# Kind → properties of which all must be there; the first kind that fits counts. From the most particular to the least.
_SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (kind, frozenset(properties.split()))
    for kind, properties in (
        ("TransportRule", "routemessageoutboundconnector"),
        ("TransportRule", "senderaddresslocation"),
        ("TransportRule", "ruleerroraction"),
        ("SendConnector", "addressspaces"),
        ("ReceiveConnector", "remoteipranges"),
        ("RemoteDomain", "allowedooftype"),
        ("AcceptedDomain", "domainname domaintype"),
        ("InboundConnector", "senderipaddresses"),
        ("InboundConnector", "tlssendercertificatename"),
        ("InboundConnector", "senderdomains connectortype"),
        ("OutboundConnector", "usemxrecord"),
        ("OutboundConnector", "recipientdomains connectortype"),
        ("OutboundConnector", "smarthosts connectortype"),
    )
)

_BY_CMDLET = {
    kind.lower(): kind
    for kind in (
        "AcceptedDomain",
        "InboundConnector",
        "OutboundConnector",
        "TransportRule",
        "Mailbox",
        "MailUser",
        "MailContact",
        "DistributionGroup",
        "SendConnector",
        "ReceiveConnector",
        "RemoteDomain",
    )
}


def kind_of(properties: Mapping[str, Any]) -> str:
    """The kind of an object whose properties have lower-case names; Exchange's own name of it where it has none here, "" where nothing
    tells.
    """
    for kind, signature in _SIGNATURES:
        if signature <= properties.keys():
            return kind
    for key in ("recipienttypedetails", "recipienttype"):
        text = properties.get(key)
        if isinstance(text, str) and text:
            return RECIPIENT_TYPES.get(text.lower(), text)
    return ""


def kind_of_key(key: str) -> str:
    """`InboundConnector`, `InboundConnectors`, `Get-InboundConnector` → `InboundConnector`; "" where the key names no kind."""
    name = key.lower().removeprefix("get-").removeprefix("exo")
    for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
        if candidate in _BY_CMDLET:
            return _BY_CMDLET[candidate]
    return ""
