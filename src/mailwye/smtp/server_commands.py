"""The receiving side's commands, one function for each, and what the driver's answers to them do.

A command function gets the text after the verb, when the table allows the verb in this state. It raises CommandError to refuse.
"""

from __future__ import annotations

from collections.abc import Callable

from mailwye.smtp import reply as say
from mailwye.smtp.command import is_foreign_protocol, parse_hello, parse_mail, parse_rcpt
from mailwye.smtp.events import AuthReceived, HelloReceived, StartTlsReceived
from mailwye.smtp.extensions import CommandError, hello_reply, helo_reply
from mailwye.smtp.reply import Reply
from mailwye.smtp.sasl import SaslExchange, split_auth
from mailwye.smtp.server_content import bdat, data, swallow_chunk
from mailwye.smtp.server_session import ServerSession
from mailwye.smtp.server_table import REMEDY, TRANSITIONS, Input, State
from mailwye.smtp.xclient import parse_xclient


def run_command(session: ServerSession, text: str) -> None:
    """One command line, already checked for its characters."""
    word, _, argument = text.partition(" ")
    known = _COMMANDS.get(word) or _COMMANDS.get(word.upper())
    if known is None:
        known = _of_front_ends(session, word)
        if known is None:
            _unknown(session, text)
            return
    verb, run = known
    if session.input.left and (verb in _LAST_IN_GROUP or not session.esmtp) and _breaks_synchronization(session, verb):
        return
    if verb not in TRANSITIONS[session.state]:
        _out_of_sequence(session, verb, argument)
        return
    try:
        run(session, argument)
    except CommandError as error:
        session.refuse(error.reply, word if verb is Input.AUTH else text)


def answer_sasl(session: ServerSession, line: str) -> None:
    """A line within AUTH."""
    sasl = session.sasl
    try:
        _go_on(session, sasl.respond(line) if sasl is not None else say.AUTH_MALFORMED)
    except CommandError as error:
        leave_auth(session)
        session.refuse(error.reply, "(response to AUTH)")


def leave_auth(session: ServerSession) -> None:
    """AUTH failed or was broken off."""
    session.sasl = None
    session.move(Input.AUTH_ENDED)


def answer_mail(session: ServerSession, reply: Reply, *, good: bool) -> None:
    """2xx opens the transaction."""
    session.out += reply.encode()
    if good:
        session.move(_MAIL)
    else:
        session.mail = None
        _count_refusal(session, reply)


def answer_rcpt(session: ServerSession, reply: Reply, *, good: bool) -> None:
    """2xx adds the recipient."""
    session.out += reply.encode()
    if good:
        session.move(_RCPT)
        session.recipients += 1
    else:
        _count_refusal(session, reply)


def answer_auth(session: ServerSession, reply: Reply, *, good: bool) -> None:
    """235, or the refusal."""
    session.out += reply.encode()
    leave_auth(session)
    if good:
        session.authenticated = True
    else:
        _count_refusal(session, reply)


def _count_refusal(session: ServerSession, reply: Reply) -> None:
    """A refusal by the driver counts where the peer is to blame, so that harvesting ends (V4); 4xx are our own troubles."""
    if reply.is_permanent:
        session.count_error()


def _breaks_synchronization(session: ServerSession, verb: Input) -> bool:
    """More came behind a command that must be the last of its group (RFC 2920 section 3.1), or without EHLO, where nothing may be
    sent ahead (W9, W10). True when that ended the session.
    """
    if verb is Input.STARTTLS:
        # Never executed inside TLS (RFC 3207 section 6, CVE-2011-0411), whatever the configuration says (W4).
        session.lose_synchronization("STARTTLS", say.PLAINTEXT_AFTER_STARTTLS)
        return True
    if not session.config.require_pipelining_sync or verb is Input.QUIT:
        return False
    session.lose_synchronization(verb)
    return True


