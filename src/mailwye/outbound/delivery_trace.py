"""What the trace is told about attempts and notices: the same replies and reasons on which the decisions rest."""

from __future__ import annotations

from collections.abc import Sequence

from mailwye.connectors.selection import RouteKind
from mailwye.outbound.settling import Ended
from mailwye.queue.item import Lease, NewMessage, QueuedMessage, Result
from mailwye.smtp.address import Address
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.recorder import TraceRecorder

_DELIVERED = Result.DELIVERED
_SENT = (EventKind.SEND, "Delivered")
_KINDS = {
    Result.DELIVERED: _SENT,
    Result.DEFERRED: (EventKind.DEFER, "Pending"),
    Result.FAILED: (EventKind.FAIL, "Failed"),
    Result.EXPIRED: (EventKind.EXPIRE, "Failed"),
}


def record_ended(trace: TraceRecorder, message: QueuedMessage, ended: Sequence[Ended], version: int, error: BaseException | None) -> None:
    """The attempts of one work. Recipients that came to the same end by the same words share an event. `error`: it could not be stored."""
    alike: list[Ended] = []
    for one in ended:
        if alike and not _is_alike(alike[0], one):
            _record_alike(trace, message, alike, version, error)
            alike = []
        alike.append(one)
    if alike:
        _record_alike(trace, message, alike, version, error)


def _is_alike(first: Ended, other: Ended) -> bool:
    """Whether all that the trace is told of two recipients is the same. The work's route, hop and time are."""
    mine, its = first.attempt, other.attempt
    return (
        first.settlement.result is other.settlement.result
        and first.settlement.due == other.settlement.due
        and (first.reply is other.reply or first.reply == other.reply)
        and (mine.reasons is its.reasons or mine.reasons == its.reasons)
        and first.reason == other.reason
        and mine.host == its.host
        and mine.tls == its.tls
    )


def _record_alike(trace: TraceRecorder, message: QueuedMessage, alike: list[Ended], version: int, error: BaseException | None) -> None:
    ended = alike[0]
    attempt, route, settlement = ended.attempt, ended.route, ended.settlement
    kind, status = _SENT if settlement.result is _DELIVERED else _KINDS[settlement.result]
    reasons = attempt.reasons
    data = {"next_hop": ended.hop}
    if kind is EventKind.SEND:
        if route.kind is RouteKind.MAILBOX:
            kind = EventKind.DELIVER
    else:
        # Where all is well the Route event has said it; where it is not, nobody should have to look further.
        reasons = (*route.reasons, *reasons, ended.reason)
        if settlement.due:
            data["due"] = f"{settlement.due:.0f}"
    if attempt.host:
        data["host"] = attempt.host
    if attempt.tls:
        data["tls"] = attempt.tls
    if error is not None:
        reasons = (*reasons, f"This could not be stored and may be repeated: {error}")
    trace.record(
        TraceEvent(
            settlement.attempted_at,
            kind,
            message.origin.session_id,
            message.id,
            _sender_text(message.sender),
            str(attempt.delivery.recipient),
            route.connector,
            status,
            str(ended.reply),
            reasons,
            version,
            data,
            tuple([str(one.attempt.delivery.recipient) for one in alike[1:]]) if len(alike) > 1 else (),
        )
    )


def record_bounce(trace: TraceRecorder, message: QueuedMessage, bounce: NewMessage) -> None:
    """A notice about `message` was queued. It is a message of its own, and can be followed like any other."""
    recipients = ", ".join(str(one.recipient) for one in bounce.deliveries)
    trace.record(
        TraceEvent(
            at=bounce.received_at,
            kind=EventKind.DSN,
            session=message.origin.session_id,
            message=message.id,
            sender=_sender_text(message.sender),
            reasons=(f"{bounce.subject}: sent to {recipients}",),
            config_version=bounce.config_version,
            data={"dsn": bounce.id},
        )
    )
    trace.record(
        TraceEvent(
            at=bounce.received_at,
            kind=EventKind.RECEIVE,
            session=bounce.origin.session_id,
            message=bounce.id,
            sender="<>",
            reasons=(f"A notice about {message.id}, written here",),
            config_version=bounce.config_version,
            data={"size": str(bounce.content.size), "message_id": bounce.message_id, "subject": bounce.subject, "about": message.id},
        )
    )
    for one in bounce.deliveries:
        trace.record(
            TraceEvent(
                at=bounce.received_at,
                kind=EventKind.ROUTE,
                session=bounce.origin.session_id,
                message=bounce.id,
                sender="<>",
                recipient=str(one.recipient),
                status="Pending",
                config_version=bounce.config_version,
                data={"original": str(one.original), "next_hop": one.next_hop},
            )
        )


def record_silence(trace: TraceRecorder, message: QueuedMessage, at: float, version: int) -> None:
    """A notice was due and could go nowhere: whoever asks why the sender heard nothing finds it here."""
    sender = _sender_text(message.sender)
    trace.record(
        TraceEvent(
            at=at,
            kind=EventKind.DSN,
            session=message.origin.session_id,
            message=message.id,
            sender=sender,
            reasons=(f"A notice was due, but no way leads to {sender}: nobody was told",),
            config_version=version,
        )
    )


def record_held(trace: TraceRecorder, lease: Lease, at: float, version: int) -> None:
    """The software failed at this message again and again: it is held."""
    for one in lease.deliveries:
        trace.record(
            TraceEvent(
                at=at,
                kind=EventKind.HOLD,
                session=lease.message.origin.session_id,
                message=lease.message.id,
                sender=_sender_text(lease.message.sender),
                recipient=str(one.recipient),
                status="Pending",
                reasons=("The software failed at this message several times: it is held until an administrator releases or deletes it",),
                config_version=version,
            )
        )


def _sender_text(sender: Address | None) -> str:
    return str(sender) if sender is not None else "<>"
