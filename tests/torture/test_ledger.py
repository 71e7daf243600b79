"""The books and the page: each finding of `judge`, and what a result becomes in docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture.ledger import Acknowledged, Received, ReceiverBook, SenderBook, judge
from torture.report import Result, Row, text, write


@pytest.fixture
def sent(tmp_path: Path) -> SenderBook:
    book = SenderBook(tmp_path / "sent")
    book.write(Acknowledged("m1.1", ("a@a.example", "b@b.example"), "digest", "Q1", 1.0))
    return book


@pytest.fixture
def received(tmp_path: Path) -> ReceiverBook:
    return ReceiverBook(tmp_path / "received")


def _arrival(recipient: str, *, attempt: str = "m1.1", digest: str = "digest", notice: str = "") -> Received:
    return Received("sink", attempt, (recipient,), digest, 2.0, notice)


def test_what_arrived_is_not_lost(sent: SenderBook, received: ReceiverBook) -> None:
    received.write(_arrival("a@a.example"))
    received.write(_arrival("b@b.example"))
    verdict = judge(sent, received)
    assert (verdict.promised, verdict.lost, verdict.altered, verdict.duplicates) == (2, (), (), ())
    assert verdict.kept


def test_what_is_nowhere_is_lost(sent: SenderBook, received: ReceiverBook) -> None:
    received.write(_arrival("a@a.example"))
    verdict = judge(sent, received)
    assert verdict.lost == (("m1.1", "b@b.example"),)
    assert not verdict.kept


def test_what_is_queued_or_returned_is_not_lost(sent: SenderBook, received: ReceiverBook) -> None:
    received.write(_arrival("b@b.example", notice="failed"))
    verdict = judge(sent, received, [("Q1", "a@a.example"), ("Q1", "b@b.example"), ("Q2", "c@a.example")])
    assert (verdict.lost, verdict.queued, verdict.returned) == ((), 2, 0)
    assert judge(sent, received, [("Q1", "a@a.example")]).returned == 1


def test_a_notice_of_delay_is_no_excuse(sent: SenderBook, received: ReceiverBook) -> None:
    received.write(_arrival("b@b.example", notice="delayed"))
    assert len(judge(sent, received).lost) == 2


def test_other_content_is_altered(sent: SenderBook, received: ReceiverBook) -> None:
    received.write(_arrival("a@a.example", digest="another"))
    received.write(_arrival("b@b.example"))
    verdict = judge(sent, received)
    assert verdict.altered == (("m1.1", "a@a.example"),)
    assert not verdict.kept


def test_a_second_copy_is_a_duplicate_and_another_attempt_is_none(sent: SenderBook, received: ReceiverBook) -> None:
    for one in (_arrival("a@a.example"), _arrival("a@a.example"), _arrival("b@b.example"), _arrival("b@b.example", attempt="m1.2")):
        received.write(one)
    verdict = judge(sent, received)
    assert (len(verdict.duplicates), len(verdict.first_copies), verdict.unpromised) == (1, 1, 1)


def test_fsck_has_a_say(sent: SenderBook, received: ReceiverBook) -> None:
    assert not judge(sent, received, [("Q1", "a@a.example"), ("Q1", "b@b.example")], "exit code 3").kept


def test_the_books_are_files(sent: SenderBook) -> None:
    assert sent.path.read_text().count("\n") == 1


def test_a_result_replaces_the_last_one(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- torture:x -->\nold\n<!-- /torture:x -->\nafter\n")
    result = Result("x", (Row("lost", "3", "0", good=False), Row("sent", "9")))
    write(result, "python -m torture x", page)
    words = page.read_text()
    assert words.startswith("before\n<!-- torture:x -->\n**FAILED.**")
    assert "| lost | 3 | 0 | **no** |" in words
    assert words.endswith("<!-- /torture:x -->\nafter\n")
    assert "old" not in words
    assert "FAILED" in text(result)


def test_a_result_without_a_place_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="<!-- torture:x -->"):
        write(Result("x", (Row("lost", "0"),)), "python -m torture x", page)
