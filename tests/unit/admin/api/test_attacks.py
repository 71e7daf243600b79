"""Rows X3 and X6 of docs/bad-input.md: what somebody with an account of the API tries, by ids, by fields and by settings."""

from __future__ import annotations

import base64
import json
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mailwye.access.roles import PERMISSIONS, Permission, Role
from mailwye.admin.api.permissions import ROUTES
from mailwye.config.problem import PROBLEMS_LIMIT
from mailwye.config.secrets import SecretError
from tests.unit.admin.api.office import Office, basic, name_of

IDS = (
    *("..%2f", "../../accounts.sqlite", "..\\accounts.sqlite", "/etc/passwd", "....//....//etc/passwd", "file:///etc/passwd"),
    *("a\x00b", "x\r\nSet-Cookie: a=b", "' OR 1=1 --", "*", "%", "\u202ecba", "a" * 400, "-1"),
)
CONNECTOR = "/objects/outbound-connectors/to our servers"
SMART_HOST_PASSWORD = "of-the-smart-host-7Q"
MAILBOX_PASSWORD = "of-the-mailbox-7Q"
USER_PASSWORD = "of-the-user-7Q"


def rows_with_ids() -> list[tuple[str, str]]:
    return [tuple(row.split()) for row in ROUTES if "{" in row]  # type: ignore[misc]  # a method and a path


def test_x03_ids_are_no_paths_and_no_patterns(office: Office, tmp_path: Path) -> None:
    """Of nothing that is there: it is not found, or refused; no file is read or made for it."""
    token, files = office.token(), sorted(tmp_path.rglob("*"))
    version, users, tokens = office.store.version(), office.accounts.users(), office.accounts.tokens()
    for (method, path), identity in product(rows_with_ids(), IDS):
        before, _, rest = path.partition("{")
        url = before + quote(identity, safe="") + rest.partition("}")[2].replace("{operation}", "hold")
        answer = office.ask(method, url, token=token, json={"password": "twelve letters", "roles": []}, headers={"If-Match": "*"})
        assert 400 <= answer.status_code < 500, (method, path, identity, answer.status_code, answer.text)
        assert "root:" not in answer.text
        assert "Set-Cookie" not in answer.headers
    assert sorted(tmp_path.rglob("*")) == files
    assert (office.store.version(), office.accounts.users(), office.accounts.tokens()) == (version, users, tokens)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/users", {"name": "ann", "password": "twelve letters"}),
        ("PUT", "/users/help_desk/roles", {"roles": []}),
        ("PUT", "/users/help_desk/password", {"password": "twelve letters"}),
        ("POST", "/tokens", {}),
        ("POST", "/drafts", {"name": "d"}),
        ("POST", "/queue/delete", {"all": True}),
        ("POST", "/apply", {"text": ""}),
        ("PUT", "/mailboxes/bob@contoso.com/password", {"password": "long enough"}),
        ("PATCH", "/objects/mailboxes/bob@contoso.com", {"DisplayName": "Bob"}),
    ],
)
def test_x03_fields_that_nobody_asked_for_are_refused(office: Office, method: str, path: str, body: dict[str, Any]) -> None:
    """Named, and nothing of the request is done: who sends `role` and not `roles` has to hear of it."""
    token = office.token()
    state = office.accounts.users(), office.accounts.tokens(), office.store.version(), office.store.drafts()
    for field, value in {"role": "admin", "isAdmin": True, "permissions": ["accounts.write"], "Roles": [], "created": 0}.items():
        answer = office.ask(method, path, token=token, json={**body, field: value}, headers={"If-Match": "*"})
        assert answer.status_code == 422, answer.text
        assert field in [problem["field"] for problem in answer.json()["problems"]]
    assert (office.accounts.users(), office.accounts.tokens(), office.store.version(), office.store.drafts()) == state
    assert not any(operation == "queue.delete" for operation, _ in office.asked)


def test_x03_the_ids_of_others_open_nothing(office: Office) -> None:
    """Of what belongs to others one hears as if it did not exist; a queue id alone shows no content."""
    for role in Role:
        office.token(role)
    for role in set(Role) - {Role.ORGANIZATION_MANAGEMENT}:
        mine = office.token(role)
        for token in office.accounts.tokens():
            if token.user != name_of(role):
                gone, none = (office.ask("DELETE", f"/tokens/{one}", token=mine) for one in (token.id, "f" * len(token.id)))
                assert gone.status_code == none.status_code == 404
                assert gone.text.replace(token.id, "") == none.text.replace("f" * len(token.id), "")
        if Permission.CONTENT_READ not in PERMISSIONS[role]:
            there, absent = (office.ask("GET", f"/queue/{one}", token=mine) for one in ("m1", "m9"))
            assert (there.status_code, there.text) == (403, absent.text)
    assert not any(operation == "queue.show" for operation, _ in office.asked)


