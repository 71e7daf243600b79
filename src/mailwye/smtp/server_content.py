"""DATA and BDAT on the receiving side: from the command to the verdict on the content."""

from __future__ import annotations

from mailwye.smtp import reply as say
from mailwye.smtp.command import parse_chunk
from mailwye.smtp.errors import LocalProtocolError
from mailwye.smtp.events import ContentEnded, ContentReceived, ContentRefused, DataStarted
from mailwye.smtp.extensions import CommandError
from mailwye.smtp.reply import Reply
from mailwye.smtp.server_session import ServerSession, Transfer
from mailwye.smtp.server_table import Input, State
from mailwye.smtp.wire import ContentInspector, DotReader

_DATA_STARTED = DataStarted()
_REFUSALS = {
    "bare_line_end": say.BARE_LINE_END,
    "header_too_large": say.HEADER_TOO_LARGE,
    "too_large": say.MESSAGE_TOO_LARGE,
}


def data(session: ServerSession, argument: str) -> None:
    """DATA (RFC 5321 section 4.1.1.4). The table lets it through only with an accepted recipient."""
    if argument.strip(" "):
        raise CommandError(say.NO_ARGUMENT_ALLOWED)
    if session.mail is not None and session.mail.body == "BINARYMIME":
        # RFC 3030 section 3: binary content cannot be carried by DATA.
        raise CommandError(Reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT"))
    session.ask(_DATA_STARTED)


def bdat(session: ServerSession, argument: str) -> None:
    """BDAT (RFC 3030 section 2): the first chunk asks the driver, the others follow it."""
    size, last = parse_chunk(argument)
    session.transfer = Transfer(now=session.now, size=size, last=last)
    if session.state is State.RCPT:
        session.ask(DataStarted(chunking=True))
    else:
        _finish_empty_chunk(session)


def swallow_chunk(session: ServerSession, argument: str, refusal: Reply) -> None:
    """BDAT where it is not legal: its octets follow whatever the answer will be, and are no commands (W12)."""
    try:
        size, last = parse_chunk(argument)
    except CommandError as error:
        session.refuse(error.reply, f"BDAT {argument}")
        return
    session.transfer = Transfer(now=session.now, size=size, last=last)
    session.transfer.refusal = refusal
    _finish_empty_chunk(session)


def answer_data_started(session: ServerSession, reply: Reply, *, good: bool) -> None:
    """354 opens the content of DATA, 250 that of BDAT; anything else refuses it."""
    transfer = session.transfer
    if transfer is None:
        _answer_data(session, reply, good=good)
        return
    if not good:
        transfer.refusal = reply
        session.move(Input.CHUNK_REFUSED)
    else:
        session.move(Input.BDAT)
        session.inspector = _inspector(session)
    transfer.since = transfer.last_octets = session.now
    _finish_empty_chunk(session)


def _answer_data(session: ServerSession, reply: Reply, *, good: bool) -> None:
    if session.input.left and session.config.require_pipelining_sync:
        session.lose_synchronization("(content before 354)")  # RFC 2920 section 3.1: DATA is the last of its group (W10)
        return
    session.out += reply.encode()
    if not good:
        return
    session.move(Input.DATA)
    session.inspector = _inspector(session)
    session.transfer = Transfer(now=session.now, dots=DotReader())


def answer_content_ended(session: ServerSession, reply: Reply, *, good: bool) -> None:
    """The verdict on the message; the transaction is over (RFC 5321 section 4.1.1.4)."""
    session.move(Input.CONTENT_ENDED)
    session.mail = None
    session.recipients = 0
    session.inspector = None
    session.out += reply.encode()
    if good:
        session.errors = 0
        session.idle_commands = 0
    elif reply.is_permanent:
        session.count_error()


def read_content(session: ServerSession, transfer: Transfer) -> bool:
    """Use octets of content. False when there are none."""
    octets = session.input.left
    if not octets:
        return False
    if transfer.dots is None:
        _read_chunk(session, transfer)
        return True
    transfer.octets += octets
    transfer.last_octets = session.now
    piece = transfer.dots.feed(session.input.take_all())
    if piece:
        _hand_out(session, piece)
    if transfer.dots.ended:
        session.input.add(transfer.dots.rest)
        if session.input.left and not session.esmtp and session.config.require_pipelining_sync:
            session.lose_synchronization("(after the end of data)")  # only who said EHLO may pipeline (W10)
        else:
            _complete(session)
    return True


def _read_chunk(session: ServerSession, transfer: Transfer) -> None:
    piece = session.input.take(transfer.remaining)
    transfer.remaining -= len(piece)
    transfer.octets += len(piece)
    transfer.last_octets = session.now
    if transfer.refusal is None:
        _hand_out(session, piece)
    if not transfer.remaining:
        _finish_chunk(session, transfer)


def _finish_empty_chunk(session: ServerSession) -> None:
    """`BDAT 0` is complete as it stands."""
    if session.transfer is not None and not session.transfer.remaining:
        _finish_chunk(session, session.transfer)


def _finish_chunk(session: ServerSession, transfer: Transfer) -> None:
    session.since = session.now
    if transfer.refusal is not None:
        session.transfer = None
        if transfer.last and session.state is State.CHUNKS_REFUSED:
            session.forget_transaction()
            session.move(Input.CONTENT_ENDED)
        session.out += transfer.refusal.encode()
        if transfer.refusal.is_permanent:
            session.count_error()
    elif transfer.last:
        _complete(session)
    elif (reason := _inspected(session).refusal) != "":
        session.transfer = None
        session.move(Input.CHUNK_REFUSED)
        session.out += _REFUSALS[reason].encode()
        session.events.append(ContentRefused(reason))
        session.count_error()
    else:
        session.transfer = None
        session.out += Reply(250, "2.0.0", f"{transfer.size} octets received").encode()


def _hand_out(session: ServerSession, piece: bytes) -> None:
    kept = _inspected(session).take(piece)
    if kept:
        session.events.append(ContentReceived(kept))


def _complete(session: ServerSession) -> None:
    """The content is all here: refuse it for what the protocol alone knows, or ask."""
    inspector = _inspected(session)
    dots = session.transfer.dots if session.transfer is not None else None
    session.transfer = None
    session.since = session.now
    kept = inspector.finish()
    if kept:
        session.events.append(ContentReceived(kept))
    if not inspector.refusal:
        # DATA ends with a complete line; a chunk need not, and nobody has looked for its dots.
        plain = dots is not None and not (dots.unstuffed or inspector.long_lines or inspector.normalised)
        session.ask(ContentEnded(inspector.size, inspector.eight_bit, inspector.long_lines, inspector.has_nul, plain))
        return
    session.events.append(ContentRefused(inspector.refusal))
    answer_content_ended(session, _REFUSALS[inspector.refusal], good=False)


def _inspector(session: ServerSession) -> ContentInspector:
    config = session.config
    return ContentInspector(
        size_limit=config.message_size,
        header_limit=config.header_octets,
        bare_line_end=config.bare_line_end,
        binary=session.mail is not None and session.mail.body == "BINARYMIME",
    )


def _inspected(session: ServerSession) -> ContentInspector:
    if session.inspector is None:
        raise LocalProtocolError("no content is open")
    return session.inspector
