"""A client of a running service's API that holds every answer to the document."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.installed import ADDRESS, Installed
from tests.unit.admin.api.declared import Declared

LISTENERS = ("mx", "admin")
PASSWORD = "correct horse battery"


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.text = status, headers, body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


DOCUMENT: list[Declared] = []  # what every answer is held to


async def request(url: str, method: str, headers: dict[str, str], body: str | None, context: ssl.SSLContext | None = None) -> Answer:
    answer = await asyncio.to_thread(_talk, url, method, headers, body, context)
    bearer = headers.get("Authorization", "").startswith("Bearer")
    if bearer and not DOCUMENT:
        whole = await asyncio.to_thread(_talk, f"{url.partition('/api/v1')[0]}/api/v1/openapi.json", "GET", headers, None, context)
        DOCUMENT.append(Declared(whole.json))
    if bearer:
        DOCUMENT[0].check(method, url, answer.status, answer.headers, answer.text.encode())
    return answer


def _talk(url: str, method: str, headers: dict[str, str], body: str | None, context: ssl.SSLContext | None) -> Answer:
    asked = urllib.request.Request(url, None if body is None else body.encode(), headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=20, context=context) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


async def new_token(installed: Installed, role: str = "Organization Management") -> str:
    await installed.run("user", "add", "ann", "--role", role, "--password-stdin", stdin=PASSWORD + "\n")
    return str((await installed.json("token", "new", "ann"))["secret"])


class Api:
    """Of one installation, with a token of an administrator."""

    def __init__(self, installed: Installed, token: str) -> None:
        self.base = f"http://{ADDRESS}:{installed.ports['admin']}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}", "If-Match": "*", "Content-Type": "application/json"}

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Answer:
        answer = await request(self.base + path, method, self._headers, None if body is None else json.dumps(body))
        assert answer.status == status, (method, path, answer.status, answer.text)
        return answer
