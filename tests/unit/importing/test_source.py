from __future__ import annotations

import codecs

import pytest

from mailwye.importing import source
from mailwye.importing.source import ImportRefused, decode

TEXT = '{"Name": "Zürich"}\r\n'


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 mark", "utf-16-le mark", "utf-16-be mark", "utf-16-le", "utf-16-be"],
)
def test_what_powershell_writes(data: bytes) -> None:
    assert decode(data, "f").text == TEXT


@pytest.mark.parametrize(
    ("data", "said", "line"),
    [
        (b"a\nZ\xfcrich", "is neither UTF-8 nor UTF-16 text", 2),
        (codecs.BOM_UTF16_LE + b"a", "is neither UTF-8 nor UTF-16 text", 1),
        (b"a\nb\0c", "holds a NUL character", 2),
    ],
)
def test_what_is_no_text(data: bytes, said: str, line: int) -> None:
    with pytest.raises(ImportRefused) as caught:
        decode(data, "f")
    assert (caught.value.problem.message, caught.value.problem.line) == (said, line)


def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SIZE_LIMIT", 10)
    with pytest.raises(ImportRefused, match="larger than 10 octets"):
        decode(b"x" * 11, "f")
