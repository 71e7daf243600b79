"""Starting and stopping a counterpart: readiness is something observed, never a pause."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

SEARCH_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/lib/dovecot"
REPOSITORY = Path(__file__).resolve().parents[2]


def program(name: str) -> str:
    """The path of a counterpart's program. Where it is missing: skip, or fail where the run requires counterparts."""
    if name == "exim4":
        unpacked = REPOSITORY / ".counterparts" / "exim" / "usr" / "sbin" / "exim4"
        found = str(unpacked) if unpacked.exists() else shutil.which(name, path=SEARCH_PATH)
    elif name == "parsedmarc":  # the Python that has it
        environment = REPOSITORY / ".counterparts" / "parsedmarc" / "bin" / "python"
        found = str(environment) if environment.exists() else None
    else:
        found = shutil.which(name, path=SEARCH_PATH)
    if found is None:
        missing(f"{name} is not installed (sh tests/counterparts/install.sh)")
    return found


def missing(reason: str) -> NoReturn:
    """End the test: skipped by default, failed where MAILWYE_REQUIRE_COUNTERPARTS=1."""
    if os.environ.get("MAILWYE_REQUIRE_COUNTERPARTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def need_root() -> None:
    """For what only root may do: change users (as Postfix, Exim and Dovecot do), mount, give files away."""
    if os.geteuid() != 0:
        missing("needs root")


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that is free on `address` now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 20.0) -> None:
    """Return as soon as `condition` holds, which another process brings about. Fails after `seconds` and says what was awaited."""
    deadline = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:.0f} s still not: {what}")
        tick.wait(0.02)


def accepts_connections(address: str, port: int) -> bool:
    """True where something listens."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    """One program in the foreground; its output goes to `log`."""

    def __init__(self, arguments: list[str], *, directory: Path, environment: dict[str, str] | None = None) -> None:
        self.log = directory / "log"
        end_with_us = shutil.which("setpriv")  # so that nothing stays behind when the tests are killed
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [end_with_us, "--pdeathsig", "TERM", *arguments] if end_with_us else arguments,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def wait_ready(self, address: str, port: int) -> None:
        """Wait until it accepts connections; fail with its output when it ends before."""

        def ready() -> bool:
            if self._process.poll() is not None:
                pytest.fail(f"{self._process.args!r} ended with {self._process.returncode}:\n{self.output()}")
            return accepts_connections(address, port)

        wait_until(ready, f"{self._process.args!r} accepting on {address}:{port}; it printed:\n{self.output()}")

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after ten seconds."""
        self._process.terminate()
        self.wait_ended()

    def wait_ended(self) -> None:
        """Somebody told it to end; SIGKILL after ten seconds."""
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
