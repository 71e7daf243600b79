"""What is new about a certificate, and when its end is near."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.trace.sightings import News, Sighting, issuing_organization, news_of, other_issuer_alert

FIRST = Sighting(
    'inbound connector "A"',
    "mail.a.example",
    ("mail.a.example",),
    "CN=a",
    "CN=R10,O=Let's Encrypt,C=US",
    "chain to X",
    1.0,
    2e9,
    "f1",
    "k1",
    100.0,
    100.0,
)
RENEWED = replace(FIRST, issuer="CN=R12,O=Let's Encrypt,C=US", fingerprint="f2", public_key="k2", first_seen=200.0, last_seen=200.0)
OTHER = replace(FIRST, issuer="CN=G2,O=Somebody Else,C=US", fingerprint="f3", last_seen=300.0)


@pytest.mark.parametrize(
    ("known", "seen", "news"),
    [
        ([], FIRST, News.FIRST),
        ([FIRST], FIRST, News.KNOWN),
        ([FIRST], RENEWED, News.RENEWED),
        ([FIRST], OTHER, News.OTHER_ISSUER),
        ([FIRST, OTHER], replace(OTHER, fingerprint="f4"), News.RENEWED),
        ([FIRST, OTHER], FIRST, News.KNOWN),
        ([replace(FIRST, name="")], OTHER, News.FIRST),  # it identified nobody
    ],
)
def test_news(known: list[Sighting], seen: Sighting, news: News) -> None:
    assert news_of(known, seen) is news


@pytest.mark.parametrize(
    ("issuer", "organization"),
    [
        ("CN=R10,O=Let's Encrypt,C=US", "let's encrypt"),
        ("O=DigiCert\\, Inc.,CN=x", "digicert\\, inc."),
        ("CN=Own authority", "cn=own authority"),
        ("CN=FOO=bar", "cn=foo=bar"),
        ("CN=x\\,O=Evil", "cn=x\\,o=evil"),
        ("CN=a+O=Two,C=US", "two"),
    ],
)
def test_the_organization_behind_an_issuer(issuer: str, organization: str) -> None:
    assert issuing_organization(issuer) == organization


def test_the_alert_names_what_one_needs() -> None:
    text = other_issuer_alert([FIRST, RENEWED], OTHER)
    for word in ('inbound connector "A"', "mail.a.example", "Somebody Else", "CN=R12", "It is accepted", "TlsSenderCertificatePins", "f3"):
        assert word in text
