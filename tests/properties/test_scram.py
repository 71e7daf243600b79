"""Whatever a server says within SCRAM: a value within its bounds or a SaslError, and never a proof by chance."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailwye.smtp.authentication.saslprep import Unpreparable, saslprep
from mailwye.smtp.authentication.scram import (
    ITERATIONS_MAX,
    ITERATIONS_MIN,
    NONCE_LIMIT,
    SALT_LIMIT,
    Salting,
    SaslError,
    ScramExchange,
    parse_server_final,
    parse_server_first,
)

NONCE = "client+nonce"
PIECES = st.sampled_from(
    (b"r=", b"s=", b"i=", b"m=", b"v=", b"e=", b",", b"=", NONCE.encode(), b"x", b"4096", b"1000000", b"0", b"-", b"QUJD", b"\0", b"\xff")
)
MESSAGES = st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=200)
NONCES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=40)


@given(MESSAGES)
def test_any_first_message_is_within_its_bounds_or_refused(message: bytes) -> None:
    try:
        found = parse_server_first(message, NONCE)
    except SaslError:
        return
    assert found.nonce.startswith(NONCE)
    assert len(NONCE) < len(found.nonce) <= NONCE_LIMIT
    assert 0 < len(found.salt) <= SALT_LIMIT
    assert ITERATIONS_MIN <= found.iterations <= ITERATIONS_MAX


@given(MESSAGES)
def test_any_last_message_is_octets_or_refused(message: bytes) -> None:
    with suppress(SaslError):
        assert isinstance(parse_server_final(message), bytes)


@given(NONCES, st.binary(min_size=1, max_size=64), st.integers(ITERATIONS_MIN, ITERATIONS_MAX))
def test_every_good_first_message_is_read(more: str, salted: bytes, iterations: int) -> None:
    message = f"r={NONCE}{more},s={base64.b64encode(salted).decode()},i={iterations}".encode()
    found = parse_server_first(message, NONCE)
    assert (found.nonce, found.salt, found.iterations) == (NONCE + more, salted, iterations)


@given(MESSAGES)
def test_nothing_that_a_server_says_is_a_proof_by_chance(message: bytes) -> None:
    exchange = ScramExchange("u", "p", NONCE)
    exchange.initial()
    work = exchange.respond(f"r={NONCE}x,s=QUJD,i=4096".encode())
    assert isinstance(work, Salting)
    exchange.salted(bytes(32))  # whatever the salted password were
    with pytest.raises(SaslError):
        exchange.respond(message)
    assert not exchange.proven


@given(st.text(max_size=30))
def test_what_is_prepared_stays_as_it_is(text: str) -> None:
    try:
        prepared = saslprep(text)
    except Unpreparable:
        return
    assume(prepared)
    assert saslprep(prepared) == prepared
