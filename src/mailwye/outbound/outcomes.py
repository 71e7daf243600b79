"""From what an attempt met to what becomes of the delivery. Pure.

The rule in one sentence: only a server that speaks SMTP and speaks about *this message* can make it fail for good; whatever
happens before (no connection, no TLS, a refusing greeting) or instead (silence, garbage, 421) defers.
"""

from __future__ import annotations

from mailwye.outbound.courier import Attempt, Stage
from mailwye.queue.item import Result
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

# Nothing has been said about the message at these stages. RFC 5321 section 3.1 lets a host refuse everybody with a 554 greeting: that
# speaks for the host, not for the domain, so the courier goes on to the next host, and when none is left the message waits: hosts that
# refuse for an hour (a block list, a full disk, a half-done reconfiguration) are far more frequent than ones that refuse for ever.
# Postfix decides likewise (smtp_skip_5xx_greeting). STARTTLS trouble defers by SEMANTICS section 8. A login that is refused is the
# operator's fault, not the sender's.
_BEFORE_THE_MESSAGE = frozenset({Stage.CONNECT, Stage.TLS, Stage.AUTH, Stage.GREETING})


LOGIN_REFUSED = "4.7.8"
"""The status of a login that the peer did not take (RFC 4954 section 6: 5.7.8; here it defers)."""

NO_MECHANISM, NO_PASSWORD = "4.7.4", "4.3.5"
"""The statuses of logins that could not even be tried: no common mechanism (RFC 3463: security features not supported), no password."""

LOGIN_REST_SECONDS, LOGIN_REST_LIMIT = 120.0, 1_800.0
"""How long a next hop is left alone after a login failed, doubled each time up to the limit: servers lock accounts after some five failures
in ten minutes, and three fit into those.
"""


def is_refused_login(stage: Stage, reply: Reply) -> bool:
    """Whether the peer said no to this account: its other addresses will too."""
    return stage is Stage.AUTH and reply.enhanced == LOGIN_REFUSED


def is_failed_login(stage: Stage, reply: Reply) -> bool:
    """Whether a login was tried in vain, also where the peer said "later" or hung up: trying again soon would only bring the account nearer
    to being locked. A 530 is none: nobody had tried.
    """
    return stage is Stage.AUTH and reply.is_transient and reply.enhanced not in (NO_MECHANISM, NO_PASSWORD)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result` is DELIVERED, DEFERRED or FAILED; `error` the text for the queue ("" when delivered); `reason` why it was judged so."""

    result: Result
    error: str = ""
    reason: str = ""


_DELIVERED = Outcome(Result.DELIVERED, reason="the next hop took responsibility (2xx)")


def judge(attempt: Attempt) -> Outcome:
    """What becomes of the delivery after `attempt`."""
    reply = attempt.reply
    if reply.is_success and attempt.stage in (Stage.CONTENT, Stage.MAILBOX):
        return _DELIVERED
    error = f"{attempt.host}: {reply}" if attempt.host else str(reply)
    if attempt.stage in _BEFORE_THE_MESSAGE:
        return Outcome(Result.DEFERRED, error, f"no server talked about the message yet (stage {attempt.stage.value})")
    if attempt.stage is Stage.RCPT and reply.code == 552:
        # RFC 5321 section 4.5.3.1.10: an old "too many recipients"; treat it as 452, the rest goes in another transaction.
        return Outcome(Result.DEFERRED, error, "552 to RCPT counts as 452, too many recipients (RFC 5321 section 4.5.3.1.10)")
    if reply.is_permanent:
        return Outcome(Result.FAILED, error, f"permanent refusal at {attempt.stage.value} (5xx)")
    if reply.is_transient:
        return Outcome(Result.DEFERRED, error, f"temporary refusal at {attempt.stage.value} (4xx)")
    # A reply that fits nothing (a 2xx before the end, a 3xx, garbage) never bounces.
    return Outcome(Result.DEFERRED, error, f"the reply makes no sense at {attempt.stage.value}")
