"""Every route and every role, from the routes that the application has: a route without a row in the table is closed, and fails here."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from mailwye.access.roles import PERMISSIONS, WRITES, Permission, Role
from mailwye.admin.api.guarded import PREFIX, GuardedRoute
from mailwye.admin.api.permissions import ROUTES
from mailwye.config.schema import KINDS
from tests.unit.admin.api.office import Office, basic, name_of

OPEN = {"GET /healthz", "GET /readyz", "GET /metrics"}
WHO = """
GET accepted-domains inbound-connectors outbound-connectors send-connectors receive-connectors transport-rules: OVH
PUT PATCH DELETE accepted-domains inbound-connectors outbound-connectors send-connectors receive-connectors: O
GET mailboxes mail-users mail-contacts distribution-groups: OVRHD
PUT PATCH DELETE mailboxes mail-users mail-contacts distribution-groups: OR
PUT PATCH DELETE transport-rules: OH
GET /objects/organization /versions /versions/{version} /versions/{version}/difference /export /drafts /drafts/{name}: OVH
GET /check /secrets /dns-records: OVH
POST /check: OVH
POST /cmdlets /replay: OVH
PUT PATCH /objects/organization: O
POST /versions/rollback /versions/{version}/activate /apply /import/exchange /import/dsc /import/postfix: ORH
POST /drafts /drafts/{name}/activate: ORH
DELETE /drafts/{name}: ORH
PUT DELETE /secrets/{connector}: O
POST /secrets/rotation: O
GET /queue /queue/counts /queue/corrupt: OVHD
GET /queue/{message_id} /queue/corrupt/{message_id}: OH
POST /queue/{operation} /queue/fsck: OH
DELETE /queue/corrupt /queue/corrupt/{message_id}: OH
GET /trace /trace/{trace_id} /tls-reports /certificates /status /events /me /tokens /openapi.json: OVRHD
POST /explain /explain/session /tokens: OVRHD
DELETE /tokens/{token_id}: OVRHD
GET /mailboxes: OVRHD
POST /mailboxes: OR
DELETE /mailboxes/{address}: OR
PUT DELETE /mailboxes/{address}/password: ORD
GET /users: O
POST /users /reload: O
PUT /users/{name}/roles /users/{name}/password: O
POST PUT DELETE /users/{name}/totp: O
DELETE /users/{name}: O
GET /audit /audit/verification: OV
"""
"""Routes, and the first letters of the roles that may: written by hand a second time, so that a slip in the tables of the program shows."""
LETTERS = dict(zip("OVRHD", Role, strict=True))
PAGE = Path(__file__).resolve().parents[4] / "docs" / "api.md"


def routes_of(routes: Any) -> list[Any]:
    """All of them, those of included routers too."""
    found = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += routes_of(inner.routes) if inner is not None else [route]
    return found


def all_routes(office: Office) -> dict[str, Any]:
    return {f"{method} {route.path}": route for route in routes_of(office.app.routes) for method in route.methods}


def test_every_route_is_guarded_and_has_a_row_and_every_row_a_route(office: Office) -> None:
    routes = all_routes(office)
    assert {key for key, route in routes.items() if not isinstance(route, GuardedRoute)} == OPEN
    assert {key.replace(f" {PREFIX}", " ") for key in routes} - OPEN == set(ROUTES)
    assert all(ROUTES.values())


def test_a_route_without_a_row_is_closed_to_everybody(office: Office) -> None:
    async def secret() -> str:
        return "open"

    office.app.router.routes.append(GuardedRoute(f"{PREFIX}/forgotten", secret, methods=["GET"]))
    assert isinstance(office.app.router.routes[-1], APIRoute)
    for role in Role:
        headers = {"Authorization": f"Bearer {office.token(role)}"}
        assert office.client.get(f"{PREFIX}/forgotten", headers=headers).status_code == 403


def concrete(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: {"version": "1", "operation": "hold"}.get(found[1], "x"), path)


def who() -> dict[str, set[Role]]:
    """Row of ROUTES → roles."""
    found: dict[str, set[Role]] = {}
    for line in WHO.strip().splitlines():
        words, _, letters = line.rpartition(": ")
        methods = [word for word in words.split() if word.isupper()]
        for word in words.split()[len(methods) :]:
            path = word if word.startswith("/") else f"/objects/{word}"
            ends = [""] if path == word else ["", "/{identity}"] if methods == ["GET"] else ["/{identity}"]
            found |= {f"{method} {path}{end}": {LETTERS[letter] for letter in letters} for method in methods for end in ends}
    return found


@pytest.mark.parametrize("by", ["token", "password", "openid"])
@pytest.mark.parametrize("role", Role)
def test_every_route_for_every_role(office: Office, role: Role, by: str) -> None:
    """403 exactly where the list denies; what is allowed may fail for other reasons, as these requests ask for nothing in particular."""
    if by == "password":
        headers = basic(name_of(role))
    else:
        headers = {"Authorization": f"Bearer {office.token(role) if by == 'token' else office.openid_token(role)}"}
    office.feed.close()  # so that /events ends
    assert set(who()) == set(ROUTES)
    for row, roles in who().items():
        method, path = row.split()
        answer = office.client.request(method, PREFIX + concrete(path), headers=headers)
        assert (answer.status_code == 403) is (role not in roles), (row, role, answer.status_code, answer.text)
        assert answer.status_code != 401, row
        assert answer.status_code < 500, (row, answer.text)


def test_every_route_without_credentials_and_with_wrong_ones(office: Office) -> None:
    for row in ROUTES:
        method, path = row.split()
        for headers in ({}, {"Authorization": "Negotiate x"}, {"Authorization": "Basic !"}, {"Authorization": "Bearer e30.e30."}):
            office.clock.at += 600.0  # so that no failed login counts
            answer = office.client.request(method, PREFIX + concrete(path), headers=headers)
            assert answer.status_code == 401, row
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert answer.headers["content-type"] == "application/problem+json"


def test_somebody_without_a_role_may_nothing(office: Office) -> None:
    office.accounts.set_roles(name_of(Role.HELP_DESK), ())
    tokens = office.token(Role.HELP_DESK, *Permission), office.openid_token(None, exp=office.clock.now() + 1e6)
    for row, token in product(ROUTES, tokens):
        method, path = row.split()
        assert office.ask(method, concrete(path), token=token).status_code == 403, row
        office.clock.at += 60.0  # so that logins that are in vain do not count up


def test_a_token_carries_its_scopes_and_no_more(office: Office) -> None:
    token = office.token(Role.ORGANIZATION_MANAGEMENT, Permission.QUEUE_READ)
    assert office.ask("GET", "/queue", token=token).status_code == 200
    assert office.ask("GET", "/objects/mailboxes", token=token).status_code == 403
    wide = office.token(Role.HELP_DESK, *Permission)
    assert office.ask("GET", "/users", token=wide).status_code == 403


def test_writes_names_kinds_that_exist() -> None:
    assert set(WRITES) <= set(KINDS)


def test_the_page_has_the_table_of_roles() -> None:
    section = PAGE.read_text().partition("\n## A walk")[0]
    rows = dict(re.findall(r"^\| `([a-z.]+)` \|(.*)\|$", section, re.MULTILINE))
    assert list(rows) == [permission.value for permission in Permission]
    for permission in Permission:
        cells = [cell.strip() for cell in rows[permission.value].split("|")[1:]]
        assert cells == ["yes" if permission in PERMISSIONS[role] else "" for role in Role], permission
