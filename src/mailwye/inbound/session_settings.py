"""What the sessions of one listener share, and what a session is to its listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailwye.config.installation import ListenerSettings
from mailwye.inbound.context import InboundContext
from mailwye.smtp.server import ServerConfig


class Stoppable(Protocol):
    """An open connection as its listener sees it."""

    def shut_down(self) -> None:
        """End as soon as no content is under way."""
        ...

    def abort(self) -> None:
        """Cut the connection now."""
        ...


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What the sessions of one listener share. `config` and `config_without_tls`: what the machine offers with and without STARTTLS.

    `opened` and `closed` keep the listener's list of sessions.
    """

    listener: ListenerSettings
    config: ServerConfig
    config_without_tls: ServerConfig
    opened: Callable[[Stoppable], None]
    closed: Callable[[Stoppable], None]

    @property
    def implicit_tls(self) -> bool:
        """TLS from the first octet (RFC 8314 section 3.3)."""
        return self.listener.kind == "submissions"


def server_config(context: InboundContext, kind: str) -> ServerConfig:
    """What the protocol machine offers on a listener of this kind where a certificate is there."""
    limits = context.limits
    submission = kind != "mx"
    return ServerConfig(
        hostname=context.hostname,
        message_size=limits.message_size,
        recipients_per_message=limits.recipients_per_message,
        offer_starttls=kind != "submissions",
        offer_auth=submission and context.authenticator is not None,
        require_auth=submission,
        bare_line_end=limits.bare_line_end,
        command_line=limits.command_line,
        header_octets=limits.header_octets,
        error_budget=limits.errors_per_session,
        idle_commands_budget=limits.idle_commands_per_session,
        command_timeout=limits.command_timeout,
        content_timeout=limits.content_timeout,
        minimum_rate=limits.minimum_rate,
    )
