"""Users, tokens, logins that fail, and the audit log over the API."""

from __future__ import annotations

import pyotp
import pytest
from starlette.testclient import TestClient

from mailwye.access.roles import Permission, Role
from mailwye.access.second_factor import SecondFactor, new_secret, owner_of
from mailwye.runtime.passwords import PasswordCheckFailed
from tests.unit.admin.api.office import PASSWORD, Office, basic, name_of

NEW = {"name": "Ann", "password": "twelve letters", "roles": ["Help Desk"]}


def test_a_password_opens_and_a_wrong_one_does_not(office: Office) -> None:
    path = "/api/v1/me"
    right = office.client.get(path, headers=basic(name_of(Role.HELP_DESK)))
    assert (right.status_code, right.json()["name"], right.json()["token"]) == (200, "help_desk", "")
    for name, password in ((name_of(Role.HELP_DESK), "wrong"), ("nobody", PASSWORD), ("", ""), ("a:b", "x")):
        assert office.client.get(path, headers=basic(name, password)).status_code == 401
    assert office.audit.entries(action="login")[0].event.result == "refused"


def test_failed_logins_are_limited_for_the_user_and_the_address(office: Office) -> None:
    path = "/api/v1/me"
    for _ in range(10):
        assert office.client.get(path, headers=basic("help_desk", "wrong")).status_code == 401
    wait = office.client.get(path, headers=basic("help_desk"))
    assert (wait.status_code, wait.headers["retry-after"]) == (429, "601")
    assert office.client.get(path, headers=basic("view_only")).status_code == 200
    for number in range(10):
        assert office.client.get(path, headers={"Authorization": f"Bearer mwt_{number}"}).status_code == 401
    assert office.client.get(path, headers=basic("view_only")).status_code == 429
    office.clock.at += 601
    assert office.client.get(path, headers=basic("help_desk")).status_code == 200


def with_factor(office: Office, name: str = "help_desk") -> pyotp.TOTP:
    """Give the user a second factor → his app."""
    secret = new_secret(lambda count: b"s" * count)
    office.accounts.set_second_factor(name, SecondFactor(office.vault.seal(secret, owner_of(name))))
    return pyotp.TOTP(secret)


def log_in(office: Office, code: str | None, password: str = PASSWORD) -> int:
    headers = basic("help_desk", password) | ({} if code is None else {"Mailwye-OTP": code})
    return int(office.client.get("/api/v1/me", headers=headers).status_code)


def test_with_a_second_factor_the_password_alone_opens_nothing(office: Office) -> None:
    app, token = with_factor(office), office.token(Role.HELP_DESK)
    refused = office.client.get("/api/v1/me", headers=basic("help_desk"))
    assert refused.status_code == 401
    assert "Mailwye-OTP" in refused.json()["detail"]
    code = app.at(int(office.clock.at))
    assert [log_in(office, wrong) for wrong in ("", "000000", code[::-1], code + "0")] == [401] * 4
    assert log_in(office, code, "wrong") == 401
    assert log_in(office, code) == 200  # the wrong password has not used it up
    assert log_in(office, code) == 401
    office.clock.at += 30
    assert log_in(office, code) == 401
    assert log_in(office, app.at(int(office.clock.at))) == 200
    assert office.client.get("/api/v1/me", headers=basic("view_only")).status_code == 200
    assert office.ask("GET", "/me", token=token).status_code == 200
    told = [entry.event.result for entry in reversed(office.audit.entries(action="login"))]
    assert told == ["refused: no code", "refused: no code", *["refused: wrong code"] * 3, "refused", *["refused: code used before"] * 2]
    listed = {user["name"]: user["totp"] for user in office.ask("GET", "/users").json()["items"]}
    assert [name for name, totp in listed.items() if totp] == ["help_desk"]


def test_a_second_factor_is_proposed_proved_and_taken_back(office: Office) -> None:
    path = "/users/help_desk/totp"
    answer = office.ask("POST", path)
    assert answer.headers["Cache-Control"] == "no-store"
    proposed = answer.json()
    assert pyotp.parse_uri(proposed["address"]).secret == proposed["secret"]
    assert office.accounts.second_factor("help_desk") is None, "nothing is kept before a code of the app fits"
    app, now = pyotp.TOTP(proposed["secret"]), int(office.clock.at)
    for wrong in ({"code": "000000"}, {"code": app.at(now), "secret": "short"}, {"code": app.at(now), "secret": "A" * 32}):
        assert office.ask("PUT", path, json={"secret": proposed["secret"], **wrong}).status_code == 422
    assert office.accounts.second_factor("help_desk") is None
    assert office.ask("PUT", path, json={"secret": proposed["secret"], "code": app.at(now)}).status_code == 204
    assert [log_in(office, None), log_in(office, app.at(now))] == [401, 401], "the code that proved it is used"
    office.clock.at += 30
    assert log_in(office, app.at(int(office.clock.at))) == 200
    assert [entry.event.result for entry in office.audit.entries(action="user.totp")] == ["enabled"]
    assert office.ask("DELETE", path).status_code == 204
    assert log_in(office, None) == 200
    assert office.ask("DELETE", path).status_code == 404
    assert [office.ask(method, "/users/nobody/totp", json=body).status_code for method, body in (("POST", None), ("DELETE", None))] == [
        404
    ] * 2


