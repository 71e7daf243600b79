"""Which of the own certificates is presented."""

from __future__ import annotations

import pytest

from mailwye.connectors.own_certificates import OwnCertificate, by_fqdn, canonical_name, choose, is_choice, is_strict

ISSUER, SUBJECT = "CN=Contoso CA,O=Contoso\\, Inc.,C=US", "CN=mail.contoso.com,ST=WA"
OLD = OwnCertificate("old", ("mail.contoso.com",), ISSUER, SUBJECT, 1_000.0)
RENEWED = OwnCertificate("renewed", ("mail.contoso.com",), ISSUER, SUBJECT, 2_000.0)
WILDCARD = OwnCertificate("wildcard", ("*.contoso.com",), ISSUER, "CN=*.contoso.com", 9_000.0)
OTHER = OwnCertificate("other", ("mx.fabrikam.com",), "CN=Fabrikam CA", "CN=mx.fabrikam.com", 9_000.0)


@pytest.mark.parametrize(
    ("choice", "known", "expected"),
    [
        (by_fqdn("mail.contoso.com"), (OTHER, WILDCARD, OLD), 2),  # the very name, though the other is good for longer
        (by_fqdn("mail.contoso.com"), (OLD, RENEWED), 1),  # the renewed one
        (by_fqdn("mail2.contoso.com"), (OLD, WILDCARD), 1),
        (by_fqdn("a.mail.contoso.com"), (OLD, WILDCARD), None),  # a wildcard stands for one label
        (by_fqdn("mail.contoso.com"), (), None),
        ("<I>CN=Contoso CA, O=\"Contoso, Inc.\", C=US<S>CN=mail.contoso.com, S=WA", (OTHER, OLD, RENEWED), 2),
        ("<I>C=US, O=Contoso\\, Inc., CN=contoso ca<S>cn=MAIL.contoso.com,st=wa", (OLD,), 0),
        ("<I>CN=Contoso CA<S>CN=mail.contoso.com, S=WA", (OLD,), None),
        (f"<i>{ISSUER}<s>CN=*.contoso.com", (OLD, WILDCARD), 1),
    ],
)  # fmt: skip
def test_choices(choice: str, known: tuple[OwnCertificate, ...], expected: int | None) -> None:
    chosen = choose(choice, known)
    assert chosen.number == expected
    assert chosen.reason
    assert is_choice(choice)


def test_what_is_no_choice() -> None:
    assert not is_choice("partner")
    assert not is_choice("")
    assert not is_choice("<I>only an issuer")
    assert not is_strict(by_fqdn("mail.contoso.com"))
    assert is_strict("<I>a<S>b")
    assert choose("partner", (OLD,)).number is None


def test_names_in_several_spellings() -> None:
    assert canonical_name('E=a@b.c, CN="x, y"') == canonical_name("1.2.840.113549.1.9.1=a@b.c,CN=x\\, y")
    assert canonical_name("CN=x\\2C y") == canonical_name("CN=x\\, y")
    assert canonical_name("OID.2.5.4.5=1") == canonical_name("serialNumber=1")
    assert canonical_name("CN=a") != canonical_name("CN=b")
