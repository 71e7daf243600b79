from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from mailwye.runtime import privileges
from mailwye.runtime.privileges import PrivilegeError, become, current_user, hand_over
from tests.counterparts.process import need_root

ME = pwd.getpwuid(os.getuid()).pw_name


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(PrivilegeError, match="no-such-user"):
        become("no-such-user")


def test_to_be_oneself_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    become(ME)
    assert current_user() == ME


def test_the_author_of_a_change_by_sudo_is_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert current_user() == "ann"
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert current_user() == "uid 4000000"


def test_nobody_else_can_become_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "is_root", lambda: False)
    other = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != os.geteuid())
    with pytest.raises(PrivilegeError, match="only root"):
        become(other)


def test_the_directory_belongs_to_the_user_afterwards(tmp_path: Path) -> None:
    need_root()
    nobody = pwd.getpwnam("nobody")
    hand_over(tmp_path / "data", "nobody")
    status = (tmp_path / "data").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (nobody.pw_uid, nobody.pw_gid, 0o750)


def test_there_is_no_way_back() -> None:
    need_root()
    program = """
import os, pwd
from mailwye.runtime import privileges
privileges.os.access = lambda path, mode: True  # where this Python lies is not the matter here
privileges.become("nobody")
assert os.getresuid() == (pwd.getpwnam("nobody").pw_uid,) * 3, os.getresuid()
assert 0 not in os.getgroups() and os.getresgid() == (pwd.getpwnam("nobody").pw_gid,) * 3
try:
    os.setuid(0)
except PermissionError:
    print("no way back for", privileges.current_user())
"""
    sudo = {**os.environ, "SUDO_USER": "ann"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=sudo)
    assert done.stdout == "no way back for ann\n", done.stderr


def test_a_user_who_cannot_read_the_program_is_refused(tmp_path: Path) -> None:
    need_root()
    program = f"""
import sys
from mailwye.runtime import privileges
sys.executable = {str(tmp_path / "python")!r}
open(sys.executable, "w").close()
privileges.os.chmod(sys.executable, 0o700)
try:
    privileges.become("nobody")
except privileges.PrivilegeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"may not read {tmp_path / 'python'}" in done.stdout, done.stderr
