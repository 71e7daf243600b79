"""What keeps the service from starting: each says what, where and what to do, in one message, with an exit code of sysexits.h."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from tests.counterparts.process import missing, need_root
from tests.e2e.installed import ADDRESS, Finished, Installed, serving
from tests.e2e.organizations import BOB, SUN, hosted

IO_ERROR, NO_PERMISSION, CONFIGURATION = 74, 77, 78
UNPRIVILEGED_PORTS = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


async def refused(installed: Installed, *command: str, code: int) -> str:
    """What `mailwye serve` says, which must end with `code`; `command`: another program that starts it."""
    finished = await _serve(installed, *command)
    assert finished.code == code, finished.words
    assert "Traceback" not in finished.words
    assert finished.err.count("mailwye: ") == 1
    return finished.err


async def _serve(installed: Installed, *command: str) -> Finished:
    return await installed.run("serve", code=None, interpreter=(*command, sys.executable))


def without(*capabilities: str) -> tuple[str, ...]:
    """A prefix that takes capabilities from root; nothing for anybody else, who does not have them."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        missing("setpriv (util-linux) is not installed")
    names = ",".join(f"-{name}" for name in capabilities)
    return ("setpriv", f"--bounding-set={names}", f"--inh-caps={names}")


async def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example"])
    authority.issue("other", ["other.example"])
    installed = Installed(tmp_path, more='[tls]\ncertificate = "mx.pem"\nprivate_key = "other.key"\n')
    words = await refused(installed, code=CONFIGURATION)
    assert str(tmp_path / "other.key") in words
    assert str(tmp_path / "mx.pem") in words
    checked = await installed.run("check", code=CONFIGURATION)
    assert "other.key" in checked.out


async def test_a_missing_certificate_is_shown_by_check_too(tmp_path: Path) -> None:
    installed = Installed(tmp_path, more='[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n')
    checked = await installed.run("check", code=None)
    assert f"{tmp_path / 'mx.pem'} is not on this machine" in checked.out
    assert str(tmp_path / "mx.pem") in await refused(installed, code=CONFIGURATION)


async def test_a_low_port_without_the_right_to_it(tmp_path: Path) -> None:
    _need_privileged_ports()
    installed = Installed(tmp_path)
    installed.config.write_text(installed.config.read_text().replace(f"port = {installed.ports['mx']}", "port = 99"))
    words = await refused(installed, *without("net_bind_service"), code=NO_PERMISSION)
    assert f"{ADDRESS} port 99" in words
    assert "root" in words


def _need_privileged_ports() -> None:
    if int(UNPRIVILEGED_PORTS.read_text()) <= 99:
        missing("this machine lets everybody have low ports")


async def test_a_data_directory_that_is_not_writable(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.data.mkdir(mode=0o500)
    words = await refused(installed, *without("dac_override", "dac_read_search"), code=IO_ERROR)
    assert str(installed.data) in words
    assert "owner" in words
    installed.data.chmod(0o700)


NO_DATABASE = "This is no database. " * 500


@pytest.mark.parametrize("workers", [0, 2])
async def test_settings_that_are_no_database(tmp_path: Path, workers: int) -> None:
    installed = Installed(tmp_path, workers=workers)
    file = installed.data / "config.sqlite"
    file.parent.mkdir(parents=True)
    file.write_text(NO_DATABASE)
    assert str(file) in await refused(installed, code=IO_ERROR)
    assert file.read_text() == NO_DATABASE  # nobody's file is overwritten
    finished = await installed.run("apply", "-f", str(hosted(tmp_path)), code=IO_ERROR)
    assert str(file) in finished.err


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_queue_that_is_no_database_is_set_aside(tmp_path: Path, workers: int) -> None:
    """It neither blocks the start nor vanishes; the alert names it."""
    installed = Installed(tmp_path, workers=workers)
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    file = installed.data / "queue/worker-0.sqlite"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(NO_DATABASE)
    async with serving(installed) as service:
        await installed.send(SUN, BOB)
    (aside,) = (installed.data / "queue/corrupt").glob("worker-0-*.sqlite")
    assert aside.read_text() == NO_DATABASE
    assert str(aside) in service.log()
    assert "was set aside" in service.log()


async def test_a_full_disk(tmp_path: Path) -> None:
    need_root()
    installed = Installed(tmp_path)
    installed.data.mkdir()
    words = await refused(installed, *_on_a_small_disk(installed.data), code=IO_ERROR)
    assert str(installed.data) in words
    assert "no space left" in words.lower()


def _on_a_small_disk(directory: Path) -> tuple[str, ...]:
    """A prefix that runs a program in a namespace in which `directory` is a file system of 40 KiB."""
    small = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=40k tmpfs "$0" && exec "$@"', str(directory))
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode != 0:
        missing("no namespace of file systems can be made here")
    return small


async def test_a_control_socket_of_another_user(tmp_path: Path) -> None:
    need_root()
    installed = Installed(tmp_path)
    folder = installed.data / "run"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "control.sock"))
        listening.listen()
        nobody = pwd.getpwnam("nobody")
        folder.chmod(0o700)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        interpreter = (*without("dac_override", "dac_read_search"), sys.executable)
        finished = await installed.run("status", code=NO_PERMISSION, interpreter=interpreter)
    assert str(folder / "control.sock") in finished.err
    assert "Traceback" not in finished.words


async def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    installed.data.write_text("")
    assert f"{installed.data} cannot be made" in await refused(installed, code=IO_ERROR)
