"""Saving, asking and disturbing the service through its control socket while it carries mail."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from tests.counterparts.process import free_port
from tests.e2e.installed import ADDRESS, Installed, serving, until
from tests.e2e.organizations import BOB, JOHN, SUN, hosted, hybrid
from tests.e2e.test_processes import workers

ALICE = "alice@contoso.com"


def add_alice(organization: Path) -> None:
    with organization.open("a") as file:
        file.write("  - {PrimarySmtpAddress: alice@contoso.com}\n")


def answer_to(installed: Installed, recipient: str) -> int:
    with installed.client() as client:
        client.ehlo()
        client.mail(SUN)
        return client.rcpt(recipient)[0]


async def test_a_version_is_used_although_nobody_told(tmp_path: Path) -> None:
    """An apply that was killed between saving and telling: here it does not find the service."""
    installed = Installed(tmp_path, workers=2)
    organization = hosted(tmp_path)
    async with serving(installed):
        await installed.run("apply", "-f", str(organization))
        control = installed.data / "run" / "control.sock"
        control.rename(control.with_name("hidden"))
        add_alice(organization)
        assert "no service is running" in (await installed.run("apply", "-f", str(organization))).out
        await until(lambda: {answer_to(installed, ALICE) for _ in range(10)} == {250}, "the version in force in both workers")
        control.with_name("hidden").rename(control)
        assert (await installed.json("status"))["version"] == 2


async def test_a_killed_apply_leaves_no_trace(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    organization = hosted(tmp_path)
    await installed.run("apply", "-f", str(organization))
    words = (sys.executable, "-m", "mailwye", "apply", "-f", "-", "--config", str(installed.config))
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"AcceptedDomain:\n  - {DomainName: half.example}\n")
    await process.stdin.drain()
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    process.stdin.close()
    assert [one["version"] for one in await installed.json("config", "log")] == [1]
    add_alice(organization)
    assert "version 2 is saved" in (await installed.run("apply", "-f", str(organization))).out


async def test_hostile_clients_of_the_control_socket(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        control = str(installed.data / "run" / "control.sock")
        assert (installed.data / "run").stat().st_mode & 0o077 == 0
        assert os.stat(control).st_mode & 0o077 == 0

        def connect() -> socket.socket:
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(20)
            client.connect(control)
            return client

        def disturb() -> tuple[bytes, bytes]:
            with connect() as garbage, connect() as idle, connect() as endless, connect() as deaf:
                garbage.sendall(b"\x00\xff\x16\x03\x01 rubbish\n[]\n")
                said = garbage.recv(4096)
                deaf.setblocking(False)
                try:
                    while True:  # asks and never reads
                        deaf.send(b'{"v": 1, "op": "status"}\n' * 100)
                except BlockingIOError:
                    pass
                try:
                    for _ in range(100):  # a line of 100 MB
                        endless.sendall(b"x" * 1_000_000)
                    rest = endless.recv(4096)
                except ConnectionError:
                    rest = b""
                idle.send(b'{"v": 1, ')
                return said, rest

        said, rest = await asyncio.to_thread(disturb)
        assert b"not a request" in said
        assert rest == b""  # hung up
        await installed.send(SUN, BOB, "Undisturbed")
        await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")
        assert (await installed.json("status"))["ready"] is True
        assert _resident(service.process.pid) < 300_000_000


def _resident(pid: int) -> int:
    """Octets of memory that a process has."""
    memory = Path(f"/proc/{pid}/status").read_text()
    return int(memory.partition("VmRSS:")[2].split()[0]) * 1024


async def test_a_worker_that_cannot_be_started_again_is_named_and_the_other_serves_on(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    organization = hybrid(tmp_path, f"127.0.0.3:{free_port('127.0.0.3')}")
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(organization))
        for number in range(20):
            await installed.send(SUN, JOHN, f"Number {number}")
        assert len(await installed.json("queue", "list")) == 20
        lost = installed.data / "queue" / "worker-1.sqlite"
        lost.rename(lost.with_name("saved"))
        lost.mkdir()
        (victim,) = {pid for pid in workers(service.process.pid) if _holds(pid, "worker-1.sqlite")}
        os.kill(victim, signal.SIGKILL)
        await until(lambda: "worker cannot be started" in service.log(), "the failure in the log")
        listed = await installed.run("queue", "list")
        assert "worker 1 is being started again" in listed.err
        add_alice_to_hybrid(organization)
        applied = await installed.run("apply", "-f", str(organization))
        assert "worker 1 is being started again" in applied.out
        assert await asyncio.to_thread(answer_to, installed, ALICE) == 250
        lost.rmdir()
        lost.with_name("saved").rename(lost)
        await until(lambda: "worker serves again" in service.log(), "worker 1", seconds=30)
        assert len(await installed.json("queue", "list")) == 20
        assert {await asyncio.to_thread(answer_to, installed, ALICE) for _ in range(10)} == {250}


def add_alice_to_hybrid(organization: Path) -> None:
    text = organization.read_text()
    organization.write_text(text.replace("MailUser:\n", "  - {PrimarySmtpAddress: alice@contoso.com}\nMailUser:\n"))


def _holds(pid: int, name: str) -> bool:
    """Whether the process has a file of this name open."""
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if name in os.readlink(entry):
                return True
        except OSError:
            continue
    return False


async def test_the_only_worker_of_two_services_is_protected(tmp_path: Path) -> None:
    """A second service that does not find the first one's control socket still does not get its queue."""
    installed = Installed(tmp_path)
    async with serving(installed):
        (installed.data / "run" / "control.sock").rename(installed.data / "run" / "hidden")
        second = tmp_path / "second.toml"
        second.write_text(installed.config.read_text().replace(f"port = {installed.ports['mx']}", f"port = {free_port(ADDRESS)}"))
        other = Installed.__new__(Installed)
        other.directory, other.config, other.data, other.ports = tmp_path, second, installed.data, {}
        finished = await other.run("serve", code=74)
        assert "worker-0" in finished.err
        assert "Traceback" not in finished.words
