"""What stands between a change and its activation; older versions and rollback."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.access.roles import Permission, Role
from mailwye.admin.api.services import Looked
from mailwye.admin.api.settings.wishes import Requirement
from mailwye.whatif.queued import Waiting
from tests.unit.admin.api.office import Office

CONNECTOR = "/objects/outbound-connectors/to our servers"
CHANGE: dict[str, Any] = {"json": {"Comment": "x"}, "headers": {"If-Match": "*"}}


def test_a_replay_and_pins_are_asked_for_with_the_change(office: Office) -> None:
    query = "?require_replay=acknowledged&acknowledge=abc&seconds=3600&pin_queued=true&comment=why"
    answer = office.ask("PATCH", CONNECTOR + query, **CHANGE)
    assert (answer.status_code, answer.json()["version"], answer.json()["pinned"]) == (200, 2, 3)
    (wish,) = office.what_if.asked
    assert (wish.require_replay, wish.acknowledge, wish.seconds, wish.pin_queued) == (Requirement.ACKNOWLEDGED, "abc", 3600, True)
    assert [entry.event.action for entry in office.audit.entries(limit=2)] == ["settings.save", "queue.pin"]
    office.ask("PATCH", CONNECTOR, json={"Comment": "y"}, headers={"If-Match": "*"})
    assert len(office.what_if.asked) == 1  # nothing was asked for
    assert "pinned" not in office.ask("PATCH", CONNECTOR + "?require_replay=clean", json={"Comment": "z"}, headers={"If-Match": "*"}).json()


LOOKED = Looked(
    {
        "changed": 2,
        "unchanged": 1,
        "groups": [
            {
                "aspects": [{"what": "way", "before": "a", "after": "b"}],
                "deliveries": 2,
                "waits": False,
                "fails": False,
                "examples": [Waiting("m1", "<>", "bob@contoso.com", "connector:a")],
            }
        ],
    },
    "1 would be refused\x1b\nnothing was saved",
    ("what waits in the queue could not be looked at: x",),
)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", CONNECTOR, {"Comment": "x"}),
        ("DELETE", CONNECTOR, None),
        ("POST", "/apply", {"text": "AcceptedDomain: {DomainName: b.example}"}),
        ("POST", "/import/exchange", {"files": [{"text": '{"AcceptedDomain": [{"DomainName": "b.example"}]}'}]}),
        ("POST", "/cmdlets", {"text": "Set-OutboundConnector 'To our servers' -Comment new"}),
        ("POST", "/mailboxes", {"address": "ann@contoso.com", "password": "correct horse"}),
        ("DELETE", "/mailboxes/bob@contoso.com", None),
        ("POST", "/versions/0/activate", None),
    ],
)
def test_a_dry_run_tells_of_queued_mail_and_of_what_would_keep_it_back(office: Office, method: str, path: str, body: Any) -> None:
    office.what_if.looked = LOOKED
    answer = office.ask(method, path + "?dry_run=true&pin_queued=true", json=body, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["version"], told["queue"]["changed"], len(told["queue"]["groups"][0]["examples"])) == (None, 2, 1)
    assert told["kept_back"] == "1 would be refused\\x1b\nnothing was saved"
    assert told["problems"][-1]["severity"] == "warning"
    assert [wish.pin_queued for wish in office.what_if.asked] == [True]
    assert office.store.version() == 1


def test_who_may_not_read_the_queue_is_told_numbers_only(office: Office) -> None:
    office.what_if.looked = LOOKED
    body = {"address": "ann@contoso.com", "password": "correct horse"}
    told = office.ask("POST", "/mailboxes?dry_run=true", json=body, role=Role.RECIPIENT_MANAGEMENT).json()
    assert (told["queue"]["changed"], told["queue"]["groups"][0]["examples"]) == (2, [])


def test_a_dry_run_of_nothing_or_of_a_draft_looks_at_no_queue(office: Office) -> None:
    office.ask("POST", "/drafts", json={"name": "d"})
    assert "queue" not in office.ask("PATCH", CONNECTOR + "?dry_run=true&draft=d", **CHANGE).json()
    assert "queue" not in office.ask("PATCH", CONNECTOR + "?dry_run=true", json={}, headers={"If-Match": "*"}).json()
    assert office.what_if.asked == []


def test_pinning_is_a_change_of_the_queue(office: Office) -> None:
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.SETTINGS_WRITE)
    assert office.ask("PATCH", CONNECTOR + "?pin_queued=true", token=token, **CHANGE).status_code == 403
    assert office.ask("PATCH", CONNECTOR, token=token, **CHANGE).status_code == 200


@pytest.mark.parametrize("query", ["pin_queued=true", "acknowledge=x", "require_replay=clean"])
def test_a_draft_puts_nothing_in_force(office: Office, query: str) -> None:
    office.ask("POST", "/drafts", json={"name": "d"})
    into = office.ask("PATCH", f"{CONNECTOR}?draft=d&{query}", json={"Comment": "x"}, headers={"If-Match": '"draft-0"'})
    assert into.status_code == 422
    office.ask("PATCH", f"{CONNECTOR}?draft=d", json={"Comment": "x"}, headers={"If-Match": '"draft-0"'})
    activated = office.ask("POST", f"/drafts/d/activate?{query}", headers={"If-Match": '"draft-1"'})
    assert (activated.status_code, len(office.what_if.asked)) == (200, 1)


@pytest.mark.parametrize("query", ["require_replay=maybe", "seconds=0", "pin_queued=perhaps", "seconds=99999999999"])
def test_wishes_that_make_no_sense(office: Office, query: str) -> None:
    assert office.ask("PATCH", f"{CONNECTOR}?{query}", **CHANGE).status_code == 422
    assert office.store.version() == 1


def test_a_refusal_saves_nothing_and_says_how_to_go_on(office: Office) -> None:
    office.what_if.refusal = "abc"
    refused = office.ask("PATCH", CONNECTOR + "?require_replay=clean", **CHANGE)
    assert (refused.status_code, refused.json()["detail"]) == (422, "repeat it with abc")
    assert office.store.version() == 1


def test_rollback_takes_the_latest_change_back(office: Office) -> None:
    assert office.ask("POST", "/versions/rollback", headers={"If-Match": "*"}).status_code == 409
    office.ask("PATCH", CONNECTOR, **CHANGE)
    assert office.ask("POST", "/versions/rollback").status_code == 428
    assert office.ask("POST", "/versions/rollback", headers={"If-Match": '"1"'}).status_code == 409
    assert office.ask("POST", "/versions/rollback?dry_run=true", headers={"If-Match": '"2"'}).json()["version"] is None
    back = office.ask("POST", "/versions/rollback", headers={"If-Match": '"2"'})
    assert (back.status_code, back.json()["version"]) == (200, 3)
    assert office.ask("GET", CONNECTOR).json()["Comment"] == ""
    assert [wish.dry_run for wish in office.what_if.asked] == [True]  # what was in force before waits for nobody
    assert office.ask("POST", "/versions/1/activate?require_replay=clean", headers={"If-Match": '"3"'}).status_code == 200


def test_rollback_without_settings(office: Office, tmp_path: Any) -> None:
    (tmp_path / "other").mkdir()
    empty = Office(tmp_path / "other", beginning="")
    assert empty.ask("POST", "/versions/rollback", headers={"If-Match": "*"}).status_code == 409
    empty.close()


def test_objects_as_they_were(office: Office) -> None:
    office.ask("PATCH", CONNECTOR, **CHANGE)
    then = office.ask("GET", CONNECTOR + "?version=1")
    assert (then.json()["Comment"], then.headers["etag"]) == ("", '"1"')
    assert office.ask("GET", CONNECTOR).json()["Comment"] == "x"
    assert len(office.ask("GET", "/objects/mailboxes?version=0").json()["items"]) == 0
    assert office.ask("GET", CONNECTOR + "?version=77").status_code == 404
    assert office.ask("GET", CONNECTOR + "?version=1&draft=d").status_code == 422


def test_versions_that_changed_one_object(office: Office) -> None:
    office.ask("PATCH", "/objects/organization", json={"Name": "Fabrikam"}, headers={"If-Match": "*"})
    office.ask("PATCH", CONNECTOR, **CHANGE)
    query = {"kind": "outboundconnector", "identity": "To Our Servers"}
    assert [one["version"] for one in office.ask("GET", "/versions", params=query).json()["items"]] == [3, 1]
    assert [one["version"] for one in office.ask("GET", "/versions?kind=Organization").json()["items"]] == [2]
    assert office.ask("GET", "/versions?kind=Teapot").status_code == 422
    assert office.ask("GET", "/versions?identity=x").status_code == 422
