"""A message to think through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A message to think through. `sender` may be "<>". `ip` "": an address that no connector lists. `certificate_name`: the peer has
    TLS and presents a certificate for this name, trusted unless `certificate_trusted` is False. `auth`: the mailbox that logged in.
    `listener`: "mx" | "submission" | "submissions"; "" means submission with `auth`, else mx. `header`: fields as "Name: value"; with none,
    what the header holds is not known. `local`: where the listener listens, for ReceiveConnectors.
    """

    sender: str
    recipient: str
    ip: str = ""
    certificate_name: str = ""
    auth: str = ""
    helo: str = ""
    listener: str = ""
    tls: bool = False
    certificate_trusted: bool = True
    header: tuple[str, ...] = ()
    local: str = ""
