from __future__ import annotations

from mailwye.connectors.model import Credential
from mailwye.outbound.session.account import SALTED_KEPT, Account
from mailwye.smtp.authentication.scram import Salting


def test_what_was_salted_is_remembered_for_its_salt_and_iterations_and_not_without_end() -> None:
    account = Account(Credential("u", "sealed", "o"), "Relay", lambda credential: credential.sealed_password)
    assert account.password() == "sealed"
    works = [Salting(b"p", bytes([number]), 4_096) for number in range(SALTED_KEPT + 1)]
    for work in works:
        assert account.salted(work) is None
        account.remember(work, work.salt * 2)
    assert account.salted(works[-1]) == works[-1].salt * 2
    assert account.salted(works[0]) is None
    assert account.salted(Salting(b"p", works[-1].salt, 5_000)) is None
