"""Questions to the directory. Pure; the indexes are built once per snapshot, a look-up does not grow with its size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, DomainType, RecipientKind
from mailwye.smtp.address import Address
from mailwye.value import dataclass

EXTERNAL_HOPS = 10
"""How many ExternalEmailAddresses are followed in a row."""

GROUP_MEMBERS = 100_000
"""How many members, those of nested groups included, one address may expand to."""


@dataclass(frozen=True, slots=True)
class ResolvedRecipient:
    """One final recipient after aliases, groups and external addresses. `kind` as in Resolution. `known`: the primary address of the
    MailUser or MailContact whose ExternalEmailAddress led to `address`; None where the directory knows him by `address` itself.
    """

    address: Address
    kind: str
    mailbox: str = ""  # PrimarySmtpAddress where kind is "Mailbox"
    reasons: tuple[str, ...] = ()
    known: Address | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an address is. `kind`: "Mailbox" | "MailUser" | "MailContact" | "DistributionGroup" | "Relayed" (unknown in an
    InternalRelay domain) | "Unknown" (in an Authoritative domain) | "External" (no accepted domain) | "RewrittenSender" (a bounce to a
    sender that was rewritten here: connectors/returned.py).

    `recipients` is empty for Unknown, and where the address is known but leads nowhere: then `failure` says why in a sentence
    and `failure_enhanced` is its status code ("5.2.4": a group without a usable member, or too large; "5.4.6": a loop).
    """

    address: Address
    kind: str
    accepted_domain: AcceptedDomain | None
    recipients: tuple[ResolvedRecipient, ...]
    reasons: tuple[str, ...]
    failure_enhanced: str = ""
    failure: str = ""


