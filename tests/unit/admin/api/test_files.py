"""Files over the API: exports in every form, imports of other mail systems, scripts into drafts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailwye.access.roles import Permission, Role
from mailwye.config.parse import read_organization
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.source import Source
from tests.unit.admin.api.office import Office

EXCHANGE = json.dumps([{"Name": "Partner", "ConnectorType": "Partner", "SenderDomains": ["smtp:*.fabrikam.com;1"], "Enabled": True}])
DOMAIN = json.dumps({"AcceptedDomain": [{"Name": "fabrikam.com", "DomainName": "fabrikam.com", "DomainType": "Authoritative"}]})
DSC = """
Configuration M365 {
  Node localhost {
    EXOAcceptedDomain "d" { Identity = $Domain; DomainType = "Authoritative"; Ensure = "Present"; Credential = $Credscredential }
  }
}
"""
MAIN_CF = "relay_domains = fabrikam.com\ntransport_maps = hash:/etc/postfix/transport\nsmtpd_milters = inet:localhost:11332\n"


def post(office: Office, source: str, body: dict[str, Any], query: str = "", condition: str = "*", **more: Any) -> Any:
    headers = {"If-Match": condition} if condition else {}
    return office.ask("POST", f"/import/{source}{query}", json=body, headers=headers, **more)


@pytest.mark.parametrize("form", ["yaml", "json", "exchange", "cmdlets"])
def test_exports_in_every_form(office: Office, form: str) -> None:
    answer = office.ask("GET", "/export", params={"format": form})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-type"].startswith("application/json" if form in ("json", "exchange") else "text/plain")
    assert "To our servers" in answer.text
    office.ask("POST", "/drafts", json={"name": "d"})
    back = {
        "yaml": lambda text: office.ask("POST", "/apply", json={"text": text}, headers={"If-Match": "*"}),
        "json": lambda text: office.ask("POST", "/apply", json={"text": text}, headers={"If-Match": "*"}),
        "exchange": lambda text: post(office, "exchange", {"files": [{"text": text}]}),
        "cmdlets": lambda text: office.ask("POST", "/cmdlets?dry_run=true", json={"text": "Get-AcceptedDomain\n" + text[:0]}),
    }[form](answer.text)
    assert back.status_code == 200, back.text
    assert back.json()["changes"] == []


def test_exports_of_older_versions_and_drafts(office: Office) -> None:
    office.ask("PATCH", "/objects/organization", json={"Name": "Fabrikam"}, headers={"If-Match": "*"})
    office.ask("POST", "/drafts", json={"name": "d"})
    office.ask("PATCH", "/objects/organization?draft=d", json={"Name": "Draft Inc"}, headers={"If-Match": "*"})
    assert "Fabrikam" in office.ask("GET", "/export").text
    assert "Fabrikam" not in office.ask("GET", "/export?version=1").text
    drafted = office.ask("GET", "/export?draft=d")
    assert ("Draft Inc" in drafted.text, drafted.headers["etag"]) == (True, '"draft-1"')
    assert office.ask("GET", "/export?version=99").status_code == 404
    assert office.ask("GET", "/export?draft=no").status_code == 404
    assert office.ask("GET", "/export?draft=d&version=1").status_code == 422
    assert office.ask("GET", "/export?format=xml").status_code == 422


def test_an_import_says_what_it_would_do_and_keeps_the_file(office: Office) -> None:
    answer = post(office, "exchange", {"files": [{"name": "c.json", "text": EXCHANGE}, {"text": DOMAIN}]}, "?dry_run=true", condition="")
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["version"], content["complete"]) == (None, True)
    assert {change["object"] for change in content["changes"]} == {"InboundConnector", "AcceptedDomain"}
    assert [(entry["outcome"], entry["file"]) for entry in content["report"]] == [("carried over", "c.json"), ("carried over", "file 2")]
    parsed = read_organization(content["file"])
    assert parsed.value == import_exchange([Source("c.json", EXCHANGE), Source("d", DOMAIN)]).organization
    assert office.store.version() == 1


def test_an_import_is_saved_at_a_version_or_into_a_draft(office: Office) -> None:
    body = {"files": [{"text": EXCHANGE}, {"text": DOMAIN}]}
    assert post(office, "exchange", body, condition="").status_code == 428
    assert post(office, "exchange", body, condition='"9"').status_code == 412
    saved = post(office, "exchange", body, "?comment=moved", condition='"1"')
    assert (saved.status_code, saved.headers["etag"], saved.json()["in_force"]) == (200, '"2"', True)
    assert office.store.current().info.comment == "moved"
    assert office.audit.entries(action="settings")[0].event.target == "POST /api/v1/import/exchange"
    office.ask("POST", "/drafts", json={"name": "d"})
    again = post(office, "exchange", {"files": [{"text": DOMAIN.replace("fabrikam", "adatum")}]}, "?draft=d", condition='"draft-0"')
    assert (again.status_code, again.headers["etag"], again.json()["complete"]) == (200, '"draft-1"', True)
    assert office.store.version() == 2
    assert "adatum.com" in office.ask("GET", "/objects/accepted-domains?draft=d").text


def test_what_cannot_be_carried_over_is_in_the_report(office: Office) -> None:
    odd = json.dumps([{"Name": "Odd", "ConnectorType": "Sideways"}, *json.loads(EXCHANGE)])
    content = post(office, "exchange", {"files": [{"text": odd}]}, "?dry_run=true").json()
    assert content["complete"] is False
    assert [entry["outcome"] for entry in content["report"]].count("left out") == 1
    assert [change["object"] for change in content["changes"]] == ["InboundConnector"]


def test_blocks_of_microsoft365dsc(office: Office) -> None:
    body = {"files": [{"name": "M365.ps1", "text": DSC}], "variables": {"Domain": "fabrikam.com"}}
    content = post(office, "dsc", body).json()
    assert [(change["object"], change["identity"]) for change in content["changes"]] == [("AcceptedDomain", "fabrikam.com")]
    without = post(office, "dsc", {"files": body["files"]}, "?dry_run=true").json()
    assert without["complete"] is False


def test_postfix_with_its_tables(office: Office) -> None:
    tables = {"/etc/postfix/transport": "fabrikam.com smtp:[192.0.2.9]\n"}
    content = post(office, "postfix", {"main_cf": MAIN_CF, "tables": tables}, "?dry_run=true").json()
    assert {change["object"] for change in content["changes"]} >= {"AcceptedDomain", "OutboundConnector"}
    without = post(office, "postfix", {"main_cf": MAIN_CF}, "?dry_run=true").json()
    assert any("not among the tables" in entry["reason"] for entry in without["report"])


@pytest.mark.parametrize(
    ("source", "body", "status"),
    [
        ("exchange", {"files": []}, 422),
        ("exchange", {"files": [{"text": ""}]}, 422),
        ("exchange", {"files": [{"text": "{"}]}, 422),
        ("exchange", {"files": [{"text": '{"a":' * 100_000}]}, 422),
        ("exchange", {"files": [{"text": "[1e999]"}]}, 422),
        ("exchange", {"files": [{"text": "\0"}]}, 422),
        ("exchange", {"files": [{"text": "[]"}] * 101}, 422),
        ("exchange", {"file": "x"}, 422),
        ("exchange", {"files": [{"text": "x" * 8_388_609}]}, 422),
        ("dsc", {"files": [{"text": "{" * 100_000}]}, 422),
        ("dsc", {"files": [{"text": "EXOAcceptedDomain 'x' {"}]}, 422),
        ("postfix", {"main_cf": "\0"}, 422),
        ("postfix", {"main_cf": "x = " + "$x" * 1000}, 200),
        ("postfix", {"main_cf": ""}, 200),
        ("smtp", {"files": []}, 404),
    ],
)
def test_imports_that_cannot_be_read(office: Office, source: str, body: dict[str, Any], status: int) -> None:
    answer = post(office, source, body, "?dry_run=true")
    assert answer.status_code == status, answer.text[:500]
    assert office.store.version() == 1
    if status == 422:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["problems"]


def test_a_name_of_a_file_speaks_to_no_terminal(office: Office) -> None:
    answer = post(office, "exchange", {"files": [{"name": "\x1b[31m\u202e.json", "text": "{"}]}, "?dry_run=true")
    assert "\\u001b" not in answer.text
    assert "\u202e" not in answer.text


def test_what_is_imported_asks_for_the_permission_of_its_kind(office: Office) -> None:
    for role in (Role.RECIPIENT_MANAGEMENT, Role.HYGIENE_MANAGEMENT):
        for query in ("", "?dry_run=true"):
            assert post(office, "exchange", {"files": [{"text": DOMAIN}]}, query, role=role).status_code == 403
    people = json.dumps({"Mailbox": [{"PrimarySmtpAddress": "new@contoso.com", "EmailAddresses": ["SMTP:new@contoso.com"]}]})
    assert post(office, "exchange", {"files": [{"text": people}]}, role=Role.RECIPIENT_MANAGEMENT).status_code == 200
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.SETTINGS_READ)
    assert office.ask("GET", "/export", token=token).status_code == 403


def test_a_script_reads_and_fills_a_draft(office: Office) -> None:
    office.ask("POST", "/drafts", json={"name": "d"})
    script = {"text": "New-AcceptedDomain -Name fabrikam.com -DomainName fabrikam.com\nGet-AcceptedDomain"}
    assert office.ask("POST", "/cmdlets?draft=d", json=script).status_code == 428
    assert office.ask("POST", "/cmdlets?draft=d", json=script, headers={"If-Match": '"1"'}).status_code == 400
    saved = office.ask("POST", "/cmdlets?draft=d", json=script, headers={"If-Match": '"draft-0"'})
    assert (saved.status_code, saved.headers["etag"]) == (200, '"draft-1"')
    assert len(saved.json()["output"][-1]["rows"]) == 2
    shown = office.ask("POST", "/cmdlets?draft=d", json={"text": "Get-AcceptedDomain fabrikam.com"})
    assert shown.json()["output"][0]["rows"][0]["DomainName"] == "fabrikam.com"
    assert office.ask("POST", "/cmdlets", json={"text": "Get-AcceptedDomain fabrikam.com"}).status_code == 422
    assert office.store.version() == 1
