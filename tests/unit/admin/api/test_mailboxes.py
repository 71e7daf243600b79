"""Mailboxes over the API: added with a password, listed, removed."""

from __future__ import annotations

import pytest

from mailwye.access.roles import Permission, Role
from tests.unit.admin.api.office import Office

NEW = {"address": "Ann@Contoso.com", "password": "long enough"}


def test_a_mailbox_is_added_listed_and_removed(office: Office) -> None:
    added = office.ask("POST", "/mailboxes", json=NEW, role=Role.RECIPIENT_MANAGEMENT)
    assert (added.status_code, added.json()["version"]) == (201, 2), added.text
    rows = office.ask("GET", "/mailboxes").json()["items"]
    shown = {row["PrimarySmtpAddress"].lower(): row["has_password"] for row in rows}
    assert shown == {"ann@contoso.com": True, "bob@contoso.com": False}
    assert office.ask("DELETE", "/mailboxes/ann@contoso.com").status_code == 428
    assert office.ask("DELETE", "/mailboxes/ann@contoso.com", headers={"If-Match": '"2"'}).json()["version"] == 3
    assert office.store.password_hash("Ann@contoso.com") is None
    assert office.ask("DELETE", "/mailboxes/ann@contoso.com", headers={"If-Match": "*"}).status_code == 412
    assert [one.event.action for one in office.audit.entries(limit=3)][-2:] == ["settings.save", "mailbox.password"]


def test_of_a_mailbox_that_exists_only_the_password_is_set(office: Office) -> None:
    answer = office.ask("POST", "/mailboxes", json={"address": "bob@contoso.com", "password": "long enough"})
    assert (answer.status_code, answer.json()["version"]) == (200, None)
    assert office.store.version() == 1
    assert office.store.password_hash("bob@contoso.com") == "hash of long enough"


def test_a_dry_run_adds_nothing(office: Office) -> None:
    answer = office.ask("POST", "/mailboxes?dry_run=true", json=NEW)
    assert (answer.status_code, answer.json()["changes"][0]["change"]) == (200, "added")
    assert (office.store.version(), office.store.password_hash("ann@contoso.com")) == (1, None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**NEW, "address": "ann"}, 400),
        ({**NEW, "address": "ann@contoso.com\r\nRCPT TO:<x@y.example>"}, 400),
        ({**NEW, "address": ""}, 400),
        ({**NEW, "password": "short"}, 422),
        ({**NEW, "password": ""}, 422),
        ({**NEW, "address": "ann@elsewhere.example"}, 422),
        ({"address": "ann@contoso.com"}, 422),
        ({**NEW, "more": 1}, 422),
    ],
)
def test_what_is_no_mailbox(office: Office, body: dict[str, object], status: int) -> None:
    answer = office.ask("POST", "/mailboxes", json=body)
    assert answer.status_code == status, answer.text
    assert office.store.version() == 1


def test_a_mailbox_with_a_password_needs_both_permissions(office: Office) -> None:
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.RECIPIENTS_WRITE)
    assert office.ask("POST", "/mailboxes", token=token, json=NEW).status_code == 403
    assert office.ask("POST", "/mailboxes", role=Role.HELP_DESK, json=NEW).status_code == 403
    assert office.store.version() == 1


def test_mailboxes_page_by_page(office: Office) -> None:
    for name in ("ann", "cas"):
        office.ask("POST", "/mailboxes", json={"address": f"{name}@contoso.com", "password": "long enough"})
    first = office.ask("GET", "/mailboxes?limit=2").json()
    rest = office.ask("GET", "/mailboxes", params={"cursor": first["next"]}).json()
    names = [row["PrimarySmtpAddress"].partition("@")[0] for row in first["items"] + rest["items"]]
    assert names == ["ann", "bob", "cas"]
    assert rest["next"] is None
