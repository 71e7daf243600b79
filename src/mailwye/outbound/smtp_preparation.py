"""From a Work to the TransactionRequest for one hop: fitted, re-encoded where it must be, or turned away with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import field, replace

from mailwye.message.content import Content
from mailwye.message.conversion import CONVERSION_LIMIT, ConversionImpossible, to_seven_bit
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.outbound.courier import Work
from mailwye.outbound.fitting import HEADER_LIMIT, Fit, fit, header_of, needs_smtputf8, too_large
from mailwye.smtp.client_events import Extensions, RecipientRequest, TransactionRequest
from mailwye.smtp.reply import Reply
from mailwye.smtp.transfer import after_line_end
from mailwye.smtp.wire import LINE_LIMIT, normalise_line_ends
from mailwye.value import dataclass

THREAD_FROM = 8_192  # octets: re-encoding more (5,000 parts fit into 50 KB: 150 ms) would hold up other mail, so a thread does it

_WORDS = ((Notify.NEVER, "NEVER"), (Notify.SUCCESS, "SUCCESS"), (Notify.FAILURE, "FAILURE"), (Notify.DELAY, "DELAY"))
_NO_WISH = Notify.DEFAULT
_NOBODY = Reply(550, "5.6.7", "no recipient")


@dataclass(frozen=True, slots=True)
class Prepared:
    """`request` None: nothing can be sent, `reply` says why. `refused`: recipients by index that this hop cannot be told."""

    request: TransactionRequest | None
    reply: Reply = _NOBODY
    refused: dict[int, Reply] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


def request_for(work: Work, fitted: Fit, content: bytes | None, offered: Extensions) -> TransactionRequest:
    """All recipients of `work`, without looking further."""
    message = work.lease.message
    recipients = tuple(
        [
            RecipientRequest(address)
            if not offered.dsn or (delivery.notify is _NO_WISH and not delivery.orcpt)
            else RecipientRequest(address, _notify_words(delivery.notify), delivery.orcpt)
            for address, delivery in zip(work.envelope_recipients, work.lease.deliveries, strict=True)
        ]
    )
    size = message.size if content is None else len(content)  # re-encoded content is larger
    plain = message.plain and not fitted.convert
    require_tls = message.tls is TlsWish.REQUIRED
    return TransactionRequest(
        message.sender, recipients, content, size, fitted.body, fitted.smtputf8, message.ret, message.envid, plain, require_tls
    )


def _notify_words(notify: Notify) -> tuple[str, ...]:
    return tuple(word for flag, word in _WORDS if flag in notify)


async def prepare(work: Work, offered: Extensions, host: str) -> Prepared:
    """Everything that the hot path does not do. Raises what reading the content raises."""
    message, content = work.lease.message, work.lease.content
    if offered.size and content.size > offered.size:
        return Prepared(None, too_large(host, content.size, offered.size))
    long_lines = not message.plain and message.body is not BodyType.BINARY_MIME and await _has_long_lines(content)
    fitted = fit(message, offered, long_lines=long_lines)
    refused: dict[int, Reply] = {}
    if fitted.ascii_only:
        refusal = await _unsayable(work, host)
        if refusal is not None:
            return Prepared(None, refusal)
        refused = {
            index: needs_smtputf8(host, f"the address {address}")
            for index, address in enumerate(work.envelope_recipients)
            if not address.is_ascii
        }
        if len(refused) == len(work.lease.deliveries):
            return Prepared(None, next(iter(refused.values())))
    octets = content.inline
    reasons: tuple[str, ...] = ()
    if fitted.convert:
        converted = await _convert(content, host, fitted.convert)
        if isinstance(converted, Reply):
            return Prepared(None, converted)
        octets, reasons = converted
    request = request_for(work, fitted, octets, offered)
    if refused:
        request = _without(request, refused)
    return Prepared(request, refused=refused, reasons=reasons)


def _without(request: TransactionRequest, refused: dict[int, Reply]) -> TransactionRequest:
    kept = tuple(recipient for index, recipient in enumerate(request.recipients) if index not in refused)
    return replace(request, recipients=kept)


async def _unsayable(work: Work, host: str) -> Reply | None:
    """Why the whole message cannot go to a hop without SMTPUTF8: its sender or its headers (RFC 6531 section 3.2, RFC 6532)."""
    sender = work.lease.message.sender
    if sender is not None and not sender.is_ascii:
        return needs_smtputf8(host, f"the sender {sender}")
    head = b""
    async for piece in _pieces(work.lease.content):
        head += piece
        if b"\r\n\r\n" in head or len(head) >= HEADER_LIMIT:
            break
    return None if header_of(head).isascii() else needs_smtputf8(host, "a header of the message")


async def _convert(content: Content, host: str, why: str) -> tuple[bytes, tuple[str, ...]] | Reply:
    if content.size > CONVERSION_LIMIT:
        return Reply(554, "5.6.3", f"Conversion required but not supported: {why}; the message is too large to be re-encoded")
    octets = normalise_line_ends(b"".join([piece async for piece in _pieces(content)]))
    try:
        conversion = await asyncio.to_thread(to_seven_bit, octets) if len(octets) > THREAD_FROM else to_seven_bit(octets)
    except ConversionImpossible as error:
        return Reply(554, "5.6.3", f"Conversion required but not supported: {why}; {error}")
    return conversion.content, tuple(f"{change} for {host}: {why}" for change in conversion.changes)


async def _has_long_lines(content: Content) -> bool:
    carried = 0
    async for piece in _pieces(content):
        carried = after_line_end(piece, carried)
        if carried > LINE_LIMIT + 1:
            return True
    return False


async def _pieces(content: Content) -> AsyncIterator[bytes]:
    if content.inline is not None:
        yield content.inline
        return
    async for piece in content.chunks():
        yield piece
