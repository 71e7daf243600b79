"""The installed program as its user has it: files in a folder, commands and a service as processes. Ready is what the service says to
its service manager; nothing here pauses for a fixed time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import smtplib
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.counterparts.process import free_port

ADDRESS = "127.0.0.2"
COMMAND_SECONDS = 30.0
START_SECONDS = 30.0
STOP_SECONDS = 30.0
ARRIVAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All that it printed."""
        return self.out + self.err


class Installed:
    """One installation in `directory`: mailwye.toml, its data beside it, and ports of its own."""

    def __init__(self, directory: Path, *, workers: int = 0, more: str = "", listeners: tuple[str, ...] = ("mx",)) -> None:
        self.directory = directory
        self.config = directory / "mailwye.toml"
        self.data = directory / "data"
        self.ports = {kind: free_port(ADDRESS) for kind in listeners}
        self.write(workers=workers, more=more)

    def write(self, *, workers: int = 0, more: str = "") -> None:
        """Write mailwye.toml (anew)."""
        lines = ['hostname = "mx.mailwye.example"', 'data_directory = "data"', f"workers = {workers}", "shutdown_timeout = 10"]
        top, tables = more.partition("[")[0], more[len(more.partition("[")[0]) :]
        lines.append(top)
        for kind, port in self.ports.items():
            lines += ["[[listener]]", f'name = "{kind}"', f'kind = "{kind}"', f'address = "{ADDRESS}"', f"port = {port}", ""]
        self.config.write_text("\n".join(lines) + "\n" + tables)

    async def run(
        self,
        *arguments: str,
        stdin: str = "",
        cwd: Path | None = None,
        code: int | None = 0,
        interpreter: str | tuple[str, ...] = sys.executable,
        environment: dict[str, str] | None = None,
    ) -> Finished:
        """Run `mailwye ARGUMENTS --config FILE` to its end. Fails unless it exits with `code` (None: any)."""
        words = (*arguments, "--config", str(self.config))
        return await run(*words, stdin=stdin, cwd=cwd or self.directory, code=code, interpreter=interpreter, environment=environment)

    async def json(self, *arguments: str) -> Any:
        """The same with --json: the value that it printed."""
        return json.loads((await self.run(*arguments, "--json")).out)

    def client(self, kind: str = "mx") -> smtplib.SMTP:
        """An SMTP client that is connected to a listener."""
        return smtplib.SMTP(ADDRESS, self.ports[kind], local_hostname="client.example", timeout=10)

    async def send(self, sender: str, recipient: str, subject: str = "Hello", *, kind: str = "mx") -> None:
        """Send one message without TLS, as anybody would."""

        def talk() -> None:
            with self.client(kind) as client:
                client.sendmail(sender, [recipient], message(sender, recipient, subject))

        await asyncio.to_thread(talk)

    def maildir(self, mailbox: str) -> list[bytes]:
        """The messages in a hosted mailbox."""
        local, _, domain = mailbox.partition("@")
        return [path.read_bytes() for path in sorted((self.data / "mailboxes" / domain / local / "new").glob("*"))]


async def run(
    *arguments: str,
    stdin: str = "",
    cwd: Path,
    code: int | None = 0,
    interpreter: str | tuple[str, ...] = sys.executable,
    environment: dict[str, str] | None = None,
) -> Finished:
    """Run `mailwye ARGUMENTS`. `interpreter`: another one, or the words of a command that starts one."""
    words = (interpreter,) if isinstance(interpreter, str) else interpreter
    process = await asyncio.create_subprocess_exec(
        *(*words, "-m", "mailwye", *arguments),
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            out, err = await process.communicate(stdin.encode(errors="surrogateescape"))
    except TimeoutError:
        process.kill()
        await process.wait()
        pytest.fail(f"mailwye {' '.join(arguments)} did not end within {COMMAND_SECONDS:.0f} s")
    assert process.returncode is not None
    finished = Finished(process.returncode, out.decode(), err.decode())
    if code is not None and finished.code != code:
        pytest.fail(f"mailwye {' '.join(arguments)} ended with {finished.code} instead of {code}:\n{finished.words}")
    return finished


class Service:
    """A running `mailwye serve`. `told`: what it said to the service manager, in order."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, manager: socket.socket) -> None:
        self.process = process
        self._log = log
        self._manager = manager
        self.told: list[str] = []

    def log(self) -> str:
        """What it wrote to standard error and output."""
        return self._log.read_text(errors="replace")

    async def until_told(self, word: str, *, seconds: float = START_SECONDS) -> None:
        """Wait for a message to the service manager. Fails with the log when the service ends before, or says nothing in time."""
        ended = asyncio.ensure_future(self.process.wait())
        heard = asyncio.ensure_future(self._hear(word))
        await asyncio.wait({ended, heard}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        was_heard = heard.done() or any(word in one for one in self.told)
        for waiting in (ended, heard):
            waiting.cancel()
        await asyncio.gather(ended, heard, return_exceptions=True)
        if not was_heard:
            pytest.fail(f"the service did not say {word}; it said {self.told} and logged:\n{self.log()}")

    async def _hear(self, word: str) -> None:
        loop = asyncio.get_running_loop()
        while not any(word in one for one in self.told):
            self.told.append((await loop.sock_recv(self._manager, 4096)).decode())

    def all_told(self) -> list[str]:
        """Everything up to now, what lies unread in the manager's socket too."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told.append(self._manager.recv(4096).decode())
        return self.told

    async def stop(self, *, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """End it; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            pytest.fail(f"the service did not end within {STOP_SECONDS:.0f} s; it logged:\n{self.log()}")


@contextlib.asynccontextmanager
async def serving(
    installed: Installed, *, environment: dict[str, str] | None = None, command: tuple[str, ...] = (), pass_fds: tuple[int, ...] = ()
) -> AsyncIterator[Service]:
    """`mailwye serve`, ready; ended afterwards. `command`: another command line that ends in serving."""
    notify = installed.directory / "notify.sock"
    notify.unlink(missing_ok=True)
    log = installed.directory / "service.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager, log.open("ab") as output:
        manager.bind(str(notify))
        notify.chmod(0o666)  # the service may run as somebody else
        process = await asyncio.create_subprocess_exec(
            *(command or (sys.executable, "-m", "mailwye", "serve", "--config", str(installed.config))),
            cwd="/",
            env={**os.environ, "NOTIFY_SOCKET": str(notify), **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
        )
        service = Service(process, log, manager)
        try:
            await service.until_told("READY=1")
            yield service
        finally:
            if process.returncode is None:
                process.terminate()
                await service.ended()


async def until(condition: Callable[[], Any], what: str, *, seconds: float = ARRIVAL_SECONDS) -> Any:
    """Return what `condition` gives as soon as that is true; another process brings it about. Fails after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not (found := condition()):
        if loop.time() > deadline:
            pytest.fail(f"after {seconds:.0f} s still not: {what}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(loop.create_future(), 0.02)
    return found


def message(sender: str, recipient: str, subject: str = "Hello") -> str:
    """A small message."""
    head = (f"From: <{sender}>", f"To: <{recipient}>", f"Subject: {subject}", f"Message-ID: <{abs(hash(subject))}@client.example>")
    return "\r\n".join((*head, "", "Text.", ""))
