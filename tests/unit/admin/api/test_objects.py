"""Objects over the API: reading, writing, preconditions, two editors, drafts, passwords."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from mailwye.access.roles import Permission, Role
from mailwye.config import compile as compile_
from mailwye.directory.lookup import Directory
from tests.unit.admin.api.office import Office

CONNECTOR = "/objects/outbound-connectors/to our servers"


def test_lists_are_pages_with_a_filter(office: Office) -> None:
    for name in ("ann", "cas", "dee"):
        address = f"{name}@contoso.com"
        made = office.ask("PUT", f"/objects/mailboxes/{address}", json={"PrimarySmtpAddress": address}, headers={"If-None-Match": "*"})
        assert made.status_code == 201
    first = office.ask("GET", "/objects/mailboxes?limit=3").json()
    assert [one["PrimarySmtpAddress"] for one in first["items"]] == ["ann@contoso.com", "bob@contoso.com", "cas@contoso.com"]
    rest = office.ask("GET", "/objects/mailboxes", params={"cursor": first["next"]})
    assert [one["PrimarySmtpAddress"] for one in rest.json()["items"]] == ["dee@contoso.com"]
    assert rest.json()["next"] is None
    assert rest.headers["etag"] == '"4"'
    assert [one["PrimarySmtpAddress"] for one in office.ask("GET", "/objects/mailboxes?search=DE").json()["items"]] == ["dee@contoso.com"]
    assert office.ask("GET", "/objects/mailboxes?cursor=!").status_code == 400
    assert office.ask("GET", "/objects/mailboxes?limit=0").status_code == 422


def test_one_object_with_its_etag(office: Office) -> None:
    got = office.ask("GET", CONNECTOR)
    assert (got.status_code, got.headers["etag"], got.json()["Name"]) == (200, '"1"', "To our servers")
    assert office.ask("GET", CONNECTOR, headers={"If-None-Match": '"1"'}).status_code == 304
    missing = office.ask("GET", "/objects/outbound-connectors/no")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 428),
        ({"If-Match": "1"}, 400),
        ({"If-Match": '"draft-1"'}, 400),
        ({"If-Match": '"9"'}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-Match": '"1"'}, 200),
        ({"If-Match": "*"}, 200),
    ],
)
def test_preconditions(office: Office, headers: dict[str, str], status: int) -> None:
    body = {"DomainName": "contoso.com", "Default": True, "Name": "Ours"}
    answer = office.ask("PUT", "/objects/accepted-domains/contoso.com", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert office.store.version() == (2 if status == 200 else 1)


def test_patch_changes_fields_and_null_is_the_default(office: Office) -> None:
    patched = office.ask("PATCH", CONNECTOR, json={"Comment": "ours", "RecipientDomains": ["fabrikam.com"]}, headers={"If-Match": '"1"'})
    assert patched.json()["changes"][0]["fields"]["Comment"] == {"old": None, "new": "ours"}
    assert office.ask("PATCH", CONNECTOR, json={"comment": None}, headers={"If-Match": '"2"'}).status_code == 200
    assert office.ask("GET", CONNECTOR).json()["Comment"] == ""
    renamed = office.ask("PATCH", CONNECTOR, json={"Name": "Home"}, headers={"If-Match": "*"})
    assert [change["change"] for change in renamed.json()["changes"]] == ["added", "removed"]
    assert office.ask("GET", CONNECTOR).status_code == 404
    assert office.ask("PATCH", CONNECTOR, json={}, headers={"If-Match": '"4"'}).status_code == 404


def test_every_finding_at_once_and_nothing_saved(office: Office) -> None:
    body = {"Name": "To our servers", "ConnectorType": "Sideways", "SmartHost": "x"}
    answer = office.ask("PUT", CONNECTOR, json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {problem["field"] for problem in answer.json()["problems"]} == {"ConnectorType", "SmartHost"}
    assert all(problem["remedy"] for problem in answer.json()["problems"])
    assert office.store.version() == 1
    other = office.ask("PUT", "/objects/mailboxes/a@contoso.com", json={"PrimarySmtpAddress": "b@contoso.com"}, headers={"If-Match": "*"})
    assert other.status_code == 412
    other = office.ask("PUT", "/objects/mailboxes/a@contoso.com", json={"PrimarySmtpAddress": "b@contoso.com"}, headers={"If-Match": '"1"'})
    assert other.status_code == 422


def test_an_address_with_a_second_command_in_it_is_refused(office: Office) -> None:
    body = {"PrimarySmtpAddress": "u@contoso.com>\r\nRCPT TO:<x@y.example"}
    answer = office.ask("PUT", "/objects/mailboxes/u@contoso.com", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422
    assert "\r" not in answer.text
    question = {"sender": "a@b.example>\r\nRCPT TO:<x@y.example", "recipient": "bob@contoso.com"}
    assert office.ask("POST", "/explain", json=question).status_code == 422
    assert office.ask("PUT", "/mailboxes/bob@contoso.com%0D%0AX/password", json={"password": "long enough"}).status_code == 400


def test_dry_run_saves_nothing(office: Office) -> None:
    answer = office.ask("DELETE", CONNECTOR + "?dry_run=true", headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["version"], answer.json()["changes"][0]["change"]) == (200, None, "removed")
    assert office.store.version() == 1
    assert "etag" not in answer.headers


def test_an_editor_who_is_late_is_put_on_top_where_nobody_touched_the_same(office: Office) -> None:
    office.ask("PATCH", CONNECTOR, json={"Comment": "first"}, headers={"If-Match": '"1"'})
    other = office.ask("PUT", "/objects/mailboxes/a@contoso.com", json={"PrimarySmtpAddress": "a@contoso.com"}, headers={"If-Match": '"1"'})
    assert (other.status_code, other.json()["base"], other.headers["etag"]) == (200, 2, '"3"')


def test_an_editor_who_is_late_hears_what_both_changed(office: Office) -> None:
    office.ask("PATCH", CONNECTOR, json={"Comment": "first"}, headers={"If-Match": '"1"'})
    late = office.ask("PATCH", CONNECTOR, json={"Comment": "second"}, headers={"If-Match": '"1"'})
    assert late.status_code == 409
    (conflict,) = late.json()["conflict"]["conflicts"]
    assert (conflict["field"], conflict["base"], conflict["theirs"], conflict["mine"]) == ("Comment", None, "first", "second")
    assert office.store.version() == 2


async def test_many_editors_at_once_lose_nothing(office: Office) -> None:
    authorization = {"Authorization": f"Bearer {office.token()}", "If-Match": '"1"'}

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(office.app), base_url="http://x/api/v1") as client:

        async def edit(number: int) -> int:
            address = f"user{number}@contoso.com"
            answer = await client.put(f"/objects/mailboxes/{address}", json={"PrimarySmtpAddress": address}, headers=authorization)
            return int(answer.status_code)

        async def same(number: int) -> int:
            answer = await client.patch(CONNECTOR, json={"Comment": f"mine {number}"}, headers=authorization)
            return int(answer.status_code)

        assert await asyncio.gather(*map(edit, range(6))) == [200] * 6
        assert sorted(await asyncio.gather(*map(same, range(4)))) == [200, 409, 409, 409]
    assert len(office.store.current().organization.mailboxes) == 7
    assert office.store.version() == 8


def test_what_is_changed_decides_who_may(office: Office) -> None:
    """A file, a script, a draft or an older version is no way around the roles."""
    file = {"text": "AcceptedDomain: [{DomainName: fabrikam.com}]"}
    for role in (Role.RECIPIENT_MANAGEMENT, Role.HYGIENE_MANAGEMENT):
        assert office.ask("POST", "/apply", role=role, json=file, headers={"If-Match": "*"}).status_code == 403
    script = {"text": "New-AcceptedDomain -Name fabrikam.com -DomainName fabrikam.com"}
    assert office.ask("POST", "/cmdlets", role=Role.HYGIENE_MANAGEMENT, json=script, headers={"If-Match": "*"}).status_code == 403
    office.ask("PATCH", CONNECTOR, json={"Comment": "x"}, headers={"If-Match": "*"})
    for role in (Role.RECIPIENT_MANAGEMENT, Role.HYGIENE_MANAGEMENT):
        assert office.ask("POST", "/versions/1/activate", role=role, headers={"If-Match": "*"}).status_code == 403
    assert office.ask("POST", "/drafts", json={"name": "d"}).status_code == 201
    into = office.ask("PATCH", CONNECTOR + "?draft=d", json={"Comment": "y"}, headers={"If-Match": '"draft-0"'})
    assert into.status_code == 200
    for role in (Role.RECIPIENT_MANAGEMENT, Role.HYGIENE_MANAGEMENT):
        assert office.ask("POST", "/drafts/d/activate", role=role, headers={"If-Match": "*"}).status_code == 403
    assert office.store.version() == 2
    people = {"text": "Mailbox: [{PrimarySmtpAddress: a@contoso.com}]"}
    assert office.ask("POST", "/apply", role=Role.RECIPIENT_MANAGEMENT, json=people, headers={"If-Match": "*"}).status_code == 200


def test_drafts_take_saves_and_are_put_in_force(office: Office) -> None:
    assert office.ask("POST", "/drafts", json={"name": "d", "comment": "why"}).headers["etag"] == '"draft-0"'
    assert office.ask("POST", "/drafts", json={"name": "d"}).status_code == 409
    saved = office.ask("PATCH", CONNECTOR + "?draft=d", json={"Comment": "y"}, headers={"If-Match": '"draft-0"'})
    assert saved.headers["etag"] == '"draft-1"'
    assert office.ask("PATCH", CONNECTOR + "?draft=d", json={"Comment": "z"}, headers={"If-Match": '"draft-0"'}).status_code == 409
    assert office.ask("GET", CONNECTOR).json()["Comment"] == ""
    assert office.ask("GET", CONNECTOR + "?draft=d").json()["Comment"] == "y"
    assert office.ask("GET", "/drafts/d").json()["changes"][0]["fields"]["Comment"]["new"] == "y"
    assert office.ask("POST", "/drafts/d/activate", headers={"If-Match": '"draft-0"'}).status_code == 409
    assert office.ask("POST", "/drafts/d/activate", headers={"If-Match": '"draft-1"'}).headers["etag"] == '"2"'
    assert office.ask("GET", CONNECTOR).json()["Comment"] == "y"
    assert office.ask("GET", "/drafts/d").status_code == 404
    assert office.ask("DELETE", "/drafts/d").status_code == 404


def test_versions_and_back_again(office: Office) -> None:
    office.ask("PATCH", CONNECTOR, json={"Comment": "x"}, headers={"If-Match": '"1"'}, params={"comment": "because"})
    log = office.ask("GET", "/versions?limit=1").json()
    assert (log["items"][0]["version"], log["items"][0]["comment"]) == (2, "because")
    assert log["items"][0]["author"].startswith("organization_management (token ")
    assert office.ask("GET", "/versions", params={"cursor": log["next"]}).json()["items"][0]["version"] == 1
    assert office.ask("GET", "/versions/2").json()["changes"][0]["identity"] == "to our servers"
    assert office.ask("GET", "/versions/1/difference").json()["to"] == 2
    assert office.ask("GET", "/versions/99").status_code == 404
    assert office.ask("POST", "/versions/1/activate", headers={"If-Match": '"1"'}).status_code == 409
    assert office.ask("POST", "/versions/1/activate", headers={"If-Match": '"2"'}).json()["version"] == 3
    assert "To our servers" in office.ask("GET", "/export").text


def test_a_replay_that_is_asked_for_stands_before_a_change(office: Office) -> None:
    import dataclasses

    replay = dataclasses.replace(office.installation.replay, require="acknowledged")
    office.services.installation = dataclasses.replace(office.installation, replay=replay)
    office.what_if.refusal = "abc"
    refused = office.ask("PATCH", CONNECTOR, json={"Comment": "x"}, headers={"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["detail"]) == (422, "repeat it with abc")
    agreed = office.ask("PATCH", CONNECTOR + "?acknowledge=abc", json={"Comment": "x"}, headers={"If-Match": '"1"'})
    assert agreed.status_code == 200
    assert office.ask("POST", "/versions/1/activate", headers={"If-Match": '"2"'}).status_code == 200


def test_cmdlets_show_change_and_explain_what_is_wrong(office: Office) -> None:
    shown = office.ask("POST", "/cmdlets", json={"text": "Get-AcceptedDomain"})
    assert shown.json()["output"][0]["rows"][0]["DomainName"] == "contoso.com"
    change = {"text": "Set-OutboundConnector 'To our servers' -Comment new"}
    assert office.ask("POST", "/cmdlets", json=change).status_code == 428
    assert office.ask("POST", "/cmdlets?dry_run=true", json=change).json()["version"] is None
    assert office.ask("POST", "/cmdlets", json=change, headers={"If-Match": '"1"'}).json()["version"] == 2
    wrong = office.ask("POST", "/cmdlets", json={"text": "Set-OutboundConnector Nobody -Comment x"}, headers={"If-Match": "*"})
    assert wrong.status_code == 422
    assert wrong.json()["problems"][0]["line"] == 1


def test_passwords_are_written_and_never_read(office: Office) -> None:
    secret = "s3cret-of-the-smart-host"
    login: dict[str, Any] = {
        "SmartHostAuthMechanism": "BasicAuthRequireTLS",
        "AuthenticationCredential": {"UserName": "u", "Password": secret},
    }
    login |= {"TlsSettings": "CertificateValidation"}
    set_ = office.ask("PATCH", CONNECTOR, json=login, headers={"If-Match": '"1"'})
    assert set_.status_code == 200, set_.text
    answers = [
        set_.text,
        *(office.ask("GET", path).text for path in (CONNECTOR, "/export", "/versions/2", "/versions/1/difference", "/audit")),
    ]
    assert all(secret not in text for text in answers)
    assert office.ask("GET", CONNECTOR).json()["AuthenticationCredential"]["Password"] == "(saved)"
    kept = office.ask("PATCH", CONNECTOR, json={"Comment": "still"}, headers={"If-Match": '"2"'})
    assert kept.status_code == 200, kept.text
    assert list(kept.json()["changes"][0]["fields"]) == ["Comment"]


def test_the_password_of_a_mailbox(office: Office) -> None:
    path = "/mailboxes/BOB@contoso.com/password"
    assert office.ask("PUT", path, role=Role.HELP_DESK, json={"password": "short"}).status_code == 422
    assert office.ask("PUT", path, role=Role.HELP_DESK, json={"password": "long enough"}).status_code == 204
    assert office.store.password_hash("bob@contoso.com") == "hash of long enough"
    assert office.ask("PUT", "/mailboxes/no@contoso.com/password", json={"password": "long enough"}).status_code == 404
    assert office.ask("DELETE", path).status_code == 204
    assert office.ask("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 422),
        (b'{"Name": 1, "Name": 2}', {}, 400),
        (b'{"Comment": "\\ud800"}', {}, 400),
        (b'{"Comment": NaN}', {}, 400),
        (b"\xff", {}, 400),
        (b'{"a":' * 100_000, {}, 400),
        (b'{"Comment": ' + b"9" * 5000 + b"}", {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Length": "99999999999"}, 413),
    ],
)
def test_bodies_that_cannot_be_used(office: Office, body: bytes, headers: dict[str, str], status: int) -> None:
    sent = {"If-Match": '"1"', "Content-Type": "application/json", **headers}
    answer = office.ask("PATCH", CONNECTOR, content=body, headers=sent)
    assert answer.status_code == status, answer.text
    assert office.store.version() == 1


def test_a_body_in_pieces_has_the_same_limit(office: Office) -> None:
    def pieces() -> Any:
        for _ in range(17):
            yield b" " * 1024 * 1024

    sent = {"If-Match": '"1"', "Content-Type": "application/json"}
    assert office.ask("PATCH", CONNECTOR, content=pieces(), headers=sent).status_code == 413


def test_tables_of_what_did_not_change_are_not_built_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a connector is changed: once for the first request, whatever is looked at in between."""
    built: list[int] = []

    def build(*given: Any) -> Directory:
        built.append(1)
        return Directory(*given)

    monkeypatch.setattr(compile_, "Directory", build)
    connector = office.ask("GET", CONNECTOR).json()
    file = {"OutboundConnector": [{**{key: value for key, value in connector.items() if value is not None}, "Comment": "by file"}]}
    asked = [
        ("PATCH", CONNECTOR, {"Comment": "one"}),
        ("PATCH", CONNECTOR, {"SmartHosts": []}),
        ("POST", "/drafts", {"name": "d"}),
        ("PATCH", f"{CONNECTOR}?draft=d", {"Enabled": False}),
        ("POST", "/explain", {"sender": "a@b.example", "recipient": "bob@contoso.com"}),
        ("POST", "/apply", {"text": json.dumps(file)}),
        ("POST", "/cmdlets", {"text": "Set-OutboundConnector 'To our servers' -Comment two"}),
        ("POST", "/versions/1/activate", None),
    ]
    statuses = []
    for method, path, body in asked:
        match = '"draft-0"' if "draft=" in path else "*"
        statuses.append(office.ask(method, path, json=body, headers={"If-Match": match}).status_code)
    assert statuses == [200, 422, 201, 200, 200, 200, 200, 200]
    assert built == [1]


