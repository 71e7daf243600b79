"""What one SMTP dialogue means: events of the protocol machine in, replies out. No transport, no bytes on the wire, no deadlines.

Synchronous for everything but content that must wait for the store, acceptance, and AUTH: those come back as Wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from mailwye.inbound.acceptance import Intake, accepted, go_ahead, not_accepted
from mailwye.inbound.authenticator import Unknown
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recipients import LastSender, Transaction, open_transaction
from mailwye.message.facts import SessionFacts, TlsFacts
from mailwye.queue.engine import QueueError
from mailwye.queue.item import NewMessage, Receipt
from mailwye.smtp.events import (
    AuthReceived,
    ContentEnded,
    ContentReceived,
    ContentRefused,
    DataStarted,
    Event,
    HelloReceived,
    MailReceived,
    RcptReceived,
    TransactionReset,
)
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

FAILED_LOGIN_DELAY = 2.0
"""Seconds between a wrong password and the reply that says so (V3)."""

_LOGGED_IN = Reply(235, "2.7.0", "Authentication successful")  # RFC 4954 section 4
_WRONG_PASSWORD = Reply(535, "5.7.8", "Authentication credentials invalid")
_WRONG_IDENTITY = Reply(535, "5.7.8", "Authenticating for somebody else is not allowed; leave the authorization identity empty")
_CANNOT_CHECK = Reply(454, "4.7.0", "Temporary authentication failure, try again later")
_TOO_MANY_FAILURES = Reply(454, "4.7.0", "Too many failed logins from your address, try again later")


@dataclass(frozen=True, slots=True)
class Wait:
    """The answer takes time: wait for `awaitable`, then ask `then` with it (done, maybe failed). Until then, nothing else happens."""

    awaitable: Awaitable[Any]
    then: Callable[[asyncio.Future[Any]], Outcome]


Outcome = Reply | Wait | None
"""A reply to the event, a wait, or nothing to say."""


class Dialogue:
    """The state of one session above the protocol: who the peer is, the transaction under way and its content."""

    __slots__ = ("_context", "_intake", "_last", "_transaction", "facts")

    def __init__(self, context: InboundContext, facts: SessionFacts) -> None:
        self._context = context
        self._last = LastSender()
        self._transaction: Transaction | None = None
        self._intake: Intake | None = None
        self.facts = facts

    def handle(self, event: Event) -> Outcome:
        """Act on one event. Events that want an answer get a Reply or a Wait."""
        handler = _HANDLERS.get(type(event))
        # CommandRefused is a notice; StartTlsReceived and ConnectionEnded are the driver's.
        return None if handler is None else handler(self, event)

    def tls_established(self, tls: TlsFacts) -> None:
        """Everything that was learnt in the clear is forgotten (RFC 3207 section 4.2); the certificate is the new handshake's (C5)."""
        self.abandon()
        self.facts = replace(self.facts, tls=tls, hello="", esmtp=False, authenticated="")

    def abandon(self) -> None:
        """The transaction ended without acceptance. What was already handed to the queue goes on."""
        if self._intake is not None:
            self._intake.discard()
            self._intake = None
        self._transaction = None

    def _mail(self, event: MailReceived) -> Reply:
        self._transaction, reply = open_transaction(self._context, self.facts, event, self._last)
        return reply

    def _rcpt(self, event: RcptReceived) -> Reply:
        assert self._transaction is not None, "the machine takes RCPT only within a transaction"
        return self._transaction.add(event, self._context)

    def _reset(self, event: TransactionReset) -> None:
        del event
        self.abandon()

    def _hello(self, event: HelloReceived) -> None:
        if event.name != self.facts.hello or event.esmtp != self.facts.esmtp:
            self.facts = self.facts.greeted(event.name, esmtp=event.esmtp)

    def _start_content(self, event: DataStarted) -> Reply:
        assert self._transaction is not None, "the machine takes content only after an accepted recipient"
        try:
            self._intake = Intake(self._context, self._transaction)
        except QueueError as error:
            return not_accepted(error)
        return go_ahead(chunking=event.chunking)

    def _content(self, event: ContentReceived) -> Wait | None:
        intake = self._intake
        if intake is None:
            return None
        awaitable = intake.write(event.data)
        return None if awaitable is None else Wait(awaitable, partial(self._written, intake))

    def _written(self, intake: Intake, done: asyncio.Future[None]) -> None:
        error = _error_of(done)
        if error is not None:
            _report(error)
            intake.fail(error)

    def _accept(self, event: ContentEnded) -> Reply | Wait:
        intake = self._intake
        assert intake is not None, "the machine ends content only after it began"
        self._intake = self._transaction = None
        awaitable = intake.end(event)
        return self._hand_over(intake) if awaitable is None else Wait(awaitable, partial(self._ended, intake))

    def _ended(self, intake: Intake, done: asyncio.Future[None]) -> Reply | Wait:
        self._written(intake, done)
        return self._hand_over(intake)

    def _hand_over(self, intake: Intake) -> Reply | Wait:
        message = intake.finish()
        if message is None:
            assert intake.refusal is not None, "finish returns no message only with a refusal"
            return intake.refusal
        try:
            return Wait(self._context.queue.accept(message), partial(_stored, intake, message))
        except QueueError as error:
            intake.discard()
            return not_accepted(error)

    def _refused(self, event: ContentRefused) -> None:
        if self._transaction is not None:
            self._transaction.refused(self._context, None, (event.reason,), message=self._intake.id if self._intake is not None else "")
        self.abandon()

    def _authenticate(self, event: AuthReceived) -> Reply | Wait:
        authenticator, now = self._context.authenticator, self._context.clock.monotonic()
        if authenticator is None:
            return _CANNOT_CHECK
        if self._context.admission.login_refusal(self.facts.peer_address, now) is not None:
            return _TOO_MANY_FAILURES
        if event.identity not in ("", event.username):
            return _WRONG_IDENTITY
        return Wait(authenticator.authenticate(event.username, event.password), self._authenticated)

    def _authenticated(self, done: asyncio.Future[str | Unknown | None]) -> Reply | Wait:
        error = _error_of(done)
        if error is not None:
            _report(error)
            return _CANNOT_CHECK
        match done.result():
            case None:
                self._context.admission.login_failed(self.facts.peer_address, self._context.clock.monotonic())
                return Wait(_delay(FAILED_LOGIN_DELAY), lambda _: _WRONG_PASSWORD)
            case Unknown():
                return _CANNOT_CHECK
            case mailbox:
                self.facts = replace(self.facts, authenticated=mailbox)
                return _LOGGED_IN


