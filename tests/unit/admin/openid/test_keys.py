"""Which keys of a JWK Set can prove a signature, and for which algorithm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from mailwye.admin.openid.keys import KEYS_LIMIT, is_signed_by, key_for, read_keys
from mailwye.admin.openid.token import read_token
from tests.openid import EC, RSA, Issuer, base64url, claims_at

PUBLIC = RSA.as_dict(private=False)
CURVE = EC.as_dict(private=False)
TOKEN = read_token(Issuer().sign(claims_at(0)))


def of(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    "key",
    [
        {**PUBLIC, "kid": "k1"},
        {**PUBLIC, "kid": "k1", "use": "sig", "alg": "RS256", "key_ops": ["verify"], "x5c": ["MIIB"], "x5t": "abc", "n2": 1},
        {**RSA.as_dict(private=True), "kid": "k1"},  # a private key that was published by mistake is a public one too
    ],
)
def test_a_key_that_proves(key: dict[str, Any]) -> None:
    found = key_for(read_keys(of(key, {"kty": "AKP", "kid": "post-quantum"})), TOKEN)
    assert found is not None
    assert is_signed_by(TOKEN, found)
    assert not found.key.is_private


@pytest.mark.parametrize(
    "key",
    [
        {**PUBLIC, "kid": "k1", "use": "enc"},
        {**PUBLIC, "kid": "k1", "key_ops": ["encrypt"]},
        {**PUBLIC, "kid": "k1", "key_ops": "verify"},
        {**PUBLIC, "kid": "k1", "alg": 5},
        {**PUBLIC, "kid": 5},
        {**PUBLIC, "kid": ""},
        {**PUBLIC, "kid": "k" * 256},
        PUBLIC,  # no name
        {**PUBLIC, "kid": "k1", "n": "!!"},
        {**PUBLIC, "kid": "k1", "n": 5},
        {**PUBLIC, "kid": "k1", "e": ""},
        {**PUBLIC, "kid": "k1", "e": "AA"},
        {**PUBLIC, "kid": "k1", "kty": "rsa"},
        {**PUBLIC, "kid": "k1", "kty": ["RSA"]},
        {**CURVE, "kid": "k1", "crv": "P-1"},
        {**CURVE, "kid": "k1", "x": CURVE["y"]},  # not on the curve
        {**PUBLIC, "kid": "k1", "n": base64url(b"\xc1" + bytes(126) + b"\x01")},  # of 1024 bits
        {**PUBLIC, "kid": "k1", "n": base64url(b"\xc1" + bytes(2_047) + b"\x01")},
        {**ECKey.generate_key("secp256k1").as_dict(private=False), "kid": "k1"},
        {**OctKey.generate_key(256).as_dict(), "kid": "k1"},
    ],
)
def test_a_key_that_proves_nothing_is_left_out(key: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no key that can prove a signature"):
        read_keys(of(key))
    assert set(read_keys(of(key, {**CURVE, "kid": "good"}))) == {("good", "EC")}  # and does not spoil the others


def test_a_key_is_for_its_algorithm() -> None:
    assert key_for(read_keys(of({**PUBLIC, "kid": "k1", "alg": "PS256"})), TOKEN) is None
    curve = ECKey.generate_key("P-384").as_dict(private=False)
    keys = read_keys(of({**curve, "kid": "e1"}))
    assert key_for(keys, read_token(Issuer().sign(claims_at(0), key="e1"))) is None  # ES256 is for P-256


def test_too_many_keys() -> None:
    many = [{**PUBLIC, "kid": f"k{number}"} for number in range(KEYS_LIMIT + 1)]
    assert len(read_keys(of(*many[1:]))) == KEYS_LIMIT
    with pytest.raises(ValueError, match="more than 100 keys"):
        read_keys(of(*many))


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_every_algorithm_of_rsa(algorithm: str) -> None:
    token = read_token(Issuer().sign(claims_at(0), alg=algorithm))
    found = key_for(read_keys(of({**PUBLIC, "kid": "k1"})), token)
    assert found is not None
    assert is_signed_by(token, found)


@pytest.mark.parametrize(("algorithm", "curve"), [("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521")])
def test_every_algorithm_of_elliptic_curves(algorithm: str, curve: str) -> None:
    key = ECKey.generate_key(curve)
    token = read_token(Issuer().sign(claims_at(0), by=key, alg=algorithm))
    found = key_for(read_keys(of({**key.as_dict(private=False), "kid": "k1"})), token)
    assert found is not None
    assert is_signed_by(token, found)