def test_a_second_factor_that_cannot_be_sealed_is_told(office: Office) -> None:
    (office.installation.data_directory / "credentials.key").write_text("damaged\n")
    secret = new_secret(bytes)
    body = {"secret": secret, "code": pyotp.TOTP(secret).at(int(office.clock.at))}
    answer = office.ask("PUT", "/users/help_desk/totp", json=body)
    assert answer.status_code == 503
    assert "credentials.key" in answer.json()["detail"]
    assert office.accounts.second_factor("help_desk") is None


def test_codes_are_guessed_as_seldom_as_passwords(office: Office) -> None:
    app = with_factor(office)
    assert [log_in(office, f"{number:06}") for number in range(10)] == [401] * 10
    assert log_in(office, app.at(int(office.clock.at))) == 429
    office.clock.at += 601
    assert log_in(office, app.at(int(office.clock.at))) == 200


def test_a_secret_that_cannot_be_opened_lets_nobody_in_and_counts_for_nothing(office: Office) -> None:
    app = with_factor(office)
    office.accounts.set_second_factor("help_desk", SecondFactor(office.vault.seal("x", owner_of("somebody else"))))
    assert [log_in(office, app.at(int(office.clock.at))) for _ in range(30)] == [503] * 30


def test_strangers_lock_nobody_out_where_he_is_at_home(office: Office) -> None:
    path, token = "/api/v1/me", {"Authorization": f"Bearer {office.token()}"}
    here, home, strange, next_door = (
        TestClient(office.app, client=(address, 1)) for address in ("127.0.0.1", "192.0.2.1", "2001:db8::1", "2001:db8::2")
    )
    assert home.get(path, headers=basic("help_desk")).status_code == 200
    for _ in range(5):
        assert strange.get(path, headers=basic("help_desk", "wrong")).status_code == 401
        assert next_door.get(path, headers=basic("help_desk", "wrong")).status_code == 401
    assert strange.get(path, headers=basic("help_desk")).status_code == 429
    assert office.client.get(path, headers=basic("help_desk")).status_code == 429
    for at_home in (here, home):
        assert at_home.get(path, headers=basic("help_desk")).status_code == 200
    for name in range(10):  # twenty from one /64
        assert next_door.get(path, headers=basic(f"nobody{name}")).status_code == 401
    assert strange.get(path, headers=basic("view_only")).status_code == 429
    assert strange.get(path, headers=token).status_code == 200
    for _ in range(10):
        assert home.get(path, headers=basic("help_desk", "wrong")).status_code == 401
    assert home.get(path, headers=basic("help_desk")).status_code == 429


def test_a_password_that_cannot_be_checked_is_no_failed_login(office: Office) -> None:
    right = office.services.verify_password

    def fails(kept: str | None, text: str) -> bool:
        raise PasswordCheckFailed("out of memory")

    office.services.verify_password = fails
    for _ in range(30):
        assert office.client.get("/api/v1/me", headers=basic("help_desk")).status_code == 503
    office.services.verify_password = right
    assert office.client.get("/api/v1/me", headers=basic("help_desk")).status_code == 200


def test_logins_that_succeed_do_not_count(office: Office) -> None:
    for _ in range(30):
        assert office.client.get("/api/v1/me", headers=basic("view_only")).status_code == 200


def test_users_are_made_changed_and_removed(office: Office) -> None:
    assert office.ask("POST", "/users", json=NEW).json()["name"] == "ann"
    assert office.ask("POST", "/users", json=NEW).status_code == 409
    me = office.client.get("/api/v1/me", headers=basic("ann", "twelve letters")).json()
    assert "passwords.write" in me["permissions"]
    assert "twelve" not in office.ask("GET", "/users").text
    assert office.ask("PUT", "/users/ann/password", json={"password": "short"}).status_code == 422
    assert office.ask("PUT", "/users/ann/password", json={"password": "another twelve"}).status_code == 204
    assert office.ask("PUT", "/users/ann/roles", json={"roles": []}).status_code == 204
    assert office.client.get("/api/v1/me", headers=basic("ann", "another twelve")).status_code == 403
    assert office.ask("DELETE", "/users/ann").status_code == 204
    assert office.ask("DELETE", "/users/ann").status_code == 404


