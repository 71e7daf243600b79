"""What systemd expects of a service: readiness messages (sd_notify) and sockets passed in (sd_listen_fds). Small enough to be ours:
the packages for it are stale.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


def notify(state: str, environment: MutableMapping[str, str] | None = None) -> bool:
    """Send `state` ("READY=1", "STOPPING=1", "WATCHDOG=1", several by newline) to NOTIFY_SOCKET. False where nobody listens: an
    unreachable service manager never stops the mail.
    """
    path = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def watchdog_seconds(environment: MutableMapping[str, str] | None = None) -> float | None:
    """How often systemd wants WATCHDOG=1, halved as it advises; None where it does not, or from another process than this one."""
    variables = os.environ if environment is None else environment
    value = variables.get("WATCHDOG_USEC", "")
    if variables.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(value) / 2_000_000 if value.isdigit() and int(value) else None


def passed_sockets(environment: MutableMapping[str, str] | None = None) -> list[tuple[str, socket.socket]]:
    """Sockets of socket activation with their FileDescriptorName; several may share one, as all of a .socket unit do. The variables are
    removed, so that children do not take them too. Empty without activation, or when the sockets are for another process.
    """
    variables = os.environ if environment is None else environment
    pid, count, names = (variables.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    named = names.split(":") if names else []
    found = []
    for number in range(int(count)):
        name = named[number] if number < len(named) else str(number)
        passed = socket.socket(fileno=FIRST_DESCRIPTOR + number)
        os.set_inheritable(passed.fileno(), False)
        found.append((name, passed))
    return found
