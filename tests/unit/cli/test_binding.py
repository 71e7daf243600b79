from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mailwye.cli import exit_codes
from mailwye.cli.binding import BindError, bind_all
from mailwye.config.installation import ListenerSettings


def listener(name: str = "mx", address: str = "127.0.0.1", port: int = 0) -> ListenerSettings:
    return ListenerSettings(name, "mx", address, port)


@pytest.fixture
def passed() -> Iterator[list[socket.socket]]:
    """Two listening sockets as a service manager passes them in."""
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in made:
            one.bind(("127.0.0.1", 0))
            one.listen()
        yield made


def close(bound: dict[str, socket.socket]) -> None:
    for one in bound.values():
        one.close()


def test_every_listener_listens() -> None:
    bound = bind_all([listener("mx"), listener("v6", "::1")], [])
    try:
        for one in bound.values():
            with socket.create_connection(one.getsockname()[:2], timeout=5):
                pass
            assert not one.getblocking()
    finally:
        close(bound)


def test_a_passed_socket_is_known_by_its_name(passed: list[socket.socket]) -> None:
    bound = bind_all([listener("submission"), listener("mx")], [("mx", passed[0]), ("submission", passed[1])])
    assert bound == {"mx": passed[0], "submission": passed[1]}


def test_passed_sockets_of_one_name_are_known_by_their_address(passed: list[socket.socket]) -> None:
    ports = [one.getsockname()[1] for one in passed]
    listeners = [listener("submission", port=ports[1]), listener("mx", port=ports[0])]
    bound = bind_all(listeners, [("mailwye.socket", one) for one in passed])
    assert bound == {"mx": passed[0], "submission": passed[1]}


def test_a_passed_socket_that_is_nobody_s_is_refused(passed: list[socket.socket]) -> None:
    with pytest.raises(BindError, match=str(passed[1].getsockname()[1])):
        bind_all([listener("mx")], [("mx", passed[0]), ("other", passed[1])])
    assert [one.fileno() for one in passed] == [-1, -1]


def test_a_port_in_use_is_named_with_the_way_to_its_user(passed: list[socket.socket]) -> None:
    port = passed[0].getsockname()[1]
    with pytest.raises(BindError, match=f"listener 'mx'.*127.0.0.1 port {port}.*in use.*ss -ltnp") as refused:
        bind_all([listener("first"), listener("mx", port=port)], [])
    assert refused.value.exit_code == exit_codes.OS_ERROR


def test_an_address_of_another_machine_is_a_wrong_setting() -> None:
    with pytest.raises(BindError, match=r"192\.0\.2\.1.*does not have that address") as refused:
        bind_all([listener(address="192.0.2.1")], [])
    assert refused.value.exit_code == exit_codes.CONFIGURATION
