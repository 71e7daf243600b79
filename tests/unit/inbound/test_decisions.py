"""What is remembered of decisions: by what, how much, and how long."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from mailwye.config.snapshot import Snapshot
from mailwye.inbound import decisions as module
from mailwye.inbound.decisions import Decisions
from mailwye.message.facts import SessionFacts, TlsFacts
from mailwye.smtp.address import parse_address
from tests.unit.inbound.world import contoso

FACTS = SessionFacts("s1", "mx", "mx", "192.0.2.1", 4000, "mail.elsewhere.example", esmtp=True)
SENDER = parse_address("x@elsewhere.example")
BOB = parse_address("bob@contoso.com")


@pytest.fixture
def snapshot() -> Snapshot:
    return contoso()


def test_another_session_of_the_same_peer_costs_no_decision(snapshot: Snapshot) -> None:
    decisions = Decisions()
    known = decisions.sender(snapshot, FACTS, SENDER)
    again = decisions.sender(snapshot, replace(FACTS, session_id="s2", peer_port=4001), parse_address("x@elsewhere.example"))
    assert again is known
    assert again.recipient(BOB) is known.recipient(BOB)


CHANGES: list[dict[str, object]] = [
    {"listener": "submission"},
    {"listener_kind": "submission"},
    {"peer_address": "192.0.2.2"},
    {"hello": "other.example"},
    {"esmtp": False},
    {"tls": TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256)},
    {"authenticated": "bob@contoso.com"},
    {"proxied": True},
    {"local": "192.0.2.1:25"},
]


def test_no_fact_is_forgotten() -> None:
    """A fact that is added later and not part of the key would let one peer have what was decided about another."""
    own = {"session_id", "peer_port"}
    assert {field.name for field in fields(SessionFacts)} - own == {name for change in CHANGES for name in change}


@pytest.mark.parametrize("changed", CHANGES)
def test_every_other_fact_counts(snapshot: Snapshot, changed: dict[str, object]) -> None:
    decisions = Decisions()
    known = decisions.sender(snapshot, FACTS, SENDER)
    assert decisions.sender(snapshot, replace(FACTS, **changed), SENDER) is not known  # type: ignore[arg-type]  # fields of several types


def test_senders_are_told_apart(snapshot: Snapshot) -> None:
    decisions = Decisions()
    known = {decisions.sender(snapshot, FACTS, sender) for sender in (SENDER, None, parse_address("X@elsewhere.example"))}
    assert len(known) == 3


def test_a_new_snapshot_empties_it(snapshot: Snapshot) -> None:
    decisions = Decisions()
    known = decisions.sender(snapshot, FACTS, SENDER)
    known.recipient(BOB)
    assert decisions.sender(contoso(), FACTS, SENDER) is not known
    assert not decisions._recipients


def test_it_is_bounded(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_SENDERS", 10)
    monkeypatch.setattr(module, "REMEMBERED_RECIPIENTS", 20)
    decisions = Decisions()
    kept = decisions.sender(snapshot, FACTS, SENDER)
    for number in range(100):
        decisions.sender(snapshot, FACTS, parse_address(f"x{number}@elsewhere.example"))
        kept.recipient(parse_address(f"r{number}@contoso.com"))  # by a session that goes on with what was forgotten
        assert len(decisions._senders) <= 10
        assert len(decisions._recipients) <= 20
