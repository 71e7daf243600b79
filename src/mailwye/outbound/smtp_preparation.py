"""From a Work to the TransactionRequest for one hop: its header as it leaves, fitted, re-encoded where it must be, or turned away with the
reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from mailwye.message.content import Content
from mailwye.message.conversion import CONVERSION_LIMIT, ConversionImpossible, to_seven_bit
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.message.headers import find_header_end
from mailwye.outbound.courier import Work
from mailwye.outbound.departure import Border, header_section, with_header
from mailwye.outbound.fitting import HEADER_LIMIT, Fit, fit, fits_as_it_is, header_of, needs_smtputf8, too_large
from mailwye.smtp.address import Address
from mailwye.smtp.client_events import Extensions, RecipientRequest, TransactionRequest
from mailwye.smtp.reply import Reply
from mailwye.smtp.transfer import after_line_end
from mailwye.smtp.wire import LINE_LIMIT, normalise_line_ends
from mailwye.value import dataclass

THREAD_FROM = 8_192  # octets: re-encoding more (5,000 parts fit into 50 KB: 150 ms) would hold up other mail, so a thread does it

_WORDS = ((Notify.NEVER, "NEVER"), (Notify.SUCCESS, "SUCCESS"), (Notify.FAILURE, "FAILURE"), (Notify.DELAY, "DELAY"))
_NO_WISH = Notify.DEFAULT
_REQUIRED = TlsWish.REQUIRED
_NOBODY = Reply(550, "5.6.7", "no recipient")


@dataclass(frozen=True, slots=True)
class Prepared:
    """`request` None: nothing can be sent, `reply` says why. `refused`: recipients by index that this hop cannot be told. `content`: to
    be streamed where the request holds none.
    """

    request: TransactionRequest | None
    reply: Reply = _NOBODY
    refused: Mapping[int, Reply] | None = None
    reasons: tuple[str, ...] = ()
    content: Content | None = None


def request_for(
    work: Work, sender: Address | None, fitted: Fit, content: bytes | None, size: int, offered: Extensions
) -> TransactionRequest:
    """All recipients of `work`, without looking further. `size` of the content in octets, where it is streamed."""
    message = work.lease.message
    recipients: list[RecipientRequest] = []
    for address, delivery in zip(work.recipients or work.envelope_recipients, work.lease.deliveries, strict=True):
        if not offered.dsn or (delivery.notify is _NO_WISH and not delivery.orcpt):
            recipients.append(RecipientRequest(address))
        else:
            recipients.append(RecipientRequest(address, _notify_words(delivery.notify), delivery.orcpt))
    if content is not None:
        size = len(content)  # re-encoded content is larger
    plain = message.plain and not fitted.convert
    require_tls = message.tls is _REQUIRED
    return TransactionRequest(
        sender, tuple(recipients), content, size, fitted.body, fitted.smtputf8, message.ret, message.envid, plain, require_tls
    )


def _notify_words(notify: Notify) -> tuple[str, ...]:
    return tuple(word for flag, word in _WORDS if flag in notify)


def prepare_at_once(work: Work, offered: Extensions, border: Border | None) -> Prepared | None:
    """The hot path: content that is at hand and goes as it is, but for its header. None: `prepare` must look closer."""
    content = work.lease.content.inline
    if content is None:
        return None
    sender = work.lease.message.sender
    reasons: tuple[str, ...] = ()
    if border is not None:
        end = find_header_end(content)
        departure = border.depart(work, content if end < 0 else content[:end])
        if departure.refused:
            return None
        sender, reasons = departure.sender, departure.reasons
        if departure.block is None:
            content = departure.added + content
        else:
            content = b"".join((departure.added, departure.block, content[end:] if end >= 0 else b""))
    fitted = fits_as_it_is(work.lease.message, content, offered)
    if fitted is None or 0 < offered.size < len(content):
        return None
    return Prepared(request_for(work, sender, fitted, content, 0, offered), reasons=reasons)


async def prepare(work: Work, offered: Extensions, host: str, border: Border | None) -> Prepared:
    """Everything that the hot path does not do. Raises what reading the content raises."""
    message, content = work.lease.message, work.lease.content
    sender = message.sender
    reasons: tuple[str, ...] = ()
    refused: dict[int, Reply] = {}
    if border is not None:
        block = await header_section(content)
        departure = border.depart(work, block)
        sender, reasons = departure.sender, departure.reasons
        refused.update(departure.refused or ())
        content = with_header(content, len(block), departure.added + (block if departure.block is None else departure.block))
    if offered.size and content.size > offered.size:
        return Prepared(None, too_large(host, content.size, offered.size))
    long_lines = not message.plain and message.body is not BodyType.BINARY_MIME and await _has_long_lines(content)
    fitted = fit(message, offered, long_lines=long_lines)
    if fitted.ascii_only:
        refusal = await _unsayable(sender, content, host)
        if refusal is not None:
            return Prepared(None, refusal)
        for index, address in enumerate(work.envelope_recipients):
            if not address.is_ascii:
                refused.setdefault(index, needs_smtputf8(host, f"the address {address}"))
    if len(refused) == len(work.lease.deliveries):
        return Prepared(None, next(iter(refused.values())))
    octets = content.inline
    if fitted.convert:
        converted = await _convert(content, host, fitted.convert)
        if isinstance(converted, Reply):
            return Prepared(None, converted)
        octets = converted[0]
        reasons += converted[1]
    request = request_for(work, sender, fitted, octets, content.size, offered)
    if refused:
        request = _without(request, refused)
    return Prepared(request, refused=refused, reasons=reasons, content=content)


def _without(request: TransactionRequest, refused: dict[int, Reply]) -> TransactionRequest:
    kept = tuple(recipient for index, recipient in enumerate(request.recipients) if index not in refused)
    return replace(request, recipients=kept)


async def _unsayable(sender: Address | None, content: Content, host: str) -> Reply | None:
    """Why the whole message cannot go to a hop without SMTPUTF8: its sender or its headers (RFC 6531 section 3.2, RFC 6532)."""
    if sender is not None and not sender.is_ascii:
        return needs_smtputf8(host, f"the sender {sender}")
    head = b""
    async for piece in _pieces(content):
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