class Directory:
    """Accepted domains and recipients of one organization."""

    __slots__ = ("_domains", "_external_targets", "_parents", "_recipients", "default_domain")

    def __init__(self, domains: Iterable[AcceptedDomain] = (), recipients: Iterable[DirectoryRecipient] = ()) -> None:
        """Index them. Where two recipients claim one address, a primary address comes before an alias, then the first one stays
        (the configuration refuses such clashes when it is saved).
        """
        self._domains = {domain.domain_name: domain for domain in domains}
        self._parents = {name: domain for name, domain in self._domains.items() if domain.match_sub_domains}
        self.default_domain = next((domain.domain_name for domain in self._domains.values() if domain.default), "")
        self._recipients: dict[str, DirectoryRecipient] = {}
        known = tuple(recipients)
        for recipient in known:
            self._recipients.setdefault(recipient.primary_smtp_address.key, recipient)
        for recipient in known:
            for alias in recipient.email_addresses:
                self._recipients.setdefault(alias.key, recipient)
        self._external_targets = {r.external_email_address.key for r in known if r.external_email_address is not None}

    def with_domains(self, gone: Iterable[str], come: Iterable[AcceptedDomain]) -> Directory:
        """The same recipients with other accepted domains: `gone` by their name, then `come`. Two copies of a dictionary, where building it
        anew looks at every domain and recipient.
        """
        changed = Directory()
        changed._recipients, changed._external_targets = self._recipients, self._external_targets
        changed._domains = self._domains.copy()
        changed._parents = self._parents.copy()
        for name in gone:
            changed._domains.pop(name, None)
            changed._parents.pop(name, None)
        for domain in come:
            changed._domains[domain.domain_name] = domain
            if domain.match_sub_domains:
                changed._parents[domain.domain_name] = domain
            else:
                changed._parents.pop(domain.domain_name, None)
        changed.default_domain = next((domain.domain_name for domain in changed._domains.values() if domain.default), "")
        return changed

    @property
    def domains(self) -> int:
        """How many accepted domains there are."""
        return len(self._domains)

    def accepted_domain(self, domain: str) -> AcceptedDomain | None:
        """The accepted domain that covers the canonical `domain`: the same name, or else the nearest parent with MatchSubDomains."""
        found = self._domains.get(domain)
        if found is not None or not self._parents:
            return found
        dot = domain.find(".")
        while dot >= 0:
            found = self._parents.get(domain[dot + 1 :])
            if found is not None:
                return found
            dot = domain.find(".", dot + 1)
        return None

    def find(self, address: Address) -> DirectoryRecipient | None:
        """The recipient with this primary address or alias."""
        return self._recipients.get(address.key)

    def owns(self, mailbox: str, address: Address) -> bool:
        """True where `address` is the primary address or an alias of the mailbox with PrimarySmtpAddress `mailbox`."""
        found = self._recipients.get(address.key)
        if found is None or found.kind is not RecipientKind.MAILBOX:
            return False
        return str(found.primary_smtp_address).lower() == mailbox.lower()

    def resolve(self, address: Address) -> Resolution:
        """Aliases and groups expanded (loops cut, each final recipient once), external addresses applied; SEMANTICS section 5."""
        accepted = self.accepted_domain(address.domain)
        if accepted is None:
            return Resolution(address, "External", None, (_external(address),), (_not_accepted(address.domain),))
        resolved = self.locate(address)
        match resolved.kind:
            case "DistributionGroup":
                return self._expand(address, self._recipients[resolved.address.key], accepted, resolved.reasons)
            case "Unknown":
                return Resolution(address, "Unknown", accepted, (), resolved.reasons)
            case "Loop":
                kind = self._recipients[address.key].kind.value
                return Resolution(address, kind, accepted, (), resolved.reasons, "5.4.6", resolved.reasons[-1])
            case kind:
                return Resolution(address, kind, accepted, (resolved,), resolved.reasons)

    def locate(self, address: Address) -> ResolvedRecipient:
        """Where mail for one address goes, groups not expanded. Beside the kinds of Resolution `kind` may be "DistributionGroup"
        (to be expanded), "Unknown", or "Loop" (external addresses that lead back to themselves, or on and on).
        """
        reasons: list[str] = []
        step = self._step(address, "", reasons)
        if isinstance(step, ResolvedRecipient):
            return step
        if step.external_email_address is None:
            return _elsewhere(step, step.kind.value, reasons)
        return self._follow(address, step, step.external_email_address, reasons)

    def _follow(self, address: Address, step: DirectoryRecipient, target: Address, reasons: list[str]) -> ResolvedRecipient:
        """From `address`, which is the MailUser or MailContact `step`, along ExternalEmailAddresses to the end."""
        kind, known = step.kind.value, step.primary_smtp_address
        seen = {address.key}
        for _ in range(EXTERNAL_HOPS):
            if self._recipients.get(target.key) is step:  # one of its own addresses
                return _known_as(known, _elsewhere(step, kind, reasons))
            reasons.append(f"{step.primary_smtp_address} is a {step.kind.value} with ExternalEmailAddress {target}")
            if target.key in seen:
                reasons.append(f"The ExternalEmailAddresses of {step.primary_smtp_address} lead back to {target}: correct one of them")
                return ResolvedRecipient(address, "Loop", "", tuple(reasons))
            seen.add(target.key)
            found = self._step(target, kind, reasons)
            if isinstance(found, ResolvedRecipient):
                return _known_as(known, found)
            if found.external_email_address is None:
                return _known_as(known, _elsewhere(found, kind, reasons))
            step, target = found, found.external_email_address
        reasons.append(f"More than {EXTERNAL_HOPS} ExternalEmailAddresses follow one another: point the first one at the last address")
        return ResolvedRecipient(address, "Loop", "", tuple(reasons))

    def _step(self, address: Address, kind: str, reasons: list[str]) -> ResolvedRecipient | DirectoryRecipient:
        """The end of the way for `address`, or the MailUser or MailContact that may lead on. `kind` of the first one, "" at the start."""
        accepted = self.accepted_domain(address.domain)
        if accepted is None:
            reasons.append(_not_accepted(address.domain))
            return ResolvedRecipient(address, kind or "External", "", tuple(reasons))
        recipient = self._recipients.get(address.key)
        if recipient is None:
            return self._unlisted(address, accepted, kind, reasons)
        primary = recipient.primary_smtp_address
        if primary.key != address.key:
            reasons.append(f"{address} is an alias of {primary}")
        match recipient.kind:
            case RecipientKind.MAILBOX:
                reasons.append(f"{primary} is a Mailbox hosted here")
                return ResolvedRecipient(primary, "Mailbox", str(primary), tuple(reasons))
            case RecipientKind.DISTRIBUTION_GROUP:
                reasons.append(f"{primary} is a DistributionGroup")
                return ResolvedRecipient(primary, "DistributionGroup", "", tuple(reasons))
            case RecipientKind.MAIL_USER | RecipientKind.MAIL_CONTACT:
                return recipient

    def _unlisted(self, address: Address, accepted: AcceptedDomain, kind: str, reasons: list[str]) -> ResolvedRecipient:
        """An address of an accepted domain that no recipient bears."""
        if accepted.domain_type is DomainType.INTERNAL_RELAY:
            reasons.append(f"{address} is not listed; {accepted.domain_name} is InternalRelay, so it is relayed")
            return ResolvedRecipient(address, kind or "Relayed", "", tuple(reasons))
        if kind or address.key in self._external_targets:
            # The directory itself says that this mailbox exists, on the own servers.
            reasons.append(f"{address} is the ExternalEmailAddress of a known recipient: the mailbox is not hosted here")
            return ResolvedRecipient(address, kind or "MailUser", "", tuple(reasons))
        reasons.append(f"{address} is not listed; {accepted.domain_name} is Authoritative, so the address does not exist")
        return ResolvedRecipient(address, "Unknown", "", tuple(reasons))

    def _expand(self, address: Address, group: DirectoryRecipient, accepted: AcceptedDomain, why: tuple[str, ...]) -> Resolution:
        """Members of a group and of the groups within, depth first in their order, without recursion."""
        reasons = [*why, f"It is expanded to its {len(group.members)} members"]
        final: dict[str, ResolvedRecipient] = {}
        groups_seen = {group.primary_smtp_address.key}
        waiting = list(reversed(group.members))
        taken = 0
        while waiting:
            member = waiting.pop()
            taken += 1
            if taken > GROUP_MEMBERS:
                failure = f"The group {group.primary_smtp_address} has more than {GROUP_MEMBERS} members: split it"
                return Resolution(address, "DistributionGroup", accepted, (), (*reasons, failure), "5.2.4", failure)
            resolved = self.locate(member)
            if resolved.kind == "DistributionGroup":
                nested = resolved.address.key
                if nested in groups_seen:
                    reasons.append(f"{resolved.address} was expanded already")
                    continue
                groups_seen.add(nested)
                waiting.extend(reversed(self._recipients[nested].members))
                reasons.append(f"The member {resolved.address} is a DistributionGroup and is expanded too")
            elif resolved.kind in ("Unknown", "Loop"):
                reasons.append(f"The member {member} is left out: {resolved.reasons[-1]}")
            else:
                final.setdefault(resolved.address.key, resolved)
        if not final:
            failure = f"The group {group.primary_smtp_address} has no member that mail can reach: add one"
            return Resolution(address, "DistributionGroup", accepted, (), (*reasons, failure), "5.2.4", failure)
        return Resolution(address, "DistributionGroup", accepted, tuple(final.values()), tuple(reasons))


def _external(address: Address) -> ResolvedRecipient:
    return ResolvedRecipient(address, "External")


def _known_as(known: Address, final: ResolvedRecipient) -> ResolvedRecipient:
    return final if final.address.key == known.key else replace(final, known=known)


def _not_accepted(domain: str) -> str:
    return f"{domain} is not an accepted domain"


def _elsewhere(recipient: DirectoryRecipient, kind: str, reasons: list[str]) -> ResolvedRecipient:
    """A MailUser or MailContact with its mailbox on the own servers."""
    primary = recipient.primary_smtp_address
    return ResolvedRecipient(primary, kind, "", (*reasons, f"{primary} is a {recipient.kind.value}: the mailbox is not hosted here"))
