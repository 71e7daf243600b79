"""What fits a hop, and what must be done to what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailwye.message.envelope import BodyType
from mailwye.outbound.fitting import EIGHT_BIT, HEADER_LIMIT, PLAIN, Fit, fit, fits_as_it_is, header_of
from mailwye.smtp.client_events import Extensions
from tests.unit.outbound.scripted_server import work_for

NOTHING = Extensions()
EIGHT = Extensions(eight_bit_mime=True)
BINARY = Extensions(chunking=True, binary_mime=True)
UTF8 = Extensions(eight_bit_mime=True, smtputf8=True)
MESSAGE = work_for().lease.message
EIGHT_BIT_MESSAGE = replace(MESSAGE, requires_8bit=True, body=BodyType.EIGHT_BIT_MIME)
BINARY_MESSAGE = replace(MESSAGE, requires_8bit=True, body=BodyType.BINARY_MIME)


def test_what_needs_nothing_goes_as_it_is() -> None:
    assert fit(MESSAGE, NOTHING, long_lines=False) is PLAIN
    assert fits_as_it_is(MESSAGE, b"x\r\n", NOTHING) is PLAIN
    # BODY=8BITMIME was declared, but the content holds none: nothing to declare further on.
    assert fit(replace(MESSAGE, body=BodyType.EIGHT_BIT_MIME), NOTHING, long_lines=False) is PLAIN


def test_eight_bit() -> None:
    assert fit(EIGHT_BIT_MESSAGE, EIGHT, long_lines=False) is EIGHT_BIT
    assert "8BITMIME" in fit(EIGHT_BIT_MESSAGE, NOTHING, long_lines=False).convert
    assert fits_as_it_is(EIGHT_BIT_MESSAGE, b"\xe4\r\n", NOTHING) is None


def test_binary() -> None:
    assert fit(BINARY_MESSAGE, BINARY, long_lines=False) == Fit(body="BINARYMIME")
    assert "BINARYMIME" in fit(BINARY_MESSAGE, EIGHT, long_lines=False).convert
    assert fits_as_it_is(BINARY_MESSAGE, b"x" * 2000, BINARY) == Fit(body="BINARYMIME")


@pytest.mark.parametrize("offered", [NOTHING, EIGHT, BINARY, UTF8])
def test_long_lines_are_always_re_encoded(offered: Extensions) -> None:
    assert "998" in fit(MESSAGE, offered, long_lines=True).convert
    assert fits_as_it_is(MESSAGE, b"x" * 999 + b"\r\n", offered) is None


def test_smtputf8() -> None:
    international = replace(MESSAGE, smtputf8=True, requires_8bit=True)
    assert fit(international, UTF8, long_lines=False) == Fit("8BITMIME", smtputf8=True)
    assert fit(international, EIGHT, long_lines=False).ascii_only
    assert fits_as_it_is(international, b"x\r\n", EIGHT) is None


def test_header_of() -> None:
    assert header_of(b"A: b\r\n\r\nbody\r\n") == b"A: b\r\n"
    assert len(header_of(b"x" * (HEADER_LIMIT + 10))) == HEADER_LIMIT