# By the exact class: one look-up instead of a question per class, for every command.
_HANDLERS: dict[type[Event], Callable[[Dialogue, Any], Outcome]] = {
    MailReceived: Dialogue._mail,
    RcptReceived: Dialogue._rcpt,
    DataStarted: Dialogue._start_content,
    ContentReceived: Dialogue._content,
    ContentEnded: Dialogue._accept,
    HelloReceived: Dialogue._hello,
    ContentRefused: Dialogue._refused,
    TransactionReset: Dialogue._reset,
    AuthReceived: Dialogue._authenticate,
}


def _stored(intake: Intake, message: NewMessage, done: asyncio.Future[Receipt]) -> Reply:
    """The queue answered: 250 with its receipt in hand, 4xx without."""
    error = _error_of(done)
    if error is not None:
        _report(error)
        intake.discard()
        return not_accepted(error)
    receipt = done.result()
    intake.record(message)
    return accepted(receipt)


def _delay(seconds: float) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, future.set_result, None)
    return future


def _error_of(done: asyncio.Future[Any]) -> BaseException | None:
    """What went wrong, if anything; being cancelled (shutdown) is going wrong."""
    return asyncio.CancelledError() if done.cancelled() else done.exception()


def _report(error: BaseException) -> None:
    """Tell the loop's exception handler of errors that the contracts do not allow; the peer hears 4xx either way."""
    if not isinstance(error, QueueError | asyncio.CancelledError):
        asyncio.get_running_loop().call_exception_handler({"message": "inbound: a collaborator failed", "exception": error})
