"""What the trace learns from the way in: refusals in the session, and accepted messages with the reasons of every decision.

Nothing here decides: the reasons are those that the deciding functions returned.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailwye.connectors.attribution import Caller
from mailwye.connectors.enhanced_filtering import Source
from mailwye.connectors.mailflow import RecipientDecision
from mailwye.inbound.context import InboundContext
from mailwye.inbound.decisions import Way
from mailwye.message.envelope import TlsWish
from mailwye.message.facts import SessionFacts, TlsFacts
from mailwye.policy.rules.decide import RuleHit
from mailwye.queue.item import NewMessage
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.presented import stored_certificate

RECIPIENTS_PER_EVENT = 100
"""Of how many recipients one event tells at most."""

_ROUTE = EventKind.ROUTE  # bound once, see inbound/session.py


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
    context: InboundContext,
    facts: SessionFacts,
    caller: Caller,
    message: NewMessage,
    removed_headers: tuple[str, ...],
    source: Source | None,
) -> None:
    """A message became durable: where it came from and who that is. `source`: where a gateway was skipped."""
    data = _session_data(facts)
    data["size"] = str(message.content.size)
    data["message_id"] = message.message_id
    data["subject"] = message.subject
    if message.tls is not TlsWish.DEFAULT:
        data["protection"] = message.tls.value
    if removed_headers:
        data["removed_headers"] = ", ".join(removed_headers)
    reasons = caller.reasons
    if source is not None:
        data["source_address"] = source.address
        data["skipped_addresses"] = ", ".join(source.skipped)
        reasons = (*reasons, source.reason)
    _record_step(context, message, EventKind.RECEIVE, data, reasons, connector=message.origin.connector)


def record_expansion(context: InboundContext, message: NewMessage, decision: RecipientDecision) -> None:
    """A group became its members."""
    resolution = decision.resolution
    data = {"members": str(len(resolution.recipients))}
    _record_step(context, message, EventKind.EXPAND, data, decision.reasons, recipient=str(resolution.address), status="Expanded")


def record_rule(context: InboundContext, message: NewMessage, hit: RuleHit, recipients: tuple[str, ...]) -> None:
    """A mail flow rule matched for these final recipients: what it did, or in an audit mode would have done."""
    data = {"rule": hit.rule, "mode": hit.mode, "action": hit.action}
    for at in range(0, len(recipients), RECIPIENTS_PER_EVENT):
        first, *others = recipients[at : at + RECIPIENTS_PER_EVENT]
        _record_step(context, message, EventKind.RULE, data, hit.reasons, recipient=first, also=tuple(others))


def record_ways(context: InboundContext, message: NewMessage, ways: Iterable[Way]) -> None:
    """Which way each final recipient's copy takes, and why: what he is and his way folded into one event."""
    sender = _sender_text(message.sender)
    record = context.trace.record
    for way in ways:
        record(
            TraceEvent(
                message.received_at,
                _ROUTE,
                message.origin.session_id,
                message.id,
                sender,
                way.recipient,
                way.connector,
                "Pending",
                reasons=way.reasons,
                config_version=message.config_version,
                data=way.data,
            )
        )


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
    also: tuple[str, ...] = (),
) -> None:
    context.trace.record(
        TraceEvent(
            message.received_at,
            kind,
            message.origin.session_id,
            message.id,
            _sender_text(message.sender),
            recipient,
            connector,
            status,
            reasons=reasons,
            config_version=message.config_version,
            data=data,
            also=also,
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


def record_refused_connection(context: InboundContext, facts: SessionFacts, reply: Reply, cause: str) -> None:
    """Nobody takes mail from this peer: `reply` is said instead of a greeting."""
    context.trace.record(
        TraceEvent(
            at=context.clock.now(),
            kind=EventKind.REJECT,
            session=facts.session_id,
            status="Rejected",
            reply=str(reply),
            reasons=(cause,),
            config_version=context.snapshot.current.version,
            data=_session_data(facts),
        )
    )


def record_certificate(context: InboundContext, facts: SessionFacts) -> None:
    """The peer presented a certificate: the whole chain with every verdict, once for the session, so that `explain --session` can think
    its decisions through again.
    """
    if facts.tls is None or facts.tls.certificate is None:
        return
    data = {
        "peer_address": facts.peer_address,
        "listener": facts.listener,
        "tls": _tls_text(facts.tls),
        **stored_certificate(facts.tls.certificate),
    }
    context.trace.record(
        TraceEvent(
            at=context.clock.now(),
            kind=EventKind.CONNECT,
            session=facts.session_id,
            config_version=context.snapshot.current.version,
            data=data,
        )
    )


def _tls_text(tls: TlsFacts) -> str:
    return f"{tls.version} with {tls.cipher}"


def _sender_text(sender: Address | None) -> str:
    return str(sender) if sender is not None else "<>"


def _session_data(facts: SessionFacts) -> dict[str, str]:
    data = {"peer_address": facts.peer_address, "hello": facts.hello, "listener": facts.listener}
    if facts.tls is not None:
        data["tls"] = _tls_text(facts.tls)
        certificate = facts.tls.certificate
        if certificate is not None:
            data["certificate"] = certificate.subject
            data["certificate_verdict"] = certificate.trust_reason
    if facts.authenticated:
        data["authenticated"] = facts.authenticated
    return data
