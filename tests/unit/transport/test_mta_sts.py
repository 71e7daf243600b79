"""MTA-STS records, policies and names (RFC 8461 sections 3.1, 3.2, 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.transport.mta_sts import (
    MAX_AGE_LIMIT,
    PATTERNS_LIMIT,
    POLICY_OCTETS,
    PolicyError,
    StsMode,
    StsPolicy,
    mx_matches,
    parse_policy,
    policy_id,
)

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ; id=1 ; more=x.y"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=7;"], "7"),
        ([], None),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], None),  # not exactly one
        ([b"v=STSv2; id=1;"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1; id=;"], None),
        ([b"v=STSv1; id=a_b;"], None),
        ([b"v=STSv1; id=" + b"1" * 33], None),
        ([b"v=STSv1; id=1; id=2;"], None),
        ([b"v=STSv1; id=1; ="], None),
        ([b" v=STSv1; id=1"], None),
        ([b"v=STSv10; id=1"], None),
        ([b"v=STSv1; id=1\x00"], None),
        ([b"\xff\xfe"], None),
    ],
)
def test_the_id_of_the_record(records: list[bytes], expected: str | None) -> None:
    assert policy_id(records) == expected


def test_a_policy() -> None:
    assert parse_policy(POLICY) == StsPolicy(StsMode.ENFORCE, ("mail.example.com", "*.example.net"), 604_800)


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        (POLICY.replace(b"\r\n", b"\n"), StsPolicy(StsMode.ENFORCE, ("mail.example.com", "*.example.net"), 604_800)),
        (b"mode:none\nmax_age:0\nversion:STSv1", StsPolicy(StsMode.NONE, (), 0)),
        (
            b"version: STSv1\nmode: testing\nmode: enforce\nmx: A.Example\nmax_age: 1\nmax_age: 2",
            StsPolicy(StsMode.TESTING, ("a.example",), 1),
        ),
        (
            b"version: STSv1\nmode: testing  \nmx:a.example\nmx: a.example\nmax_age: 1\nx-new: \xc3\xbc\n\n",
            StsPolicy(StsMode.TESTING, ("a.example",), 1),
        ),
        (b"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 9999999999", StsPolicy(StsMode.ENFORCE, ("a.example",), MAX_AGE_LIMIT)),
    ],
    ids=["LF", "none", "first one counts", "extensions", "greatest age"],
)
def test_what_a_policy_may_look_like(body: bytes, policy: StsPolicy) -> None:
    assert parse_policy(body) == policy


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "version"),
        (POLICY.replace(b"STSv1", b"STSv2"), "version"),
        (POLICY.replace(b"enforce", b"Enforce"), "mode"),
        (POLICY.replace(b"mode: enforce\r\n", b""), "mode"),
        (POLICY.replace(b"604800", b"-1"), "max_age"),
        (POLICY.replace(b"604800", b"1" * 11), "max_age"),
        (POLICY.replace(b"604800", "٣".encode()), "max_age"),
        (POLICY.replace(b"mx: mail.example.com\r\nmx: *.example.net\r\n", b""), "no mx"),
        (POLICY.replace(b"mail.example.com", b"*.com"), "mx is no host"),
        (POLICY.replace(b"mail.example.com", b"ma*l.example.com"), "mx is no host"),
        (POLICY.replace(b"mail.example.com", b"a.example."), "mx is no host"),
        (POLICY.replace(b"mail.example.com", b""), "mx is no host"),
        (POLICY + b"<html>\r\n", "form key: value"),
        (POLICY + b"x: \xff\r\n", "UTF-8"),
        (POLICY + b"x: " + b"y" * POLICY_OCTETS, "octets"),
        (POLICY + b"mx: a.example\n" * PATTERNS_LIMIT, "mx lines"),
    ],
)
def test_what_is_no_policy(body: bytes, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_policy(body)


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com", True),
        ("a.example.net", True),
        ("a.b.example.net", False),  # "*" is one label (section 4.1)
        ("example.net", False),
        ("mail.example.com.evil.example", False),
        ("evilmail.example.com", False),
        ("", False),
    ],
)
def test_which_hosts_it_names(host: str, good: bool) -> None:
    assert mx_matches(parse_policy(POLICY), host) is good


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_octets_are_a_policy_or_a_policy_error(body: bytes) -> None:
    try:
        policy = parse_policy(body)
    except PolicyError:
        return
    assert policy.max_age <= MAX_AGE_LIMIT
    assert policy.mx or policy.mode is StsMode.NONE


_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@given(
    st.sampled_from(StsMode),
    st.lists(st.builds("{}.{}.example".format, _LABEL | st.just("*"), _LABEL), min_size=1, max_size=8, unique=True),
    st.integers(0, MAX_AGE_LIMIT),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(mode: StsMode, mx: list[str], age: int, end: str) -> None:
    lines = [f"max_age: {age}", *(f"mx: {name}" for name in mx), f"mode: {mode.value}", "version: STSv1"]
    assert parse_policy(end.join(lines).encode()) == StsPolicy(mode, tuple(mx), age)


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_records_are_taken(records: list[bytes]) -> None:
    found = policy_id(records)
    assert found is None or found.isalnum()
