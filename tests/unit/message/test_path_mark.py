"""Path marks: what is written is read again, by this installation and for this message only; nothing forged is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.message.headers import scan
from mailwye.message.path_mark import MARKS_READ, STEPS_LIMIT, PathMarks, loop_reply, was_taken, way_in

OURS = PathMarks(b"the secret of this installation")
OTHERS = PathMarks(b"the secret of another installation")
ID = "<1@example.net>"
REST = b"Received: from a by b; x\r\nMessage-ID: <1@example.net>\r\nSubject: x\r\n\r\n"
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=30)


def step(recipient: str = "john@contoso.com", *, marks: PathMarks = OURS, message_id: str = ID) -> str:
    return marks.step("anonymous", "connector:Own", recipient, message_id)


def taken(block: bytes, one: str) -> bool:
    return was_taken(OURS.read(scan(block)), one)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=STEPS_LIMIT), st.integers(0, 1000))
def test_what_was_written_is_read(ways: list[tuple[str, str, str]], removed: int) -> None:
    steps = [OURS.step(*way, ID) for way in ways]
    field = OURS.write(steps, ID, removed)
    (mark,) = OURS.read(scan(field + REST))
    assert all(was_taken((mark,), one) for one in steps)
    assert mark.removed == removed
    assert all(len(line) <= 76 for line in field.split(b"\r\n"))
    assert len(field) <= 4096
    assert field.isascii()


@pytest.mark.parametrize(
    "block",
    [
        OTHERS.write([step(marks=OTHERS)], ID) + REST,  # another installation
        OURS.write([step()], "<2@example.net>") + REST,  # copied from another message
        re.sub(rb"r=0", b"r=1", OURS.write([step()], ID)) + REST,  # changed
        re.sub(rb"(?<=\ts=).", lambda m: b"0" if m[0] != b"0" else b"1", OURS.write([step()], ID)) + REST,
        re.sub(rb"h=.*\r\n", b"h=" + b"a" * 32 + b"\r\n", OURS.write([step()], ID)) + REST,  # signed by nobody
        OURS.write([step()], ID).replace(b"X-Mailwye-Path", b"X-Mailwye-Other") + REST,
        b"X-Mailwye-Path: \r\n" + REST,
        b"X-Mailwye-Path: v=1; " + b"i" * 100_000 + b"\r\n" + REST,
        b"X-Mailwye-Path: v=1; i=" + b"\xff\x00" * 20 + b"\r\n" + REST,
    ],
)
def test_what_is_not_ours_is_nothing(block: bytes) -> None:
    assert OURS.read(scan(block)) == ()


@given(st.binary(max_size=300))
def test_nothing_random_is_authentic_or_breaks_reading(value: bytes) -> None:
    assert OURS.read(scan(b"X-Mailwye-Path:" + value + b"\r\n" + REST)) == ()


def test_marks_of_several_passes_add_up() -> None:
    block = OURS.write([step("a@x")], ID, 2) + OTHERS.write([step(marks=OTHERS)], ID) + OURS.write([step("b@x")], ID, 1) + REST
    marks = OURS.read(scan(block))
    assert [mark.removed for mark in marks] == [2, 1]
    assert taken(block, step("a@x"))
    assert taken(block, step("b@x"))
    assert not taken(block, step("c@x"))


def test_marks_of_other_installations_are_known_by_their_form() -> None:
    theirs = OTHERS.write([step(marks=OTHERS)], ID)
    block = OURS.write([step()], ID) + b"X-Mailwye-Path: free text\r\n" + theirs + REST
    assert OURS.of_others(scan(block)) == (block.index(theirs),)


def test_refolding_and_spaces_do_not_break_a_mark() -> None:
    field = OURS.write([step(f"{n}@x") for n in range(30)], ID)
    unfolded = re.sub(rb"\r\n\t", b" ", field)
    assert unfolded.count(b"\r\n") == 1
    assert OURS.read(scan(unfolded + REST)) == OURS.read(scan(field + REST)) != ()


def test_who_resends_a_message_may_take_the_old_way_but_its_hops_count() -> None:
    block = OURS.write([step("a@x")], ID) + b"Resent-From: <b@x>\r\n" + OURS.write([step("b@x")], ID, 3) + REST
    marks = OURS.read(scan(block))
    assert [bool(mark.steps) for mark in marks] == [True, False]
    assert sum(mark.removed for mark in marks) == 3
    assert not taken(block, step("b@x"))


def test_only_so_many_marks_are_looked_at() -> None:
    field = OURS.write([step()], ID)
    assert len(OURS.read(scan(field * (MARKS_READ + 10) + REST))) == MARKS_READ


def test_a_mark_tells_neither_names_nor_how_many_recipients_there_were() -> None:
    one, four = OURS.write([step()], ID), OURS.write([step(f"{n}@x") for n in range(4)], ID)
    assert len(one) == len(four)
    assert len(OURS.write([step(f"{n}@x") for n in range(5)], ID)) == len(OURS.write([step(f"{n}@x") for n in range(16)], ID))
    for secret in (b"Own", b"connector", b"anonymous", b"john", b"contoso"):
        assert secret not in one


def test_steps_of_two_messages_cannot_be_compared() -> None:
    assert step(message_id="<1@x>") != step(message_id="<2@x>")


def test_the_secret_is_needed() -> None:
    assert OURS.installation != OTHERS.installation
    with pytest.raises(ValueError, match="too short"):
        PathMarks(b"short")


def test_ways_in() -> None:
    assert way_in("connector", "From our servers") == "connector:From our servers"
    assert way_in("anonymous", "") == "anonymous"


def test_the_reply_names_both_connectors() -> None:
    assert str(loop_reply("it is back", "In", "Out")) == (
        '554 5.4.14 Hop count exceeded - possible mail loop: it is back. Way in: inbound connector "In"; way out: outbound connector "Out"'
    )
    assert "no inbound connector; way out: no outbound connector" in loop_reply("x", "", "").text
