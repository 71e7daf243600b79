from __future__ import annotations

import asyncio

import pytest

from mailwye.admin.health import HealthServer
from mailwye.admin.metrics import render
from mailwye.runtime.channel import ChannelError


async def ask(request: bytes, *, ready: bool = True, broken: bool = False) -> tuple[str, str]:
    """The status line and the body of the answer."""

    async def metrics() -> str:
        if broken:
            raise ChannelError("worker 1 is gone")
        return "mailwye_ready 1\n"

    health = HealthServer(lambda: ready, metrics)
    server = await asyncio.start_server(health.serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(request)
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    if head:
        assert f"Content-Length: {len(body.encode())}" in head
        assert "Connection: close" in head
    return head.partition("\r\n")[0], body


@pytest.mark.parametrize(
    ("path", "ready", "status"),
    [
        ("/healthz", True, "200 OK"),
        ("/healthz", False, "200 OK"),
        ("/readyz", True, "200 OK"),
        ("/readyz", False, "503 Service Unavailable"),
        ("/metrics", True, "200 OK"),
        ("/", True, "404 Not Found"),
        ("/../etc/passwd", True, "404 Not Found"),
    ],
)
async def test_pages(path: str, ready: bool, status: str) -> None:
    assert (await ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), ready=ready))[0] == f"HTTP/1.1 {status}"


async def test_metrics_wait_for_a_worker_that_is_started_again() -> None:
    status, body = await ask(b"GET /metrics HTTP/1.1\r\n\r\n", broken=True)
    assert status.endswith("503 Service Unavailable")
    assert "worker 1 is gone" in body


@pytest.mark.parametrize("request_", [b"POST /healthz HTTP/1.1\r\n\r\n", b"hello\r\n\r\n", b"\r\n\r\n"])
async def test_only_get_is_understood(request_: bytes) -> None:
    assert (await ask(request_))[0] == "HTTP/1.1 405 Method Not Allowed"


async def test_a_request_without_end_is_dropped() -> None:
    assert await ask(b"x" * 100_000) == ("", "")


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
    lines = render(status, release="1.2").splitlines()
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