def test_reading_recipients_is_not_reading_connectors(office: Office) -> None:
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.RECIPIENTS_READ)
    assert office.ask("GET", "/objects/mailboxes", token=token).status_code == 200
    assert office.ask("GET", "/objects/outbound-connectors", token=token).status_code == 403


def test_a_conflict_and_findings_show_nothing_that_the_role_may_not_read(office: Office) -> None:
    """An old If-Match is no way to read what others changed since."""
    office.ask("PATCH", CONNECTOR, json={"Comment": "of the board"}, headers={"If-Match": '"1"'})
    path = "/objects/mailboxes/bob@contoso.com"
    office.ask("PATCH", path, json={"DisplayName": "Bob"}, headers={"If-Match": '"2"'})
    late: dict[str, Any] = {"json": {"DisplayName": "Robert"}, "headers": {"If-Match": '"1"'}}
    refused = office.ask("PATCH", path, role=Role.RECIPIENT_MANAGEMENT, **late)
    assert refused.status_code == 409
    assert [change["object"] for change in refused.json()["conflict"]["theirs"]] == ["Mailbox"]
    assert "of the board" not in refused.text
    assert "of the board" in office.ask("PATCH", path, **late).text
    wide = {"Name": "Ours", "ConnectorType": "OnPremises", "SenderIPAddresses": ["10.0.0.0/8"]}
    assert office.ask("PUT", "/objects/inbound-connectors/ours", json=wide, headers={"If-None-Match": "*"}).status_code == 201
    for role in (Role.RECIPIENT_MANAGEMENT, Role.ORGANIZATION_MANAGEMENT):
        saved = office.ask("PATCH", path, role=role, json={"DisplayName": role.name}, headers={"If-Match": "*"})
        assert saved.status_code == 200
        assert ("InboundConnector" in saved.text) is (role is Role.ORGANIZATION_MANAGEMENT), saved.text
