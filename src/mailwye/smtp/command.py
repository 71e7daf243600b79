"""The arguments of commands: text after the verb in, the event's value out. Pure; what is wrong is a CommandError with its reply.

The text was checked before: valid UTF-8 without control characters, at most one command line long.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailwye.smtp.address import Address, AddressError, parse_path
from mailwye.smtp.events import MailReceived, RcptReceived
from mailwye.smtp.extensions import (
    CommandError,
    decode_xtext,
    parse_body,
    parse_envelope_id,
    parse_notify,
    parse_original_recipient,
    parse_parameters,
    parse_return,
    parse_size,
    syntax_error,
)
from mailwye.smtp.reply import NEEDS_SMTPUTF8, UNKNOWN_PARAMETER, Reply

_REMEMBERED = 4096  # arguments of MAIL and of RCPT whose values are kept; about 2 MB each
_REMEMBERED_LENGTH = 128  # characters; nobody fills the memory with long ones
HELLO_NAME_LIMIT = 255  # octets, as long as a domain may be, RFC 5321 section 4.5.3.1.2

_CHUNK = re.compile(r"([0-9]{1,18})( +LAST)?", re.IGNORECASE | re.ASCII).fullmatch
# What a browser, a proxy or somebody else's content says where a command should stand (W20).
_FOREIGN = re.compile(r"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|TRACE|PATCH|CONNECT|PRI) |[!-9;-~]+:", re.IGNORECASE).match
_MAIL_KEYWORDS = frozenset({"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "REQUIRETLS"})
_RCPT_KEYWORDS = frozenset({"NOTIFY", "ORCPT"})


def is_foreign_protocol(line: str) -> bool:
    """True for a line of HTTP or of a message header (W20). Asked only about lines that are no SMTP command."""
    return _FOREIGN(line) is not None


def parse_hello(argument: str) -> str:
    """The name in EHLO or HELO. Any printable name is taken: RFC 5321 section 4.1.4 forbids refusing mail because of it.

    :raises CommandError: none, or too long.
    """
    name = argument.strip(" ")
    if not name or len(name.encode()) > HELLO_NAME_LIMIT:
        raise syntax_error("Say your host name, as in EHLO mail.example.com")
    return name


def parse_mail(argument: str, *, size_limit: int, esmtp: bool, auth: bool, requiretls: bool = False) -> MailReceived:
    """`FROM:<path> parameters` (RFC 5321 section 4.1.1.2). `auth`: AUTH was offered, so AUTH= is allowed; `requiretls`:
    REQUIRETLS was.

    :raises CommandError:
    """
    parse = _parse_mail if len(argument) <= _REMEMBERED_LENGTH else _parse_mail.__wrapped__
    return parse(argument, size_limit, esmtp, auth, requiretls)


# The same few senders and recipients come again and again, and reading is pure. What is refused is not remembered.
@lru_cache(maxsize=_REMEMBERED)
def _parse_mail(argument: str, size_limit: int, esmtp: bool, auth: bool, requiretls: bool) -> MailReceived:
    if argument[:5].upper() != "FROM:":
        raise syntax_error("The form is MAIL FROM:<address>")
    sender, rest = _path(argument[5:].lstrip(" "), sender=True)
    if not rest:
        if not argument.isascii():
            raise CommandError(NEEDS_SMTPUTF8)
        return MailReceived(sender)
    parameters = _parameters(rest, _MAIL_KEYWORDS, esmtp=esmtp)
    smtputf8 = "SMTPUTF8" in parameters
    if smtputf8 and parameters["SMTPUTF8"]:
        raise syntax_error("SMTPUTF8 takes no value")  # RFC 6531 section 3.4
    if not smtputf8 and not argument.isascii():
        raise CommandError(NEEDS_SMTPUTF8)
    if ("AUTH" in parameters and not auth) or ("REQUIRETLS" in parameters and not requiretls):
        raise CommandError(UNKNOWN_PARAMETER)
    if parameters.get("REQUIRETLS"):
        raise syntax_error("REQUIRETLS takes no value")  # RFC 8689 section 2
    return MailReceived(
        sender,
        size=parse_size(parameters["SIZE"], size_limit) if "SIZE" in parameters else 0,
        body=parse_body(parameters["BODY"]) if "BODY" in parameters else "7BIT",
        smtputf8=smtputf8,
        ret=parse_return(parameters["RET"]) if "RET" in parameters else "",
        envid=parse_envelope_id(parameters["ENVID"]) if "ENVID" in parameters else "",
        auth=decode_xtext(parameters["AUTH"], "AUTH") if "AUTH" in parameters else "",
        require_tls="REQUIRETLS" in parameters,
    )


def parse_rcpt(argument: str, *, esmtp: bool, smtputf8: bool, postmaster_domain: str) -> RcptReceived:
    """`TO:<path> parameters` (RFC 5321 section 4.1.1.3). `<Postmaster>` without a domain is the one at `postmaster_domain`.

    :raises CommandError:
    """
    parse = _parse_rcpt if len(argument) <= _REMEMBERED_LENGTH else _parse_rcpt.__wrapped__
    return parse(argument, esmtp, smtputf8, postmaster_domain)


@lru_cache(maxsize=_REMEMBERED)
def _parse_rcpt(argument: str, esmtp: bool, smtputf8: bool, postmaster_domain: str) -> RcptReceived:
    if argument[:3].upper() != "TO:":
        raise syntax_error("The form is RCPT TO:<address>")
    path = argument[3:].lstrip(" ")
    if not smtputf8 and not argument.isascii():
        raise CommandError(NEEDS_SMTPUTF8)  # RFC 6531 section 3.4
    if path[:12].lower() == "<postmaster>":  # section 4.5.1
        path = f"<postmaster@{postmaster_domain}>{path[12:]}"
    recipient, rest = _path(path, sender=False)
    if recipient is None:
        raise CommandError(Reply(501, "5.1.3", "A recipient is needed; the null path is for MAIL FROM only"))
    if not rest:
        return RcptReceived(recipient)
    parameters = _parameters(rest, _RCPT_KEYWORDS, esmtp=esmtp)
    return RcptReceived(
        recipient,
        notify=parse_notify(parameters["NOTIFY"]) if "NOTIFY" in parameters else frozenset(),
        orcpt=parse_original_recipient(parameters["ORCPT"]) if "ORCPT" in parameters else "",
    )


def parse_chunk(argument: str) -> tuple[int, bool]:
    """`size [LAST]` of BDAT (RFC 3030 section 2) → (octets, last).

    :raises CommandError: 501 for anything else, negative and absurd sizes included (W12).
    """
    found = _CHUNK(argument.strip(" "))
    if found is None:
        raise syntax_error("The form is BDAT size, or BDAT size LAST")
    return int(found[1]), found[2] is not None


def _path(text: str, *, sender: bool) -> tuple[Address | None, str]:
    """The path, with the status code that tells a sender's fault (5.1.7) from a recipient's (5.1.3), RFC 3463 section 3.2."""
    try:
        return parse_path(text)
    except AddressError as error:
        enhanced = "5.1.7" if sender and error.enhanced == "5.1.3" else error.enhanced
        raise CommandError(Reply(error.code, enhanced, str(error))) from error


def _parameters(rest: str, known: frozenset[str], *, esmtp: bool) -> dict[str, str]:
    """Parameters, all of them known; none at all after HELO (RFC 5321 section 4.1.1.11)."""
    parameters = parse_parameters(rest)
    if not known.issuperset(parameters) or (parameters and not esmtp):
        raise CommandError(UNKNOWN_PARAMETER)
    return parameters
