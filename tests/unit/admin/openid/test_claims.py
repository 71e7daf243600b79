"""What claims mean: row by row, with the words that an operator reads."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.access.roles import Role
from mailwye.admin.openid.claims import judge_claims, judge_roles, person_of
from mailwye.admin.openid.token import UnprovedToken
from mailwye.admin.openid.verdict import Person, Result, Step
from tests.openid import ISSUER, claims_at, settings

NOW = 1_790_000_000.0
HELP = (Role.HELP_DESK,)


def fault(*, kind: str = "jwt", on: dict[str, Any] | None = None, **claims: Any) -> Step | None:
    """The first step that is bad. `on`: keys of [oidc]."""
    token = UnprovedToken("", "RS256", "k1", kind, claims_at(NOW, **claims))
    steps = judge_claims(token, settings(**(on or {})), NOW)
    return next((step for step in steps if step.result is Result.BAD), None)


@pytest.mark.parametrize(
    ("claims", "step", "says"),
    [
        ({"iss": ISSUER + "/"}, "issuer", 'realms/contoso/", [oidc] issuer is "https'),
        ({"iss": ISSUER.upper()}, "issuer", "[oidc] issuer is"),
        ({"iss": [ISSUER]}, "issuer", "[oidc] issuer is"),
        ({"iss": None}, "issuer", "iss is missing"),
        ({"aud": "other"}, "audience", 'aud is "other", [oidc] audience is "mailwye"'),
        ({"aud": None}, "audience", "aud is missing"),
        ({"aud": []}, "audience", "aud is an empty list"),
        ({"aud": ["account", 5]}, "audience", 'aud is "account", …'),
        ({"aud": ["mailwye", {}]}, "audience", "…"),
        ({"aud": {"mailwye": 1}}, "audience", "aud is an object"),
        ({"aud": ["mailwye"] * 1_001}, "audience", "mailwye"),
        ({"aud": "MAILWYE"}, "audience", "MAILWYE"),
        ({"exp": None}, "time", "exp is missing"),
        ({"exp": "9999999999"}, "time", "exp is no time"),
        ({"exp": True}, "time", "exp is no time"),
        ({"exp": float("inf")}, "time", "exp is no time"),
        ({"exp": 10**400}, "time", "exp is no time"),
        ({"exp": NOW - 61}, "expiry", "expired 61 s ago"),
        ({"exp": NOW - 60}, "expiry", "expired 60 s ago"),
        ({"iat": None}, "time", "iat is missing"),
        ({"iat": NOW + 61}, "time", "not valid before 61 s from now (iat)"),
        ({"nbf": NOW + 61}, "time", "not valid before 61 s from now (nbf)"),
        ({"nbf": "soon"}, "time", "nbf is no time"),
        ({"sub": None}, "person", "sub is missing"),
        ({"sub": ""}, "person", "sub"),
        ({"sub": "x" * 256}, "person", "1 to 255 ASCII characters"),
        ({"sub": "ä"}, "person", "ASCII"),
        ({"sub": "a\nb"}, "person", "ASCII"),
        ({"sub": 5}, "person", "sub is 5"),
    ],
)
def test_claims_that_do_not_count(claims: dict[str, Any], step: str, says: str) -> None:
    found = fault(**claims)
    assert found is not None
    assert found.name == step
    assert says in found.words


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": ["account", "mailwye"]},
        {"exp": NOW - 59},
        {"iat": NOW + 60, "nbf": NOW + 60},
        {"exp": int(NOW) + 1},
        {"sub": "auth0|507f 1f77/%"},
    ],
)
def test_claims_that_count(claims: dict[str, Any]) -> None:
    assert fault(**claims) is None


@pytest.mark.parametrize(
    ("kind", "claims", "says"),
    [
        ("at+jwt", {"scope": None}, ""),
        ("at+jwt", {"nonce": "x"}, ""),  # what its issuer says it is
        ("jwt", {}, ""),
        ("", {}, ""),
        ("jwt", {"scope": None, "scp": "Mail.Manage"}, ""),  # Entra ID
        ("jwt", {"scope": None, "azpacr": "1", "roles": ["x"]}, ""),  # Entra ID, of a program
        ("jwt", {"scope": None, "client_id": "console"}, ""),
        ("jwt", {"scope": None, "typ": "Bearer"}, ""),  # Keycloak
        ("jwt", {"typ": "Bearer", "nonce": "x"}, ""),  # Keycloak before 24
        ("jwt", {"typ": "ID"}, '"ID" (claim typ) is no access token'),
        ("jwt", {"typ": "Refresh"}, "Refresh"),
        ("jwt", {"typ": ["Bearer"]}, "Bearer"),
        ("jwt", {"nonce": "x"}, "an ID token has a claim nonce"),
        ("jwt", {"at_hash": "x"}, "at_hash"),
        ("jwt", {"events": {}}, "events"),
        ("at+jwt", {"cnf": {"jkt": "x"}}, "bound to a key of its client (cnf)"),
        ("jwt", {"scope": None}, "nothing says that this is an access token"),
        ("logout+jwt", {}, '"logout+jwt" is not that of an access token'),
        ("dpop+jwt", {}, "dpop+jwt"),
        ("jose", {}, "jose"),
    ],
)
def test_access_tokens_and_others(kind: str, claims: dict[str, Any], says: str) -> None:
    found = fault(kind=kind, **claims)
    if not says:
        assert found is None
        return
    assert found is not None
    assert found.name == "kind"
    assert says in found.words


@pytest.mark.parametrize(
    ("clients", "claims", "good"),
    [
        ((), {"azp": None}, True),
        (("console",), {}, True),
        (("console",), {"azp": "other"}, False),
        (("console",), {"azp": None}, False),
        (("console",), {"azp": ["console"]}, False),
        (("console",), {"client_id": "other"}, False),  # two that do not agree
        (("console", "other"), {"client_id": "other"}, True),
        (("console",), {"azp": None, "appid": "console"}, True),
    ],
)
def test_clients(clients: tuple[str, ...], claims: dict[str, Any], good: bool) -> None:
    found = fault(on={"clients": clients}, **claims)
    assert (found is None) is good
    assert good or (found is not None and found.name == "client")


@pytest.mark.parametrize(
    ("wanted", "found", "good"),
    [
        (("gold",), "gold", True),
        (("gold", "silver"), "silver", True),
        (("mfa",), ["pwd", "mfa"], True),
        (("mfa",), ["pwd"], False),
        (("mfa",), "mfa pwd", False),
        (("mfa",), {"mfa": True}, False),
        (("gold",), None, False),
        ((True,), True, True),
        ((True,), 1, False),
        ((True,), "true", False),
        (("1",), 1, False),
    ],
)
def test_required_claims(wanted: tuple[str | bool, ...], found: Any, good: bool) -> None:
    step = fault(on={"required_claims": {"acr": wanted}}, acr=found)
    assert (step is None) is good
    assert good or (step is not None and step.name == "claim acr" and "[oidc.required_claims] asks for" in step.words)


@pytest.mark.parametrize(
    ("claims", "roles", "says"),
    [
        ({"roles": ["help_desk"]}, HELP, 'Help Desk: the claim roles holds "help_desk"'),
        ({"roles": "help_desk"}, HELP, "Help Desk"),
        ({"roles": ["x", "help_desk", "help_desk"]}, HELP, "Help Desk"),
        ({"roles": ["help_desk", "view_only"]}, (Role.HELP_DESK, Role.VIEW_ONLY), "Help Desk, View-Only"),
        ({"roles": None}, (), "there is no claim roles"),
        ({"roles": []}, (), "the claim roles holds nothing: none of it stands in [oidc.roles]"),
        ({"roles": ["HELP_DESK", " help_desk", "help_desk "]}, (), 'holds "HELP_DESK"'),
        ({"roles": "help_desk view_only"}, (), "none of it stands"),
        ({"roles": ["help_desk", 5]}, (), "neither text nor a list"),
        ({"roles": [["help_desk"]]}, (), "neither text nor a list"),
        ({"roles": {"help_desk": True}}, (), "neither text nor a list"),
        ({"roles": True}, (), "neither text nor a list"),
        ({"roles": 0}, (), "neither text nor a list"),
        ({"roles": ["help_desk"] * 1_001}, (), "at most 1000 texts"),
        ({"roles": ["\ud800", "a\x1b[2J"]}, (), "none of it stands"),
        ({"roles": None, "_claim_names": {"roles": "src1"}}, (), "left out by the issuer"),
    ],
)
def test_roles(claims: dict[str, Any], roles: tuple[Role, ...], says: str) -> None:
    step, found = judge_roles(claims_at(NOW, **claims), settings())
    assert found == roles
    assert (step.result is Result.GOOD) is bool(roles)
    assert says in step.words
    assert step.words.isprintable()


@pytest.mark.parametrize(
    ("path", "claims", "roles"),
    [
        (("realm_access", "roles"), {"realm_access": {"roles": ["help_desk"]}}, HELP),
        (("realm_access", "roles"), {"realm_access": ["help_desk"]}, ()),
        (("realm_access", "roles"), {"realm_access.roles": ["help_desk"]}, ()),
        (("https://contoso.com/roles",), {"https://contoso.com/roles": ["help_desk"]}, HELP),
        (("sub",), {"sub": "help_desk"}, HELP),
        (("email",), {"email": "help_desk", "email_verified": True}, HELP),
        (("email",), {"email": "help_desk"}, ()),
        (("email",), {"email": "help_desk", "email_verified": "true"}, ()),
    ],
)
def test_where_roles_are(path: tuple[str, ...], claims: dict[str, Any], roles: tuple[Role, ...]) -> None:
    assert judge_roles(claims_at(NOW, **claims), settings(roles_claim=path))[1] == roles


@pytest.mark.parametrize(
    ("name_claim", "claims", "display"),
    [
        ("preferred_username", {}, "ann@contoso.com"),
        ("preferred_username", {"preferred_username": None}, ""),
        ("preferred_username", {"preferred_username": "a\u202eb"}, ""),
        ("preferred_username", {"preferred_username": "x" * 101}, ""),
        ("preferred_username", {"preferred_username": ["ann"]}, ""),
        ("email", {"email": "ann@contoso.com"}, ""),
        ("email", {"email": "ann@contoso.com", "email_verified": True}, "ann@contoso.com"),
    ],
)
def test_how_a_person_is_called(name_claim: str, claims: dict[str, Any], display: str) -> None:
    assert person_of(claims_at(NOW, **claims), settings(name_claim=name_claim)) == Person(ISSUER, "f3b1", display)


def test_a_person_has_a_name_that_no_user_of_ours_can_have() -> None:
    assert Person(ISSUER, "auth0|507f (x) %").name == "oidc:auth0|507f%20%28x%29%20%25"
    assert Person(ISSUER, "ann").who == f"oidc:ann ({ISSUER})"
