"""Persons of an OpenID provider at a running service, and `mailwye oidc check`: real processes, HTTPS and DNS on loopback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from mailwye.access.roles import Role
from mailwye.cli.exit_codes import CONFIGURATION, DATA_ERROR, UNAVAILABLE
from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from mailwye.testing.dns_server import DnsServer
from tests.e2e.api_client import request
from tests.e2e.installed import ADDRESS, Installed, serving, until
from tests.openid import OTHER_RSA, Issuer, claims_at, serving_issuer

HOST = "id.contoso.com"


class World:
    """An issuer, and an installation that trusts it."""

    def __init__(self, directory: Path, issuer: Issuer, nameserver: str, authority: Path | None) -> None:
        self.issuer = issuer
        tables = f'[dns]\nnameservers = ["{nameserver}"]\n[oidc]\nissuer = "{issuer.issuer}"\naudience = "mailwye"\n'
        tables += f'authorities = "{authority}"\n' if authority is not None else ""
        tables += '[oidc.roles]\n"help_desk" = "Help Desk"\n"organization_management" = "Organization Management"\n'
        self.installed = Installed(directory, listeners=("mx", "admin"), more=tables)

    def token(self, role: Role | None = Role.HELP_DESK, **more: Any) -> str:
        return self.issuer.sign(claims_at(SystemClock().now(), role, iss=self.issuer.issuer, **more))

    async def me(self, token: str) -> Any:
        url = f"http://{ADDRESS}:{self.installed.ports['admin']}/api/v1/me"
        return await request(url, "GET", {"Authorization": f"Bearer {token}"}, None)


@contextlib.asynccontextmanager
async def world(directory: Path, *, trusted: bool = True) -> AsyncIterator[World]:
    authority = Authority(directory / "ca", now=SystemClock().now())
    dns = DnsServer({HOST: {"A": ["127.0.0.1"]}})
    await dns.start()
    try:
        async with serving_issuer(authority.issue("web", [HOST])) as issuer:
            yield World(directory, issuer, dns.nameserver, authority.certificate if trusted else None)
    finally:
        await dns.stop()


async def test_a_person_uses_the_api_of_a_running_service(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        async with serving(one.installed):
            answer = await one.me(one.token())
            assert (answer.status, answer.json["name"], "passwords.write" in answer.json["permissions"]) == (200, "oidc:f3b1", True)
            assert (await one.me(one.token(None))).status == 403
            assert (await one.me(one.token(aud="other"))).status == 401
            assert (await one.me(one.issuer.sign(claims_at(SystemClock().now(), iss=one.issuer.issuer), by=OTHER_RSA))).status == 401
            status = (await one.installed.json("status"))["openid"]
            assert (status["issuer"], status["keys"], status["error"]) == (one.issuer.issuer, ["e1", "k1"], "")
            assert "openid issuer https://id.contoso.com" in (await one.installed.run("status")).out
            url = f"http://{ADDRESS}:{one.installed.ports['admin']}/api/v1/status"
            told = await request(url, "GET", {"Authorization": f"Bearer {one.token()}"}, None)
            assert told.json["openid"] == status
        refused = [entry["result"] for entry in await one.installed.json("audit", "log", "--action", "login")]
        assert [result.split(":")[1].strip() for result in refused] == ["signature", "audience", "roles"]


async def test_a_service_starts_without_its_issuer_and_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.issuer.down = "down"
        async with serving(one.installed) as service:
            await until(lambda: "the keys of the OpenID provider cannot be fetched" in service.log(), "a line in the log")
            assert (await one.me(one.token())).status == 503
            await one.installed.run("user", "add", "ann", "--role", "Help Desk", "--password-stdin", stdin="correct horse battery\n")
            secret = (await one.installed.json("token", "new", "ann"))["secret"]
            assert (await one.me(secret)).status == 200
            assert "openid error: https://id.contoso.com" in (await one.installed.run("status")).out


async def test_check_says_what_a_token_would_open_and_why(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        told = await one.installed.run("oidc", "check")
        assert f"openid issuer {one.issuer.issuer}: keys e1, k1, fetched " in told.out
        good = await one.installed.run("oidc", "check", "-", stdin=one.token() + "\n")
        assert f"oidc:f3b1 (ann@contoso.com, {one.issuer.issuer}) is let in as Help Desk" in good.out
        (tmp_path / "token").write_text(one.token(None, aud="other"))
        bad = await one.installed.run("oidc", "check", str(tmp_path / "token"), code=DATA_ERROR)
        assert 'bad      audience: aud is "other", [oidc] audience is "mailwye"' in bad.out
        assert "good     signature: the issuer's" in bad.out
        assert "bad      roles: the claim roles holds nothing" in bad.out
        assert "nobody is let in with this token" in bad.out
        plain = await one.installed.run("oidc", "check", "-", "--json", stdin="no token", code=DATA_ERROR)
        assert '"words": "it does not have three parts"' in plain.out
        one.issuer.down = "down"
        assert "openid error: https://" in (await one.installed.run("oidc", "check", code=UNAVAILABLE)).out


async def test_an_issuer_whom_nobody_vouches_for(tmp_path: Path) -> None:
    async with world(tmp_path, trusted=False) as one:
        told = await one.installed.run("oidc", "check", "-", stdin=one.token(), code=UNAVAILABLE)
        assert "the certificate is not trusted" in told.out
        assert "unknown  key:" in told.out
        assert one.issuer.asked == []


async def test_without_the_extra_the_command_that_installs_it_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "joserfc.py").write_text("raise ModuleNotFoundError(\"No module named 'joserfc'\", name='joserfc')\n")
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, (str(blocked), os.environ.get("PYTHONPATH", ""))))}
    async with world(tmp_path) as one:
        for command in (("serve",), ("oidc", "check")):
            refused = await one.installed.run(*command, code=CONFIGURATION, environment=environment)
            assert "mailwye.toml has [oidc], and joserfc is not installed: `pip install 'mailwye[oidc]'`" in refused.err
    (tmp_path / "without").mkdir()
    without = Installed(tmp_path / "without", listeners=("mx", "admin"))
    async with serving(without, environment=environment):  # who has no [oidc] needs no extra
        await without.run("status")
    assert "there is no [oidc]" in (await without.run("oidc", "check", code=CONFIGURATION)).err
