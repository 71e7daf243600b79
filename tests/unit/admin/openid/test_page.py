"""What docs/openid.md shows is so: its tables, with tokens as Keycloak and Entra ID send them, and what the check prints."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from mailwye.access.roles import Role
from mailwye.admin.openid.gate import OpenIdGate
from mailwye.admin.openid.provider import Provider
from mailwye.admin.openid.verdict import Verdict
from mailwye.cli.access.oidc import lines_of
from mailwye.config.installation import OidcSettings
from mailwye.config.installation.file import read_installation
from tests.openid import RSA, Issuer
from tests.unit.admin.api.office import Ticking

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "openid.md").read_text()
LISTENER = '[[listener]]\nname = "admin"\nkind = "admin"\naddress = "127.0.0.1"\nport = 8443\n'
CLOCK = Ticking()
NOW = int(CLOCK.now())

KEYCLOAK: dict[str, Any] = {
    "exp": NOW + 296,
    "iat": NOW - 4,
    "jti": "onrtac:6c1e",
    "iss": "https://id.contoso.com/realms/contoso",
    "aud": ["mailwye", "account"],
    "sub": "f3b1c2d4",
    "typ": "Bearer",
    "azp": "console",
    "sid": "0c4f",
    "acr": "1",
    "realm_access": {"roles": ["offline_access", "default-roles-contoso"]},
    "resource_access": {"mailwye": {"roles": ["desk"]}, "account": {"roles": ["view-profile"]}},
    "scope": "openid profile email",
    "email_verified": False,
    "preferred_username": "ann",
}
ENTRA: dict[str, Any] = {
    "aud": "APPLICATION-ID",
    "iss": "https://login.microsoftonline.com/TENANT-ID/v2.0",
    "iat": NOW - 300,
    "nbf": NOW - 300,
    "exp": NOW + 4_000,
    "aio": "AWQAm/8",
    "azp": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
    "azpacr": "0",
    "name": "Ann",
    "oid": "11111111-2222-3333-4444-555555555555",
    "preferred_username": "ann@contoso.com",
    "rh": "0.A",
    "roles": ["Mail.Administrators"],
    "scp": "user_impersonation",
    "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
    "tid": "TENANT-ID",
    "uti": "x",
    "ver": "2.0",
}


def tables(directory: Path) -> list[OidcSettings]:
    """Of the page: each block of TOML with [oidc] is a whole one."""
    found = []
    for block in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        path = directory / "mailwye.toml"
        path.write_text(f'hostname = "mx.contoso.com"\ndata_directory = "data"\n{LISTENER}{block}')
        parsed = read_installation(path)
        assert parsed.problems == ()
        assert parsed.value is not None
        assert parsed.value.oidc is not None
        found.append(parsed.value.oidc)
    return found


async def judge(settings: OidcSettings, claims: dict[str, Any]) -> Verdict:
    issuer = Issuer(settings.issuer)
    issuer.keys = {"k1": RSA}
    gate = OpenIdGate(settings, Provider(settings, issuer, CLOCK, lambda _text: None), CLOCK)
    return await gate.judge(issuer.sign(claims), thorough=True)


async def test_tokens_of_keycloak_and_of_entra_id(tmp_path: Path) -> None:
    keycloak, entra = tables(tmp_path)
    assert (await judge(keycloak, KEYCLOAK)).roles == (Role.HELP_DESK, Role.RECIPIENT_MANAGEMENT)
    strict = dataclasses.replace(keycloak, clients=("console",), required_claims={"acr": ("gold",)})
    assert (await judge(strict, KEYCLOAK)).roles == ()
    assert (await judge(strict, {**KEYCLOAK, "acr": "gold"})).roles != ()
    assert (await judge(entra, ENTRA)).roles == (Role.ORGANIZATION_MANAGEMENT,)
    program = {name: value for name, value in ENTRA.items() if name not in ("scp", "preferred_username", "name")}
    assert (await judge(entra, {**program, "azpacr": "1", "idtyp": "app"})).roles == (Role.ORGANIZATION_MANAGEMENT,)


@pytest.mark.parametrize(
    ("number", "claims"),
    [
        (0, {**KEYCLOAK, "typ": "ID", "at_hash": "x"}),
        (0, {**KEYCLOAK, "typ": "Refresh"}),
        (1, {name: value for name, value in ENTRA.items() if name not in ("scp", "azpacr", "azp")}),  # an ID token
        (1, {**ENTRA, "iss": "https://sts.windows.net/TENANT-ID/", "ver": "1.0", "aud": "api://APPLICATION-ID"}),
        (1, {**ENTRA, "iss": "https://login.microsoftonline.com/ANOTHER-TENANT/v2.0"}),
    ],
)
async def test_other_tokens_of_theirs(tmp_path: Path, number: int, claims: dict[str, Any]) -> None:
    assert (await judge(tables(tmp_path)[number], claims)).roles == ()


async def test_the_check_prints_what_the_page_shows(tmp_path: Path) -> None:
    shown = PAGE.partition("$ mailwye oidc check token.txt\n")[2].partition("\n```")[0].splitlines()[1:]
    verdict = await judge(tables(tmp_path)[0], {**KEYCLOAK, "aud": "account", "resource_access": {}})
    printed = lines_of(verdict)
    assert [re.sub(r"\d+ characters", "", line) for line in printed] == [re.sub(r"\d+ characters", "", line) for line in shown]
