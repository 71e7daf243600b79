"""The open pages of the admin listener, over real sockets: HTTP, TLS, and addresses where the API stays closed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mailwye.admin.api.application import application
from mailwye.admin.http_server import AdminServer
from mailwye.admin.metrics import render
from mailwye.config.installation import ListenerSettings
from mailwye.runtime.channel import ChannelError
from tests.unit.admin.api.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Any:
    opened = Office(tmp_path)
    yield opened
    opened.close()


def client(office: Office, *, ready: bool = True, broken: bool = False) -> TestClient:
    async def metrics() -> str:
        if broken:
            raise ChannelError("worker 1 is gone")
        return "mailwye_ready 1\n"

    return TestClient(application(office.services, is_ready=lambda: ready, metrics=metrics))


@pytest.mark.parametrize(
    ("path", "ready", "status"),
    [
        ("/healthz", True, 200),
        ("/healthz", False, 200),
        ("/readyz", True, 200),
        ("/readyz", False, 503),
        ("/metrics", True, 200),
        ("/", True, 404),
        ("/../etc/passwd", True, 404),
        ("/docs", True, 404),
        ("/healthz/", True, 404),
    ],
)
def test_pages(office: Office, path: str, ready: bool, status: int) -> None:
    assert client(office, ready=ready).get(path).status_code == status


def test_metrics_wait_for_a_worker_that_is_started_again(office: Office) -> None:
    answer = client(office, broken=True).get("/metrics")
    assert (answer.status_code, answer.text) == (503, "worker 1 is gone\n")


def test_only_get_is_understood(office: Office) -> None:
    assert client(office).post("/healthz").status_code == 405


@asynccontextmanager
async def served(office: Office, address: str, bound: str = "127.0.0.1") -> AsyncIterator[int]:
    """A listener with that address in its settings; the socket itself is on loopback, or as systemd bound it."""
    listening = socket.create_server((bound, 0))
    server = AdminServer(office.app, ListenerSettings("admin", "admin", address, 0), listening, None)
    await server.start()
    try:
        yield listening.getsockname()[1]
    finally:
        await server.close()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", b"401"), ("::1", b"401"), ("0.0.0.0", b"403"), ("192.0.2.1", b"403")])
async def test_without_tls_the_api_is_for_loopback_addresses(office: Office, address: str, status: bytes) -> None:
    async with served(office, address) as port:
        head = b"HTTP/1.1\r\nHost: anybody.example\r\nConnection: close\r\n\r\n"
        assert (await ask(port, b"GET /api/v1/me " + head)).startswith(b"HTTP/1.1 " + status)
        assert (await ask(port, b"GET /healthz " + head)).startswith(b"HTTP/1.1 200")


async def test_an_address_that_only_the_settings_call_loopback_is_none(office: Office) -> None:
    async with served(office, "127.0.0.1", bound="0.0.0.0") as port:
        assert (await ask(port, b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 403")


async def test_nonsense_is_refused_and_the_next_is_answered(office: Office) -> None:
    async with served(office, "127.0.0.1") as port:
        assert (await ask(port, b"hello\r\n\r\n")).startswith(b"HTTP/1.1 400")
        assert (await ask(port, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 4")
        assert b"alive" in await ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_metrics_have_few_labels_and_all_states() -> None:
    status = {
        "version": 7,
        "ready": True,
        "restarts": 2,
        "workers": [{"number": 0, "sessions": 3, "trace_events_dropped": 0}, {"number": 1, "sessions": 4, "trace_events_dropped": 9}],
        "counts": {"connector:A": {"queued": 2, "held": 1}, "mx:example.org": {"queued": 5}},
        "certificates": [
            {"use": "[tls]", "not_after": 9.5},
            {"use": 'listener "\\"', "not_after": 5.0},
            {"use": "[tls]", "not_after": 7.0},
        ],
    }
    assert "openid" not in render(status, release="1.2")
    status["openid"] = {"issuer": "https://id.example", "keys": ["k1"], "keys_fetched": 8.5, "error": ""}
    lines = render(status, release="1.2").splitlines()
    assert "mailwye_openid_keys_fetched_timestamp_seconds 8" in lines
    assert 'mailwye_build_info{version="1.2"} 1' in lines
    assert "mailwye_config_generation 7" in lines
    assert "mailwye_worker_restarts_total 2" in lines
    assert 'mailwye_smtpd_connections{worker="1"} 4' in lines
    assert 'mailwye_trace_events_dropped_total{worker="1"} 9' in lines
    assert 'mailwye_queue_messages{queue="queued"} 7' in lines
    assert 'mailwye_queue_messages{queue="held"} 1' in lines
    assert 'mailwye_queue_messages{queue="leased"} 0' in lines
    assert 'mailwye_certificate_not_after_timestamp_seconds{use="[tls]"} 7' in lines
    assert 'mailwye_certificate_not_after_timestamp_seconds{use="listener \\"\\\\\\""} 5' in lines
    assert not any("example.org" in line for line in lines)
    assert all(line.startswith(("# HELP mailwye_", "# TYPE mailwye_", "mailwye_")) for line in lines)
