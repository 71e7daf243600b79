"""A mail server of the simulated world that passes mail on: an own server behind its smart host, a filter in front of it, a forwarder.

It takes mail as a PeerServer, keeps what is for its own mailboxes, and sends everything else on as a conscientious server does: with a
Received line of its own, again and again until somebody took it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from mailwye.message.received import date_text
from mailwye.smtp.reply import Reply
from mailwye.testing.peers import PeerServer, ReceivedMessage
from mailwye.testing.sender import Ledger, Mail, Sender


@dataclass(frozen=True, slots=True)
class Onward:
    """The next hop of one copy: the machine at `host`. `recipient`: whom it is for there, "" the same one. `sender`: None leaves MAIL FROM
    as it is, "" is the null sender.
    """

    host: str
    recipient: str = ""
    sender: str | None = None


Ways = Callable[[str, str], Onward | None]
"""(sender, recipient) → where his copy goes next; None: into a mailbox here."""

_INTERNAL = b"x-ms-exchange-"


class RelayServer:
    """See the module. `kept`: what arrived in its mailboxes, one entry for each recipient; `refused`: (recipient, reply) of copies that
    the next hop refused for good. Each copy under way is one of `tasks`.

    `friends`: the addresses from which X-MS-Exchange- fields are taken, as Exchange's own header firewall has it; None: from everybody.
    """

    def __init__(
        self,
        peer: PeerServer,
        sender: Sender,
        ledger: Ledger,
        ways: Ways,
        tasks: set[asyncio.Task[None]],
        *,
        friends: frozenset[str] | None = None,
    ) -> None:
        self.peer = peer
        self.friends = friends
        self.sender = sender
        self.ways = ways
        self.kept: list[ReceivedMessage] = []
        self.refused: list[tuple[str, Reply]] = []
        self.tasks = tasks
        self._ledger = ledger
        self._lines = 0
        peer.on_message = self._take

    def submit(self, mail: Mail) -> None:
        """A user of this server sends `mail`, which goes on from here at once."""
        self._ledger.attempts += 1
        token = f"{mail.name}.{self._ledger.attempts}"
        self._ledger.mails[token] = mail
        at = self.peer.clock.now()
        self._pass(ReceivedMessage(mail.sender, mail.recipients, mail.content(token), "desk", "10.0.0.7", "", None, at))

    def _take(self, message: ReceivedMessage) -> None:
        if self.friends is not None and message.peer_address not in self.friends:
            message = replace(message, content=_without_internal_fields(message.content))
        self._pass(message)

    def _pass(self, message: ReceivedMessage) -> None:
        for recipient in message.recipients:
            way = self.ways(message.sender, recipient)
            if way is None:
                self.kept.append(replace(message, recipients=(recipient,)))
                continue
            task = asyncio.get_running_loop().create_task(self._send(message, recipient, way))
            self.tasks.add(task)

    async def _send(self, message: ReceivedMessage, recipient: str, way: Onward) -> None:
        sender = message.sender if way.sender is None else way.sender
        reply = await self.sender.relay(sender, way.recipient or recipient, self._received(message) + message.content, way.host)
        if not reply.is_success:
            self.refused.append((recipient, reply))

    def _received(self, message: ReceivedMessage) -> bytes:
        """The line that this server adds (RFC 5321 section 4.4), in the form of Postfix."""
        self._lines += 1
        peer = f"{message.hello} ({message.hello} [{message.peer_address}])"
        at = date_text(int(self.peer.clock.now()))
        return f"Received: from {peer}\r\n\tby {self.peer.name} (Relay) with ESMTP id R{self._lines}; {at}\r\n".encode("ascii")


def _without_internal_fields(content: bytes) -> bytes:
    """Without the fields that only servers of one organization tell one another, folded ones too."""
    header, blank, body = content.partition(b"\r\n\r\n")
    fields = header.replace(b"\r\n\t", b"\0").split(b"\r\n")
    kept = b"\r\n".join(field for field in fields if not field.lower().startswith(_INTERNAL))
    return kept.replace(b"\0", b"\r\n\t") + blank + body
