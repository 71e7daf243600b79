"""Passwords of connectors over the API: listed, set, removed, sealed anew; never read back."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.access.roles import Role
from mailwye.access.second_factor import SecondFactor, owner_of
from mailwye.config.problem import Problem
from mailwye.config.secrets import credentials
from tests.unit.admin.api.office import Office

CONNECTOR = "/objects/outbound-connectors/to our servers"
SECRET = "s3cret-of-the-smart-host"


def prepare(office: Office) -> None:
    """A connector that may log in, as the checks want it."""
    office.ask("PATCH", CONNECTOR, json={"TlsSettings": "CertificateValidation"}, headers={"If-Match": "*"})


def put(office: Office, name: str = "To Our Servers", condition: str = "*", **body: Any) -> Any:
    headers = {"If-Match": condition} if condition else {}
    return office.ask("PUT", f"/secrets/{name}", json={"password": SECRET, "user_name": "us", **body}, headers=headers)


def opened(office: Office) -> list[str]:
    return [
        office.vault.open(one.password.sealed, f"{kind}:{thing.identity}")
        for kind, _, thing, one in credentials(office.store.current().organization)
    ]


def test_a_password_is_set_listed_and_removed(office: Office) -> None:
    prepare(office)
    assert office.ask("GET", "/secrets").json() == {"items": [], "next": None}
    answer = put(office, condition='"2"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"3"'), answer.text
    assert opened(office) == [SECRET]
    (row,) = office.ask("GET", "/secrets").json()["items"]
    assert row == {"object": "OutboundConnector", "name": "To our servers", "user_name": "us", "problem": ""}
    again = put(office, password="another", user_name=None)
    assert again.status_code == 200
    assert opened(office) == ["another"]
    removed = office.ask("DELETE", "/secrets/to our servers", headers={"If-Match": "*"})
    assert removed.status_code == 200
    assert opened(office) == []
    assert office.ask("GET", CONNECTOR).json()["SmartHostAuthMechanism"] == "None"
    assert office.ask("DELETE", "/secrets/to our servers", headers={"If-Match": "*"}).status_code == 404


def test_nothing_answers_a_password(office: Office) -> None:
    prepare(office)
    answers = [put(office).text, office.ask("POST", "/secrets/rotation", json={}).text]
    paths = ("/secrets", CONNECTOR, "/audit", "/versions/3", "/export", "/export?format=cmdlets", "/export?format=exchange", "/check")
    answers += [office.ask("GET", path).text for path in paths]
    assert all(SECRET not in text for text in answers)
    assert all("v1." not in text for text in answers)  # nor its sealed form
    assert SECRET not in str(office.log.lines)


@pytest.mark.parametrize(
    ("name", "body", "condition", "status"),
    [
        ("nobody", {}, "*", 404),
        ("to our servers", {}, "", 428),
        ("to our servers", {}, '"9"', 412),
        ("to our servers", {"password": ""}, "*", 422),
        ("to our servers", {"user_name": "", "password": "x"}, "*", 422),
        ("to our servers", {"user_name": "a\0b"}, "*", 422),
        ("to our servers", {"user_name": "a\r\nb"}, "*", 422),
        ("to our servers", {"password": "x" * 5000}, "*", 422),
        ("to our servers", {"passwort": "x"}, "*", 422),
    ],
)
def test_what_is_no_password(office: Office, name: str, body: dict[str, Any], condition: str, status: int) -> None:
    prepare(office)
    answer = put(office, name, condition, **body)
    assert answer.status_code == status, answer.text
    assert SECRET not in answer.text
    assert office.store.version() == 2


def test_a_password_in_a_draft(office: Office) -> None:
    prepare(office)
    office.ask("POST", "/drafts", json={"name": "d"})
    into = office.ask("PUT", "/secrets/to our servers?draft=d", json={"password": SECRET, "user_name": "us"}, headers={"If-Match": "*"})
    assert (into.status_code, into.headers["etag"]) == (200, '"draft-1"')
    assert opened(office) == []
    refused = office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True})
    assert (refused.status_code, "draft d" in refused.json()["detail"]) == (409, True)
    office.ask("DELETE", "/drafts/d")
    assert office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True}).status_code == 200


def test_a_new_key_opens_what_was_saved(office: Office) -> None:
    prepare(office)
    put(office)
    before = next(credentials(office.store.current().organization))[3].password.sealed
    office.services.vault = office.vault  # the office's entropy repeats itself: a new key has to differ
    office.vault._entropy = lambda count: b"n" * count
    answer = office.ask("POST", "/secrets/rotation", json={})
    assert answer.json() == {"version": 4, "in_force": True, "dropped_keys": 0}
    assert next(credentials(office.store.current().organization))[3].password.sealed != before
    assert opened(office) == [SECRET]
    assert office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True}).json()["dropped_keys"] >= 1
    assert opened(office) == [SECRET]
    assert [one.event.action for one in office.audit.entries(action="secrets")] == ["secrets.rotate"] * 2
    for role in (Role.RECIPIENT_MANAGEMENT, Role.VIEW_ONLY):
        assert office.ask("POST", "/secrets/rotation", json={}, role=role).status_code == 403


def test_old_keys_are_kept_while_pinned_mail_logs_in_with_them(office: Office) -> None:
    prepare(office)
    put(office)
    office.pinned_passwords = 2
    refused = office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True})
    assert refused.status_code == 409
    assert "2 pinned deliveries" in refused.json()["detail"]
    assert office.store.version() == 3
    assert office.ask("POST", "/secrets/rotation", json={}).status_code == 200


def test_second_factors_open_with_the_new_key(office: Office) -> None:
    prepare(office)
    put(office)
    sealed = office.vault.seal("of the app", owner_of("help_desk"))
    office.accounts.set_second_factor("help_desk", SecondFactor(sealed, 7))
    office.vault._entropy = lambda count: b"n" * count
    assert office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True}).status_code == 200
    factor = office.accounts.second_factor("help_desk")
    assert factor is not None
    assert factor.sealed != sealed
    assert office.vault.open(factor.sealed, owner_of("help_desk")) == "of the app"


def test_a_second_factor_that_cannot_be_opened_keeps_the_key(office: Office) -> None:
    prepare(office)
    put(office)
    office.accounts.set_second_factor("help_desk", SecondFactor(office.vault.seal("x", owner_of("somebody else")), 7))
    before = (office.installation.data_directory / "credentials.key").read_text()
    answer = office.ask("POST", "/secrets/rotation", json={"drop_old_keys": True})
    assert answer.status_code == 409
    assert "second factor of help_desk cannot be opened, so the key was not changed" in answer.json()["detail"]
    assert "`mailwye user totp disable help_desk`" in answer.json()["detail"]
    assert (office.installation.data_directory / "credentials.key").read_text() == before


def test_a_key_that_is_lost_is_not_replaced(office: Office) -> None:
    prepare(office)
    put(office)
    (office.installation.data_directory / "credentials.key").write_text("ab" * 32 + "\n")
    assert opened(office) == [SECRET], "the service still knows the key"
    answer = office.ask("POST", "/secrets/rotation", json={})
    assert (answer.status_code, len(answer.json()["problems"])) == (409, 1)
    assert office.ask("GET", "/secrets").json()["items"][0]["problem"]
    assert office.ask("GET", "/check").json()["problems"][0]["field"] == "AuthenticationCredential"


def test_findings_of_the_installation_file_are_told_with_their_place(office: Office) -> None:
    office.file_problems = [Problem("has expired", "Renew it", "/etc/mailwye.toml", 3, 1, "[tls]", "certificate")]
    (found,) = office.ask("GET", "/check").json()["problems"]
    assert found == {
        "object": "[tls]",
        "field": "certificate",
        "reason": "has expired",
        "remedy": "Renew it",
        "severity": "error",
        "file": "/etc/mailwye.toml",
        "line": 3,
    }


def test_a_file_is_checked_and_not_saved(office: Office) -> None:
    text = "AcceptedDomain: [{DomainName: a.com}, {DomainName: a.com}]\nMailbox: {PrimarySmtpAddress: nobody}\n"
    found = office.ask("POST", "/check", json={"text": text}).json()["problems"]
    assert {one["line"] for one in found} == {2}
    assert office.ask("POST", "/check", json={"text": ": : :"}).json()["problems"][0]["severity"] == "error"
    assert office.store.version() == 1
