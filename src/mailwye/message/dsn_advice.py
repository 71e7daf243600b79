"""What a status code means for people: what happened, who can fix it, and how (RFC 3463 and Exchange's own details). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fixer(Enum):
    """Who can put it right, as the sender reads it."""

    SENDER = "You, the sender"
    RECIPIENTS_ADMINISTRATOR = "The recipient's mail administrator"
    YOUR_ADMINISTRATOR = "Your mail administrator"
    NOBODY_YET = "Nobody needs to do anything yet"


@dataclass(frozen=True, slots=True)
class Advice:
    """`what` happened and `how` it is put right, in sentences; `who` can do so."""

    what: str
    who: Fixer
    how: str


_S, _R, _Y = Fixer.SENDER, Fixer.RECIPIENTS_ADMINISTRATOR, Fixer.YOUR_ADMINISTRATOR

_NO_SUCH_RECIPIENT = Advice(
    "The address does not exist at the receiving side.",
    _S,
    "Check the address for mistakes and send the message again. If it is right, ask the recipient by other means, or ask his mail "
    "administrator whether the mailbox exists.",
)
_NO_SUCH_DOMAIN = Advice(
    "The domain in the address does not exist, or accepts no mail.",
    _S,
    "Check the part after the @ for mistakes and send the message again.",
)
_FULL = Advice("The recipient's mailbox is full.", _R, "Ask the recipient by other means to make room, then send the message again.")
_TOO_LARGE = Advice("The message is too large for the receiving side.", _S, "Make the attachments smaller, or share them in another way.")
_UNREACHABLE = Advice(
    "The receiving mail server could not be reached: the connection was refused, broke, or got no answer.",
    _R,
    "The server, or a firewall before it, must accept connections. If the recipient belongs to your own organization, this is for your "
    "mail administrator: check the connector's SmartHosts, the server and its firewall.",
)
_DNS = Advice(
    "The receiving mail server could not be found: the DNS query failed.",
    _R,
    "The DNS records of the recipient's domain must be answered. If the recipient belongs to your own organization, check the SmartHosts "
    "of the connector and the DNS that this server asks.",
)
_TLS = Advice(
    "A connection that is as secure as required could not be made.",
    _Y,
    "Compare the certificate and the TLS support of the receiving server with TlsSettings and TlsDomain of the connector; the details "
    "below name what was expected and what was presented.",
)
_LOOP = Advice(
    "The message went round in a loop.",
    _Y,
    "The mail systems involved send this recipient's mail to each other. Check the connectors named below, and that the recipient's "
    "domain is an accepted domain where the mailbox is.",
)
_CONTENT = Advice(
    "The receiving side cannot take the message in this form.", _S, "Send it again as plain text or without unusual attachments."
)
_POLICY = Advice(
    "The receiving side refused the message by its rules.",
    _R,
    "Read its answer below: it usually says why. Ask the recipient's mail administrator to allow your mail, or change what he objects to.",
)
_RELAY = Advice(
    "The receiving server does not accept mail for this recipient from this server.",
    _Y,
    "The receiving server must know this server, for example by an inbound connector with its certificate or address.",
)
_NO_CONNECTOR = Advice(
    "There is no way to the recipient: no connector leads to his mailbox.",
    _Y,
    "Create the outbound connector that the details below name, then send the message again.",
)
_BUSY = Advice(
    "The receiving side has a problem of its own.", _R, "Send the message again later; if that does not help, tell its administrator."
)
_UNCLEAR = Advice("The receiving side did not accept the message.", _R, "Read its answer below, or pass it on to your mail administrator.")

_BY_STATUS: dict[str, Advice] = {
    "1.1": _NO_SUCH_RECIPIENT,
    "1.0": _NO_SUCH_RECIPIENT,
    "1.2": _NO_SUCH_DOMAIN,
    "1.3": Advice("The address is malformed.", _S, "Check the address for mistakes and send the message again."),
    "1.6": Advice("The mailbox has moved.", _S, "Ask the recipient for the new address."),
    "1.8": Advice("Your own address was not accepted.", _Y, "The sender's domain must exist in the DNS and be allowed to send."),
    "1.10": _NO_SUCH_RECIPIENT,
    "2.1": Advice("The mailbox is disabled.", _R, "Ask the recipient by other means for an address that works."),
    "2.2": _FULL,
    "2.3": _TOO_LARGE,
    "2.4": Advice("The group could not be expanded.", _Y, "Correct the members of the group."),
    "3.4": _TOO_LARGE,
    "4.1": _NO_SUCH_RECIPIENT,  # Exchange: 550 5.4.1 Recipient address rejected
    "4.4": _NO_CONNECTOR,
    "4.6": _LOOP,
    "4.14": _LOOP,
    "4.312": _DNS,
    "4.315": _UNREACHABLE,
    "4.316": _UNREACHABLE,
    "4.317": _TLS,
    "4.318": _UNREACHABLE,
    "5.3": Advice("There were too many recipients.", _S, "Send the message to fewer recipients at a time."),
    "6.7": Advice(
        "The address or a header has characters beyond ASCII, and the receiving server does not support them (SMTPUTF8).",
        _R,
        "Use another address of the recipient, if there is one.",
    ),
    "7.4": _TLS,
    "7.5": _TLS,
    "7.10": _TLS,
    "7.30": Advice(
        "The message asks every server on its way for protected delivery (REQUIRETLS), and the receiving side cannot promise it.",
        _S,
        "Send it again without that demand if it may travel less protected, or ask the recipient's mail administrator to support "
        "REQUIRETLS with MTA-STS or DANE.",
    ),
    "7.64": _RELAY,
    "7.57": _RELAY,
    "7.320": _TLS,
    "7.321": _TLS,
    "7.322": _TLS,
    "7.323": _TLS,
    "7.324": _TLS,
    "7.325": _TLS,
}

_BY_SUBJECT: dict[str, Advice] = {
    "1": _NO_SUCH_RECIPIENT,
    "2": Advice(
        "The recipient's mailbox does not take the message.", _R, "Send the message again later, or ask the recipient's administrator."
    ),
    "3": _BUSY,
    "4": _UNREACHABLE,
    "5": _BUSY,
    "6": _CONTENT,
    "7": _POLICY,
}


def advise(status: str, text: str = "", code: int = 0) -> Advice:
    """Advice for an enhanced status code ("5.1.1"), with the reply's text and code where the status alone does not tell."""
    if code == 556:  # RFC 7505: the null MX has 5.1.10, which Exchange uses for unknown recipients
        return _NO_SUCH_DOMAIN
    lowered = text.lower()
    if "unable to relay" in lowered or "relay access denied" in lowered or "relaying denied" in lowered:
        return _RELAY
    if status == "5.4.4" and "mail server" in lowered:
        return _UNREACHABLE
    _, _, detail = status.partition(".")
    found = _BY_STATUS.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0])
    return found or _UNCLEAR
