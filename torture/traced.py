"""The service of a rig under strace: the prefix for its command line, and its death without the loss of the log."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from torture.gateway import Gateway, RigError
from torture.strace_log import Call, parse


def service_pid(gateway: Gateway) -> int:
    """The service's own control process: strace's child. :raises RigError: it is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()[0])
    raise RigError("strace has no child any more")


def kill(gateway: Gateway) -> None:
    """Kill (-9) the service, not strace, which then ends by itself and has written everything."""
    if gateway.running:
        with contextlib.suppress(RigError, ProcessLookupError):
            os.kill(service_pid(gateway), signal.SIGKILL)
        wait_ended(gateway, 30.0)
    gateway.kill()


def wait_ended(gateway: Gateway, seconds: float) -> float:
    """Wait for its end; how long it took. :raises RigError: it did not end within `seconds`."""
    began = time.monotonic()
    while gateway.running:
        if time.monotonic() > began + seconds:
            raise RigError(f"the service did not end within {seconds:.0f} s")
        time.sleep(0.005)
    return time.monotonic() - began


def calls(log: Path) -> Iterator[Call]:
    """What was traced."""
    with log.open(encoding="latin-1", newline="\n") as lines:
        yield from parse(lines)
