"""Dovecot: LMTP in and IMAP read for Bob, or IMAP over the Maildir that Mailwye writes; and the passwords of somebody else's Postfix."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.counterparts.process import Process, free_port, need_root, program

CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = /dev/stderr
auth_verbose = yes
listen = {address}
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{mailboxes}/%d/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = dovecot
default_login_user = dovenull
postmaster_address = postmaster@contoso.com
auth_username_format = %Lu
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mailboxes}/%d/%n allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {address}
    port = {lmtp_port}
  }}
}}
service anvil {{
  chroot =
}}
"""


MAILBOX_OWNER = "mail"  # Dovecot refuses mailboxes of root


class Dovecot:
    """One running instance over `mailboxes` (Maildirs at DOMAIN/LOCAL). Every user's password is `password`."""

    password = "for-tests-only"

    def __init__(self, directory: Path, *, address: str, mailboxes: Path) -> None:
        need_root()
        program("dovecot")
        self.address = address
        self.imap_port = free_port(address)
        self.lmtp_port = free_port(address)
        self.directory = directory
        for name in ("run", "state"):
            (directory / name).mkdir(parents=True)
        mailboxes.mkdir(parents=True, exist_ok=True)
        shutil.chown(mailboxes, MAILBOX_OWNER, MAILBOX_OWNER)
        directory.chmod(0o755)
        self.configuration = directory / "dovecot.conf"
        self.configuration.write_text(
            CONFIGURATION.format(
                directory=directory,
                address=address,
                mailboxes=mailboxes,
                imap_port=self.imap_port,
                lmtp_port=self.lmtp_port,
                password=self.password,
                uid=MAILBOX_OWNER,
                gid=MAILBOX_OWNER,
            )
        )
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground."""
        self._process = Process([program("dovecot"), "-F", "-c", str(self.configuration)], directory=self.directory)
        self._process.wait_ready(self.address, self.imap_port)
        self._process.wait_ready(self.address, self.lmtp_port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    def log(self) -> str:
        """Its log."""
        return self._process.output() if self._process is not None else ""


SASL_CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = /dev/stderr
auth_verbose = yes
protocols =
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = plain login scram-sha-256
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {directory}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home=/nonexistent
}}
service auth {{
  inet_listener {{
    address = {address}
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""


class DovecotSasl:
    """Checks passwords for Postfix (`smtpd_sasl_type = dovecot`, `smtpd_sasl_path = inet:ADDRESS:PORT`); serves no mailboxes."""

    def __init__(self, directory: Path, *, address: str, users: dict[str, str]) -> None:
        """`users`: name → password."""
        need_root()
        program("dovecot")
        self.address = address
        self.port = free_port(address)
        self.directory = directory
        for name in ("run", "state"):
            (directory / name).mkdir(parents=True)
        directory.chmod(0o755)
        (directory / "users").write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()))
        (directory / "users").chmod(0o644)
        self.configuration = directory / "dovecot.conf"
        self.configuration.write_text(
            SASL_CONFIGURATION.format(directory=directory, address=address, port=self.port, uid=MAILBOX_OWNER, gid=MAILBOX_OWNER)
        )
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground."""
        self._process = Process([program("dovecot"), "-F", "-c", str(self.configuration)], directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    def log(self) -> str:
        """Its log."""
        return self._process.output() if self._process is not None else ""
