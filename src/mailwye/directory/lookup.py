"""Questions to the directory. Pure; an index is built once per snapshot, a look-up does not grow with its size. (Interface.)"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailwye.directory.model import AcceptedDomain, DirectoryRecipient
from mailwye.smtp.address import Address


@dataclass(frozen=True, slots=True)
class ResolvedRecipient:
    """One final recipient after aliases, groups and external addresses. `kind` as in Resolution."""

    address: Address
    kind: str
    mailbox: str = ""  # PrimarySmtpAddress where kind is "Mailbox"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an address is. `kind`: "Mailbox" | "MailUser" | "MailContact" | "DistributionGroup" | "Relayed" (unknown in an
    InternalRelay domain) | "Unknown" (in an Authoritative domain) | "External" (no accepted domain). `recipients` is empty for Unknown.
    """

    address: Address
    kind: str
    accepted_domain: AcceptedDomain | None
    recipients: tuple[ResolvedRecipient, ...]
    reasons: tuple[str, ...]


class Directory:
    """Accepted domains and recipients of one organization."""

    def __init__(self, domains: Iterable[AcceptedDomain] = (), recipients: Iterable[DirectoryRecipient] = ()) -> None:
        raise NotImplementedError

    def accepted_domain(self, domain: str) -> AcceptedDomain | None:
        """The accepted domain that covers the canonical `domain`: the same name, or a parent with MatchSubDomains."""
        raise NotImplementedError

    def find(self, address: Address) -> DirectoryRecipient | None:
        """The recipient with this primary address or alias."""
        raise NotImplementedError

    def resolve(self, address: Address) -> Resolution:
        """Aliases and groups expanded (loops cut, each final recipient once), external addresses applied; SEMANTICS section 5."""
        raise NotImplementedError

    def owns(self, mailbox: str, address: Address) -> bool:
        """True where `address` is the primary address or an alias of the mailbox with PrimarySmtpAddress `mailbox`."""
        raise NotImplementedError
