"""The page listener on loopback: its bounds."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from mailwye.config.installation import ListenerSettings
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, MtaStsMode
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ServerTlsContext
from mailwye.testing.authority import Authority
from mailwye.web import listener as listener_module
from mailwye.web.listener import PageListener
from mailwye.web.pages import Pages

SNAPSHOT = Snapshot(1, "contoso", Directory((AcceptedDomain("contoso.com", mta_sts_mode=MtaStsMode.ENFORCE),)), ConnectorTable())
REQUEST = b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.contoso.com\r\n\r\n"


@asynccontextmanager
async def serving(directory: Path, kind: str, tls: Callable[[], ServerTlsContext | None]) -> AsyncIterator[tuple[PageListener, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    port = listening.getsockname()[1]
    pages = Pages("mx.example", lambda: SNAPSHOT, directory)
    listener = PageListener(ListenerSettings("pages", kind, "127.0.0.1", port), pages, SystemNetwork(), tls)
    await listener.start(listening)
    try:
        yield listener, port
    finally:
        listener.close()


def no_tls() -> None:
    return None


async def ask(port: int, octets: bytes, *, context: ssl.SSLContext | None = None, name: str | None = None) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        writer.write(octets)
        return (await asyncio.wait_for(reader.read(), 10)).decode()
    except ConnectionError:
        return ""
    finally:
        writer.close()


async def test_a_policy_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    pair = authority.issue("sts", ["mta-sts.contoso.com"])
    server = ServerTlsContext(certificate=str(pair.certificate), private_key=str(pair.private_key), request_client_certificate=False)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    async with serving(tmp_path, "https", lambda: server) as (_, port):
        answer = await ask(port, REQUEST, context=context, name="mta-sts.contoso.com")
        assert answer.startswith("HTTP/1.1 200 OK\r\n")
        assert answer.endswith("max_age: 604800\r\n")
        answer = await ask(port, REQUEST.replace(b"GET", b"HEAD"), context=context, name="mta-sts.contoso.com")
        assert answer.endswith("\r\n\r\n")
        assert await ask(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == ""  # who speaks no TLS gets no page


async def test_without_a_certificate_nobody_is_served(tmp_path: Path) -> None:
    async with serving(tmp_path, "https", no_tls) as (_, port):
        assert await ask(port, REQUEST) == ""


async def test_octet_by_octet_and_with_something_behind(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("answer")
    async with serving(tmp_path, "http", no_tls) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for octet in b"GET /.well-known/acme-challenge/token HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n":
            writer.write(bytes((octet,)))
            await asyncio.sleep(0)
        answer = (await reader.read()).decode()
        assert answer.endswith("\r\n\r\nanswer")
        assert answer.count("HTTP/1.1") == 1
        writer.close()


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, "http", no_tls) as (_, port):
        assert "431 Request Header Fields Too Large" in await ask(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 10_000)


async def test_who_is_too_slow_and_who_is_one_too_many_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "CONNECTIONS_LIMIT", 2)
    async with serving(tmp_path, "http", no_tls) as (listener, port):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await ask(port, REQUEST) == ""
        listener.close()  # cuts those who never asked
        for reader, writer in held:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
    monkeypatch.setattr(listener_module, "REQUEST_SECONDS", 0.0)
    async with serving(tmp_path, "http", no_tls) as (_, port):
        assert await ask(port, b"GET / HTTP/1.1\r\n") == ""
