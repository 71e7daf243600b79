"""RFC 6238: its own examples, clocks that differ, and codes that are none."""

from __future__ import annotations

import base64

import pytest

from mailwye.access.second_factor import STEP, app_address, new_secret, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()
EXAMPLES = {  # appendix B, SHA-1: the last six of its eight digits
    59: "287082",
    1_111_111_109: "081804",
    1_111_111_111: "050471",
    1_234_567_890: "005924",
    2_000_000_000: "279037",
    20_000_000_000: "353130",
}


@pytest.mark.parametrize(("now", "code"), EXAMPLES.items())
def test_the_examples_of_the_rfc(now: int, code: str) -> None:
    assert step_of(SECRET, code, now) == now // STEP


@pytest.mark.parametrize(("late", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(late: int, fits: bool) -> None:
    now = 1_111_111_111
    assert step_of(SECRET, "050471", now + late * STEP) == (now // STEP if fits else 0)


@pytest.mark.parametrize("code", ["", "050472", "50471", "0050471", "05047", "٠٥٠٤٧١", "\ud800", "050471\n", "-50471", "x" * 10_000])
def test_what_is_no_code(code: str) -> None:
    assert step_of(SECRET, code, 1_111_111_111) == 0


def test_a_code_may_be_written_in_two_halves() -> None:
    assert step_of(SECRET, "050 471", 1_111_111_111)


def test_a_secret_is_all_chance_and_an_app_can_read_it() -> None:
    secret = new_secret(lambda count: bytes(range(count)))
    assert base64.b32decode(secret) == bytes(range(20))
    assert app_address(secret, "ann", "mx.contoso.com") == f"otpauth://totp/Mailwye:ann%40mx.contoso.com?secret={secret}&issuer=Mailwye"
