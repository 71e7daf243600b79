"""Tokens of an OpenID provider: nothing but what the issuer signed is proved, and nothing that it signs makes us fall over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from mailwye.access.roles import Role
from mailwye.admin.openid.gate import OpenIdGate
from mailwye.admin.openid.keys import read_keys
from mailwye.admin.openid.provider import Provider
from mailwye.admin.openid.verdict import Verdict
from mailwye.admin.strict_json import read_object
from tests.openid import EC, GROUPS, RSA, Issuer, claims_at, settings
from tests.unit.admin.api.office import Ticking

CLOCK = Ticking()
NOW = CLOCK.now()
ISSUER = Issuer()
SETTINGS = settings(required_claims={"acr": ("gold",)})
GATE = OpenIdGate(SETTINGS, Provider(SETTINGS, ISSUER, CLOCK, lambda _text: None), CLOCK)
GOOD = claims_at(NOW, acr="gold")
TOKENS = [ISSUER.sign(GOOD, key=name) for name in ISSUER.keys]

_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([*GROUPS.values(), "gold", "mailwye"])
)
_json = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=8
)


def judged(token: str) -> Verdict:
    return asyncio.run(GATE.judge(token, thorough=True))


@given(st.sampled_from(TOKENS), st.data())
def test_a_token_that_was_touched_proves_nothing(token: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(max_codepoint=0x17F))
    touched = data.draw(
        st.sampled_from([token[:at] + other + token[at + 1 :], token[:at] + token[at + 1 :], token[:at] + other + token[at:]])
    )
    assert judged(touched).is_proved is (touched == token)


@given(
    st.text(max_size=300) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(lambda parts: b".".join(parts).decode("latin-1"))
)
@example(".." + "." * 300)
def test_text_that_is_no_token_is_refused_with_a_reason(text: str) -> None:
    verdict = judged(text)
    assert not verdict.is_proved
    assert verdict.fault is not None
    assert verdict.fault.words


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), _json, max_size=3))
def test_whatever_the_issuer_signs_is_judged_and_gives_no_role_that_is_not_written(odd: dict[str, Any]) -> None:
    claims = {**GOOD, **odd}
    try:
        octets = json.dumps(claims, allow_nan=False).encode()
    except ValueError:  # NaN, which is no JSON
        octets = json.dumps(claims).encode()
    verdict = judged(ISSUER.sign(octets))
    names = claims["roles"] if isinstance(claims["roles"], list) else [claims["roles"]]
    named = {role for role, group in GROUPS.items() if group in [name for name in names if isinstance(name, str)]}
    assert set(verdict.roles) <= named
    assert bool(verdict.roles) is (verdict.fault is None)
    if verdict.is_proved:
        assert (claims["iss"], claims["acr"] in ("gold", ["gold"]) or "gold" in claims["acr"]) == (SETTINGS.issuer, True)
        assert isinstance(claims["sub"], str)


@given(
    st.lists(st.dictionaries(st.sampled_from(["kty", "kid", "use", "alg", "key_ops", "n", "e", "crv", "x", "y", "d"]), _json), max_size=3),
    st.data(),
)
def test_odd_keys_do_not_spoil_the_good_one(odd: list[dict[str, Any]], data: st.DataObject) -> None:
    base = data.draw(st.sampled_from([RSA.as_dict(private=False), EC.as_dict(private=False)]))
    keys = [{**base, **one} for one in odd] + [{**EC.as_dict(private=False), "kid": "good"}]
    try:
        octets = json.dumps({"keys": keys}, allow_nan=False).encode()
    except ValueError:
        return
    assert ("good", "EC") in read_keys(octets)


@given(st.dictionaries(st.text(max_size=8), _json, max_size=4))
def test_json_objects_are_read_as_they_were_written(value: dict[str, Any]) -> None:
    try:
        octets = json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return
    assert read_object(octets) == value


def test_every_role_is_given_by_its_group() -> None:
    for role in Role:
        assert judged(ISSUER.sign({**GOOD, "roles": GROUPS[role]})).roles == (role,)
