"""Names and verdicts of TLS on the way out (C2, C3, C4)."""

from __future__ import annotations

import pytest

from mailwye.connectors.model import SmartHost, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.tls_check import TlsDemand, check_certificate, handshake_failed, is_watched, name_satisfies
from mailwye.runtime.tls import PresentedCertificate
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply


def certificate(*names: str, trusted: bool = True) -> PresentedCertificate:
    return PresentedCertificate("CN=x", "CN=ca", names, 0.0, 9e9, "ab" * 32, trusted, "issued by ca" if trusted else "self-signed")


@pytest.mark.parametrize(
    ("presented", "expected", "good"),
    [
        ("mail.contoso.com", "mail.contoso.com", True),
        ("MAIL.contoso.com", "mail.Contoso.com", True),
        ("*.contoso.com", "a.contoso.com", True),
        ("*.contoso.com", "a.b.contoso.com", False),
        ("*.contoso.com", "contoso.com", False),
        ("f*.contoso.com", "foo.contoso.com", False),
        ("*.com", "contoso.com", False),
        ("*", "contoso.com", False),
        ("contoso.com\0.evil.example", "contoso.com", False),
        ("contoso.com.", "contoso.com", False),
        ("mail.contoso.com", "*.contoso.com", True),
        ("a.b.contoso.com", "*.contoso.com", True),
        ("*.contoso.com", "*.contoso.com", True),
        ("contoso.com", "*.contoso.com", False),
        ("evilcontoso.com", "*.contoso.com", False),
        ("mail.contoso.com", "*", False),
        ("mail.contoso.com", "*.com", False),
    ],
)
def test_names(presented: str, expected: str, good: bool) -> None:
    assert name_satisfies(presented, expected) is good


@pytest.mark.parametrize("settings", [TlsSettings.CERTIFICATE_VALIDATION, TlsSettings.DOMAIN_VALIDATION])
@pytest.mark.parametrize("presented", [None, certificate("h.example", trusted=False)])
def test_no_trust_no_delivery(settings: TlsSettings, presented: PresentedCertificate | None) -> None:
    verdict, failure = check_certificate(TlsDemand(settings, "", "X"), "h.example", "h.example[192.0.2.1]:25", presented)
    assert isinstance(verdict, Reply)
    assert failure is not None
    assert (verdict.code, verdict.enhanced) == (450, "4.7.320")
    assert 'connector "X"' in verdict.text


@pytest.mark.parametrize("settings", [TlsSettings.OPPORTUNISTIC, TlsSettings.ENCRYPTION_ONLY])
def test_any_certificate_is_good_where_none_was_asked_for(settings: TlsSettings) -> None:
    assert isinstance(check_certificate(TlsDemand(settings), "h.example", "h", None)[0], str)


def test_many_names_stay_readable() -> None:
    names = [f"n{number}.example" for number in range(10_000)]
    verdict, _ = check_certificate(TlsDemand(TlsSettings.DOMAIN_VALIDATION, "h.example", "X"), "h.example", "h", certificate(*names))
    assert isinstance(verdict, Reply)
    assert verdict.text.count("example") < 20
    assert "and 9990 more" in verdict.text
    assert "TlsDomain h.example" in verdict.text


def test_a_broken_handshake_names_who_asked() -> None:
    assert "required" not in handshake_failed(TlsDemand(), "h", "alert").text
    assert "EncryptionOnly" in handshake_failed(TlsDemand(TlsSettings.ENCRYPTION_ONLY, "", "X"), "h", "alert").text


@pytest.mark.parametrize(
    ("settings", "smart_hosts", "watched"),
    [
        (TlsSettings.OPPORTUNISTIC, (), False),
        (TlsSettings.ENCRYPTION_ONLY, (), False),
        (TlsSettings.CERTIFICATE_VALIDATION, (), True),
        (TlsSettings.DOMAIN_VALIDATION, (), True),
        (TlsSettings.OPPORTUNISTIC, (SmartHost("mail.contoso.com"),), True),
    ],
)
def test_what_all_the_world_presents_is_not_remembered(settings: TlsSettings, smart_hosts: tuple[SmartHost, ...], watched: bool) -> None:
    recipient = Address("sun", "example.net")
    route = Route(RouteKind.CONNECTOR, recipient, "All", smart_hosts, "example.net", settings)
    assert is_watched(route) is watched
