"""From a report mail to a message of the queue. Pure."""

from __future__ import annotations

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.selection import RouteKind
from mailwye.message.content import InlineContent
from mailwye.message.envelope import Notify, TlsWish
from mailwye.queue.item import NewDelivery, NewMessage, Origin
from mailwye.smtp.address import parse_address
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.transport.report_mail import ReportMail, render, title
from mailwye.transport.tls_report import Submitter


def submitter_of(snapshot: Snapshot, hostname: str, contact: str) -> Submitter:
    """Who reports: the organization, at `contact` or else its postmaster."""
    return Submitter(snapshot.organization, contact or f"postmaster@{snapshot.directory.default_domain or hostname}", hostname)


def report_message(mail: ReportMail, submitter: Submitter, snapshot: Snapshot) -> NewMessage:
    """The message to accept. Nobody hears of its failure: the null sender causes no notices.

    :raises ValueError: the address of the report is none, or no way leads there.
    """
    recipient = parse_address(mail.to)
    route = decide_route(snapshot.directory, snapshot.connectors, recipient, from_on_premises=False, from_mailbox=True)
    if route.kind is RouteKind.NONE:
        raise ValueError(f"no way leads to {recipient}: {route.failure}")
    return NewMessage(
        id=mail.id,
        received_at=mail.at,
        sender=None,
        deliveries=(NewDelivery(route.recipient, recipient, route.next_hop, Notify.NEVER),),
        content=InlineContent(render(mail, submitter)),
        origin=Origin(f"tls-report-{mail.id}", "internal"),
        config_version=snapshot.version,
        message_id=f"<{mail.message_id_local}@{submitter.hostname}>",
        subject=title(mail, submitter)[:256],
        auto_submitted=True,
        tls=TlsWish.OPTIONAL,
    )


def report_events(message: NewMessage, domain: str) -> tuple[TraceEvent, ...]:
    """What the trace is told of a report that was queued, so that it can be followed like any message."""
    session, (one,) = message.origin.session_id, message.deliveries
    facts = {"size": str(message.content.size), "message_id": message.message_id, "subject": message.subject}
    version = message.config_version
    reasons = (f"A TLS report to {domain}, written here",)
    way = {"original": str(one.original), "next_hop": one.next_hop}
    return (
        TraceEvent(message.received_at, EventKind.RECEIVE, session, message.id, "<>", reasons=reasons, config_version=version, data=facts),
        TraceEvent(
            message.received_at,
            EventKind.ROUTE,
            session,
            message.id,
            "<>",
            str(one.recipient),
            status="Pending",
            config_version=version,
            data=way,
        ),
    )
