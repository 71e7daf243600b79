from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mailwye.runtime import systemd


def test_notify_reaches_the_manager(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(5)
        assert systemd.notify("READY=1\nSTATUS=fine", {"NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1\nSTATUS=fine"


def test_notify_reaches_abstract_sockets() -> None:
    name = f"mailwye-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(5)
        assert systemd.notify("STOPPING=1", {"NOTIFY_SOCKET": "@" + name})
        assert manager.recv(100) == b"STOPPING=1"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    assert not systemd.notify("READY=1", {})
    assert not systemd.notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(environment: dict[str, str], seconds: float | None) -> None:
    assert systemd.watchdog_seconds(environment) == seconds


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}, {"LISTEN_FDS": "2"}],
)
def test_sockets_for_others_are_left_alone(environment: dict[str, str]) -> None:
    assert systemd.passed_sockets(environment) == []
    assert environment == {}  # children must not take them either


def test_passed_sockets_have_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one, socket.socket() as two:
        for listening in (one, two):
            listening.bind(("127.0.0.1", 0))
            listening.listen()
        first = os.dup2(one.fileno(), 200)
        os.dup2(two.fileno(), 201)
        monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", first)
        found = systemd.passed_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "mx"})
        assert [(name, passed.getsockname()) for name, passed in found] == [("mx", one.getsockname()), ("1", two.getsockname())]
        for _, passed in found:
            assert not os.get_inheritable(passed.fileno())
            passed.close()
