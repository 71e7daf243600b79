"""From attempts to results."""

from __future__ import annotations

import pytest

from mailwye.outbound.courier import Attempt, Stage
from mailwye.outbound.outcomes import judge
from mailwye.queue.item import Result
from mailwye.smtp.reply import Reply
from tests.unit.outbound.scripted_server import work_for

DELIVERY = work_for().lease.deliveries[0]


@pytest.mark.parametrize(
    ("stage", "code", "result"),
    [
        (Stage.CONTENT, 250, Result.DELIVERED),
        (Stage.MAILBOX, 250, Result.DELIVERED),
        (Stage.RCPT, 250, Result.DEFERRED),  # a 2xx before the end takes no responsibility
        (Stage.CONTENT, 354, Result.DEFERRED),
        (Stage.RESOLVE, 450, Result.DEFERRED),
        (Stage.RESOLVE, 556, Result.FAILED),
        (Stage.CONNECT, 450, Result.DEFERRED),
        (Stage.GREETING, 554, Result.DEFERRED),  # RFC 5321 section 3.1
        (Stage.GREETING, 421, Result.DEFERRED),
        (Stage.TLS, 530, Result.DEFERRED),
        (Stage.TLS, 450, Result.DEFERRED),
        (Stage.MAIL, 550, Result.FAILED),
        (Stage.MAIL, 421, Result.DEFERRED),
        (Stage.RCPT, 550, Result.FAILED),
        (Stage.RCPT, 452, Result.DEFERRED),
        (Stage.RCPT, 552, Result.DEFERRED),  # RFC 5321 section 4.5.3.1.10
        (Stage.MAIL, 552, Result.FAILED),
        (Stage.DATA, 554, Result.FAILED),
        (Stage.CONTENT, 552, Result.FAILED),
        (Stage.CONTENT, 451, Result.DEFERRED),
    ],
)
def test_results(stage: Stage, code: int, result: Result) -> None:
    outcome = judge(Attempt(DELIVERY, stage, Reply(code, "", "words"), "mail.contoso.com[192.0.2.1]:25"))
    assert outcome.result is result
    assert outcome.reason
    assert outcome.error == ("" if result is Result.DELIVERED else f"mail.contoso.com[192.0.2.1]:25: {code} words")


def test_an_attempt_without_a_host_has_only_the_reply_as_its_error() -> None:
    assert judge(Attempt(DELIVERY, Stage.RESOLVE, Reply(450, "4.4.312", "DNS query failed"))).error == "450 4.4.312 DNS query failed"
