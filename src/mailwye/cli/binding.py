"""Listening sockets, bound once before root is given up and shared by all workers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping, Sequence

from mailwye.cli import exit_codes
from mailwye.config.installation import ListenerSettings

BACKLOG = 1024


class BindError(Exception):
    """A listener cannot have its address; the text names it, the cause and the remedy. `exit_code` as sysexits.h has it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def bind_all(listeners: Sequence[ListenerSettings], passed: Mapping[str, socket.socket]) -> dict[str, socket.socket]:
    """Listener name → bound and listening socket; one passed in by the service manager under that name is used as it is.

    :raises BindError: for the first that cannot be had; those before it are closed.
    """
    bound: dict[str, socket.socket] = {}
    try:
        for listener in listeners:
            bound[listener.name] = passed.get(listener.name) or _bind(listener)
    except BindError:
        for one in bound.values():
            one.close()
        raise
    return bound


def _bind(listener: ListenerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and listener.address == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((listener.address, listener.port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _explained(listener, error) from error
    return listening


def _explained(listener: ListenerSettings, error: OSError) -> BindError:
    where = f"listener {listener.name!r}: cannot listen on {listener.address} port {listener.port}: "
    if error.errno == errno.EADDRINUSE:
        remedy = f"another program uses it; `ss -ltnp 'sport = :{listener.port}'` names it. Stop it, or change the listener's port"
        return BindError(where + remedy, exit_codes.OS_ERROR)
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = "ports below 1024 need root, the capability CAP_NET_BIND_SERVICE, or a socket from systemd"
        return BindError(where + remedy, exit_codes.NO_PERMISSION)
    if error.errno == errno.EADDRNOTAVAIL:
        remedy = "this machine does not have that address; `ip address` lists those it has. Correct the listener's address"
        return BindError(where + remedy, exit_codes.CONFIGURATION)
    return BindError(where + f"{error.strerror or error}", exit_codes.OS_ERROR)
