"""Start, stop, signals, crashes, sockets and users: the service as the machine sees it."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

import mailwye
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.testing.authority import Authority
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port, missing, need_root
from tests.e2e.installed import ADDRESS, Installed, serving, until
from tests.e2e.organizations import BOB, JOHN, SUN, hosted, hybrid
from tests.e2e.test_command_line import RELAY

CONFIGURATION, NO_PERMISSION = 78, 77  # sysexits.h


def children(pid: int) -> list[int]:
    """The processes that `pid` started, workers among them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(pid: int) -> list[int]:
    """The worker processes: children that are Python and hold the listening socket."""
    return [child for child in children(pid) if listening(child)]


def owner(path: Path) -> int:
    """Whose file or process it is."""
    return path.stat().st_uid


def listening(pid: int) -> bool:
    """Whether the process has sockets open, as a resource tracker has not."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found > 1


async def test_sigterm_ends_with_0_and_says_421_to_who_waits(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        client = await asyncio.to_thread(installed.client)
        await asyncio.to_thread(client.ehlo)
        service.process.send_signal(signal.SIGTERM)
        code, _ = await asyncio.to_thread(client.getreply)
        client.close()
        assert code == 421
        assert await service.ended() == 0
        assert any("STOPPING=1" in one for one in service.all_told())


@pytest.mark.parametrize("number", [0, 2])
async def test_sigterm_finishes_the_message_under_way(tmp_path: Path, number: int) -> None:
    installed = Installed(tmp_path, workers=number)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        client = await asyncio.to_thread(installed.client)

        def begin() -> None:
            client.ehlo()
            client.mail(SUN)
            client.rcpt(BOB)
            client.putcmd("DATA")
            assert client.getreply()[0] == 354
            client.send(b"Subject: Under way\r\n\r\nfirst")

        def end() -> int:
            client.send(b" and last\r\n.\r\n")
            return client.getreply()[0]

        await asyncio.to_thread(begin)
        service.process.send_signal(signal.SIGTERM)
        await until(lambda: not _accepts(installed.ports["mx"]), "the listener closed")
        assert await asyncio.to_thread(end) == 250
        client.close()
        assert await service.ended() == 0
    async with serving(installed):
        await until(lambda: installed.maildir(BOB), "the message in Bob's mailbox")


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_restart_resumes_the_queue(tmp_path: Path, how: signal.Signals) -> None:
    port = free_port("127.0.0.3")
    installed = Installed(tmp_path, workers=2)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hybrid(tmp_path, f"127.0.0.3:{port}")))
        for number in range(6):
            await installed.send(SUN, JOHN, f"Number {number}")
        await service.stop(with_signal=how)
    peer = PeerServer("mail.contoso.com", SystemNetwork(), SystemClock())
    await peer.start("127.0.0.3", port)
    installed.write(workers=0)  # fewer workers: their files are adopted
    async with serving(installed):
        await installed.run("queue", "retry", "--all", code=None)
        await until(lambda: len(peer.messages) >= 6, "all six messages at the own server", seconds=30)
    peer.stop()
    assert {f"Number {number}".encode() in one.content for one in peer.messages for number in range(6)} == {True, False}
    assert await installed.json("queue", "list") == []


async def test_commands_work_on_the_queue_of_a_stopped_service(tmp_path: Path) -> None:
    port = free_port("127.0.0.3")
    installed = Installed(tmp_path, workers=2)
    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, f"127.0.0.3:{port}")))
        await installed.send(SUN, JOHN, "Kept")
    (row,) = await installed.json("queue", "list")
    message = row["message"]
    assert f"127.0.0.3]:{port}" in (await installed.run("queue", "list")).out
    await installed.run("queue", "hold", message)
    assert f"{message}!" in (await installed.run("queue", "list")).out
    assert "Subject: Kept" in (await installed.run("queue", "show", message)).out
    assert (await installed.run("queue", "release", message)).out == "1 delivery released\n"
    assert (await installed.run("queue", "retry", "--recipient", "*@contoso.com")).out == "1 delivery due now\n"
    assert message in (await installed.run("trace", "--recipient", JOHN)).out
    assert "mailwye queue hold" in (await installed.run("trace", "show", message)).out
    await installed.run("queue", "delete", message)
    assert await installed.json("queue", "list") == []
    assert [one["status"] for one in await installed.json("trace")] == ["Deleted"]
    assert "trace show" in (await installed.run("queue", "show", message, code=66)).err


async def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        before = workers(service.process.pid)
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: len(set(workers(service.process.pid)) - set(before)) == 2, "two new workers")
        await installed.send(SUN, BOB, "After the crash")
        await until(lambda: installed.maildir(BOB), "the message in Bob's mailbox")
        assert "worker" in service.log()


async def test_workers_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    async with serving(installed) as service:
        left = children(service.process.pid)
        await service.stop(with_signal=signal.SIGKILL)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "no worker left", seconds=20)
        assert not _accepts(installed.ports["mx"])


async def test_sighup_takes_a_renewed_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["old.mailwye.example"])
    installed = Installed(tmp_path, workers=2, more='[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n')

    def presented() -> bytes:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        context.check_hostname = False
        with installed.client() as client:
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            return client.sock.getpeercert(binary_form=True) or b""

    async with serving(installed) as service:
        old = await asyncio.to_thread(presented)
        authority.issue("mx", ["new.mailwye.example"])
        service.process.send_signal(signal.SIGHUP)
        await service.until_told("RELOADING=1")
        service.told.clear()
        await service.until_told("READY=1")
        for _ in range(10):
            assert await asyncio.to_thread(presented) != old
        (tmp_path / "mx.pem").write_text("not a certificate")
        service.told.clear()
        service.process.send_signal(signal.SIGHUP)
        await service.until_told("READY=1")
        assert await asyncio.to_thread(presented) != old  # the last good one stays
        assert "mx.pem" in service.log()


# --- what cannot start says why


async def _refused(installed: Installed) -> tuple[int, str]:
    finished = await installed.run("serve", code=None)
    assert "Traceback" not in finished.words
    return finished.code, finished.words


@pytest.mark.parametrize("number", [0, 2])
async def test_a_port_in_use_is_named(tmp_path: Path, number: int) -> None:
    installed = Installed(tmp_path, workers=number)
    with socket.socket() as other:
        other.bind((ADDRESS, installed.ports["mx"]))
        other.listen()
        code, words = await _refused(installed)
    assert code in (69, 71)
    assert f"{ADDRESS}" in words
    assert str(installed.ports["mx"]) in words
    assert "in use" in words


async def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.config.write_text(installed.config.read_text().replace(ADDRESS, "192.0.2.1"))
    code, words = await _refused(installed)
    assert code in (69, 71, 78)
    assert "192.0.2.1" in words


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_bad_certificate_is_named(tmp_path: Path, content: str | None) -> None:
    installed = Installed(tmp_path, workers=2, more='[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n')
    if content is not None:
        (tmp_path / "mx.pem").write_text(content)
    code, words = await _refused(installed)
    assert code == CONFIGURATION
    assert str(tmp_path / "mx.pem") in words


async def test_a_wrong_configuration_is_told_with_its_lines(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.config.write_text(installed.config.read_text().replace("workers = 0", "workers = many"))
    code, words = await _refused(installed)
    assert code == CONFIGURATION
    assert "mailwye.toml:3" in words


async def test_a_second_service_on_the_same_data_is_refused(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    async with serving(installed):
        first = installed.config.read_text()
        other = free_port(ADDRESS)
        (tmp_path / "second.toml").write_text(first.replace(f"port = {installed.ports['mx']}", f"port = {other}"))
        second = Installed.__new__(Installed)
        second.directory, second.config, second.data, second.ports = tmp_path, tmp_path / "second.toml", installed.data, {"mx": other}
        code, words = await _refused(second)
        assert code != 0
        assert "data" in words
        await installed.run("apply", "-f", str(hosted(tmp_path)))  # the first one still answers
        await installed.send(SUN, BOB)
        await until(lambda: installed.maildir(BOB), "mail through the first service")


async def test_started_as_root_it_serves_as_its_user() -> None:
    need_root()
    nobody = pwd.getpwnam("nobody")
    interpreter, environment = python_for(nobody)
    with tempfile.TemporaryDirectory(prefix="mailwye-e2e-") as folder:
        directory = Path(folder)
        os.chmod(folder, 0o755)
        installed = Installed(directory, workers=2, more='user = "nobody"\n')
        command = (interpreter, "-m", "mailwye", "serve", "--config", str(installed.config))
        async with serving(installed, command=command, environment=environment) as service:
            await installed.run("apply", "-f", str(hosted(directory)), interpreter=interpreter, environment=environment)
            for pid in (service.process.pid, *workers(service.process.pid)):
                assert owner(Path(f"/proc/{pid}")) == nobody.pw_uid
            await installed.send(SUN, BOB)
            await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")
        for words in (("export",), ("queue", "list"), ("trace",)):  # run as root they leave nothing of root's behind
            await installed.run(*words, interpreter=interpreter, environment=environment)
        assert set(map(owner, installed.data.rglob("*"))) == {nobody.pw_uid}


async def test_commands_of_root_take_the_owner_of_the_data_where_no_user_is_set() -> None:
    """So it is under systemd, whose unit says User=."""
    need_root()
    nobody = pwd.getpwnam("nobody")
    interpreter, environment = python_for(nobody)
    with tempfile.TemporaryDirectory(prefix="mailwye-e2e-") as folder:
        os.chmod(folder, 0o755)
        directory = Path(folder)
        installed = Installed(directory)
        installed.data.mkdir()
        os.chown(installed.data, nobody.pw_uid, nobody.pw_gid)

        async def run(*words: str, stdin: str = "") -> str:
            found = await installed.run(*words, stdin=stdin, interpreter=interpreter, environment=environment)
            assert set(map(owner, installed.data.rglob("*"))) <= {nobody.pw_uid}, words
            return found.out

        for words in (("dns-records",), ("certificates",), ("apply", "-f", str(hosted(directory))), ("queue", "list")):
            await run(*words)
        await run("mailbox", "add", "alice@contoso.com", "--password-stdin", stdin="a good password\n")
        await run("mailbox", "password", "alice@contoso.com", "--password-stdin", stdin="a good password\n")
        await run("mailbox", "remove", "alice@contoso.com")
        await run("apply", "-f", "-", stdin=RELAY)
        await run("secrets", "set", "Relay", "--password-stdin", stdin="another one\n")
        await run("secrets", "rotate")
        versions = json.loads(await run("config", "log", "--json"))
        assert [version["author"] for version in versions] == ["root"] * 6  # who did it, not whose files they are
        assert {event["who"] for event in json.loads(await run("audit", "log", "--json"))} == {"root"}


def python_for(user: pwd.struct_passwd) -> tuple[str, dict[str, str]]:
    """An interpreter of this version that `user` may run, and the environment in which it finds what this one has."""
    candidates = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    found = (Path(mailwye.__file__).parents[1], Path(click.__file__).parents[1])  # the program, and what it needs
    environment = {"PYTHONPATH": os.pathsep.join(map(str, found)), "PYTHONDONTWRITEBYTECODE": "1"}

    def runs(candidate: str) -> bool:
        finds = [candidate, "-c", "import mailwye.app"]
        try:
            return subprocess.run(finds, user=user.pw_uid, env=environment, cwd="/", check=False, capture_output=True).returncode == 0
        except OSError:
            return False

    interpreter = next(filter(runs, candidates), "")
    if not interpreter:
        missing(f"no Python that {user.pw_name} may run finds the program")
    return interpreter, environment


async def test_a_user_who_does_not_exist_is_named(tmp_path: Path) -> None:
    need_root()
    installed = Installed(tmp_path, more='user = "nobody-of-this-name"\n')
    code, words = await _refused(installed)
    assert code == NO_PERMISSION
    assert "nobody-of-this-name" in words


# --- systemd


ACTIVATED = """\
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "mx"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""  # what a service manager does before it starts a service


