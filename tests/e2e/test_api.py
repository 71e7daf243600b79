"""The API of a running service: the walk of docs/api.md, versions in force in all workers, events, TLS, what commands leave in the log."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pyotp
import pytest

from mailwye.cli.exit_codes import DATA_ERROR, NO_INPUT
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.privileges import current_user
from mailwye.testing.authority import Authority
from tests.e2e.api_client import LISTENERS, PASSWORD, new_token, request
from tests.e2e.installed import ADDRESS, Installed, serving, until
from tests.e2e.test_control import answer_to

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def curl_lines() -> list[tuple[str, str, dict[str, str], str | None]]:
    """(method, URL, headers, body) of each line of the walk."""
    found = []
    for line in re.findall(r"^curl -s (.*)$", PAGE.read_text(), re.MULTILINE):
        words = iter(shlex.split(line))
        method, url, headers, body = "GET", "", {}, None
        for word in words:
            match word:
                case "-X":
                    method = next(words)
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers[name] = value
                case "-d":
                    body = next(words)
                case _:
                    url = word
        found.append((method, url, headers, body))
    return found


async def test_the_walk_of_the_page(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS, workers=2)
    async with serving(installed):
        token = await new_token(installed)
        base = f"http://{ADDRESS}:{installed.ports['admin']}/api/v1"
        answers = []
        for method, url, headers, body in curl_lines():
            sent = {name: value.replace("$TOKEN", token) for name, value in headers.items()}
            if "$SESSION" in (body or ""):
                assert answer_to(installed, "nobody@contoso.com") == 550
                rows = (await request(f"{base}/trace?recipient=nobody@contoso.com", "GET", sent, None)).json["items"]
                body = str(body).replace("$SESSION", rows[0]["session"])
            answer = await request(url.replace("$API", base), method, sent, body)
            assert answer.status < 300, (method, url, answer.status, answer.text)
            answers.append(answer)
        assert len(answers) == 34
        assert answers[0].json["name"] == "ann"
        assert (answers[1].status, answers[1].headers["ETag"], answers[1].json["in_force"]) == (201, '"1"', True)
        assert answers[5].json["reply"].startswith("250")
        assert answers[6].json["version"] is None
        assert [version["version"] for version in answers[8].json["items"]] == [4, 3]
        assert "contoso.com" in answers[11].text
        assert (answers[12].json["complete"], [one["identity"] for one in answers[12].json["changes"]]) == (True, ["partner"])
        assert answers[14].json["draft"] == "partner"
        assert "kept to ourselves" not in "".join(answer.text for answer in answers)
        assert [row["user_name"] for row in answers[19].json["items"]] == ["contoso"]
        assert (answers[20].json["version"], answers[20].json["in_force"]) == (7, True)
        assert (answers[21].json["pinned"], answers[22].json["version"]) == (0, 9)
        assert answers[24].json["next"]
        assert answers[26].json["transactions"][0]["now"]["reply"].startswith("550")
        assert (answers[27].json["clean"], len(answers[27].json["spools"])) == (True, 2)
        assert [(one["severity"], one["line"]) for one in answers[32].json["problems"]] == [("error", 1)]
        assert {answer_to(installed, "bob@contoso.com") for _ in range(6)} == {250}
        assert [entry["action"] for entry in answers[33].json["items"]] == ["settings.save"] * 10
        verified = (await installed.run("audit", "verify")).out
        assert verified.startswith(f"{(await installed.json('audit', 'log'))[0]['number']} entries, intact")


async def test_events_tell_of_versions_that_commands_save(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS)
    async with serving(installed):
        token = await new_token(installed)
        reader, writer = await asyncio.open_connection(ADDRESS, installed.ports["admin"])
        writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        async with asyncio.timeout(15):
            await reader.readuntil(b": mailwye")
            settings = "AcceptedDomain: {DomainName: contoso.com, Default: true}"
            await installed.run("apply", "-f", "-", stdin=settings)
            heard = await reader.readuntil(b"data: ") + await reader.readline()
        assert b"event: version" in heard
        assert b'{"version": 1}' in heard
        writer.close()
        await writer.wait_closed()
    audited = await installed.json("audit", "log")
    assert [(entry["action"], entry["result"]) for entry in audited[:1]] == [("settings.save", 'version 1: +AcceptedDomain "contoso.com"')]
    assert [entry["action"] for entry in audited] == ["settings.save", "token.new", "user.add"]


async def test_tls_on_the_admin_listener_takes_renewed_certificates(tmp_path: Path) -> None:
    now = SystemClock().now()
    first, second = (Authority(tmp_path / name, now=now) for name in ("first", "second"))
    pair, renewed = (authority.issue("admin", [ADDRESS]) for authority in (first, second))
    installed = Installed(tmp_path, listeners=LISTENERS)
    text = installed.config.read_text()
    lines = f'kind = "admin"\ncertificate = "{pair.certificate}"\nprivate_key = "{pair.private_key}"'
    installed.config.write_text(text.replace('kind = "admin"', lines))
    url = f"https://{ADDRESS}:{installed.ports['admin']}/healthz"

    async def ask(authority: Authority) -> int:
        return (await request(url, "GET", {}, None, ssl.create_default_context(cafile=str(authority.certificate)))).status

    async with serving(installed):
        assert await ask(first) == 200
        pair.certificate.write_bytes(renewed.certificate.read_bytes())
        pair.private_key.write_bytes(renewed.private_key.read_bytes())
        await installed.run("reload")
        assert await ask(second) == 200
        with pytest.raises(urllib.error.URLError):
            await ask(first)


async def test_users_and_tokens_on_the_command_line(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS)
    await new_token(installed, "Help Desk")
    assert "already" in (await installed.run("user", "add", "ANN", "--password-stdin", stdin=PASSWORD + "\n", code=DATA_ERROR)).err
    assert "characters" in (await installed.run("user", "password", "ann", "--password-stdin", stdin="short\n", code=DATA_ERROR)).err
    await installed.run("user", "role", "ann", "--role", "view-only organization management")
    assert (await installed.json("user", "list"))[0]["roles"] == ["View-Only Organization Management"]
    (token,) = await installed.json("token", "list")
    assert "secret" not in token
    await installed.run("token", "revoke", token["id"])
    assert await installed.json("token", "list") == []
    await installed.run("user", "remove", "ann")
    assert await installed.json("user", "list") == []
    log = await installed.json("audit", "log")
    assert [entry["action"] for entry in log] == ["user.remove", "token.revoke", "user.roles", "token.new", "user.add"]
    assert await until(lambda: (installed.data / "audit.sqlite").stat().st_mode & 0o777 == 0o600, "a file for its owner only")


async def test_drafts_on_the_command_line_and_over_the_api_are_in_the_audit_log_alike(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS)
    async with serving(installed):
        token = await new_token(installed)
        api, headers = f"http://{ADDRESS}:{installed.ports['admin']}/api/v1", {"Authorization": f"Bearer {token}", "If-Match": "*"}

        async def ask(method: str, path: str, **body: str) -> None:
            answer = await request(api + path, method, {**headers, "Content-Type": "application/json"}, json.dumps(body))
            assert answer.status < 300, answer.text

        for name in ("d", "e"):
            await installed.run("draft", "new", name)
            await installed.run("apply", "--draft", name, "-f", "-", stdin=f"AcceptedDomain: {{DomainName: {name}.example}}")
        await installed.run("draft", "activate", "d", "--author", "the board")
        await installed.run("draft", "discard", "e")
        for name in ("f", "g"):
            await ask("POST", "/drafts", name=name)
            await ask("POST", f"/apply?draft={name}", text=f"AcceptedDomain: {{DomainName: {name}.example}}")
        await ask("POST", "/drafts/f/activate")
        await ask("DELETE", "/drafts/g")
    entries = [entry for entry in await installed.json("audit", "log") if entry["action"].startswith("draft.")]
    told = [(entry["action"], entry["target"], entry["result"]) for entry in reversed(entries)]
    assert told == [
        *[row for name in "de" for row in began(name, 0)],
        ("draft.activate", "d", 'version 1 by the board: +AcceptedDomain "d.example"'),
        ("draft.discard", "e", "gone"),
        *[row for name in "fg" for row in began(name, 1)],
        ("draft.activate", "f", 'version 2: +AcceptedDomain "f.example"'),
        ("draft.discard", "g", "gone"),
    ]
    assert {entry["who"] for entry in entries[6:]} == {current_user()}
    assert [entry["origin"] for entry in entries] == ["127.0.0.1"] * 6 + ["command line"] * 6


def began(name: str, version: int) -> list[tuple[str, str, str]]:
    return [("draft.new", name, f"from version {version}"), ("draft.save", name, f'save 1: +AcceptedDomain "{name}.example"')]


async def test_a_second_factor_on_the_command_line(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS)
    await new_token(installed)
    refused = await installed.run("user", "totp", "enable", "ann", stdin="not it\n", code=DATA_ERROR)
    assert "Nothing was changed" in refused.err
    assert (await installed.json("user", "list"))[0]["totp"] is False
    shown = (await installed.run("user", "totp", "enable", "ANN", "--unconfirmed")).out
    secret = shown.partition("secret=")[2].partition("&")[0]
    assert (await installed.json("user", "list"))[0]["totp"] is True
    await installed.run("secrets", "rotate", "--drop-old-keys")
    url = f"http://{ADDRESS}:{installed.ports['admin']}/api/v1/me"
    login = {"Authorization": "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()}
    async with serving(installed):
        assert (await request(url, "GET", login, None)).status == 401
        code = pyotp.TOTP(secret).now()
        assert [(await request(url, "GET", {**login, "Mailwye-OTP": code}, None)).status for _ in range(2)] == [200, 401]
        await installed.run("user", "totp", "disable", "ann")
        assert (await request(url, "GET", login, None)).status == 200
    assert "no second factor" in (await installed.run("user", "totp", "disable", "ann", code=NO_INPUT)).err
    log = await installed.json("audit", "log", "--action", "user.totp")
    assert [(entry["target"], entry["result"]) for entry in log] == [("ann", "disabled"), ("ann", "enabled")]
    files = b"".join(path.read_bytes() for path in installed.data.rglob("*") if path.is_file())
    assert secret.encode() not in files