def _unknown(session: ServerSession, text: str) -> None:
    if is_foreign_protocol(text):  # W20: no second chance for what a browser was tricked to send
        session.notice(say.NOT_SMTP, text)
        session.end(say.NOT_SMTP, "foreign protocol")
    elif text.partition(" ")[0].upper() in _NOT_IMPLEMENTED:
        session.refuse(say.NOT_IMPLEMENTED, text)
    else:
        session.refuse(say.UNKNOWN_COMMAND, text)


def _out_of_sequence(session: ServerSession, verb: Input, argument: str) -> None:
    if verb is Input.DATA and session.state is State.MAIL:
        session.refuse(say.NO_VALID_RECIPIENTS, verb)  # RFC 2920 section 3.1 (W11)
        return
    reply = Reply(503, "5.5.1", f"Bad sequence of commands: {REMEDY[session.state]}")
    if verb is Input.BDAT:
        session.notice(reply, f"BDAT {argument}")
        swallow_chunk(session, argument, reply)
    else:
        session.refuse(reply, verb)


def _ehlo(session: ServerSession, argument: str) -> None:
    name = parse_hello(argument)
    if not session.count_idle():
        return
    config = session.config
    _greet_back(session, name, esmtp=True)
    session.out += hello_reply(
        config.hostname,
        config.message_size,
        starttls=config.offer_starttls and not session.tls,
        auth=config.offer_auth and session.tls,
        requiretls=session.tls,  # RFC 8689 section 2: only within TLS
        xclient=config.offer_xclient,
    )


def _helo(session: ServerSession, argument: str) -> None:
    name = parse_hello(argument)
    if session.count_idle():
        _greet_back(session, name, esmtp=False)
        session.out += helo_reply(session.config.hostname)


def _greet_back(session: ServerSession, name: str, *, esmtp: bool) -> None:
    session.forget_transaction()  # RFC 5321 section 4.1.4: as if RSET had been said
    session.move(Input.EHLO if esmtp else Input.HELO)
    session.esmtp = esmtp
    session.events.append(HelloReceived(name, esmtp))


def _mail(session: ServerSession, argument: str) -> None:
    config = session.config
    if config.require_auth and not session.authenticated:
        # RFC 4954 section 6; RFC 3207 section 4 where AUTH is not even offered yet.
        raise CommandError(say.AUTH_REQUIRED if session.tls or not config.offer_starttls else say.TLS_REQUIRED)
    mail = parse_mail(
        argument,
        size_limit=config.message_size,
        esmtp=session.esmtp,
        auth=config.offer_auth and session.tls,
        requiretls=session.tls,
    )
    session.mail = mail
    session.ask(mail)


def _rcpt(session: ServerSession, argument: str) -> None:
    config = session.config
    recipient = parse_rcpt(
        argument,
        esmtp=session.esmtp,
        smtputf8=session.mail is not None and session.mail.smtputf8,
        postmaster_domain=config.postmaster_domain or config.hostname,
    )
    if session.recipients >= config.recipients_per_message:
        # RFC 5321 section 4.5.3.1.10: 452, so that the client sends the rest in another transaction; no error of his (R7).
        session.out += say.TOO_MANY_RECIPIENTS.encode()
        session.notice(say.TOO_MANY_RECIPIENTS, f"RCPT {argument}")
        return
    session.ask(recipient)


def _rset(session: ServerSession, argument: str) -> None:
    _without_argument(argument)
    if session.count_idle():
        session.forget_transaction()
        session.move(Input.RSET)
        session.out += say.OK.encode()


def _noop(session: ServerSession, argument: str) -> None:
    del argument  # RFC 5321 section 4.1.1.9: any text may follow
    if session.count_idle():
        session.out += say.OK.encode()


def _vrfy(session: ServerSession, argument: str) -> None:
    if not argument.strip(" "):
        raise CommandError(Reply(501, "5.5.4", "The form is VRFY user"))
    if session.count_idle():
        session.out += say.CANNOT_VERIFY.encode()  # RFC 5321 section 7.3: neither confirms nor denies


