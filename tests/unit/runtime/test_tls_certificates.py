"""Which names a certificate proves (C3)."""

from __future__ import annotations

import time

import pytest
from cryptography import x509

from mailwye.runtime.tls_certificates import NAMES_LIMIT, certificate_names, issuer_of, name_octets, subject_of
from tests.unit.runtime.tls_pki import issue, malformed


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("Mail.Contoso.COM", ("mail.contoso.com",)),
        ("*.contoso.com", ("*.contoso.com",)),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example",)),
        ("contoso.com\0.evil.com", ()),
        ("contoso.com.", ()),
        ("f*.contoso.com", ()),
        ("a.*.contoso.com", ()),
        ("*", ()),
        ("192.0.2.1", ()),
        ("", ()),
        (" contoso.com", ()),
        ("contoso.com\n", ()),
        ("-a.example", ()),
        ("a" * 64 + ".example", ()),
        (".".join(["a" * 60] * 5), ()),
        ("localhost", ("localhost",)),
        ("3com.4example", ("3com.4example",)),
    ],
)
def test_only_dns_names_count(entry: str, names: tuple[str, ...]) -> None:
    assert certificate_names(issue("x.example", names=("x.example",)).certificate) == ("x.example",)
    assert certificate_names(issue("cn.example", names=(entry,)).certificate) == names


def test_common_name_counts_only_without_alternative_names() -> None:
    assert certificate_names(issue("Good.example").certificate) == ("good.example",)
    assert certificate_names(issue("good.example", names=("evil.example",)).certificate) == ("evil.example",)
    other = x509.SubjectAlternativeName([x509.RFC822Name("a@evil.example")])
    assert certificate_names(issue("good.example", san=other).certificate) == ()
    assert certificate_names(issue("Some Person").certificate) == ()


def test_unreadable_extension_proves_nothing() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x80garbage")
    assert certificate_names(issue("good.example", san=broken).certificate) == ()


def test_number_of_names_is_bounded() -> None:
    many = issue("x", names=tuple(f"h{i}.example" for i in range(10_000))).certificate
    started = time.perf_counter()
    assert len(certificate_names(many)) == NAMES_LIMIT
    assert time.perf_counter() - started < 2


def test_subject_is_printable_and_bounded() -> None:
    text = subject_of(issue("a\x1b[2J\r\nb\u202e").certificate)
    assert text.isprintable()
    assert len(subject_of(issue("a" * 64).certificate)) <= 256


def test_a_name_that_is_none_is_said() -> None:
    certificate = malformed(issue("qqqqqqqq"))
    assert (subject_of(certificate), issuer_of(certificate)) == ("(unreadable name)", "(unreadable name)")
    assert name_octets(certificate, "subject") == b""
    assert certificate_names(certificate) == ()