def test_x06_findings_of_one_request_are_bounded(office: Office) -> None:
    """An object with 5,000 wrong fields costs what one with 200 does."""
    many = {f"Field{number}": 1 for number in range(5_000)}
    for method, path, body in (
        ("PATCH", "/objects/mailboxes/bob@contoso.com", many),
        ("POST", "/users", many),
        ("POST", "/apply", {"text": json.dumps({"Mailbox": [many]})}),
    ):
        answer = office.ask(method, path, json=body, headers={"If-Match": "*"})
        assert answer.status_code == 422
        assert 0 < len(answer.json()["problems"]) <= PROBLEMS_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))]),
        "Mailbox: " + "[" * 50_000,
        "Mailbox:\n" + "- PrimarySmtpAddress: a@contoso.com\n" * 20_000,
        "!!python/object/apply:os.system ['true']",
        "Mailbox: [{<<: {PrimarySmtpAddress: a@contoso.com}}]\n<<: *x",
    ],
    ids=["aliases", "depth", "duplicates", "tag", "merge"],
)
def test_x06_a_file_that_grows_or_acts_is_refused(office: Office, text: str) -> None:
    answer = office.ask("POST", "/apply", json={"text": text}, headers={"If-Match": "*"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"]
    assert office.store.version() == 1


def test_x06_of_a_file_with_one_error_nothing_is_saved(office: Office) -> None:
    text = "Mailbox:\n- PrimarySmtpAddress: new@contoso.com\n- PrimarySmtpAddress: x@elsewhere.example\n"
    before = office.store.current()
    answer = office.ask("POST", "/apply", json={"text": text}, headers={"If-Match": "*"})
    assert (answer.status_code, [problem["line"] for problem in answer.json()["problems"]]) == (422, [3])
    assert office.store.current() == before
    assert not any(operation == "activate" for operation, _ in office.asked)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/objects/accepted-domains/contoso.com", None),
        ("PATCH", CONNECTOR, {"ClientCertificate": "gone"}),
        ("PATCH", CONNECTOR, {"TrustedAuthorities": ["gone"]}),
    ],
)
def test_x06_what_is_in_use_stays_and_what_is_not_there_is_not_used(
    office: Office, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = office.ask(method, path, json=body, headers={"If-Match": "*"})
    assert answer.status_code == 422, answer.text
    assert any(problem["severity"] == "error" for problem in answer.json()["problems"])
    assert office.store.version() == 1


def test_x06_no_answer_no_log_and_no_file_holds_a_secret(office: Office, tmp_path: Path) -> None:
    """Passwords of smart hosts, mailboxes and users, and tokens, as they are and as Basic would send them."""
    login = {"UserName": "u", "Password": SMART_HOST_PASSWORD}
    other = {**login, "UserName": "v"}
    change = {"SmartHostAuthMechanism": "BasicAuthRequireTLS", "AuthenticationCredential": login, "TlsSettings": "CertificateValidation"}
    made = [
        office.ask("PATCH", CONNECTOR, json=change, headers={"If-Match": '"1"'}),
        office.ask("POST", "/drafts", json={"name": "d"}),
        office.ask("PATCH", f"{CONNECTOR}?draft=d", json={"AuthenticationCredential": other}, headers={"If-Match": "*"}),
        office.ask("PUT", "/mailboxes/bob@contoso.com/password", json={"password": MAILBOX_PASSWORD}),
        office.ask("POST", "/users", json={"name": "ann", "password": USER_PASSWORD, "roles": ["Help Desk"]}),
        office.ask("POST", "/tokens", json={"comment": "mine"}),
    ]
    assert [answer.status_code for answer in made] == [200, 201, 200, 204, 201, 201]
    token = made.pop().json()["secret"]
    office.client.get("/api/v1/me", headers=basic("ann", USER_PASSWORD + "x"))
    office.ask("POST", "/users", json={"name": "ann", "password": USER_PASSWORD, "roles": ["Help Desk"]})
    secrets = [SMART_HOST_PASSWORD, MAILBOX_PASSWORD, USER_PASSWORD, token]
    secrets += [base64.b64encode(secret.encode()).decode().rstrip("=") for secret in secrets]
    office.feed.close()  # so that /events ends
    known = {"{version}": "2", "{name}": "d", "{trace_id}": "x", "{message_id}": "m1", "{identity}": "to our servers"}
    answers = list(made)
    for row in ROUTES:
        method, path = row.split()
        if method == "GET":
            for pattern, value in known.items():
                path = path.replace(pattern, value)
            answers.append(office.ask("GET", path))
    assert sum(answer.status_code == 200 for answer in answers) > 20
    text = "\n".join([*(answer.text for answer in answers), repr(office.log.lines), repr(office.asked), repr(office.audit.entries())])
    octets = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in text
        if secret not in (MAILBOX_PASSWORD, USER_PASSWORD):  # the office keeps those unhashed; tests/e2e looks at the real hashes
            assert secret.encode() not in octets


def test_x06_no_draft_keeps_a_password_that_cannot_be_encrypted(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither object by object nor as a file; without the password it is saved all the same."""
    monkeypatch.setattr(office.vault, "seal", lambda secret, owner: _fail())
    office.ask("POST", "/drafts", json={"name": "d"})
    login = {"UserName": "u", "Password": SMART_HOST_PASSWORD}
    connector = {
        **office.ask("GET", CONNECTOR).json(),
        "SmartHostAuthMechanism": "BasicAuthRequireTLS",
        "TlsSettings": "CertificateValidation",
        "AuthenticationCredential": login,
    }
    text = json.dumps({"OutboundConnector": [{key: value for key, value in connector.items() if value is not None}]})
    for method, path, body in (("PATCH", CONNECTOR, {"AuthenticationCredential": login}), ("POST", "/apply", {"text": text})):
        refused = office.ask(method, f"{path}?draft=d", json=body, headers={"If-Match": '"draft-0"'})
        assert refused.status_code == 422, refused.text
        assert "cannot be encrypted" in refused.text
        assert SMART_HOST_PASSWORD not in refused.text
    assert all(SMART_HOST_PASSWORD.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert office.ask("PATCH", f"{CONNECTOR}?draft=d", json={"Comment": "x"}, headers={"If-Match": '"draft-0"'}).status_code == 200


def _fail() -> str:
    raise SecretError("the key is gone")
