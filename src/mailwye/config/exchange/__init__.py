"""What Exchange's objects have and ours have not: each parameter once, with what it means here to all who meet it.

Three do: a file that sets it (config/parse.py), a cmdlet that gives it (cmdlets/exchange.py), an object that is imported with it
(importing/exchange/properties.py). A name that the schema has wins over an entry here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailwye.config.exchange.entry import ExchangeOnly, Import, Treatment
from mailwye.config.exchange.server import RECEIVE, SEND
from mailwye.config.exchange.service import ANY, DOMAIN, GROUP, INBOUND, OUTBOUND, RECIPIENT, RULE

__all__ = ["ANY_KIND", "EXCHANGE_ONLY", "NO_MAIL", "ExchangeOnly", "Import", "Treatment"]

_KINDS: Mapping[str, Iterable[ExchangeOnly]] = {
    "InboundConnector": INBOUND,
    "OutboundConnector": OUTBOUND,
    "SendConnector": SEND,
    "ReceiveConnector": RECEIVE,
    "AcceptedDomain": DOMAIN,
    "Mailbox": RECIPIENT,
    "MailUser": RECIPIENT,
    "MailContact": RECIPIENT,
    "DistributionGroup": GROUP,
    "TransportRule": RULE,
}

ANY_KIND: Mapping[str, ExchangeOnly] = {one.name.lower(): one for one in ANY}
"""What every object of Exchange has, by name in lower case."""
EXCHANGE_ONLY: Mapping[str, Mapping[str, ExchangeOnly]] = {
    kind: {**ANY_KIND, **{one.name.lower(): one for one in own}} for kind, own in _KINDS.items()
}
"""Kind → everything, by name in lower case."""

NO_MAIL = ("x500:", "x400:", "sip:", "eum:", "spo:", "nt:", "mrn:", "notes:")
"""Prefixes in EmailAddresses, in lower case, of what is no address of mail."""
