"""What the sessions of one listener share, and what a session is to its listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from mailwye.config.installation import ListenerSettings
from mailwye.connectors.own_server import BASIC, AuthMechanism, ReceiveConnector
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

    `opened` and `closed` keep the listener's list of sessions. `local`: its Binding as text.
    """

    listener: ListenerSettings
    config: ServerConfig
    config_without_tls: ServerConfig
    opened: Callable[[Stoppable], None]
    closed: Callable[[Stoppable], None]
    local: str = ""

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


@lru_cache(maxsize=256)
def received_config(config: ServerConfig, receiver: ReceiveConnector, *, can_log_in: bool) -> ServerConfig:
    """What the machine offers where `receiver` takes the session. Sizes and counts of the installation ([limits]) hold where they are
    stricter. `can_log_in`: there is somebody who knows passwords.
    """
    idle = receiver.connection_inactivity_timeout
    return replace(
        config,
        hostname=receiver.fqdn or config.hostname,
        postmaster_domain=config.hostname,
        message_size=min(config.message_size, receiver.max_message_size),
        recipients_per_message=min(config.recipients_per_message, receiver.max_recipients_per_message),
        error_budget=receiver.max_protocol_errors,
        command_timeout=idle,
        content_timeout=min(config.content_timeout, idle),
        offer_starttls=config.offer_starttls and AuthMechanism.TLS in receiver.auth_mechanism,
        offer_auth=can_log_in and not BASIC.isdisjoint(receiver.auth_mechanism),
    )
