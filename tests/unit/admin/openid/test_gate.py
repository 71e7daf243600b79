"""Tokens against an issuer: what is let in, and every way that is known to get past a careless reader (RFC 8725)."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from mailwye.access.roles import Role
from mailwye.admin.openid.gate import OpenIdGate
from mailwye.admin.openid.provider import Provider
from mailwye.admin.openid.token import TOKEN_LIMIT
from mailwye.admin.openid.verdict import Result, Verdict
from tests.openid import EC, OTHER_RSA, RSA, Issuer, base64url, claims_at, parts_of, settings, signed_with_the_public_key
from tests.unit.admin.api.office import Ticking

CLOCK = Ticking()
NOW = CLOCK.now()
GOOD = claims_at(NOW)


def gate(issuer: Issuer, **more: Any) -> OpenIdGate:
    chosen = settings(**more)
    return OpenIdGate(chosen, Provider(chosen, issuer, CLOCK, lambda _text: None), CLOCK)


async def judged(token: str, issuer: Issuer | None = None, **more: Any) -> Verdict:
    return await gate(issuer or Issuer(), **more).judge(token)


@pytest.mark.parametrize("key", ["k1", "e1"])
@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt", "AT+JWT", None])
async def test_an_access_token_is_let_in(key: str, kind: str | None) -> None:
    verdict = await judged(Issuer().sign(GOOD, key=key, typ=kind))
    assert verdict.fault is None, verdict
    assert verdict.is_proved
    assert (verdict.roles, verdict.ends) == ((Role.ORGANIZATION_MANAGEMENT,), NOW + 300)
    assert verdict.person is not None
    assert verdict.person.who == "oidc:f3b1 (ann@contoso.com, https://id.contoso.com/realms/contoso)"


def unsigned(**header: Any) -> str:
    return parts_of({"kid": "k1", "typ": "JWT", **header}, GOOD)


@functools.cache
def lies() -> dict[str, tuple[str, str]]:
    """name → (token, the step at which it ends)."""
    issuer = Issuer()
    good = issuer.sign(GOOD)
    head, body, signature = good.split(".")
    ec_signature = issuer.sign(GOOD, key="e1").rpartition(".")[2]
    mine = OTHER_RSA.as_dict(private=False)
    return {
        "alg none": (unsigned(alg="none") + ".", "form"),
        "alg none with a signature": (unsigned(alg="none") + "." + signature, "algorithm"),
        "alg None": (unsigned(alg="nOnE") + "." + signature, "algorithm"),
        "alg is a list": (unsigned(alg=["RS256"]) + "." + signature, "form"),
        "HS256 with the public key": (signed_with_the_public_key(GOOD), "algorithm"),
        "an algorithm that is not allowed here": (issuer.sign(GOOD, alg="RS512"), "algorithm"),
        "ES256 with the name of an RSA key": (issuer.sign(GOOD, key="k1", by=EC), "key"),
        "RS256 with the name of an EC key": (issuer.sign(GOOD, key="e1", by=RSA), "key"),
        "a key of somebody else": (issuer.sign(GOOD, by=OTHER_RSA), "signature"),
        "a key that is brought along": (issuer.sign(GOOD, by=OTHER_RSA, jwk=mine), "signature"),
        "a key from elsewhere": (
            issuer.sign(GOOD, by=OTHER_RSA, jku="https://evil.example/keys", x5u="https://evil.example/c"),
            "signature",
        ),
        "a certificate that is brought along": (issuer.sign(GOOD, by=OTHER_RSA, x5c=["MIIB"]), "signature"),
        "a kid that is a path": (issuer.sign(GOOD, by=OTHER_RSA, kid="../../../dev/null"), "key"),
        "a kid that is a query": (issuer.sign(GOOD, by=OTHER_RSA, kid="x' UNION SELECT 'k"), "key"),
        "a kid that is a number": (issuer.sign(GOOD, kid=1), "form"),
        "a kid that is empty": (issuer.sign(GOOD, kid=""), "form"),
        "a kid that is long": (issuer.sign(GOOD, kid="k" * 300), "form"),
        "no kid": (issuer.sign(GOOD, kid=None), "form"),
        "critical extensions": (issuer.sign(GOOD, crit=["exp"]), "form"),
        "an unencoded payload": (issuer.sign(GOOD, b64=False, crit=["b64"]), "form"),
        "a typ that is a number": (issuer.sign(GOOD, typ=5), "form"),
        "a signature of nothing": (f"{head}.{body}.", "form"),
        "a signature that is cut": (f"{head}.{body}.{base64url(bytes(250))}", "signature"),
        "another one's signature": (f"{head}.{body}.{ec_signature}", "signature"),
        "other claims": (f"{head}.{base64url(json.dumps({**GOOD, 'sub': 'root'}).encode())}.{signature}", "signature"),
        "a claim twice": (issuer.sign(json.dumps(GOOD).encode()[:-1] + b', "sub": "root"}'), "form"),
        "a header twice": (base64url(b'{"alg":"RS256","kid":"k1","alg":"none"}') + f".{body}.{signature}", "form"),
        "claims that are a list": (issuer.sign([GOOD]), "form"),
        "claims that are no JSON": (issuer.sign(b"{"), "form"),
        "claims that are no UTF-8": (issuer.sign(b'{"a": "\xff"}'), "form"),
        "an infinite exp": (issuer.sign(json.dumps({**GOOD, "exp": 1}).encode().replace(b'"exp": 1', b'"exp": Infinity')), "form"),
        "deep claims": (issuer.sign(b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"), "form"),
        "a huge number": (issuer.sign(b'{"exp":' + b"9" * 6_000 + b"}"), "form"),
        "a giant": (issuer.sign({**GOOD, "x": "y" * TOKEN_LIMIT}), "form"),
        "two parts": (f"{head}.{body}", "form"),
        "five parts, which is encrypted": (f"{head}.{body}.{signature}.{body}.{signature}", "form"),
        "padding": (f"{head}=.{body}.{signature}", "form"),
        "the other alphabet": (f"{head}.{body}.{'+/' + signature[2:]}", "form"),
        "another spelling of the last octet": (f"{head}.{body}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}", "form"),
        "blanks": (f"{head}. {body}.{signature}", "form"),
        "no ASCII": (f"{head}.{body}.ÿ", "form"),
    }


@pytest.mark.parametrize("name", lies())
async def test_a_lie_is_found(name: str) -> None:
    token, step = lies()[name]
    verdict = await judged(token)
    assert verdict.fault is not None
    assert (verdict.fault.name, verdict.fault.result) == (step, Result.BAD), verdict
    assert not verdict.is_proved
    assert (verdict.roles, verdict.ends) == ((), 0.0)


async def test_what_a_token_says_of_keys_is_fetched_from_nowhere() -> None:
    issuer = Issuer()
    await judged(issuer.sign(GOOD, by=OTHER_RSA, jku="https://evil.example/keys", x5u="https://evil.example/c", kid="evil"), issuer)
    assert {url.split("/")[2] for url in issuer.asked} == {"id.contoso.com"}


@pytest.mark.parametrize("more", [{"exp": NOW - 100}, {"aud": "other"}, {"iss": "https://evil.example"}, {"sub": None}])
async def test_a_token_that_rules_itself_out_asks_nobody(more: dict[str, Any]) -> None:
    issuer = Issuer()
    token = issuer.sign(claims_at(NOW, **more))
    assert (await judged(token, issuer)).fault is not None
    assert issuer.asked == []
    thorough = await gate(issuer).judge(token, thorough=True)
    assert thorough.steps[-2].name == "signature"  # the operator hears everything at once
    assert thorough.steps[-2].result is Result.GOOD
    assert not thorough.is_proved
    assert thorough.roles == ()


async def test_an_issuer_that_does_not_answer_leaves_it_open() -> None:
    issuer = Issuer()
    issuer.down = "no answer"
    verdict = await judged(issuer.sign(GOOD), issuer)
    assert verdict.fault is not None
    assert (verdict.fault.name, verdict.fault.result) == ("key", Result.UNKNOWN)
    assert "no answer" in verdict.fault.words
    assert verdict.roles == ()


async def test_somebody_without_a_role_is_proved_and_may_nothing() -> None:
    verdict = await judged(Issuer().sign(claims_at(NOW, None)))
    assert verdict.is_proved
    assert verdict.roles == ()
    assert verdict.fault is not None
    assert verdict.fault.name == "roles"
