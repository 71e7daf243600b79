"""The Authenticator of hosted mailboxes: names from the directory in force, passwords from the configuration store."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from mailwye.config.snapshot import ActiveSnapshot
from mailwye.config.store import ConfigStore, ConfigStoreError
from mailwye.directory.model import RecipientKind
from mailwye.inbound.authenticator import Unknown
from mailwye.runtime.passwords import PasswordCheckFailed, verify_password
from mailwye.smtp.address import AddressError, parse_address

THREADS = 2  # each check takes 64 MiB and a core for some 50 ms
WAITING_LIMIT = 100


class MailboxLogin:
    """Implements inbound.authenticator.Authenticator."""

    def __init__(self, store: ConfigStore, snapshot: ActiveSnapshot) -> None:
        self._store = store
        self._snapshot = snapshot
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._waiting = 0

    async def authenticate(self, username: str, password: str) -> str | Unknown | None:
        """See the port. The user name is the mailbox's primary address or one of its aliases."""
        if self._waiting >= WAITING_LIMIT:
            return Unknown(f"{self._waiting} password checks are waiting already")
        mailbox = self._mailbox(username)
        try:
            password_hash = self._store.password_hash(mailbox) if mailbox else None
        except ConfigStoreError as error:
            return Unknown(str(error))
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(self._threads, verify_password, password_hash, password)
        except (PasswordCheckFailed, RuntimeError) as error:  # RuntimeError: the threads are given back, the service ends
            return Unknown(str(error))
        finally:
            self._waiting -= 1
        return mailbox if right and mailbox else None

    def _mailbox(self, username: str) -> str:
        """The PrimarySmtpAddress, "" where there is no such mailbox."""
        try:
            found = self._snapshot.current.directory.find(parse_address(username))
        except AddressError:
            return ""
        if found is None or found.kind is not RecipientKind.MAILBOX:
            return ""
        return str(found.primary_smtp_address)

    def close(self) -> None:
        """Give back the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