def _expn(session: ServerSession, argument: str) -> None:
    del session, argument
    raise CommandError(say.NOT_IMPLEMENTED)


def _help(session: ServerSession, argument: str) -> None:
    del argument
    if session.count_idle():
        session.out += say.HELP.encode()


def _quit(session: ServerSession, argument: str) -> None:
    _without_argument(argument)
    session.end(say.CLOSING, "quit")


def _starttls(session: ServerSession, argument: str) -> None:
    _without_argument(argument)  # RFC 3207 section 4: 501 (W6)
    if session.tls or session.authenticated:
        raise CommandError(say.BAD_SEQUENCE)
    if not session.config.offer_starttls:
        raise CommandError(say.NOT_IMPLEMENTED)
    session.move(Input.STARTTLS)
    session.out += say.TLS_READY.encode()
    session.events.append(StartTlsReceived())


def _of_front_ends(session: ServerSession, word: str) -> tuple[Input, Callable[[ServerSession, str], None]] | None:
    """XCLIENT, where the peer may say it (W24)."""
    return (Input.XCLIENT, _xclient) if session.config.offer_xclient and word.upper() == Input.XCLIENT else None


def _xclient(session: ServerSession, argument: str) -> None:
    """Postfix's XCLIENT_README: 220, and the session begins anew as that of another client."""
    client = parse_xclient(argument)
    if not session.count_idle():
        return
    session.move(Input.XCLIENT)
    session.esmtp = False
    session.authenticated = False
    session.out += f"220 {session.config.hostname} ESMTP Mailwye\r\n".encode("ascii")
    session.events.append(client)


def _auth(session: ServerSession, argument: str) -> None:
    if not session.config.offer_auth:
        raise CommandError(say.NOT_IMPLEMENTED)
    if not session.tls:
        raise CommandError(say.ENCRYPTION_REQUIRED)  # RFC 4954 section 6
    if session.authenticated or not session.esmtp:
        raise CommandError(say.BAD_SEQUENCE)  # section 4
    mechanism, initial = split_auth(argument)
    sasl = SaslExchange(mechanism)
    outcome = sasl.begin(initial)
    session.sasl = sasl
    session.move(Input.AUTH)
    _go_on(session, outcome)


def _go_on(session: ServerSession, outcome: Reply | AuthReceived) -> None:
    if isinstance(outcome, AuthReceived):
        session.ask(outcome)
    else:
        session.out += outcome.encode()


def _without_argument(argument: str) -> None:
    if argument.strip(" "):
        raise CommandError(say.NO_ARGUMENT_ALLOWED)


_MAIL, _RCPT = Input.MAIL, Input.RCPT  # bound once, see server.py
_COMMANDS: dict[str, tuple[Input, Callable[[ServerSession, str], None]]] = {
    verb.value: (verb, run)
    for verb, run in (
        (Input.EHLO, _ehlo),
        (Input.HELO, _helo),
        (Input.MAIL, _mail),
        (Input.RCPT, _rcpt),
        (Input.DATA, data),
        (Input.BDAT, bdat),
        (Input.RSET, _rset),
        (Input.NOOP, _noop),
        (Input.VRFY, _vrfy),
        (Input.EXPN, _expn),
        (Input.HELP, _help),
        (Input.STARTTLS, _starttls),
        (Input.AUTH, _auth),
        (Input.QUIT, _quit),
    )
}
_NOT_IMPLEMENTED = frozenset({"TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML"})  # known, and wanted by nobody (RFC 5321 appendix F)
# RFC 2920 section 3.1 names also NOOP, VRFY, EXPN and QUIT; nothing can be smuggled behind those.
_LAST_IN_GROUP = frozenset({Input.EHLO, Input.HELO, Input.DATA, Input.STARTTLS})
