"""From a report mail to a message of the queue. Pure."""

from __future__ import annotations

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.selection import RouteKind
from mailwye.message.content import InlineContent
from mailwye.message.envelope import Notify, TlsWish
from mailwye.queue.item import NewDelivery, NewMessage, Origin
from mailwye.smtp.address import parse_address
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
