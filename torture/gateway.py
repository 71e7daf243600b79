"""The real service as processes: started, killed, stopped and asked, on a given data directory (and so on a given file system)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torture.ledger import Pair

PORT = 2525
START_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[1]


class RigError(Exception):
    """The rig could not do its part; says nothing about the service under test."""


@dataclass(frozen=True, slots=True)
class Command:
    """A finished `mailwye` command."""

    code: int
    out: str
    err: str


class Gateway:
    """One installation: configuration in `home`, data in `data`. `prefix`: words before the interpreter, such as those of strace.
    `module`: what is run instead of `-m mailwye` (sabotage). `environment`: added to ours. `log`: what the service printed.
    """

    def __init__(
        self,
        home: Path,
        data: Path,
        address: str,
        *,
        prefix: Sequence[str] = (),
        module: str = "mailwye",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.data = data
        self.address = address
        self.port = PORT
        self.config = home / "mailwye.toml"
        self.log = home / "service.log"
        self._prefix = tuple(prefix)
        self._module = module
        path = os.pathsep.join(
            one for one in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if one
        )  # for sabotaged modules of this package
        self._environment = {**os.environ, "PYTHONPATH": path, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the control process. Its process group, of the same number, holds all processes of the service."""
        if self._process is None:
            raise RigError("the service does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the control process lives."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> float:
        """Start it; return the seconds until its first 220. :raises RigError: it ended, or said none in a minute."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it must outlive this loop's waiting; starting takes no time
                [*self._prefix, sys.executable, "-m", self._module, "serve", "--config", str(self.config)],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        while time.monotonic() < began + START_SECONDS:
            if not self.running:
                raise RigError(f"the service ended with {self._process.returncode}: {self.log.read_text(errors='replace')[-2000:]}")
            if await self.greets():
                return time.monotonic() - began
            await asyncio.sleep(0.005)
        raise RigError(f"no 220 within {START_SECONDS:.0f} s: {self.log.read_text(errors='replace')[-2000:]}")

    async def greets(self) -> bool:
        """Whether a new connection is answered with 220 (within 10 s)."""
        writer = None
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(self.address, self.port)
                return (await reader.readline()).startswith(b"220")
        except (OSError, TimeoutError):
            return False
        finally:
            if writer is not None:
                writer.transport.abort()

    def kill(self) -> None:
        """End it by kill -9 of all its processes at once; returns when they are gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.002)
        else:
            raise RigError("a process of the service outlived SIGKILL")
        self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are (SIGSTOP): what a system call gives back reaches them no more. Only `kill` follows."""
        os.killpg(self.pid, signal.SIGSTOP)

    async def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM and wait; the exit code. :raises RigError: it did not end in time (it is killed then)."""
        if self._process is None:
            return 0
        process = self._process
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(process.wait, seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RigError(f"the service did not end within {seconds:.0f} s of SIGTERM") from None
        self._process = None
        return code

    async def command(self, *arguments: str, seconds: float = 120.0) -> Command:
        """Run `mailwye ARGUMENTS --config FILE`, whether the service runs or not."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailwye", *arguments, "--config", str(self.config)),
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise RigError(f"mailwye {' '.join(arguments)} did not end within {seconds:.0f} s") from None
        return Command(process.returncode or 0, out.decode(), err.decode())

    async def queued(self) -> list[Pair]:
        """(queue id, recipient) of everything in the queue."""
        answer = await self.command("queue", "list", "--json", "--limit", "10000000")
        if answer.code:
            raise RigError(f"queue list: {answer.err}")
        return [(row["message"], row["recipient"]) for row in json.loads(answer.out)]

    async def fsck(self) -> str:
        """What `mailwye queue fsck` finds: "clean", or its words."""
        answer = await self.command("queue", "fsck")
        return "clean" if answer.code == 0 else f"exit code {answer.code}: {(answer.out + answer.err).strip()}"
