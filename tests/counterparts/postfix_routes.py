"""What a real Postfix says about an address: its trivial-rewrite server by its own protocol, its tables by `postmap -q`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.counterparts.process import Process, need_root, program, wait_until

_MASTER = """\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
postlog   unix-dgram n  -       n       -       1       postlogd
"""
_PLACES = """
queue_directory = {directory}/spool
data_directory = {directory}/data
maillog_file = /dev/stdout
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = all
"""


@dataclass(frozen=True, slots=True)
class Resolved:
    """trivial-rewrite's answer."""

    transport: str
    nexthop: str
    recipient: str


class PostfixRoutes:
    """One running Postfix with the routing part of a main.cf; it listens nowhere and delivers nothing.

    `configuration`: main.cf and its tables, whose paths begin with /etc/postfix/ in main.cf. `transports`: lines of master.cf for them.
    """

    def __init__(self, directory: Path, configuration: Path, transports: str) -> None:
        need_root()
        program("postfix")
        self.directory = directory
        self.config = directory / "config"
        for name in ("spool", "data", "config"):
            (directory / name).mkdir(parents=True)
        for file in configuration.iterdir():
            text = file.read_text().replace("/etc/postfix/", f"{self.config}/")
            if file.name == "main.cf":
                text += _PLACES.format(directory=directory)
            (self.config / file.name).write_text(text)
        (self.config / "master.cf").write_text(_MASTER + transports)
        subprocess.run(["chown", "-R", "postfix", str(directory / "data")], check=True)
        directory.chmod(0o755)
        self._process: Process | None = None

    def start(self) -> None:
        """Wait until its rewriting service answers."""
        self._process = Process([program("postfix"), "-c", str(self.config), "start-fg"], directory=self.directory)
        wait_until((self.directory / "spool" / "private" / "rewrite").exists, "the rewriting service")

    def stop(self) -> None:
        """SIGTERM to its master process."""
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            os.kill(int((self.directory / "spool" / "pid" / "master.pid").read_text()), signal.SIGTERM)
        self._process.wait_ended()

    def resolve(self, address: str) -> Resolved:
        """Ask as Postfix's own programs do: names and values that end with NUL, an empty name at the end."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(20)
            connection.connect(str(self.directory / "spool" / "private" / "rewrite"))
            asked = ("request", "resolve", "sender", "", "address", address)
            connection.sendall(b"".join(part.encode() + b"\0" for part in asked) + b"\0")
            reply = b""
            while not reply.endswith(b"\0\0") or b"\0recipient\0" not in reply:
                received = connection.recv(4096)
                assert received, f"the rewriting service said {reply!r} and closed"
                reply += received
        parts = reply.decode().split("\0")
        values = {name: value for name, value in pairwise(parts) if name in ("transport", "nexthop", "recipient")}
        return Resolved(**values)

    def lookup(self, table: str, key: str) -> str:
        """`postmap -q key texthash:table`; "" where it is not in it."""
        name = f"texthash:{self.config / table}"
        found = subprocess.run([program("postmap"), "-c", str(self.config), "-q", key, name], capture_output=True, text=True, check=False)
        return found.stdout.strip()

    def setting(self, name: str) -> str:
        """`postconf -h -x name`: its value with everything put in."""
        command = [program("postconf"), "-c", str(self.config), "-h", "-x", name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
