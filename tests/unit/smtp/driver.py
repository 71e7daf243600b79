"""A driver for ServerConnection with a fixed policy, for tests: it feeds octets, answers events, and remembers everything."""

from __future__ import annotations

from mailwye.smtp import reply as say
from mailwye.smtp.events import (
    AuthReceived,
    CommandRefused,
    ConnectionEnded,
    ContentEnded,
    ContentReceived,
    ContentRefused,
    DataStarted,
    Event,
    MailReceived,
    RcptReceived,
    TransactionReset,
)
from mailwye.smtp.reply import Reply, ReplyParser
from mailwye.smtp.server import ServerConfig, ServerConnection

QUEUED = Reply(250, "2.6.0", "Ok: queued")


class Driver:
    """Policy by local part: `unknown…` 550, `later…` 451, `nodata…` makes DATA fail with 451, `reject…` the content with 554; AUTH wants
    the password "secret". `messages` holds what got 250.
    """

    def __init__(self, config: ServerConfig | None = None, *, tls: bool = False) -> None:
        self.now = 0.0
        self.connection = ServerConnection(config or ServerConfig("mx.test"), now=self.now, tls_active=tls)
        self.events: list[Event] = []
        self.messages: list[bytes] = []
        self.sent = b""
        self._replies = ReplyParser()
        self._content: list[bytes] = []
        self._local = ""

    def greet(self) -> Driver:
        """Greet, and take the greeting away."""
        self.connection.greet()
        self.pump()
        return self

    def hello(self) -> Driver:
        """Greet, EHLO, and nothing left to read."""
        self.greet()
        self.feed(b"EHLO client.test\r\n")
        self.replies()
        self.events.clear()
        return self

    def open(self, parameters: bytes = b"") -> Driver:
        """As `hello`, then MAIL and one RCPT."""
        self.hello()
        self.feed(b"MAIL FROM:<s@a.test>" + parameters + b"\r\n")
        self.feed(b"RCPT TO:<r@b.test>\r\n")
        self.replies()
        self.events.clear()
        return self

    def feed(self, data: bytes) -> list[str]:
        """Give octets, act on every event, return the replies as `code enhanced`."""
        self.connection.receive_data(data, self.now)
        self.pump()
        return self.codes()

    def send(self, line: str) -> list[str]:
        """One command line."""
        return self.feed(line.encode() + b"\r\n")

    def eof(self) -> None:
        self.connection.receive_eof(self.now)
        self.pump()

    def pump(self) -> None:
        while (event := self.connection.next_event()) is not None:
            self.events.append(event)
            answer = self._answer(event)
            if answer is not None:
                self.connection.reply(answer)
        self.sent += self.connection.data_to_send()

    def replies(self) -> list[Reply]:
        """Replies since the last call."""
        self._replies.receive_data(self.sent)
        self.sent = b""
        replies = []
        while (reply := self._replies.next_reply()) is not None:
            replies.append(reply)
        assert not self._replies.has_pending
        return replies

    def codes(self) -> list[str]:
        return [f"{reply.code} {reply.enhanced}".strip() for reply in self.replies()]

    @property
    def ended(self) -> str:
        """Why the connection ended, "" while it is open."""
        return next((event.reason for event in self.events if isinstance(event, ConnectionEnded)), "")

    @property
    def refused(self) -> list[int]:
        return [event.code for event in self.events if isinstance(event, CommandRefused)]

    def _answer(self, event: Event) -> Reply | None:
        match event:
            case MailReceived(sender=sender):
                return self._judge(sender.local if sender is not None else "", say.SENDER_OK)
            case RcptReceived(recipient=recipient):
                self._local = recipient.local
                return self._judge(recipient.local, say.RECIPIENT_OK)
            case DataStarted(chunking=chunking):
                if self._local.startswith("nodata"):
                    return say.TRY_LATER
                return say.OK if chunking else say.START_CONTENT
            case ContentReceived(data=data):
                self._content.append(data)
            case ContentEnded():
                content = b"".join(self._content)
                self._content.clear()
                if self._local.startswith("reject"):
                    return Reply(554, "5.7.1", "No")
                self.messages.append(content)
                return QUEUED
            case ContentRefused() | TransactionReset():
                self._content.clear()
            case AuthReceived(password=password):
                return say.AUTH_SUCCEEDED if password == "secret" else say.AUTH_FAILED
            case _:
                pass
        return None

    def _judge(self, local: str, good: Reply) -> Reply:
        if local.startswith("unknown"):
            return Reply(550, "5.1.1", "No such user")
        return say.TRY_LATER if local.startswith("later") else good
