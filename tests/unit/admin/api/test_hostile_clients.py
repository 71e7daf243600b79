"""A client that means harm, or that misspells: what it sends says one thing only, and nobody keeps or gets more than he may."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from mailwye.access.roles import Permission, Role
from mailwye.admin.api import service
from mailwye.admin.api.event_feed import LISTENERS_OF_ONE, EventFeed
from tests.unit.admin.api.office import Office, basic, name_of

CHANGE = {"If-Match": "*"}
JSON = {"Content-Type": "application/json"}
CONNECTORS = "/objects/outbound-connectors"


def connector(name: str) -> dict[str, Any]:
    return {"Name": name, "ConnectorType": "Partner", "RecipientDomains": [f"{name}.example"]}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_no_object_is_renamed_over_another(office: Office, method: str) -> None:
    for name in "ab":
        assert office.ask("PUT", f"{CONNECTORS}/{name}", json=connector(name), headers={"If-None-Match": "*"}).status_code == 201
    refused = office.ask(method, f"{CONNECTORS}/a", json=connector("a") | {"Name": "B"}, headers=CHANGE)
    assert (refused.status_code, "is there already" in refused.json()["detail"]) == (409, True)
    assert office.ask("GET", f"{CONNECTORS}/b").json()["RecipientDomains"] == ["b.example"]
    assert office.ask(method, f"{CONNECTORS}/a", json=connector("a") | {"Name": "c"}, headers=CHANGE).status_code == 200
    assert office.ask("GET", f"{CONNECTORS}/c").json()["RecipientDomains"] == ["a.example"]


def test_one_field_in_two_spellings_is_refused(office: Office) -> None:
    refused = office.ask("PATCH", f"{CONNECTORS}/to our servers", json={"Comment": "a", "comment": "b"}, headers=CHANGE)
    assert (refused.status_code, refused.json()["problems"][0]["field"]) == (422, "Comment")


@pytest.mark.parametrize("query", ["dryrun=true", "dry-run=true", "DRY_RUN=true", "dry_run=true&dry_run=false", "draft=d&x=", "%FF=1"])
def test_a_parameter_that_is_misspelt_or_given_twice_saves_nothing(office: Office, query: str) -> None:
    refused = office.ask("PATCH", f"{CONNECTORS}/to our servers?{query}", json={"Comment": "a"}, headers=CHANGE)
    assert (refused.status_code, refused.json()["problems"][0]["object"]) == (422, "query")
    assert office.store.version() == 1


def test_a_misspelt_parameter_has_a_remedy(office: Office) -> None:
    (problem,) = office.ask("GET", "/versions?limt=1").json()["problems"]
    assert (problem["field"], problem["remedy"]) == ("limt", "Did you mean limit?")


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "eve", "password": "twelve letters", "roles": [], "roles": ["Organization Management"]}',
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "eve"}',
        '{"name": "eve"}'.encode("utf-16"),
        b'{"name": "\\ud800"}',
        b'{"name": NaN}',
        b'{"name": ' + b"1" * 5_000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"{",
    ],
    ids=["twice", "octets", "bom", "utf-16", "surrogate", "nan", "digits", "lists", "objects", "half"],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/users"), ("PATCH", "/objects/mailboxes/bob@contoso.com")])
def test_json_that_readers_understand_differently_is_refused(office: Office, method: str, path: str, body: bytes) -> None:
    refused = office.ask(method, path, content=body, headers={**JSON, **CHANGE})
    assert refused.status_code == 400, refused.text
    assert refused.json()["detail"].startswith("the body is no JSON that can be used")
    assert office.accounts.user("eve") is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/reload"), ("GET", "/me"), ("DELETE", "/queue/corrupt?all=true")])
def test_a_page_of_another_site_makes_no_browser_act(office: Office, site: str, method: str, path: str) -> None:
    """It would send what its user typed once."""
    headers = {**basic(name_of(Role.ORGANIZATION_MANAGEMENT)), "Sec-Fetch-Site": site}
    assert office.client.request(method, f"/api/v1{path}", headers=headers).status_code == 403
    assert office.asked == []
    for own in ("none", "same-origin"):
        assert office.ask("GET", "/me", headers={"Sec-Fetch-Site": own}).status_code == 200


def test_a_token_makes_none_that_outlives_it(office: Office) -> None:
    """Who finds a token of a day must not have one of a year."""
    short = office.token(days=1)
    made = office.ask("POST", "/tokens", token=short, json={"days": 366}).json()
    assert made["expires"] == office.clock.now() + 86_400
    assert office.ask("POST", "/tokens", token=made["secret"], json={"days": 1}).json()["expires"] == made["expires"]
    login = basic(name_of(Role.HELP_DESK))
    long = office.client.post("/api/v1/tokens", json={"days": 366}, headers=login).json()
    assert long["expires"] == office.clock.now() + 366 * 86_400
    office.clock.at += 86_400
    assert office.ask("GET", "/me", token=made["secret"]).status_code == 401


def test_nobody_takes_tokens_from_who_may_more(office: Office) -> None:
    admin = office.token()
    clerk = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.ACCOUNTS_WRITE, Permission.OWN)
    office.accounts.set_roles(name_of(Role.VIEW_ONLY), ())
    theirs = office.ask("POST", "/tokens", json={"user": name_of(Role.HELP_DESK), "scopes": ["own"]}, token=admin).json()["id"]
    assert office.ask("DELETE", f"/tokens/{theirs}", token=clerk).status_code == 403
    assert office.ask("DELETE", f"/tokens/{theirs}", token=admin).status_code == 204


def test_settings_show_recipients_to_who_may_read_them_only(office: Office) -> None:
    """A token of settings.read alone, by whatever route."""
    narrow = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.SETTINGS_READ)
    office.ask("POST", "/drafts", json={"name": "d"})
    office.ask("PATCH", "/objects/mailboxes/bob@contoso.com?draft=d", json={"DisplayName": "Bob"}, headers=CHANGE)
    for path in ("/versions/1", "/versions/0/difference", "/drafts/d"):
        wide, seen = (office.ask("GET", path, token=one).json()["changes"] for one in (office.token(), narrow))
        assert [one for one in wide if one["object"] != "Mailbox"] == seen
        assert len(wide) == len(seen) + 1
    assert office.ask("GET", "/versions?kind=Mailbox&identity=bob@contoso.com", token=narrow).status_code == 403
    assert office.ask("GET", "/versions?kind=AcceptedDomain", token=narrow).status_code == 200


@pytest.mark.parametrize("role", [Role.RECIPIENT_MANAGEMENT, Role.HELP_DESK])
def test_no_indirect_route_changes_what_a_role_may_not(office: Office, role: Role) -> None:
    """By a file, an import, a script, a draft that an administrator prepared, an older version: each change asks for its own kind."""
    office.ask("PATCH", f"{CONNECTORS}/to our servers", json={"Comment": "a"}, headers=CHANGE)
    office.ask("POST", "/drafts", json={"name": "d"})
    office.ask("PATCH", f"{CONNECTORS}/to our servers?draft=d", json={"Comment": "b"}, headers=CHANGE)
    before, users = office.store.version(), office.accounts.users()
    files = {"files": [{"text": '{"AcceptedDomain": [{"DomainName": "b.example"}]}'}]}
    tries: list[tuple[str, str, Any]] = [
        ("POST", "/apply", {"text": "AcceptedDomain: {DomainName: b.example}"}),
        ("POST", "/apply", {"text": "Mailbox: []\nOutboundConnector: []", "prune": True}),
        ("POST", "/apply?draft=d", {"text": "AcceptedDomain: {DomainName: b.example}"}),
        ("POST", "/import/exchange", files),
        ("POST", "/import/postfix", {"main_cf": "relay_domains = b.example"}),
        ("POST", "/cmdlets", {"text": "Set-OutboundConnector 'To our servers' -Comment c"}),
        ("POST", "/cmdlets", {"text": "Get-OutboundConnector"}),
        ("POST", "/drafts/d/activate", None),
        ("DELETE", "/drafts/d", None),
        ("POST", "/versions/1/activate", None),
        ("POST", "/versions/rollback", None),
        ("PUT", "/secrets/to%20our%20servers", {"user_name": "u", "password": "p"}),
        ("POST", "/users", {"name": "eve", "password": "twelve letters", "roles": []}),
        ("PUT", f"/users/{name_of(role)}/roles", {"roles": ["Organization Management"]}),
        ("POST", "/tokens", {"scopes": ["settings.write"]}),
        ("POST", "/tokens", {"user": name_of(Role.ORGANIZATION_MANAGEMENT)}),
        ("GET", "/drafts/d", None),
        ("GET", "/audit", None),
        ("GET", "/queue/m1", None),
    ]
    for method, path, body in tries:
        answer = office.ask(method, path, json=body, headers=CHANGE, role=role)
        assert answer.status_code == 403, (method, path, answer.status_code, answer.text)
        assert "b.example" not in answer.text
    assert (office.store.version(), office.accounts.users(), office.store.draft("d").info.revision) == (before, users, 1)


class Listener:
    """An /events that is being answered. `begun`: it is."""

    def __init__(self, office: Office, token: str) -> None:
        self.sent: list[Any] = []
        self.begun = asyncio.Event()
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events",
            "raw_path": b"/api/v1/events",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
            "http_version": "1.1",
            "client": ("192.0.2.1", 1),
        }
        self.task = asyncio.ensure_future(office.app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        if b": still here" in message.get("body", b""):
            self.begun.set()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class Counting(EventFeed):
    """Ends a listener who turns in a circle, which would keep the whole service."""

    asked = 0

    @property
    def latest(self) -> int:
        self.asked += 1
        assert self.asked < 100, "it looks again and again for what is not there"
        return super().latest


@pytest.mark.parametrize("kept", [0, 1])
async def test_who_was_away_waits_for_what_comes(kept: int) -> None:
    """Nothing that he missed is kept, as after a restart of the service."""
    feed = Counting(1_000)
    for _ in range(kept):
        feed.publish("version", {})
    events = feed.after(5)
    assert [(await anext(events)).kind for _ in range(1 + kept)] == ["missed", "version"][: 1 + kept]
    following = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    feed.publish("alert", {})
    assert (await following).kind == "alert"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "STILL_HERE", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["user", "token", "role", "time", "time of an issuer's token"])
async def test_events_end_for_who_is_gone(office: Office, how: str) -> None:
    token = office.openid_token(Role.HELP_DESK) if "issuer" in how else office.token(Role.HELP_DESK)
    listener, name = Listener(office, token), name_of(Role.HELP_DESK)
    async with asyncio.timeout(20):
        await listener.begun.wait()
        match how:
            case "user":
                office.accounts.remove_user(name)
            case "token":
                office.accounts.remove_token(office.accounts.tokens(name)[0].id)
            case "role":
                office.accounts.set_roles(name, ())
            case _:
                office.clock.at += 86_400
        office.feed.publish("alert", {"text": "not for him"})
        await listener.task
    assert b"not for him" not in b"".join(message.get("body", b"") for message in listener.sent)
    assert office.feed.listeners == 0


@pytest.mark.usefixtures("impatient")
async def test_nobody_takes_all_places_of_listeners(office: Office) -> None:
    greedy = office.token(Role.HELP_DESK)
    listeners = [Listener(office, greedy) for _ in range(LISTENERS_OF_ONE)]
    headers = {"Authorization": f"Bearer {greedy}"}
    async with asyncio.timeout(20):
        await asyncio.gather(*(one.begun.wait() for one in listeners))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(office.app), base_url="http://x/api/v1", headers=headers) as client:
            assert (await client.get("/events")).status_code == 503
        listeners.append(Listener(office, office.token()))
        await listeners[-1].begun.wait()
    assert listeners[-1].sent[0]["status"] == 200
    await asyncio.gather(*(one.leave() for one in listeners))
    assert office.feed.listeners == 0
