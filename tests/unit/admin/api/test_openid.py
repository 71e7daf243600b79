"""Persons of an OpenID provider at the API: what they may, how the audit log names them, what others hear."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.access.accounts import User
from mailwye.access.roles import Role
from mailwye.admin.api.attempts import PER_ADDRESS
from mailwye.admin.openid.provider import ASK_EVERY
from tests.openid import ISSUER, OTHER_RSA, RSA, claims_at
from tests.unit.admin.api.office import Office, basic, name_of

ANN = f"oidc:f3b1 (ann@contoso.com, {ISSUER})"


def logins(office: Office) -> list[tuple[str, str]]:
    return [(one.event.who, one.event.result) for one in office.audit.entries(action="login")]


def test_the_audit_log_names_issuer_and_subject(office: Office) -> None:
    token = office.openid_token()
    assert office.ask("GET", "/me", token=token).json()["name"] == "oidc:f3b1"
    changed = office.ask("PATCH", "/objects/organization", token=token, json={"Name": "x"}, headers={"If-Match": "*"})
    assert changed.status_code == 200
    office.ask("GET", "/queue/m1", token=token)
    assert [(one.event.who, one.event.action) for one in office.audit.entries(limit=2)] == [(ANN, "content.read"), (ANN, "settings.save")]
    assert office.ask("GET", "/versions", token=token).json()["items"][0]["author"] == ANN
    assert len(office.ask("GET", "/audit", token=token, params={"who": "oidc:f3b1"}).json()["items"]) == 2


def test_nobody_without_a_role_is_let_in(office: Office) -> None:
    answer = office.ask("GET", "/me", token=office.openid_token(None))
    assert (answer.status_code, answer.json()["detail"]) == (403, "oidc:f3b1 has no role here: the claim roles of the token gives none")
    assert logins(office) == [(ANN, "refused: roles: the claim roles holds nothing: none of it stands in [oidc.roles]")]


@pytest.mark.parametrize(
    ("token", "detail", "cause"),
    [
        ({"exp": 1_789_999_000.0}, "the token has expired", "expiry: expired 1000 s ago"),
        ({"aud": "other"}, "the token is not accepted; the audit log says why", 'audience: aud is "other"'),
        ({"nonce": "x"}, "the token is not accepted; the audit log says why", "kind: an ID token has a claim nonce"),
    ],
)
def test_who_asks_hears_little_and_the_audit_log_tells_all(office: Office, token: dict[str, Any], detail: str, cause: str) -> None:
    answer = office.ask("GET", "/me", token=office.openid_token(**token))
    assert (answer.status_code, answer.json()["detail"]) == (401, detail)
    assert answer.headers["www-authenticate"].endswith('Bearer realm="mailwye", error="invalid_token"')  # RFC 6750 section 3.1
    ((who, result),) = logins(office)
    assert who == "a token of an issuer"  # whom it names is not proved
    assert result.startswith(f"refused: {cause}")


def test_what_is_not_proved_is_not_in_the_log_as_if_it_were(office: Office) -> None:
    forged = office.issuer.sign(claims_at(office.clock.now(), sub="root"), by=OTHER_RSA)
    assert office.ask("GET", "/me", token=forged).status_code == 401
    assert logins(office) == [("a token of an issuer", "refused: signature: the signature is not the issuer's")]


def test_strangers_tokens_count_as_failed_logins_and_lock_no_good_one_out(office: Office) -> None:
    good, forged = office.openid_token(), office.issuer.sign(claims_at(office.clock.now()), by=OTHER_RSA)
    answers = [office.ask("GET", "/me", token=forged).status_code for _ in range(PER_ADDRESS + 1)]
    assert answers == [401] * PER_ADDRESS + [429]
    assert office.ask("GET", "/me", token=good).status_code == 200
    assert office.ask("GET", "/me").status_code == 200  # a token of ours


def test_who_has_failed_too_often_makes_us_ask_nobody(office: Office) -> None:
    for _ in range(PER_ADDRESS):
        office.ask("GET", "/me", token="e30.e30.")
    unknown = office.issuer.sign(claims_at(office.clock.now()), by=RSA, kid="k9")
    assert office.ask("GET", "/me", token=unknown).status_code == 429
    assert office.issuer.asked == []


def test_an_issuer_that_is_down_keeps_nobody_else_out(office: Office) -> None:
    office.issuer.down = "cannot connect to 192.0.2.1 port 443"
    answer = office.ask("GET", "/me", token=office.openid_token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "192.0.2.1" not in answer.text
    assert logins(office) == []  # nobody was refused
    assert office.ask("GET", "/me").status_code == 200
    assert office.client.get("/api/v1/me", headers=basic(name_of(Role.HELP_DESK))).status_code == 200
    office.issuer.down = ""
    office.clock.at += ASK_EVERY
    assert office.ask("GET", "/me", token=office.openid_token()).status_code == 200


def test_a_person_takes_no_name_of_a_user(office: Office) -> None:
    """The subject of the issuer is "help_desk", and so is a user's name: they have nothing in common."""
    token = office.openid_token(Role.RECIPIENT_MANAGEMENT, sub="help_desk", preferred_username="help_desk")
    mine = office.token(Role.HELP_DESK)
    assert office.ask("GET", "/tokens", token=token).json()["items"] == []
    own = office.ask("GET", "/tokens", token=mine).json()["items"]
    assert len(own) == 1
    assert office.ask("DELETE", f"/tokens/{own[0]['id']}", token=token).status_code == 404
    assert office.ask("POST", "/tokens", token=token, json={"user": "help_desk"}).status_code == 403


def test_a_person_has_no_tokens_of_ours_but_may_make_them_for_users(office: Office) -> None:
    office.accounts.add_user(User("robot", (Role.VIEW_ONLY,), 0.0), "hash")
    refused = office.ask("POST", "/tokens", token=office.openid_token(), json={})
    assert (refused.status_code, "is no user of ours" in refused.json()["detail"]) == (409, True)
    assert office.ask("POST", "/tokens", token=office.openid_token(), json={"user": "oidc:f3b1"}).status_code == 422
    made = office.ask("POST", "/tokens", token=office.openid_token(), json={"user": "robot", "scopes": ["queue.read"]})
    assert made.status_code == 201
    assert made.json()["expires"] == office.clock.now() + 300  # no later than the token with which it was made
    assert office.audit.entries(action="token")[0].event.who == ANN


def test_a_person_gives_no_more_than_he_may(office: Office) -> None:
    token = office.openid_token(Role.HELP_DESK)
    assert office.ask("POST", "/users", token=token, json={"name": "x", "password": "twelve letters"}).status_code == 403


def test_without_oidc_the_token_of_an_issuer_is_one_that_nobody_has(office: Office) -> None:
    office.services.openid = None
    answer = office.ask("GET", "/me", token=office.openid_token())
    assert (answer.status_code, answer.json()["detail"]) == (401, "no such token, or it has expired")
    assert office.issuer.asked == []


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_in_any_case(office: Office, scheme: str) -> None:
    answer = office.client.get("/api/v1/me", headers={"Authorization": f"{scheme}   {office.openid_token()}"})
    assert answer.status_code == 200
