"""What a password of a hosted mailbox has to be. For the command line and the API."""

from __future__ import annotations

LENGTH_MINIMUM = 8  # characters
OCTETS_MAXIMUM = 512  # a line of AUTH has room for it


class PasswordRefused(ValueError):
    """The text says why; nothing was changed."""


def check_mailbox_password(value: str) -> None:
    """:raises PasswordRefused: too short, too long, or with a control character."""
    if len(value) < LENGTH_MINIMUM:
        raise PasswordRefused(f"the password has fewer than {LENGTH_MINIMUM} characters; nothing was changed")
    if len(value.encode("utf-8", "surrogateescape")) > OCTETS_MAXIMUM or not value.isprintable():
        raise PasswordRefused(
            f"the password has more than {OCTETS_MAXIMUM} octets or a control character, which mail programs cannot send; "
            "nothing was changed"
        )
