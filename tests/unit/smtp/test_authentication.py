"""The client's half of AUTH: the vectors of the RFCs, and servers that break the rules."""

from __future__ import annotations

import base64

import pytest

from mailwye.smtp.authentication.exchanges import LoginExchange, PlainExchange, choose_mechanism, exchange_for
from mailwye.smtp.authentication.saslprep import Unpreparable, saslprep
from mailwye.smtp.authentication.scram import (
    ITERATIONS_MAX,
    Salting,
    SaslError,
    ScramExchange,
    parse_server_final,
    parse_server_first,
    salt,
)

# RFC 7677 section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = f"{NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = f"r={SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
CLIENT_FINAL = f"c=biws,r={SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def begun() -> ScramExchange:
    exchange = ScramExchange("user", "pencil", NONCE)
    assert exchange.initial() == f"n,,n=user,r={NONCE}".encode()
    return exchange


def answered() -> ScramExchange:
    exchange = begun()
    work = exchange.respond(SERVER_FIRST)
    assert isinstance(work, Salting)
    assert exchange.salted(salt(work)) == CLIENT_FINAL
    return exchange


def test_scram_by_the_vector_of_rfc_7677() -> None:
    exchange = answered()
    assert not exchange.proven
    assert exchange.respond(SERVER_FINAL) == b""
    assert exchange.proven


def test_a_server_that_does_not_know_the_password_proves_nothing() -> None:
    exchange = answered()
    with pytest.raises(SaslError, match="could not prove that it knows the password"):
        exchange.respond(b"v=" + base64.b64encode(bytes(32)))
    assert not exchange.proven


def test_a_server_that_goes_on_after_its_proof_is_stopped() -> None:
    exchange = answered()
    exchange.respond(SERVER_FINAL)
    with pytest.raises(SaslError, match="more than SCRAM-SHA-256 has"):
        exchange.respond(SERVER_FINAL)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "no list of attributes"),
        (b"\xff", "no UTF-8"),
        (b"x" * 5_000, "longer than"),
        (b"r=" + SERVER_NONCE.encode(), "not of the form"),
        (b"s=QQ==,r=" + SERVER_NONCE.encode() + b",i=4096", "not of the form"),
        (b"m=x,r=" + SERVER_NONCE.encode() + b",s=QQ==,i=4096", "demands an extension"),
        (b"r=other,s=QQ==,i=4096", "does not continue ours"),
        (b"r=" + NONCE.encode() + b",s=QQ==,i=4096", "does not continue ours"),
        (b"r=" + NONCE.encode() + b"\x7f,s=QQ==,i=4096", "does not continue ours"),
        (b"r=" + NONCE.encode() + b"x" * 2_000 + b",s=QQ==,i=4096", "does not continue ours"),
        (b"r=" + SERVER_NONCE.encode() + b",s=Q,i=4096", "salt is no base64"),
        (b"r=" + SERVER_NONCE.encode() + b",s=Q\xc3\xb6Q=,i=4096", "salt is no base64"),
        (b"r=" + SERVER_NONCE.encode() + b",s=" + base64.b64encode(bytes(1_100)) + b",i=4096", "salt is longer"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=4095", "too few to protect"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=1000001", "not computed for anybody"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=9999999999", "not computed for anybody"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=99999999999999999999", "no number"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=-5", "no number"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=04096", "no number"),
        (b"r=" + SERVER_NONCE.encode() + b",s=QQ==,i=\xd9\xa4\xd9\xa0\xd9\xa9\xd9\xa6", "no number"),
    ],
)
def test_first_messages_of_servers_that_break_the_rules(message: bytes, words: str) -> None:
    with pytest.raises(SaslError, match=words):
        begun().respond(message)


def test_extensions_behind_the_iterations_are_passed_over() -> None:
    found = parse_server_first(SERVER_FIRST + b",x=new,y=newer", NONCE)
    assert (found.nonce, found.iterations, len(found.salt)) == (SERVER_NONCE, 4_096, 16)
    assert parse_server_first(SERVER_FIRST.replace(b"4096", str(ITERATIONS_MAX).encode()), NONCE).iterations == ITERATIONS_MAX


@pytest.mark.parametrize(
    ("message", "words"),
    [(b"e=invalid-proof", "it says 'invalid-proof'"), (b"v=%%%", "no base64"), (b"x=1", "not of the form"), (b"v", "no list")],
)
def test_last_messages_that_are_no_proof(message: bytes, words: str) -> None:
    with pytest.raises(SaslError, match=words):
        parse_server_final(message)


def test_names_are_escaped_and_prepared() -> None:
    assert ScramExchange("a=b,c", "x", "N").initial() == b"n,,n=a=3Db=2Cc,r=N"
    assert ScramExchange("\u2168", "x", "N").initial() == b"n,,n=IX,r=N"


def test_no_repr_shows_the_password() -> None:
    work = begun().respond(SERVER_FIRST)
    assert "pencil" not in repr(work)


@pytest.mark.parametrize(
    ("text", "prepared"),
    # RFC 4013 section 3, and non-ASCII spaces.
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b"), ("ü", "ü")],
)
def test_saslprep(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\x7f", "\ud800", "\ue000", "\u06271\u0627a", "\U0001f600", "\x00"])
def test_what_saslprep_refuses(text: str) -> None:
    with pytest.raises(Unpreparable) as caught:
        saslprep(text)
    assert text not in str(caught.value)


def test_plain_says_all_at_once_and_login_when_asked() -> None:
    plain = PlainExchange("tim", "tanstaaftanstaaf")
    assert plain.initial() == b"\0tim\0tanstaaftanstaaf"  # RFC 4616 section 4
    with pytest.raises(SaslError):
        plain.respond(b"")
    login = LoginExchange("tim", "tanstaaf")
    assert exchange_for("LOGIN", "tim", "x", "").initial() is None
    assert [login.respond(b"Username:"), login.respond(b"anything")] == [b"tim", b"tanstaaf"]
    with pytest.raises(SaslError):
        login.respond(b"")
    assert plain.proven
    assert login.proven


def test_the_strongest_common_mechanism_is_used() -> None:
    assert choose_mechanism({"LOGIN", "PLAIN", "SCRAM-SHA-256", "GSSAPI"}) == "SCRAM-SHA-256"
    assert choose_mechanism({"LOGIN", "PLAIN"}) == "PLAIN"
    assert choose_mechanism({"LOGIN", "XOAUTH2"}) == "LOGIN"
    assert choose_mechanism({"GSSAPI", "SCRAM-SHA-1"}) is None
    assert [exchange_for(one, "u", "p", "n").mechanism for one in ("SCRAM-SHA-256", "PLAIN", "LOGIN")] == [
        "SCRAM-SHA-256",
        "PLAIN",
        "LOGIN",
    ]
    with pytest.raises(ValueError, match="CRAM-MD5"):
        exchange_for("CRAM-MD5", "u", "p", "n")