async def test_sockets_of_the_service_manager_are_used(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    with socket.socket() as bound:
        bound.bind((ADDRESS, 0))
        bound.listen()
        port = bound.getsockname()[1]
        command = (sys.executable, "-c", ACTIVATED, str(bound.fileno()), "-m", "mailwye", "serve", "--config", str(installed.config))
        async with serving(installed, command=command, pass_fds=(bound.fileno(),)):
            await installed.run("apply", "-f", str(hosted(tmp_path)))
            assert not _accepts(installed.ports["mx"])  # not bound: it was given one
            installed.ports["mx"] = port
            await installed.send(SUN, BOB)
            await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")


async def test_the_watchdog_is_fed(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    async with serving(installed, environment={"WATCHDOG_USEC": "400000"}) as service:
        for _ in range(2):
            service.told.clear()
            await service.until_told("WATCHDOG=1", seconds=5)


async def test_the_plain_loop_of_asyncio_serves_too(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    async with serving(installed, environment={"MAILWYE_LOOP": "asyncio", "MAILWYE_LOG_FORMAT": "json"}) as service:
        for line in service.log().splitlines():
            assert "event" in json.loads(line)
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        await installed.send(SUN, BOB)
        await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")


async def test_a_slow_reply_does_not_outlast_the_shutdown(tmp_path: Path) -> None:
    """A smart host that never answers: what was under way goes back to the queue."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.3", 0))
        silent.listen()
        installed = Installed(tmp_path)
        installed.config.write_text(installed.config.read_text().replace("shutdown_timeout = 10", "shutdown_timeout = 1"))
        async with serving(installed) as service:
            await installed.run("apply", "-f", str(hybrid(tmp_path, f"127.0.0.3:{silent.getsockname()[1]}")))
            await installed.send(SUN, JOHN)
            connection, _ = await asyncio.to_thread(silent.accept)
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert await service.stop() == 0
            connection.close()
            assert loop.time() - began < 8
        (row,) = await installed.json("queue", "list")
        assert (row["state"], row["attempts"]) == ("queued", 0)
