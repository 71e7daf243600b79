"""Whatever the files hold: objects and a report, or one refusal with its place. Nothing else, and not slowly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailwye.config.export import objects_to_yaml
from mailwye.config.problem import Problem
from mailwye.importing.collect import Imported
from mailwye.importing.dsc.files import import_dsc
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.postfix.files import import_postfix, wanted_files
from mailwye.importing.report import as_dicts, as_text
from mailwye.importing.source import ImportRefused, Source
from tests.unit.importing.test_samples import sample

TABLES = ("transport", "virtual", "vmailbox", "tls_policy", "relay_domains", "relay_clientcerts")


def _exchange(text: str) -> Imported:
    return import_exchange([Source("f", text)])


def _dsc(text: str) -> Imported:
    return import_dsc([Source("f", text)])


def _main_cf(text: str) -> Imported:
    main = Source("f", text)
    files: dict[str, Source | str] = {}
    for path in wanted_files(main):
        name = path.rpartition("/")[2]
        files[path] = sample(f"postfix/{name}") if name in TABLES else "is not here"
    return import_postfix(main, files)


def _tables(text: str) -> Imported:
    main = sample("postfix/main.cf")
    return import_postfix(main, {path: Source("t", text) for path in wanted_files(main)})


def _read(reader: Callable[[str], Imported], text: str) -> Imported | Problem:
    try:
        return reader(text)
    except ImportRefused as refused:
        return refused.problem


READERS: list[tuple[Callable[[str], Imported], str]] = [
    (_exchange, "exchange/inbound.json"),
    (_exchange, "exchange/rules.json"),
    (_exchange, "exchange/recipients.json"),
    (_dsc, "dsc/M365TenantConfig.ps1"),
    (_main_cf, "postfix/main.cf"),
    (_tables, "postfix/transport"),
    (_tables, "postfix/virtual"),
    (_tables, "postfix/tls_policy"),
]
_PIECE = st.one_of(
    st.sampled_from(
        [*"{}[]()@$,;:=\"'#<>`*!|. \n\t\\", "null", "true", "$a", "@(", "smtp:", "\x1b[2J", "\u202e", "é", "\\ud83d", "-1", "[" * 70]
    ),
    st.text(max_size=4),
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Callable[[str], Imported], str]:
    """One of the samples with a few places replaced."""
    reader, name = draw(st.sampled_from(READERS))
    text = sample(name).text
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 15)))
        text = text[:start] + draw(_PIECE) + text[end:]
    return reader, text


@settings(max_examples=400, deadline=None)
@given(st.one_of(damaged(), st.tuples(st.sampled_from([reader for reader, _ in READERS]), st.text(max_size=60))))
def test_any_text(case: tuple[Callable[[str], Imported], str]) -> None:
    reader, text = case
    imported = _read(reader, text)
    if isinstance(imported, Problem):
        assert imported.message
        assert imported.remedy
        assert str(imported).isprintable()
        return
    assert objects_to_yaml(imported.organization).encode()
    assert all(line.isprintable() for line in as_text(imported.entries))
    assert len(as_dicts(imported.entries)) == len(imported.entries)


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (_exchange, "[" + ",".join(['{"Name":"x","Unknown":"' + "y" * 50 + '"}'] * 20_000) + "]"),
        (_exchange, '"' + "a" * 2_000_000),
        (_exchange, " " * 2_000_000 + "x"),
        (_dsc, "EXOx a {\n" + "".join(f"K{n} = @('a','b')\n" for n in range(20_000)) + "}"),
        (_dsc, '"' + '`"' * 500_000),
        (_dsc, "$" * 200_000),
        (_dsc, "EXOx a " * 50_000),
        (_tables, "".join(f"a{n}@brand.example a{n + 1}@brand.example\n" for n in range(20_000))),
        (_tables, "".join(f"d{n}.example smtp:[gw{n}.example]\n" for n in range(2_000))),
        (_main_cf, "relay_domains = " + " ".join(f"d{n}.example" for n in range(5_000))),
        (_main_cf, "a = " + "{" * 500_000),
        (_main_cf, "relay_domains = " + "a." * 300_000 + "example"),
        (_tables, "a." * 300_000 + "example smtp:[b.example]"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value[:20],
)
def test_large_texts_end(reader: Callable[[str], Imported], text: str) -> None:
    """No assertion about time: something that is not linear here runs into the timeout of the test."""
    assert isinstance(_read(reader, text), Imported | Problem)
