"""SRS: there and back again, whatever the case; nothing forged, nothing old."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailwye.message.sender_rewriting import DAY_SECONDS, DAYS, SenderRewriting, Unwrapped, Validity
from mailwye.smtp.address import Address, AddressError, parse_address

OURS = SenderRewriting(b"the secret of this installation", 21)
FIRST, OTHER = SenderRewriting(b"the secret of the first one", 21), SenderRewriting(b"the secret of another one", 21)
NOW = 1_780_000_000.0
SUN = parse_address("sun@example.net")
LOCAL_PARTS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~äß-]{1,24}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z][a-z0-9]{0,8}\.[a-z]{2,6}", fullmatch=True)


def wrapped(sender: Address = SUN, *, by: SenderRewriting = OURS, now: float = NOW, domain: str = "contoso.com") -> Address:
    found = by.wrap(sender, domain, now)
    assert isinstance(found, Address), found
    return found


def test_the_form_is_the_known_one() -> None:
    assert str(wrapped()).startswith("SRS0=")
    assert str(wrapped()).endswith("=example.net=sun@contoso.com")
    second = wrapped(wrapped(by=FIRST, domain="first.example"))
    assert str(second).startswith("SRS1=")
    assert "=first.example==" in str(second)
    third = wrapped(wrapped(second, by=OTHER, domain="other.example"))
    assert "=first.example==" in str(third)  # the second and third forwarder are left out on the way back


@given(LOCAL_PARTS, DOMAINS, st.sampled_from([str, str.lower, str.upper, str.swapcase]), st.integers(0, 21), st.floats(0, 4e9))
def test_there_and_back(local: str, domain: str, fold: type[str], days: int, now: float) -> None:
    try:
        sender = parse_address(f"{local}@{domain}")
    except AddressError:
        assume(False)
    found = OURS.wrap(sender, "contoso.com", now)
    assume(isinstance(found, Address))
    assert isinstance(found, Address)
    if not found.local.isascii() and fold is not str:
        return  # nobody folds what is beyond ASCII
    back = OURS.unwrap(Address(fold(found.local), found.domain), now + days * DAY_SECONDS)
    assert back is not None
    assert back.validity is Validity.VALID
    assert back.address is not None
    if local[:4].lower() not in ("srs0", "srs1"):
        assert back.address.key == sender.key


@given(st.integers(0, 60), st.integers(0, 25))
def test_a_changed_character_is_a_forgery(place: int, letter: int) -> None:
    local = wrapped().local
    place %= len(local)
    changed = local[:place] + "abcdefghijklmnopqrstuvwxyz"[letter] + local[place + 1 :]
    assume(changed.lower() != local.lower())
    back = OURS.unwrap(Address(changed, "contoso.com"), NOW)
    assert back is None or back == Unwrapped(Validity.FORGED)


@given(st.text(max_size=60))
def test_nothing_random_is_valid(text: str) -> None:
    for start in ("SRS0=", "SRS1=", "srs0+", "SRS0=AAAAAA=AA=", "SRS1=AAAAAAAA=x.example="):
        back = OURS.unwrap(Address(start + text, "contoso.com"), NOW)
        assert back is None or back == Unwrapped(Validity.FORGED)


@pytest.mark.parametrize("sender", [SUN, wrapped(by=FIRST, domain="first.example")])
@pytest.mark.parametrize(
    ("days", "validity"),
    [
        (-2, Validity.EXPIRED),
        (-1, Validity.VALID),
        (0, Validity.VALID),
        (21, Validity.VALID),
        (22, Validity.EXPIRED),
        (500, Validity.EXPIRED),
    ],
)
def test_age(sender: Address, days: int, validity: Validity) -> None:
    back = OURS.unwrap(wrapped(sender), NOW + days * DAY_SECONDS)
    assert back is not None
    assert back.validity is validity
    assert back.address is not None


def test_days_come_again_after_years() -> None:
    assert OURS.unwrap(wrapped(), NOW + DAYS * DAY_SECONDS) == Unwrapped(Validity.VALID, SUN)


def test_a_sender_that_another_forwarder_wrapped_leads_back_to_that_one() -> None:
    theirs = wrapped(by=FIRST, domain="first.example")
    back = OURS.unwrap(wrapped(theirs), NOW)
    assert back == Unwrapped(Validity.VALID, theirs)
    assert back is not None
    assert back.address is not None
    assert FIRST.unwrap(back.address, NOW) == Unwrapped(Validity.VALID, SUN)
    through_three = wrapped(wrapped(theirs, by=OTHER, domain="other.example"))
    assert OURS.unwrap(through_three, NOW) == Unwrapped(Validity.VALID, theirs)


def test_what_others_signed_is_forged() -> None:
    assert OURS.unwrap(wrapped(by=OTHER), NOW) == Unwrapped(Validity.FORGED)


@pytest.mark.parametrize(
    "text", ["sun@contoso.com", "SRS@contoso.com", "SRS0@contoso.com", "SRS2=a=b=c=d@contoso.com", "xSRS0=a@contoso.com"]
)
def test_what_has_not_the_form_is_not_looked_into(text: str) -> None:
    assert OURS.unwrap(parse_address(text), NOW) is None


@pytest.mark.parametrize(
    "text",
    ['"a b"@example.net', "a@[192.0.2.1]", f"{'x' * 50}@example.net", f"a@{'sub.' * 12}example.net", "SRS0=a=b=c=" + "d" * 40 + "@e.com"],
)
def test_what_does_not_fit_keeps_its_sender_and_says_why(text: str) -> None:
    found = OURS.wrap(parse_address(text), "contoso.com", NOW)
    assert isinstance(found, str)
    assert "cannot be rewritten" in found
