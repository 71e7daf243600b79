"""SEMANTICS section 9: what strangers may not say, and what crosses between the premises."""

from __future__ import annotations

import pytest

from mailwye.message.firewall import SHOWN, authserv_id, demote, filter_header, leave, promote
from mailwye.message.headers import scan

HOST = "mx.mailwye.example"


def filtered(block: bytes, *, trusted: bool = False) -> tuple[bytes, tuple[str, ...]]:
    return filter_header(block, scan(block), trusted=trusted, hostname=HOST)


@pytest.mark.parametrize(
    "line",
    [
        b"X-MS-Exchange-Organization-SCL: -1\r\n",
        b"x-ms-exchange-organization-authas: Internal\r\n",
        b"X-MS-EXCHANGE-ORGANIZATION-AUTHAS : Internal\r\n",
        b"X-MS-Exchange-Organization-Folded:\r\n a\r\n\tb\r\n",
        b"X-MS-Exchange-Forest-RulesExecuted: x\r\n",
        b"X-MS-Exchange-CrossPremises-SCL: -1\r\n",
        b"X-Mailwye-Path: forged\r\n",
        b"Return-Path: <bob@contoso.com>\r\n",
        b"Authentication-Results: mx.mailwye.example; dkim=pass\r\n",
        b"Authentication-Results: MX.Mailwye.Example; dkim=pass\r\n",
        b"Authentication-Results: mx.mailwye.example.; dkim=pass\r\n",
        b"Authentication-Results:mx.mailwye.example;dkim=pass\r\n",
        b"Authentication-Results:\r\n\tmx.mailwye.example 1; none\r\n",
        b"Authentication-Results: mx.mailwye.example/1; none\r\n",
        b"Authentication-Results: (a (nested \\) comment)) mx.mailwye.example; dkim=pass\r\n",
        b'Authentication-Results: "mx.mailwye.example"; dkim=pass\r\n',
        b'Authentication-Results: "mx.\\mailwye.example" 1; dkim=pass\r\n',
        b"Authentication-Results: mx.mailwye.example(comment); dkim=pass\r\n",
        b"Authentication-Results: (unclosed mx.mailwye.example; dkim=pass\r\n",
        b'Authentication-Results: "mx.mailwye.example; dkim=pass\r\n',
    ],
)
def test_removed_from_strangers_kept_from_trusted(line: bytes) -> None:
    block = b"From: a\r\n" + line + b"Subject: b\r\n\r\n"
    result, names = filtered(block)
    assert result == b"From: a\r\nSubject: b\r\n\r\n"
    assert [name.lower() for name in names] == [scan(line).fields[0].name.decode()]
    assert filtered(block, trusted=True) == (block, ())


@pytest.mark.parametrize(
    "line",
    [
        b"Authentication-Results: mx.other.example; dkim=pass\r\n",
        b"Authentication-Results: mx.mailwye.example.evil; dkim=pass\r\n",
        b"Authentication-Results: other (mx.mailwye.example); dkim=pass\r\n",
        b"Authentication-Results:\r\n",
        b"Authentication-Results: (unclosed other\r\n",
        b"ARC-Authentication-Results: i=1; mx.mailwye.example; none\r\n",
        b"X-MS-Exchange-Something: x\r\n",
        b"X-MS-Has-Attach: yes\r\n",
        b"X-Mailer: x\r\n",
        b"Subject: X-Mailwye-Path: x\r\n",
        b"no colon\r\n",
    ],
)
def test_kept_as_the_same_object(line: bytes) -> None:
    block = b"From: a\r\n" + line + b"\r\n"
    result, names = filtered(block)
    assert result is block
    assert names == ()


def test_several_at_the_ends_and_in_a_row() -> None:
    block = b"Return-Path: <a>\r\nX-Mailwye-A: 1\r\nFrom: a\r\nX-Mailwye-B: 2\r\nTo: b\r\nX-Mailwye-C: 3\r\n\r\n"
    assert filtered(block) == (b"From: a\r\nTo: b\r\n\r\n", ("Return-Path", "X-Mailwye-A", "X-Mailwye-B", "X-Mailwye-C"))


@pytest.mark.parametrize(
    ("value", "identifier"),
    [
        ("a.example; x", "a.example"),
        ("a.example", "a.example"),
        ("", ""),
        ('"a b\\"c"; x', 'a b"c'),
        ("(c) (d)a.example", "a.example"),
        ("(c", None),
        ('"a', None),
        ('"a\\', None),
        ("(a\\)", None),
    ],
)
def test_authserv_id(value: str, identifier: str | None) -> None:
    assert authserv_id(value) == identifier


def test_headers_cross_and_come_back() -> None:
    inside = b"X-MS-Exchange-Organization-SCL: 1\r\nFrom: a\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n folded\r\n\r\n"
    crossing = inside.replace(b"Organization", b"CrossPremises")
    assert demote(inside, scan(inside)) == crossing
    assert promote(crossing, scan(crossing)) == inside


def test_what_was_promoted_replaces_what_came_along() -> None:
    block = b"X-MS-Exchange-Organization-SCL: 9\r\nX-MS-Exchange-Organization-Other: 1\r\nx-ms-exchange-crosspremises-scl: 1\r\n\r\n"
    assert promote(block, scan(block)) == b"X-MS-Exchange-Organization-Other: 1\r\nX-MS-Exchange-Organization-scl: 1\r\n\r\n"
    assert demote(promote(block, scan(block)), scan(promote(block, scan(block)))).count(b"CrossPremises") == 2


def test_nothing_to_cross_is_the_same_object() -> None:
    block = b"From: a\r\n\r\n"
    assert promote(block, scan(block)) is block
    assert demote(block, scan(block)) is block


INSIDE = (
    b"From: a\r\nX-MS-Exchange-Organization-SCL: 1\r\nx-ms-exchange-forest-Rules: x\r\n folded\r\n"
    b"X-MS-Exchange-CrossPremises-SCL: 9\r\nX-MS-Exchange-CrossPremises-Old : 2\r\nTo: b\r\n\r\n"
)


def test_the_organizations_headers_do_not_leave() -> None:
    block, told = leave(INSIDE, scan(INSIDE), crossing=False)
    assert block == b"From: a\r\nTo: b\r\n\r\n"
    assert len(told) == 1
    for name in ("X-MS-Exchange-Organization-SCL", "x-ms-exchange-forest-Rules", "CrossPremises-SCL", "CrossPremises-Old"):
        assert name in told[0]


def test_the_organizations_headers_cross_to_the_other_side_without_those_of_the_forest() -> None:
    block, told = leave(INSIDE, scan(INSIDE), crossing=True)
    assert block == b"From: a\r\nX-MS-Exchange-CrossPremises-SCL: 1\r\nX-MS-Exchange-CrossPremises-Old : 2\r\nTo: b\r\n\r\n"
    assert len(told) == 2
    assert "Organization-SCL" in told[0]
    assert "x-ms-exchange-forest-Rules" in told[1]


@pytest.mark.parametrize("crossing", [False, True])
def test_nothing_that_leaves_changes_is_the_same_object(crossing: bool) -> None:
    block = b"From: a\r\nX-MS-Has-Attach: yes\r\nX-MS-Exchange-Other: 1\r\n\r\n"
    left, told = leave(block, scan(block), crossing=crossing)
    assert left is block
    assert told == ()


def test_very_many_names_make_a_short_sentence() -> None:
    block = b"X-MS-Exchange-Organization-A: 1\r\n" * (SHOWN + 5) + b"\r\n"
    assert leave(block, scan(block), crossing=False)[1][0].endswith(" and 5 more")
