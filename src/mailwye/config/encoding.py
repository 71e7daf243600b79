"""The octets of a file as text: Windows PowerShell writes UTF-16 (`>`, Out-File) where everybody else writes UTF-8."""

from __future__ import annotations

import codecs

from mailwye.config.problem import Problem

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(data: bytes, name: str) -> tuple[str, Problem | None]:
    """UTF-8, UTF-8 with mark, UTF-16 of either order with mark or, where every second octet of the beginning is zero, without; the text
    without mark. ("", what is wrong and in which line of the file `name`) where it is none of these, or holds NUL characters.
    """
    encoding, start = "utf-8", 0
    for mark, named in _MARKS:
        if data.startswith(mark):
            encoding, start = named, len(mark)
            break
    else:
        encoding = _without_mark(data)
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, start + error.start) + 1
        return "", Problem("is neither UTF-8 nor UTF-16 text", "Save it as UTF-8: `| Out-File -Encoding utf8`", name, line)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return "", Problem("holds a NUL character", "It is no text file, or it is damaged: save it again", name, line)
    return text, None


def _without_mark(data: bytes) -> str:
    beginning = data[:64]
    if len(beginning) >= 4 and len(beginning) % 2 == 0:
        if not any(beginning[1::2]) and all(beginning[::2]):
            return "utf-16-le"
        if not any(beginning[::2]) and all(beginning[1::2]):
            return "utf-16-be"
    return "utf-8"
