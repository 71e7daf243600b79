"""What the pool and its sessions pass around: a work with its future, the settings of a destination, the failure of a host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from mailwye.outbound.courier import Attempt, Stage, Work
from mailwye.outbound.departure import Border
from mailwye.outbound.session.account import Account
from mailwye.outbound.smtp_preparation import Prepared
from mailwye.outbound.tls_check import TlsDemand
from mailwye.runtime.tls import ClientTlsContext, PresentedCertificate
from mailwye.smtp.client_events import ClientConfig, RecipientOutcome, TransactionEnded
from mailwye.smtp.client_table import Awaited
from mailwye.smtp.reply import Reply
from mailwye.trace.certificate_watch import CertificateWatch
from mailwye.value import dataclass

REPLY_KEPT = 1_000  # characters of a far side's words: they go into queue, trace and notices, once for each recipient (R8)

STAGES: dict[Awaited | None, Stage] = {
    None: Stage.CONNECT,
    Awaited.GREETING: Stage.GREETING,
    Awaited.EHLO: Stage.GREETING,
    Awaited.HELO: Stage.GREETING,
    Awaited.STARTTLS: Stage.TLS,
    Awaited.AUTH: Stage.AUTH,
    Awaited.MAIL: Stage.MAIL,
    Awaited.RCPT: Stage.RCPT,
    Awaited.DATA: Stage.DATA,
    Awaited.CHUNK: Stage.CONTENT,
    Awaited.CONTENT: Stage.CONTENT,
    Awaited.RSET: Stage.MAIL,
    Awaited.QUIT: Stage.CONNECT,
}
"""The stage of an attempt, by the reply that was awaited."""


class Abortable(Protocol):
    """What carries a ticket."""

    def abort(self) -> None:
        """Drop it now."""


class Ticket(asyncio.Future[Sequence[Attempt]]):
    """The future that SmtpCourier.deliver returns, with the work it stands for. Cancelling it gives up the connection that carries it."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.retried = False
        self.session: Abortable | None = None
        self.prepared: Prepared | None = None

    def cancel(self, msg: object | None = None) -> bool:
        """See asyncio.Future; what is on the wire is abandoned."""
        cancelled = super().cancel(msg)
        if cancelled and self.session is not None:
            self.session.abort()
        return cancelled

    def finish(self, event: TransactionEnded, host: str, tls: str, reasons: tuple[str, ...], *, offers_dsn: bool) -> None:
        """One attempt for each delivery, from the outcomes of the transaction and what was refused before it."""
        refused: Mapping[int, Reply] = {}
        if self.prepared is not None:
            reasons += self.prepared.reasons
            refused = self.prepared.refused or {}
        outcomes = iter(event.outcomes)
        made: list[Attempt] = []
        last: RecipientOutcome | None = None
        for index, delivery in enumerate(self.work.lease.deliveries):
            if index in refused:
                made.append(Attempt(delivery, Stage.RCPT, refused[index], host, tls, reasons, offers_dsn))
                continue
            outcome = next(outcomes)
            if outcome is not last:  # one verdict decides most recipients
                last = outcome
                stage, reply = STAGES[outcome.at], outcome.reply.shortened(REPLY_KEPT)
                if reply.code == 530 and stage is Stage.MAIL:
                    stage = self._stage_of_530(tls)
            made.append(Attempt(delivery, stage, reply, host, tls, reasons, offers_dsn))
        self.set_result(made)

    def _stage_of_530(self, tls: str) -> Stage:
        """530 is about the connection, not about the message: "Must issue a STARTTLS command first", or (RFC 4954 section 6)
        "Authentication required", which for a smart host is the operator's to mend.
        """
        if not tls:
            return Stage.TLS
        return Stage.AUTH if self.work.route.smart_hosts else Stage.MAIL

    def fail(self, stage: Stage, reply: Reply, *, host: str = "", tls: str = "", reasons: tuple[str, ...] = ()) -> None:
        """Give every delivery the same attempt."""
        if not self.done():
            self.set_result([Attempt(delivery, stage, reply, host, tls, reasons) for delivery in self.work.lease.deliveries])


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What all sessions of one destination share. `idle` seconds without work before QUIT; `messages` and `lifetime` seconds before a
    connection is replaced; `border` None: the messages stay in the organization (mailboxes by LMTP), so nothing changes in them. `account`:
    each connection logs in with it first.
    """

    client: ClientConfig
    demand: TlsDemand
    tls_context: ClientTlsContext | None = None
    idle: float = 10.0
    messages: int = 100_000
    lifetime: float = 3_600.0
    border: Border | None = None
    certificates: CertificateWatch | None = None
    account: Account | None = None

    def remember(self, certificate: PresentedCertificate | None) -> None:
        """What a connector's host presents is remembered: somebody is told before it expires."""
        if self.certificates is not None and certificate is not None and self.demand.connector:
            self.certificates.saw(f'outbound connector "{self.demand.connector}"', certificate)


class HostFailed(Exception):
    """This host cannot be used now. `handshake`: TLS itself broke, so that plaintext is worth a try where that is allowed."""

    def __init__(self, stage: Stage, reply: Reply, *, handshake: bool = False) -> None:
        self.stage = stage
        self.reply = reply.shortened(REPLY_KEPT)
        super().__init__(str(self.reply))
        self.handshake = handshake