def test_unknown_fields_and_roles_give_nothing(office: Office) -> None:
    assert office.ask("POST", "/users", json={**NEW, "roles": ["Root"]}).status_code == 422


def test_nobody_gives_more_than_he_has(office: Office) -> None:
    some = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.ACCOUNTS_WRITE, Permission.OWN)
    assert office.ask("POST", "/users", token=some, json={**NEW, "roles": ["Organization Management"]}).status_code == 403
    assert office.ask("PUT", "/users/organization_management/password", token=some, json={"password": "twelve letters"}).status_code == 403
    assert office.ask("DELETE", "/users/view_only", token=some).status_code == 403
    assert office.ask("POST", "/tokens", token=some, json={"scopes": ["settings.write"]}).status_code == 403
    assert office.ask("POST", "/tokens", role=Role.HELP_DESK, json={"user": "organization_management"}).status_code == 403
    made = office.ask("POST", "/tokens", token=some, json={}).json()
    assert made["scopes"] == ["accounts.write", "own"]


def test_tokens_are_shown_once_expire_and_are_revoked(office: Office) -> None:
    made = office.ask("POST", "/tokens", role=Role.HELP_DESK, json={"days": 1, "comment": "script"}).json()
    secret = made["secret"]
    assert office.ask("GET", "/me", token=secret).json()["token"] == made["id"]
    assert secret not in office.ask("GET", "/tokens").text
    assert made["id"] not in office.ask("GET", "/tokens", role=Role.VIEW_ONLY).text
    assert office.ask("DELETE", f"/tokens/{made['id']}", role=Role.VIEW_ONLY).status_code == 404
    assert office.ask("DELETE", f"/tokens/{made['id']}", token=secret).status_code == 204
    assert office.ask("GET", "/me", token=secret).status_code == 401
    late = office.token(days=1)
    office.clock.at += 86_401
    assert office.ask("GET", "/me", token=late).status_code == 401


def test_a_removed_user_takes_his_tokens_along(office: Office) -> None:
    token = office.token(Role.HELP_DESK)
    office.ask("DELETE", "/users/help_desk")
    assert office.ask("GET", "/me", token=token).status_code == 401


def test_changes_and_reads_of_content_are_in_the_audit_log(office: Office) -> None:
    office.ask("PUT", "/objects/mailboxes/a@contoso.com", json={"PrimarySmtpAddress": "a@contoso.com"}, headers={"If-None-Match": "*"})
    office.ask("PUT", "/mailboxes/a@contoso.com/password", json={"password": "long enough"})
    office.ask("POST", "/queue/hold", json={"sender": "x@y.example"})
    assert office.ask("GET", "/queue/m1").json()["header"] == "Subject: x"
    assert office.ask("GET", "/queue/m2").status_code == 404
    office.ask("DELETE", "/objects/mailboxes/no@contoso.com", headers={"If-Match": "*"})
    entries = office.ask("GET", "/audit?limit=3").json()
    assert [entry["action"] for entry in entries["items"]] == ["settings.save", "content.read", "content.read"]
    older = office.ask("GET", "/audit", params={"cursor": entries["next"]}).json()["items"]
    assert [entry["action"] for entry in older] == ["queue.hold", "mailbox.password", "settings.save"]
    assert older[0]["result"] == "4 deliveries"
    assert older[2]["result"] == 'version 2: +Mailbox "a@contoso.com"'
    assert "long enough" not in office.ask("GET", "/audit").text
    assert office.ask("GET", "/audit/verification").json() == {"intact": True, "broken_at": 0}
    assert [entry["action"] for entry in office.ask("GET", "/audit?action=queue").json()["items"]] == ["queue.hold"]


@pytest.mark.parametrize("body", [{}, {"sender": ""}, {"all": False}])
def test_a_change_of_the_queue_says_what_it_means(office: Office, body: dict[str, object]) -> None:
    assert office.ask("POST", "/queue/delete", json=body).status_code == 422
    assert all(operation != "queue.delete" for operation, _ in office.asked)


def test_events_go_on_where_a_listener_was(office: Office) -> None:
    for version in (1, 2, 3):
        office.feed.publish("version", {"version": version})
    office.feed.close()
    text = office.ask("GET", "/events", headers={"Last-Event-ID": "1000"}).text
    assert "event: version" in text
    assert [line for line in text.splitlines() if line.startswith("id:")] == ["id: 1001", "id: 1002"]
    assert "event: missed" in office.ask("GET", "/events?after=5").text
