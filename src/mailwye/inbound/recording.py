"""What the trace learns from the way in: refusals in the session, and accepted messages with the reasons of every decision.

Nothing here decides: the reasons are those that the deciding functions returned.
"""

from __future__ import annotations

from mailwye.connectors.attribution import Caller
from mailwye.connectors.mailflow import RecipientDecision
from mailwye.inbound.context import InboundContext
from mailwye.message.envelope import TlsWish
from mailwye.message.facts import SessionFacts
from mailwye.queue.item import NewMessage
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.trace.event import EventKind, TraceEvent


def record_refusal(
    context: InboundContext,
    facts: SessionFacts,
    sender: Address | None,
    reply: Reply | None,
    reasons: tuple[str, ...],
    *,
    config_version: int,
    recipient: str = "",
    message: str = "",
) -> None:
    """Something was refused at MAIL, RCPT or content."""
    context.trace.record(
        TraceEvent(
            at=context.clock.now(),
            kind=EventKind.REJECT,
            session=facts.session_id,
            message=message,
            sender=_sender_text(sender),
            recipient=recipient,
            status="Rejected",
            reply=str(reply) if reply is not None else "",
            reasons=reasons,
            config_version=config_version,
            data=_session_data(facts),
        )
    )


def record_receipt(
    context: InboundContext, facts: SessionFacts, caller: Caller, message: NewMessage, removed_headers: tuple[str, ...]
) -> None:
    """A message became durable: where it came from and who that is."""
    data = _session_data(facts)
    data["size"] = str(message.content.size)
    data["message_id"] = message.message_id
    data["subject"] = message.subject
    if message.tls is not TlsWish.DEFAULT:
        data["protection"] = message.tls.value
    if removed_headers:
        data["removed_headers"] = ", ".join(removed_headers)
    _record_step(context, message, EventKind.RECEIVE, data, caller.reasons, connector=message.origin.connector)


def record_expansion(context: InboundContext, message: NewMessage, decision: RecipientDecision) -> None:
    """A group became its members."""
    resolution = decision.resolution
    data = {"members": str(len(resolution.recipients))}
    _record_step(context, message, EventKind.EXPAND, data, decision.reasons, recipient=str(resolution.address), status="Expanded")


def record_way(
    context: InboundContext, message: NewMessage, recipient: Address, connector: str, reasons: tuple[str, ...], data: dict[str, str]
) -> None:
    """Which way a final recipient's copy takes, and why: what he is and his way folded into one event."""
    _record_step(context, message, EventKind.ROUTE, data, reasons, recipient=str(recipient), connector=connector, status="Pending")


def _record_step(
    context: InboundContext,
    message: NewMessage,
    kind: EventKind,
    data: dict[str, str],
    reasons: tuple[str, ...],
    *,
    recipient: str = "",
    connector: str = "",
    status: str = "",
) -> None:
    context.trace.record(
        TraceEvent(
            at=message.received_at,
            kind=kind,
            session=message.origin.session_id,
            message=message.id,
            sender=_sender_text(message.sender),
            recipient=recipient,
            connector=connector,
            status=status,
            reasons=reasons,
            config_version=message.config_version,
            data=data,
        )
    )


def record_broken_session(context: InboundContext, session: str, peer_address: str, listener: str, cause: str) -> None:
    """A session ended before anything could be said: a broken handshake or PROXY header."""
    context.trace.record(
        TraceEvent(
            at=context.clock.now(),
            kind=EventKind.CONNECT,
            session=session,
            reasons=(cause,),
            config_version=context.snapshot.current.version,
            data={"peer_address": peer_address, "listener": listener},
        )
    )


def _sender_text(sender: Address | None) -> str:
    return str(sender) if sender is not None else "<>"


def _session_data(facts: SessionFacts) -> dict[str, str]:
    data = {"peer_address": facts.peer_address, "hello": facts.hello, "listener": facts.listener}
    if facts.tls is not None:
        data["tls"] = f"{facts.tls.version} with {facts.tls.cipher}"
        certificate = facts.tls.certificate
        if certificate is not None:
            data["certificate"] = certificate.subject
            data["certificate_verdict"] = certificate.trust_reason
    if facts.authenticated:
        data["authenticated"] = facts.authenticated
    return data
