"""Giving up root: only binding low ports needs it."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

_persons: list[str] = []  # who ran this before it became somebody else


class PrivilegeError(Exception):
    """The user cannot be taken on; the text names the setting and the remedy."""


def is_root() -> bool:
    """True where the process may become any user."""
    return os.geteuid() == 0


def become(user: str) -> None:
    """Run as `user` with his groups from now on; there is no way back. Does nothing where the process already is he.

    :raises PrivilegeError: no such user, not allowed, or a user who cannot read this program (he could start no worker).
    """
    entry = _entry(user)
    if os.geteuid() == entry.pw_uid:
        return
    if not is_root():
        raise PrivilegeError(f"user = {user!r}: only root can become another user; start as root or as {user}")
    _persons.append(current_user())
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir
    os.environ["USER"] = os.environ["LOGNAME"] = user
    for needed in (sys.executable, os.__file__, __file__):
        if not os.access(needed, os.R_OK):
            raise PrivilegeError(f"user = {user!r}: he may not read {needed}; install Mailwye and its Python where he can, such as in /opt")


def hand_over(directory: Path, user: str) -> None:
    """Make `directory` (created where missing, mode 0750) the property of `user`, so that he can work in it after `become`.

    :raises PrivilegeError: no such user. :raises OSError: it cannot be created.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    if not is_root():
        return
    entry = _entry(user)
    if directory.stat().st_uid != entry.pw_uid:
        os.chown(directory, entry.pw_uid, entry.pw_gid)


def owner_of(*paths: Path) -> str:
    """The user to whom the first of `paths` that exists belongs; "" for root, for nobody known, and where none exists."""
    for path in paths:
        try:
            number = path.stat().st_uid
            return pwd.getpwuid(number).pw_name if number else ""
        except OSError:
            continue
        except KeyError:
            return ""
    return ""


def _entry(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise PrivilegeError(f"user = {user!r}: there is no such user on this machine; create it or correct the setting") from error


def current_user() -> str:
    """Who runs this, for logs and the author of a version: the person, where he became root by sudo, and after `become` too."""
    if _persons:
        return _persons[0]
    if os.getuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
