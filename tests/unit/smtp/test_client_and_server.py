"""ClientConnection against ServerConnection: whatever is sent arrives, or is refused, however the network cuts the octets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mailwye.smtp.address import Address
from mailwye.smtp.client import ClientConnection
from mailwye.smtp.client_events import (
    ClientConfig,
    ContentRequested,
    RecipientRequest,
    ServerReady,
    TransactionEnded,
    TransactionRequest,
)
from mailwye.smtp.wire import normalise_line_ends
from tests.unit.smtp.driver import Driver

LOCALS = st.sampled_from(["good", "unknown", "later", "nodata", "reject", "also.good"])
LINES = st.sampled_from([b"", b".", b"..", b"text", b".text", b"x\r\n.\r\nMAIL FROM:<smug@x.test>", b"x\n.\ny", b"x\r.\ry"])
MESSAGES = st.tuples(st.lists(LOCALS, min_size=1, max_size=3), st.lists(LINES, max_size=6), st.booleans())


def content_of(lines: list[bytes]) -> bytes:
    return b"Subject: x\r\n\r\n" + b"\r\n".join(lines) + b"\r\n"


class Wire:
    """Both ends, and a network that cuts."""

    def __init__(self, data: st.DataObject, *, single_burst: int) -> None:
        self.server = Driver()
        self.server.connection.greet()
        self.client = ClientConnection(ClientConfig("client.test", single_burst=single_burst), now=0.0)
        self.data = data
        self.ended: list[TransactionEnded] = []
        self.ready = False
        self.streamed = b""

    def run(self) -> None:
        """Carry octets until nobody has any more to say."""
        self.server.pump()
        while True:
            to_client, self.server.sent = self.server.sent, b""
            for piece in self.cut(to_client):
                self.client.receive_data(piece, 0.0)
                self.hear()
            to_server = self.client.data_to_send()
            if not to_client and not to_server:
                return
            for piece in self.cut(to_server):
                self.server.connection.receive_data(piece, 0.0)
                self.server.pump()

    def cut(self, octets: bytes) -> list[bytes]:
        pieces = []
        while octets:
            at = self.data.draw(st.integers(1, len(octets)))
            pieces.append(octets[:at])
            octets = octets[at:]
        return pieces

    def hear(self) -> None:
        while (event := self.client.next_event()) is not None:
            match event:
                case TransactionEnded():
                    self.ended.append(event)
                case ServerReady():
                    self.ready = True
                case ContentRequested():
                    for piece in self.cut(self.streamed):
                        self.client.send_content(piece, 0.0)
                    self.client.end_content(0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=4), st.sampled_from([0, 100_000]), st.data())
def test_what_is_sent_arrives_or_is_refused(messages: list[tuple[list[str], list[bytes], bool]], burst: int, data: st.DataObject) -> None:
    wire = Wire(data, single_burst=burst)
    wire.run()
    assert wire.ready
    arrived: list[bytes] = []
    for locals_, lines, streamed in messages:
        content = content_of(lines)
        wire.streamed = content
        recipients = tuple(RecipientRequest(Address(local, "b.test")) for local in locals_)
        request = TransactionRequest(Address("s", "a.test"), recipients, None if streamed else content, len(content))
        wire.client.start(request, 0.0)
        wire.run()
        ended = wire.ended[-1]
        codes = {local: outcome.reply.code for local, outcome in zip(locals_, ended.outcomes, strict=True)}
        assert codes.get("unknown", 550) == 550
        assert codes.get("later", 451) == 451
        if 250 in codes.values():
            arrived.append(normalise_line_ends(content))
    assert len(wire.ended) == len(messages)
    assert wire.server.messages == arrived
