"""virtual_mailbox_maps, relay_recipient_maps and virtual_alias_maps → Mailbox, MailUser, MailContact and DistributionGroup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mailwye.importing.collect import Collector, Note, Place
from mailwye.importing.postfix.routing import parents
from mailwye.importing.postfix.tables import Row

FOLLOWED = 20
"""Aliases that lead to one another in a row; more are a circle or a mistake."""

_TARGET = re.compile(r'[\s,]*+((?:"(?:[^"\\]|\\.)*+"|[^\s,"])++)').match


@dataclass(slots=True)
class _Recipient:
    kind: str
    place: Place
    external: str = ""
    members: tuple[str, ...] = ()
    aliases: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def targets(value: str) -> list[str]:
    """The addresses on the right side of an alias."""
    found, position = [], 0
    while (match := _TARGET(value, position)) is not None:
        found.append(match[1])
        position = match.end()
    return found


class Recipients:
    """All recipients of one Postfix, by address in lower case."""

    def __init__(self, collector: Collector, accepted: Iterable[tuple[str, bool]], ends_here: Callable[[str], bool]) -> None:
        """`accepted`: domains, and whether their subdomains are accepted too. `ends_here`: an address that is not known does not exist."""
        self._ends_here = ends_here
        self._collector = collector
        self._accepted = dict(accepted)
        self._known: dict[str, _Recipient] = {}
        self._aliases: dict[str, tuple[tuple[str, ...], Place]] = {}

    def add_known(self, address: str, kind: str, place: Place) -> None:
        """A Mailbox or MailUser; the first word about an address counts."""
        self._known.setdefault(address, _Recipient(kind, place))

    def add_aliases(self, rows: Iterable[Row], own_domains: Iterable[str], origin: str) -> None:
        """`own_domains`: in which a key without domain counts. `origin`: $myorigin, "" where the text does not say."""
        own = tuple(dict.fromkeys((*([origin] if origin else []), *own_domains)))
        listed = list(rows)
        domains = {row.key.rpartition("@")[2] for row in listed if "@" in row.key}
        for row in listed:
            if "@" in row.key:
                continue
            if "." in row.key and row.key in domains:
                continue  # `domain anything`: it says that the domain is a virtual alias domain
            self._bare_key(row, own, origin)
        full = [row for row in listed if "@" in row.key]
        for row in full:
            self._aliases.pop(row.key, None)
        for row in full:
            self._take(row.key, row, origin)

    def _bare_key(self, row: Row, own: tuple[str, ...], origin: str) -> None:
        if not own:
            remedy = "Give the output of `postconf -x` instead of main.cf, or write the full address"
            self._collector.left_out(_what(row), "it counts for $myorigin, which the file does not say", remedy, row.place)
        for domain in own:
            self._take(f"{row.key}@{domain}", row, origin)

    def _take(self, address: str, row: Row, origin: str) -> None:
        local, _, domain = address.rpartition("@")
        if not local:
            reason = "an address for everybody of a domain (catch-all) does not exist here"
            remedy = "List the addresses, or make the domain InternalRelay with a connector to the server that has them"
            self._collector.left_out(_what(row), reason, remedy, row.place)
            return
        if not self._is_accepted(domain):
            reason = f"{domain} is not among the domains that are accepted: only their addresses are looked up here"
            self._collector.left_out(_what(row), reason, "Rewrite it where the mail comes from", row.place)
            return
        resolved: list[str] = []
        for target in targets(row.value):
            full = self._qualified(target, local, origin, first=not resolved)
            if full is None:
                reason = f"its target {target} is no address"
                self._collector.left_out(_what(row), reason, "Write it as user@domain", row.place)
                return
            resolved.append(full)
        if address in (one.lower() for one in resolved):
            others = [one for one in resolved if one.lower() != address]
            if others:
                reason = f"copies to {', '.join(others)} are not sent: an address is a mailbox or a group here, not both"
                remedy = "Give the mailbox another address, and make this one a DistributionGroup of both"
                self._collector.left_out(_what(row), reason, remedy, row.place)
            return
        if resolved:
            self._aliases[address] = (tuple(resolved), row.place)

    def _qualified(self, target: str, local: str, origin: str, *, first: bool) -> str | None:
        if target.startswith("@"):
            return f"{local}{target}" if first else None  # virtual(5): only for the first address of a result
        if "@" in target:
            return target
        if target.startswith(("|", "/", ":")) or not origin:
            return None
        return f"{target}@{origin}"

    def _is_accepted(self, domain: str) -> bool:
        return domain in self._accepted or any(self._accepted.get(parent) for parent in parents(domain))

    def emit(self) -> None:
        """Make objects of them: an alias of one known recipient becomes one of its EmailAddresses, of one other address a MailContact, of
        several a DistributionGroup.
        """
        for address, (resolved, place) in self._aliases.items():
            covered = self._known.pop(address, None)
            if covered is not None:
                what = f"{covered.kind} {address}"
                reason = "virtual_alias_maps comes first in Postfix: its mail goes to the alias, so no mailbox is made"
                self._collector.changed(what, reason, "Remove one of them", covered.place)
            if len(resolved) > 1:
                self._known[address] = _Recipient("DistributionGroup", place, members=resolved)
        for address, (resolved, place) in self._aliases.items():
            if len(resolved) == 1:
                self._single(address, resolved[0], place)
        for address, recipient in self._known.items():
            data: dict[str, Any] = {"PrimarySmtpAddress": address}
            if recipient.aliases:
                data["EmailAddresses"] = recipient.aliases
            if recipient.external:
                data["ExternalEmailAddress"] = recipient.external
            if recipient.members:
                data["Members"] = list(recipient.members)
            self._collector.add(recipient.kind, data, recipient.place, notes=recipient.notes)

    def _single(self, address: str, target: str, place: Place) -> None:
        seen, final = {address}, target
        while final.lower() in self._aliases and len(self._aliases[final.lower()][0]) == 1:
            if final.lower() in seen or len(seen) > FOLLOWED:
                reason = f"it leads back to itself, or through more than {FOLLOWED} aliases"
                self._collector.left_out(f"virtual_alias_maps {address}", reason, "Let it name the address where the mailbox is", place)
                return
            seen.add(final.lower())
            final = self._aliases[final.lower()][0][0]
        known = self._known.get(final.lower())
        if known is None and self._ends_here(final.lower()):
            reason = f"its target {final} is not in virtual_mailbox_maps: Postfix returns mail to it"
            self._collector.left_out(f"virtual_alias_maps {address}", reason, "Let it name an address that exists", place)
            return
        if known is not None and known.kind != "MailContact":
            known.aliases.append(address)
            return
        self._known[address] = _Recipient("MailContact", place, external=final)


def _what(row: Row) -> str:
    return f"virtual_alias_maps {row.key}"
