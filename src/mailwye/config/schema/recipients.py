"""Recipients: Mailbox, MailUser, MailContact, DistributionGroup. Their identity is the primary address, across the four kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mailwye.config.schema.config_object import ConfigObject, field
from mailwye.config.schema.value import optional
from mailwye.config.schema.values import MAIL_ADDRESS, MAIL_ADDRESSES, TEXT
from mailwye.smtp.address import Address


class _Recipient(ConfigObject):
    """What all four have."""

    primary_smtp_address: Address = field(MAIL_ADDRESS)
    email_addresses: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())
    display_name: str = field(TEXT, default="")

    @property
    def identity(self) -> str:
        """The key of the primary address."""
        return self.primary_smtp_address.key


class Mailbox(_Recipient):
    """A mailbox hosted here."""

    kind: ClassVar[str] = "Mailbox"


class MailUser(_Recipient):
    """Known here, mailbox elsewhere: at `external_email_address`, or (None) at the primary address on the own servers."""

    kind: ClassVar[str] = "MailUser"

    external_email_address: Address | None = field(optional(MAIL_ADDRESS), default=None)


class MailContact(_Recipient):
    """A correspondent outside. Where PrimarySmtpAddress is left out, it is the external address."""

    kind: ClassVar[str] = "MailContact"

    external_email_address: Address = field(MAIL_ADDRESS)

    @classmethod
    def _completed(cls, plain: Mapping[Any, Any]) -> Mapping[Any, Any]:
        by_lower = {str(key).lower().replace("_", ""): value for key, value in plain.items()}
        external = by_lower.get("externalemailaddress")
        if external is None or by_lower.get("primarysmtpaddress") is not None:
            return plain
        return {**plain, "PrimarySmtpAddress": external}


class DistributionGroup(_Recipient):
    """An address that stands for its members."""

    kind: ClassVar[str] = "DistributionGroup"

    members: tuple[Address, ...] = field(MAIL_ADDRESSES, default=())


Recipient = Mailbox | MailUser | MailContact | DistributionGroup
