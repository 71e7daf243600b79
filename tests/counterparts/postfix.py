"""Postfix as the own server of contoso.com: John's mailbox, everything outside goes to Mailwye as smart host."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailwye.testing.authority import KeyPair
from tests.counterparts.process import Process, free_port, need_root, program

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {directory}/spool
data_directory = {directory}/data
maillog_file = /dev/stdout
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = {name}
mydestination =
mynetworks = {address}/32
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {directory}/mailboxes
virtual_mailbox_maps = texthash:{directory}/mailboxes.map
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_alias_domains =
relayhost = [{smart_host}]:{smart_host_port}
transport_maps = texthash:{directory}/transport
smtp_bind_address = {address}
smtp_tls_security_level = {sending_level}
smtp_tls_secure_cert_match = {smart_host_name}
smtp_tls_CAfile = {authority}
smtp_tls_cert_file = {certificate}
smtp_tls_key_file = {key}
smtp_tls_loglevel = 1
smtpd_tls_security_level = {receiving_level}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_CAfile = {authority}
smtpd_tls_ask_ccert = yes
smtpd_tls_received_header = yes
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtputf8_enable = yes
alias_maps =
local_recipient_maps =
maximal_backoff_time = 30s
minimal_backoff_time = 5s
queue_run_delay = 5s
disable_dns_lookups = yes
"""

MASTER_CF = """\
{port}      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       5       1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass(frozen=True, slots=True)
class SmartHostOfPostfix:
    """Where Postfix relays everything: Mailwye."""

    address: str
    port: int
    name: str


class Postfix:
    """One running instance. `mailbox(local, domain)` gives the Maildir where its users' mail arrives.

    `elsewhere`: addresses of its domains whose mailboxes are not here; their mail goes to the smart host too. `more_listeners`: further
    ports, each with settings of its own (another certificate, no TLS). `clients`: further ways to the smart host, by recipient, each with
    settings of its own (another certificate, another level). `directory` lies where other users may enter.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        smart_host: SmartHostOfPostfix,
        pair: KeyPair,
        authority: Path,
        domains: tuple[str, ...] = ("contoso.com",),
        mailboxes: tuple[str, ...] = ("john", "jane"),
        receiving_level: str = "encrypt",
        sending_level: str = "secure",
        elsewhere: tuple[str, ...] = (),
        more_listeners: Mapping[int, Mapping[str, str]] | None = None,
        clients: Mapping[str, Mapping[str, str]] | None = None,
        name: str = "mail.contoso.com",
        port: int = 0,
    ) -> None:
        need_root()
        program("postfix")
        self.address = address
        self.port = port or free_port(address)
        self.directory = directory
        for folder in ("spool", "data", "mailboxes", "config"):
            (directory / folder).mkdir(parents=True)
        identity = subprocess.run(["id", "-u", "postfix"], capture_output=True, text=True, check=True).stdout.strip()
        group = subprocess.run(["id", "-g", "postfix"], capture_output=True, text=True, check=True).stdout.strip()
        for folder in ("data", "mailboxes"):
            subprocess.run(["chown", "-R", "postfix", str(directory / folder)], check=True)
        directory.chmod(0o755)
        relay = f"smtp:[{smart_host.address}]:{smart_host.port}"
        ways = [f"{one} client{number}{relay.removeprefix('smtp')}\n" for number, one in enumerate(clients or {})]
        (directory / "transport").write_text("".join(f"{one} {relay}\n" for one in elsewhere) + "".join(ways))
        users = [(local, domain) for domain in domains for local in mailboxes]
        (directory / "mailboxes.map").write_text(
            "".join(f"{local}@{domain} {domain}/{local}/\n" for local, domain in users)
            + "".join(f"{one} elsewhere/\n" for one in elsewhere)
        )
        (directory / "config" / "main.cf").write_text(
            MAIN_CF.format(
                directory=directory,
                address=address,
                domains=", ".join(domains),
                uid=identity,
                gid=group,
                smart_host=smart_host.address,
                smart_host_port=smart_host.port,
                smart_host_name=smart_host.name,
                authority=authority,
                certificate=pair.certificate,
                key=pair.private_key,
                receiving_level=receiving_level,
                sending_level=sending_level,
                name=name,
            )
        )
        master = MASTER_CF.format(port=f"{address}:{self.port}")
        for number, settings in (more_listeners or {}).items():
            master += f"{address}:{number} inet n - n - - smtpd{_options(settings)}\n"
        for number, settings in enumerate((clients or {}).values()):
            master += f"client{number} unix - - n - - smtp{_options(settings)}\n"
        (directory / "config" / "master.cf").write_text(master)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground and wait until it accepts mail."""
        self._process = Process([program("postfix"), "-c", str(self.directory / "config"), "start-fg"], directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """SIGTERM to its master process, which ends the others and the script that waits for it."""
        if self._process is None:
            return
        with suppress(OSError, ValueError):
            os.kill(int((self.directory / "spool" / "pid" / "master.pid").read_text()), signal.SIGTERM)
        self._process.wait_ended()

    def log(self) -> str:
        """Its log."""
        return self._process.output() if self._process is not None else ""

    def flush(self) -> None:
        """Try everything that waits in its queue again, now."""
        subprocess.run([program("postqueue"), "-c", str(self.directory / "config"), "-f"], check=True, timeout=20)

    def mailbox(self, local: str, domain: str) -> Path:
        """The Maildir of one of its users."""
        return self.directory / "mailboxes" / domain / local


def _options(settings: Mapping[str, str]) -> str:
    return "".join(f"\n  -o {key}={value}" for key, value in settings.items())
