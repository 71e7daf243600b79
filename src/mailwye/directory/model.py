"""Accepted domains and recipients as the deciding functions see them. Field names are Exchange's, in snake_case."""

from __future__ import annotations

from enum import Enum

from mailwye.smtp.address import Address
from mailwye.value import dataclass


class DomainType(Enum):
    """Authoritative: all recipients are known here. InternalRelay: unknown ones are relayed through a connector."""

    AUTHORITATIVE = "Authoritative"
    INTERNAL_RELAY = "InternalRelay"


class MtaStsMode(Enum):
    """How senders are asked to obey the domain's MTA-STS policy (RFC 8461 section 5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AcceptedDomain:
    """A domain of the organization. `domain_name` is canonical. `match_sub_domains` needs INTERNAL_RELAY.

    `mta_sts_mode` None: no policy is published. `mta_sts_mx_hosts`: names or `*.domain`, empty: the installation's hostname.
    `mta_sts_max_age`: seconds.
    """

    domain_name: str
    domain_type: DomainType = DomainType.AUTHORITATIVE
    match_sub_domains: bool = False
    default: bool = False
    name: str = ""
    mta_sts_mode: MtaStsMode | None = None
    mta_sts_mx_hosts: tuple[str, ...] = ()
    mta_sts_max_age: int = 604_800


class RecipientKind(Enum):
    """Exchange's recipient types."""

    MAILBOX = "Mailbox"
    MAIL_USER = "MailUser"
    MAIL_CONTACT = "MailContact"
    DISTRIBUTION_GROUP = "DistributionGroup"


@dataclass(frozen=True, slots=True)
class DirectoryRecipient:
    """A known recipient. `email_addresses` are further addresses (aliases). `external_email_address` for MailUser and MailContact:
    where the mailbox really is (None: at the primary address on the own servers). `members` of a group: addresses.
    """

    kind: RecipientKind
    primary_smtp_address: Address
    email_addresses: tuple[Address, ...] = ()
    external_email_address: Address | None = None
    members: tuple[Address, ...] = ()
    display_name: str = ""
