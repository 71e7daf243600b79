from __future__ import annotations

import pytest

from mailwye.runtime.tls_names import NameTable

TABLE = NameTable(
    (
        ("mx.contoso.com", "*.contoso.com"),
        ("mail.contoso.com", "mx.contoso.com", "*.fabrikam.com"),
        ("fabrikam.com",),
        (),
    )
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mx.contoso.com", 0),  # two have it: the first
        ("mail.contoso.com", 1),  # exact before the wildcard of an earlier one
        ("MAIL.Contoso.COM", 1),
        ("mail.contoso.com.", 1),
        ("sales.contoso.com", 0),
        ("a.sales.contoso.com", None),  # a wildcard is one label
        ("contoso.com", None),
        ("fabrikam.com", 2),
        ("mx.fabrikam.com", 1),
        ("", None),
        (".", None),
        (".contoso.com", None),
        ("*.contoso.com", 0),
        ("x" * 250 + ".contoso.com", None),
        ("127.0.0.1", None),
        ("\ufffd\ufffd", None),
    ],
)
def test_who_answers_for_a_name(name: str, number: int | None) -> None:
    assert TABLE.find(name) == number


def test_without_names_nobody_answers() -> None:
    assert NameTable(()).find("mx.contoso.com") is None
