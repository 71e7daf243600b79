from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.admin.expiry import DAY, KnownCertificate, days_left, due_warning, due_warnings, row, warning

END = 1_800_000_000.0


@pytest.mark.parametrize(
    ("days", "warned", "step"),
    [
        (31, None, None),
        (30.01, None, None),
        (30, None, 30),
        (29, 30, None),
        (14.01, 30, None),
        (14, 30, 14),
        (14, 14, None),
        (7, 14, 7),
        (6, 7, None),
        (1, 7, 1),
        (0.5, 1, None),
        (0, 1, 0),
        (-1, 0, None),
        (-300, None, 0),
        (5, None, 7),  # nobody looked before: the steps that passed are not told one by one
        (13, 30, 14),
        (20, 14, None),  # the clock was set back
    ],
)
def test_which_warning_is_due(days: float, warned: int | None, step: int | None) -> None:
    assert due_warning(END - days * DAY, END, warned) == step


def test_a_life_gives_each_warning_once() -> None:
    told: list[int] = []
    for hour in range(60 * 24, -48, -1):
        step = due_warning(END - hour * 3600, END, told[-1] if told else None)
        if step is not None:
            told.append(step)
    assert told == [30, 14, 7, 1, 0]


def test_days_are_whole_and_rounded_down() -> None:
    assert [days_left(END - days * DAY, END) for days in (2, 1.5, 1, 0.5, 0, -0.5)] == [2, 1, 1, 0, 0, -1]


MX = KnownCertificate("[tls]", "CN=mx", "CN=authority", ("mx.example",), END, "aa", file="/etc/mx.pem")
PEER = KnownCertificate('inbound connector "A"', "CN=mail", "CN=theirs", ("mail.contoso.com",), END, "bb", last_seen=END - 20 * DAY)


def test_one_certificate_at_several_places_is_told_once_with_all_of_them() -> None:
    other = replace(MX, use='client certificate "partner"')
    (told,) = due_warnings(END - 10 * DAY, [MX, other], {})
    assert told == (
        "aa",
        14,
        (
            'the certificate of [tls], client certificate "partner" expires in 10 days, on 2027-01-15: CN=mx, issued by CN=authority, '
            "in /etc/mx.pem; renew it"
        ),
    )
    assert due_warnings(END - 10 * DAY, [MX, other], {"aa": 14}) == []


def test_of_another_server_it_is_said_whom_to_ask() -> None:
    assert warning(END - 10 * DAY, [PEER]) == (
        'the certificate that the other side of inbound connector "A" presented last on 2026-12-26 08:00 UTC expires in 10 days, '
        "on 2027-01-15: CN=mail, issued by CN=theirs; ask its administrator to renew it; once it has expired it proves nothing"
    )


@pytest.mark.parametrize(
    ("days", "words"), [(1.2, "expires in 1 day,"), (0.5, "expires within a day, on 2027-01-15"), (0, "expired on 2027-01-15")]
)
def test_how_the_last_day_is_said(days: float, words: str) -> None:
    assert words in warning(END - days * DAY, [MX])


def test_the_first_to_expire_is_told_first() -> None:
    later = replace(PEER, not_after=END + DAY)
    assert [found[0] for found in due_warnings(END, [later, MX], {})] == ["aa", "bb"]


@pytest.mark.parametrize(("days", "state"), [(31, "valid"), (29.5, "expires soon"), (0, "expired")])
def test_rows_say_how_it_stands(days: float, state: str) -> None:
    shown = row(END - days * DAY, MX, None)
    assert shown["state"] == state
    assert (shown["file"], shown["last_seen"], shown["warned_days_before"]) == ("/etc/mx.pem", None, None)
