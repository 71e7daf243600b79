"""Whatever has a name can be asked for by it: an encoded name is one part of a path, and what no path can hold is not made."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from mailwye.access.accounts import AccountError, new_user_name
from mailwye.config.versions.drafts import draft_name
from tests.unit.admin.api.office import Office, basic

NAMES = (
    "a/b",
    "/",
    "a/",
    "//x",
    "50%",
    "a%2Fb",
    "%",
    "what?",
    "#1",
    "two words",
    "Zürich",
    "北京",
    "a\\b",
    "...",
    'say "x"',
    "a&b=c;d",
    "+",
)
CHANGE = {"If-Match": "*"}


@pytest.mark.parametrize("name", NAMES)
def test_an_object_of_any_name_is_made_read_changed_and_removed(office: Office, name: str) -> None:
    path = f"/objects/outbound-connectors/{quote(name, safe='')}"
    body = {"Name": name, "ConnectorType": "Partner", "RecipientDomains": ["fabrikam.com"]}
    made = office.ask("PUT", path, json=body, headers={"If-None-Match": "*"})
    assert made.status_code == 201, made.text
    assert office.ask("GET", path).json()["Name"] == name
    assert office.ask("PATCH", path, json={"Comment": "x"}, headers=CHANGE).status_code == 200
    login = {"user_name": "u", "password": "p4ssword"}
    told = office.ask("PUT", f"/secrets/{quote(name, safe='')}?dry_run=true", json=login, headers=CHANGE)
    assert told.status_code == 422  # it has no smart host yet: the connector was found
    assert "UseMXRecord" in told.text
    assert office.ask("DELETE", path, headers=CHANGE).status_code == 200
    assert office.ask("GET", path).status_code == 404
    assert "%2F" in office.audit.entries(limit=1)[0].event.target if "/" in name else True


@pytest.mark.parametrize("name", NAMES)
def test_a_draft_of_any_name(office: Office, name: str) -> None:
    made = office.ask("POST", "/drafts", json={"name": name})
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    assert path == f"/api/v1/drafts/{quote(name, safe='@')}"
    assert office.ask("GET", path).json()["name"] == name
    query = f"?draft={quote(name, safe='')}"
    change: dict[str, Any] = {"json": {"Comment": "y"}, "headers": CHANGE}
    assert office.ask("PATCH", f"/objects/outbound-connectors/to%20our%20servers{query}", **change).json()["revision"] == 1
    assert office.ask("POST", f"{path}/activate", headers={"If-Match": '"draft-1"'}).json()["version"] == 2
    assert office.ask("GET", path).status_code == 404
    office.ask("POST", "/drafts", json={"name": name})
    assert office.ask("DELETE", path).status_code == 204


@pytest.mark.parametrize("name", ["", " ", " x", "x ", ".", "..", "a\nb", "a\x00b", "x" * 65, "\u202e"])
def test_a_name_that_no_draft_may_have(office: Office, name: str) -> None:
    refused = office.ask("POST", "/drafts", json={"name": name})
    assert refused.status_code == 422
    with pytest.raises(ValueError, match=r"name|folder"):
        draft_name(name)


def test_drafts_of_earlier_releases_keep_their_names(office: Office) -> None:
    for name in (" x", "..", "a b "):
        office.store.new_draft(name, base=1, author="ann", at=1.0)
    assert office.ask("GET", "/drafts/%20x").json()["name"] == " x"
    assert office.ask("DELETE", "/drafts/a%20b%20").status_code == 204
    assert [one["name"] for one in office.ask("GET", "/drafts").json()["items"]] == [" x", ".."]


@pytest.mark.parametrize("name", ["50%", "what?", "#1", "zürich", "a&b"])
def test_a_user_of_any_name(office: Office, name: str) -> None:
    assert office.ask("POST", "/users", json={"name": name, "password": "correct horse battery"}).status_code == 201
    path = f"/users/{quote(name, safe='')}"
    assert office.ask("PUT", f"{path}/roles", json={"roles": ["Help Desk"]}).status_code == 204
    assert office.ask("GET", "/me", headers=basic(name)).json()["name"] == name
    assert office.ask("DELETE", path).status_code == 204


@pytest.mark.parametrize("name", [".", "..", " .. "])
def test_a_user_whom_no_path_could_name(office: Office, name: str) -> None:
    refused = office.ask("POST", "/users", json={"name": name, "password": "correct horse battery"})
    assert (refused.status_code, "call him otherwise" in refused.json()["detail"]) == (422, True)
    with pytest.raises(AccountError):
        new_user_name(name)


def test_a_mailbox_whose_address_holds_a_slash(office: Office) -> None:
    address = '"a/b c"@contoso.com'
    assert office.ask("POST", "/mailboxes", json={"address": address, "password": "correct horse"}).status_code == 201
    path = f"/mailboxes/{quote(address, safe='')}"
    assert office.ask("PUT", f"{path}/password", json={"password": "correct horses"}).status_code == 204
    assert office.ask("GET", f"/objects{path}").json()["PrimarySmtpAddress"] == address
    assert office.ask("DELETE", path, headers=CHANGE).status_code == 200


def test_pages_of_a_question_with_a_slash_go_on(office: Office) -> None:
    assert office.ask("GET", "/trace/a%2Fb").status_code == 404
    assert office.ask("GET", "/queue/a%2Fb%0D%0A").status_code == 404


def test_a_path_that_is_not_utf_8_is_refused(office: Office) -> None:
    answer = office.ask("GET", "/objects/outbound-connectors/%FF")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_an_encoded_slash_opens_no_other_route(office: Office) -> None:
    assert office.ask("GET", "/queue%2Fcounts").status_code == 404
    assert office.ask("DELETE", "/mailboxes/bob@contoso.com%2Fpassword", headers=CHANGE).status_code == 400


def test_addresses_and_domains_are_found_in_every_form_that_means_the_same(office: Office) -> None:
    office.ask(
        "PUT", "/objects/accepted-domains/b%C3%BCcher.example", json={"DomainName": "bücher.example"}, headers={"If-None-Match": "*"}
    )
    for form in ("BÜCHER.example", "xn--bcher-kva.example", "bücher.example."):
        assert office.ask("GET", f"/objects/accepted-domains/{quote(form)}").status_code == 200
    made = {"PrimarySmtpAddress": "eve@bücher.example"}
    assert (
        office.ask("PUT", f"/objects/mailboxes/{quote('eve@bücher.example')}", json=made, headers={"If-None-Match": "*"}).status_code == 201
    )
    assert office.ask("GET", "/objects/mailboxes/EVE@xn--bcher-kva.example").status_code == 200
    assert office.ask("GET", "/versions?kind=Mailbox&identity=eve@B%C3%9CCHER.example").json()["items"][0]["version"] == 3
