"""Listening sockets, bound once before root is given up and shared by all workers."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from mailwye.cli import exit_codes
from mailwye.config.installation import ListenerSettings

BACKLOG = 1024


class BindError(Exception):
    """A listener cannot have its address; the text names it, the cause and the remedy. `exit_code` as sysexits.h has it."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def bind_all(listeners: Sequence[ListenerSettings], passed: Sequence[tuple[str, socket.socket]]) -> dict[str, socket.socket]:
    """Listener name → bound and listening socket. One that the service manager passed in is used as it is: the one with the listener's
    name, or with its address and port.

    :raises BindError: for the first that cannot be had, or a passed one that is nobody's; all are closed.
    """
    bound: dict[str, socket.socket] = {}
    left = list(passed)
    try:
        for listener in listeners:
            found = _passed(listener, left)
            if found is not None:
                left.remove(found)
            bound[listener.name] = found[1] if found is not None else _bind(listener)
        if left:
            raise _nobodys(*left[0])
    except BindError:
        for one in (*bound.values(), *(one for _, one in left)):
            one.close()
        raise
    return bound


def _passed(listener: ListenerSettings, passed: Sequence[tuple[str, socket.socket]]) -> tuple[str, socket.socket] | None:
    """The name decides where one socket bears it. All of one .socket unit bear the same: then address and port decide."""
    named = [one for one in passed if one[0] == listener.name]
    if len(named) == 1:
        return named[0]
    places = [(listener.address, listener.port)]
    if listener.address == "0.0.0.0":
        places.append(("::", listener.port))  # ListenStream=25 means both families
    internet = [one for one in passed if one[1].family in (socket.AF_INET, socket.AF_INET6)]
    return next((one for place in places for one in internet if one[1].getsockname()[:2] == place), None)


def _nobodys(name: str, passed: socket.socket) -> BindError:
    where = passed.getsockname()
    place = f"{where[0]} port {where[1]}" if isinstance(where, tuple) else str(where)
    remedy = (
        "connections to it would wait for ever. Add a listener with this name, or this address and port, or remove it from the .socket unit"
    )
    return BindError(f"the service manager passed a socket {name!r} ({place}) that no listener is for: {remedy}", exit_codes.CONFIGURATION)


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
        who = f"`ss -ltnp 'sport = :{listener.port}'` names it"
        remedy = f"the port is in use by another program; {who}. Stop it, or change the listener's port"
        return BindError(where + remedy, exit_codes.OS_ERROR)
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = "ports below 1024 need root, the capability CAP_NET_BIND_SERVICE, or a socket from systemd"
        return BindError(where + remedy, exit_codes.NO_PERMISSION)
    if error.errno == errno.EADDRNOTAVAIL:
        remedy = "this machine does not have that address; `ip address` lists those it has. Correct the listener's address"
        return BindError(where + remedy, exit_codes.CONFIGURATION)
    return BindError(where + f"{error.strerror or error}", exit_codes.OS_ERROR)
