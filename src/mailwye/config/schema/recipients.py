"""Recipients: Mailbox, MailUser, MailContact, DistributionGroup. Their identity is the primary address, across the four kinds."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator

from mailwye.config.schema.config_object import ConfigObject
from mailwye.config.schema.values import MailAddress, MailAddresses, Text


class _Recipient(ConfigObject):
    """What all four have."""

    primary_smtp_address: MailAddress
    email_addresses: MailAddresses = ()
    display_name: Text = ""

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

    external_email_address: MailAddress | None = None


class MailContact(_Recipient):
    """A correspondent outside. Where PrimarySmtpAddress is left out, it is the external address."""

    kind: ClassVar[str] = "MailContact"

    external_email_address: MailAddress

    @model_validator(mode="before")
    @classmethod
    def _primary_from_external(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        by_lower = {str(key).lower().replace("_", ""): value for key, value in data.items()}
        external = by_lower.get("externalemailaddress")
        if external is None or by_lower.get("primarysmtpaddress") is not None:
            return data
        return {**data, "PrimarySmtpAddress": external}


class DistributionGroup(_Recipient):
    """An address that stands for its members."""

    kind: ClassVar[str] = "DistributionGroup"

    members: MailAddresses = ()


Recipient = Mailbox | MailUser | MailContact | DistributionGroup
