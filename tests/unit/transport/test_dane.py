"""TLSA records as a decision table: which count, and which certificates match them (RFC 7672 section 3, RFC 7671)."""

from __future__ import annotations

import datetime
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from mailwye.runtime.dns_answer import Absence, Absent, Answer, Found, TlsaRecord, Unknown
from mailwye.runtime.tls import PresentedCertificate
from mailwye.runtime.tls_certificates import ChainVerdict, present
from mailwye.transport import dane
from mailwye.transport.dane import secure_records, usable
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.host_policy import Demand, HostPolicy, dane_host_policy
from tests.unit.runtime.tls_pki import Issued, issue

NOW = datetime.datetime.now(tz=datetime.UTC).timestamp()  # noqa: TID251 - tls_pki counts validity from the machine's clock
NAMES = ("mx.example.com", "example.com")
ROOT = issue("Root", authority=True)
MIDDLE = issue("Middle", issuer=ROOT, authority=True)
LEAF = issue("mx", issuer=MIDDLE, names=("mx.example.com",))
OTHER_ROOT = issue("Other", authority=True)


def der(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(serialization.Encoding.DER)


def key(issued: Issued) -> bytes:
    return issued.certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def record(usage: int, selector: int, matching: int, issued: Issued) -> TlsaRecord:
    data = der(issued) if selector == 0 else key(issued)
    match matching:
        case 1:
            data = hashlib.sha256(data).digest()
        case 2:
            data = hashlib.sha512(data).digest()
    return TlsaRecord(usage, selector, matching, data)


def presented(*chain: Issued) -> PresentedCertificate:
    return present(chain[0].certificate, ChainVerdict(), (), tuple(der(one) for one in chain))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_an_end_entity_matches_by_every_selector_and_digest(selector: int, matching: int) -> None:
    good = record(3, selector, matching, LEAF)
    assert usable([good]) == (good,)
    found = dane.match([good], NAMES, presented(LEAF), NOW)
    assert isinstance(found, str)
    assert "DANE-EE" in found
    assert isinstance(dane.match([record(3, selector, matching, MIDDLE)], NAMES, presented(LEAF, MIDDLE), NOW), Failure)


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_an_authority_matches_by_every_selector_and_digest(selector: int, matching: int) -> None:
    for anchor in (MIDDLE, ROOT):
        good = record(2, selector, matching, anchor)
        assert usable([good]) == (good,)
        found = dane.match([good], NAMES, presented(LEAF, MIDDLE, ROOT), NOW)
        assert isinstance(found, str), found
        assert "DANE-TA" in found


def test_no_host_can_have_its_chain_verified_by_a_hundred_authorities() -> None:
    """Each verification is work in the event loop, as much as the host's chain makes it."""
    good, others = record(2, 0, 0, ROOT), [record(2, 0, 0, OTHER_ROOT)] * dane.ANCHORS_LIMIT
    assert isinstance(dane.match([*others[1:], good], NAMES, presented(LEAF, MIDDLE), NOW), str)
    assert isinstance(dane.match([*others, good], NAMES, presented(LEAF, MIDDLE), NOW), Failure)
    by_digest = record(3, 1, 1, LEAF)
    assert isinstance(dane.match([*others, good, by_digest], NAMES, presented(LEAF, MIDDLE), NOW), str), "digests cost nothing"


def test_a_whole_authority_in_the_record_need_not_be_presented() -> None:
    assert isinstance(dane.match([record(2, 0, 0, ROOT)], NAMES, presented(LEAF, MIDDLE), NOW), str)
    assert isinstance(dane.match([record(2, 0, 1, ROOT)], NAMES, presented(LEAF, MIDDLE), NOW), Failure)


def test_an_end_entity_needs_no_name_and_no_date() -> None:
    then = datetime.datetime.fromtimestamp(NOW - 86_400, tz=datetime.UTC)
    old = issue("old", names=("elsewhere.example",), start=then - datetime.timedelta(days=9), end=then)
    assert isinstance(dane.match([record(3, 1, 1, old)], NAMES, presented(old), NOW), str)


EXPIRED = issue(
    "old",
    issuer=MIDDLE,
    names=("mx.example.com",),
    start=datetime.datetime.fromtimestamp(NOW - 9 * 86_400, tz=datetime.UTC),
    end=datetime.datetime.fromtimestamp(NOW - 86_400, tz=datetime.UTC),
)
STRAY = issue("mx", issuer=OTHER_ROOT, names=("mx.example.com",))
NO_AUTHORITY = issue("mx", issuer=LEAF, names=("mx.example.com",))
RENAMED = issue("mx", issuer=MIDDLE, names=("mx.other.example",))


@pytest.mark.parametrize(
    ("chain", "anchor", "kind", "says"),
    [
        ((EXPIRED, MIDDLE, ROOT), ROOT, FailureType.CERTIFICATE_EXPIRED, "expired on"),
        ((STRAY, MIDDLE, ROOT), ROOT, FailureType.CERTIFICATE_NOT_TRUSTED, "does not lead to the authority"),
        ((NO_AUTHORITY, LEAF, MIDDLE, ROOT), ROOT, FailureType.CERTIFICATE_NOT_TRUSTED, "does not lead to the authority"),
        ((RENAMED, MIDDLE, ROOT), ROOT, FailureType.CERTIFICATE_HOST_MISMATCH, "presented mx.other.example"),
        ((LEAF, MIDDLE, ROOT), OTHER_ROOT, FailureType.TLSA_INVALID, "no TLSA record matches"),
        ((ROOT,), ROOT, FailureType.TLSA_INVALID, "no TLSA record matches"),  # the leaf is no authority of itself
    ],
    ids=["expired", "not signed by it", "issuer is no authority", "name", "other authority", "leaf"],
)
def test_authorities_that_do_not_match(chain: tuple[Issued, ...], anchor: Issued, kind: FailureType, says: str) -> None:
    found = dane.match([record(2, 1, 1, anchor)], NAMES, presented(*chain), NOW)
    assert isinstance(found, Failure)
    assert found.type is kind
    assert says in found.cause


@pytest.mark.parametrize("name", ["mx.example.com", "*.example.com", "example.com"])
def test_the_names_of_an_authoritys_leaf(name: str) -> None:
    leaf = issue("mx", issuer=ROOT, names=("a.example", name))
    assert isinstance(dane.match([record(2, 0, 1, ROOT)], NAMES, presented(leaf, ROOT), NOW), str)


def test_one_matching_record_of_several_is_enough() -> None:
    records = [record(2, 0, 1, OTHER_ROOT), record(3, 1, 1, ROOT), record(3, 1, 1, LEAF)]
    assert isinstance(dane.match(records, NAMES, presented(LEAF, MIDDLE), NOW), str)


def test_no_certificate_matches_nothing() -> None:
    found = dane.match([record(3, 1, 1, LEAF)], NAMES, None, NOW)
    assert isinstance(found, Failure)


@pytest.mark.parametrize(
    "bad",
    [
        TlsaRecord(0, 0, 1, b"x" * 32),
        TlsaRecord(1, 1, 1, b"x" * 32),
        TlsaRecord(4, 1, 1, b"x" * 32),
        TlsaRecord(255, 1, 1, b"x" * 32),
        TlsaRecord(3, 2, 1, b"x" * 32),
        TlsaRecord(3, 1, 3, b"x" * 32),
        TlsaRecord(3, 1, 1, b"x" * 31),
        TlsaRecord(3, 1, 2, b"x" * 32),
        TlsaRecord(3, 1, 1, b""),
        TlsaRecord(3, 0, 0, b"no certificate"),
        TlsaRecord(2, 1, 0, b"no key"),
    ],
)
def test_records_that_nobody_can_match_ask_for_encryption(bad: TlsaRecord) -> None:
    assert usable([bad]) == ()
    policy = dane_host_policy(Found((bad,), 60.0, authenticated=True), "mx.example.com", 25, "example.com", NAMES)
    assert isinstance(policy, HostPolicy)
    assert policy.demand is Demand.DANE_ENCRYPTION
    assert policy.required


def test_the_strongest_digest_alone_counts() -> None:
    """RFC 7671 section 9: a stale SHA-256 record beside a SHA-512 one proves nothing."""
    weak, strong, whole = record(3, 1, 1, LEAF), record(3, 1, 2, OTHER_ROOT), record(3, 1, 0, LEAF)
    other_selector = record(3, 0, 1, LEAF)
    assert usable([weak, strong]) == (strong,)
    assert usable([weak, strong, whole, other_selector]) == (strong, whole, other_selector)


GOOD = record(3, 1, 1, LEAF)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Found((GOOD,), 60.0, authenticated=True), (GOOD,)),
        (Found((GOOD,), 60.0, authenticated=False), ()),  # anybody may have written it
        (Absent(Absence.NXDOMAIN, 60.0, authenticated=True), ()),
        (Absent(Absence.NODATA, 60.0, authenticated=False), ()),
    ],
)
def test_only_secure_records_count(answer: Answer[TlsaRecord], expected: tuple[TlsaRecord, ...]) -> None:
    assert secure_records(answer) == expected


def test_an_unknown_answer_is_not_no() -> None:
    found = dane_host_policy(Unknown("SERVFAIL"), "mx.example.com", 25, "example.com", NAMES)
    assert isinstance(found, Failure)
    assert found.type is FailureType.DNSSEC_INVALID


@given(st.lists(st.builds(TlsaRecord, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=70)), max_size=8))
def test_any_records_are_judged(records: list[TlsaRecord]) -> None:
    good = usable(records)
    assert set(good) <= set(records)
    assert isinstance(dane.match(good, NAMES, presented(LEAF, MIDDLE), NOW), Failure)


@given(st.integers(2, 3), st.integers(0, 1), st.integers(1, 2), st.integers(0, 63), st.integers(1, 255))
def test_one_flipped_octet_never_matches(usage: int, selector: int, matching: int, at: int, flip: int) -> None:
    good = record(usage, selector, matching, LEAF if usage == 3 else MIDDLE)
    data = bytearray(good.data)
    data[at % len(data)] ^= flip
    bad = TlsaRecord(usage, selector, matching, bytes(data))
    assert isinstance(dane.match([bad], NAMES, presented(LEAF, MIDDLE), NOW), Failure)
