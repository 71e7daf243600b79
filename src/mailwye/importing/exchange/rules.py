"""Mail flow rules: carried over only where every condition and exception exists here, because half a rule is another rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mailwye.config.problem import shown
from mailwye.config.schema import TransportRule, field_names
from mailwye.importing.collect import Collector, Note
from mailwye.importing.exchange.properties import CONSEQUENCES, FACTS_OF
from mailwye.importing.exchange.values import is_empty

_FIELDS = {name.lower(): name for name in field_names(TransportRule)}
_CONDITIONS = tuple(name for name in _FIELDS.values() if f"ExceptIf{name}" in _FIELDS.values())
_EXCEPTIONS = tuple(f"ExceptIf{name}" for name in _CONDITIONS)
_ADDRESSES = ("sentto", "senttomemberof", "exceptifsentto", "exceptifsenttomemberof")
_READ = {"state", "senderaddresslocation"}  # by themselves, into other fields or notes
_IN_ANGLES = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^<>"])*<([^<>]++)>').fullmatch
# What every export says of a rule without it.
_DEFAULTS = {"routemessageoutboundrequiretls": "False"}

Refusal = tuple[str, str, str]
"""Reason, remedy, and the property in lower case."""


def read_rule(
    values: Mapping[str, Any], names: Mapping[str, str], lines: Mapping[str, int], collector: Collector, notes: list[Note]
) -> dict[str, Any] | Refusal:
    """The fields of the rule, or why it is left out."""
    refused = _foreign_parts(values, names, lines)
    if refused is not None:
        return refused
    data: dict[str, Any] = {}
    for key, name in _FIELDS.items():
        value = values.get(key)
        if not (value is None or value in ("", [])):
            data[name] = [_address(one) for one in value] if key in _ADDRESSES and isinstance(value, list) else value
    if "Name" not in data and isinstance(values.get("identity"), str):
        data["Name"] = values["identity"]
    state = values.get("state")
    if isinstance(state, str) and state:
        data["Enabled"] = state.lower() == "enabled"
    elif isinstance(state, int) and not isinstance(state, bool):
        return f"the number {state} stands for a word, and nobody says for which", "Export with `ConvertTo-Json -EnumsAsStrings`", "state"
    connector = data.get("RouteMessageOutboundConnector")
    if not connector:
        return "it has no action that exists here", "Only RouteMessageOutboundConnector is; do the rest where the mailboxes are", "actions"
    if ("OutboundConnector", str(connector).lower()) in collector.refused:
        return (
            f"its connector {shown(connector)} is left out",
            "Carry the connector over first, then the rule",
            "routemessageoutboundconnector",
        )
    for listing, wanted in (("conditions", _CONDITIONS), ("exceptions", _EXCEPTIONS)):
        listed = values.get(listing)
        if listed and isinstance(listed, list) and not any(name in data for name in wanted):
            told = ", ".join(str(one).rpartition(".")[2].removesuffix("Predicate") for one in listed)
            return f"its {listing} ({told}) were not exported with it", "Export whole rules: `Get-TransportRule | ConvertTo-Json`", listing
    _sender_location(values, data, lines, notes)
    return data


def _foreign_parts(values: Mapping[str, Any], names: Mapping[str, str], lines: Mapping[str, int]) -> Refusal | None:
    known = FACTS_OF["TransportRule"] | CONSEQUENCES["TransportRule"].keys() | _FIELDS.keys() | _READ
    foreign = [
        key for key, value in values.items() if not (key in known or "@" in key or is_empty(value) or _DEFAULTS.get(key) == str(value))
    ]
    if not foreign:
        return None
    listed = ", ".join(names[key] for key in sorted(foreign, key=lambda key: lines.get(key, 0)))
    remedy = "A rule is carried over as a whole or not at all: do this where the mailboxes are, or write a rule with what exists here"
    return f"its {listed} {'does' if len(foreign) == 1 else 'do'} not exist here", remedy, ""


def _sender_location(values: Mapping[str, Any], data: Mapping[str, Any], lines: Mapping[str, int], notes: list[Note]) -> None:
    """SenderDomainIs looks at MAIL FROM here; Exchange looks where SenderAddressLocation says, by default into the header."""
    where = str(values.get("senderaddresslocation") or "Header")
    if where.lower() != "envelope" and (data.get("SenderDomainIs") or data.get("ExceptIfSenderDomainIs")):
        reason = f"SenderAddressLocation is {where} there; here SenderDomainIs looks at MAIL FROM alone"
        notes.append(Note("SenderDomainIs", reason, "Check senders whose From differs from MAIL FROM", lines.get("senderdomainis", 0)))


def _address(value: Any) -> Any:
    """`John <john@contoso.com>` → the address alone."""
    found = _IN_ANGLES(value) if isinstance(value, str) else None
    return found[1] if found is not None else value
