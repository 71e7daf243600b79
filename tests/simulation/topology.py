"""One topology of docs/topologies.md as a simulated world: who stands where, who passes mail on to whom, and what a row must come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mailwye.admin.explain import explain
from mailwye.admin.question import Question
from mailwye.config.installation import DeliverySettings
from mailwye.message.headers import find_header_end
from mailwye.testing.checkers import check_quiescence, token_of
from mailwye.testing.gateway import Gateway
from mailwye.testing.peers import PeerServer, ReceivedMessage
from mailwye.testing.relay import Onward, RelayServer, Ways
from mailwye.testing.sender import Mail
from mailwye.testing.world import BOB, GATEWAY, GATEWAY_NAME, JOHN, MOON, MOONS, OWN, SUN, SUNS, World
from mailwye.trace.event import EventKind, TraceEvent
from tests.documented import topologies

OWN_NAME, FILTER_NAME, FILTER = "mail.contoso.com", "mx.filter.example", "192.0.2.40"
FORWARDED, NOBODY = "forwarded@contoso.com", "nobody@contoso.com"  # on the own server: to Moon; and back with the null sender
DOCUMENTED = topologies()
PAGE = {heading[0]: text for heading, text in DOCUMENTED.items()}
_BY = re.compile(rb"^Received: from [^\r\n]*? by (\S+) ", re.MULTILINE)

# What every message brings: fields that only the organization's own servers may set.
CROSSING = b"X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
FORGED = b"X-MS-Exchange-Organization-SCL: -1\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """Who writes to whom, and what must be seen. `path`: the servers that wrote a Received line, first one first. `legs`: each passage
    through Mailwye as (inbound connector, next hop). `end`: where it arrives. `becomes`: the envelope there, where it is another one.
    """

    sender: str
    recipient: str
    path: tuple[str, ...]
    legs: tuple[tuple[str, str], ...]
    end: str
    becomes: tuple[str, str] | None = None  # (sender or its beginning, recipient)

    def __str__(self) -> str:
        return f"{self.sender.partition('@')[0]} to {self.recipient.partition('@')[0]}"


@dataclass(frozen=True, slots=True)
class Setup:
    """One topology. `mx`: (name, address) of the machine that the MX record of contoso.com names; `own`: the ways of the own server."""

    section: str
    mx: tuple[str, str]
    own: Ways
    rows: tuple[Row, ...]

    @property
    def organization(self) -> str:
        """The file that the page shows."""
        return PAGE[self.section]


def directly(recipient: str) -> Onward:
    """By the MX record of the recipient's domain, past Mailwye."""
    return Onward({"example.net": SUNS, "example.org": MOONS}[recipient.partition("@")[2]])


def own_ways(sender: str, recipient: str, *, direct: bool = False) -> Onward | None:
    """An own server: John is here, Bob is not; what is outside goes to the smart host, or `direct`ly."""
    match recipient:
        case "john@contoso.com":
            return None
        case "forwarded@contoso.com":
            return Onward(GATEWAY, MOON)
        case "nobody@contoso.com" if sender:
            return Onward(GATEWAY, sender, "")
    return directly(recipient) if direct and not recipient.endswith("@contoso.com") else Onward(GATEWAY)


class Place:
    """A topology that has been set up. `own` and `filter` are the machines that pass mail on."""

    def __init__(self, world: World, setup: Setup, gateway: Gateway, own: RelayServer, filtering: RelayServer) -> None:
        self.world = world
        self.setup = setup
        self.gateway = gateway
        self.own = own
        self.filter = filtering

    def send(self, sender: str, recipient: str, *, host: str = "", after: float = 0.0) -> Mail:
        """Let the sender's machine send as it would: John through the own server, Bob by submission, others to the MX of the domain, or to
        `host`.
        """
        fields = FORGED + CROSSING
        if sender == JOHN:
            mail = Mail(self.world.new_name(), sender, (recipient,), fields=fields)
            self.world.loop.call_later(after, self.own.submit, mail)
            return mail
        host = host or (GATEWAY if sender == BOB else self.setup.mx[1])
        return self.world.mail(sender, (recipient,), fields=fields, after=after, host=host)

    def arrivals(self) -> Iterator[tuple[str, ReceivedMessage]]:
        """(where, message) of everything that came to an end anywhere."""
        world = self.world
        ends = {"own": self.own.kept, "mailbox": world.mailboxes.messages, "sun": world.sun.messages, "moon": world.moon.messages}
        for end, messages in ends.items():
            for message in messages:
                yield end, message

    def arrival(self, mail: Mail) -> tuple[str, ReceivedMessage]:
        """Where `mail` arrived: once, and nowhere else."""
        (found,) = [one for one in self.arrivals() if token_of(one[1].content).startswith(f"{mail.name}.")]
        return found

    def events(self, kind: EventKind, message: str = "") -> list[TraceEvent]:
        """What the trace of the gateway holds."""
        return [event for event in self.gateway.trace.recorded if event.kind is kind and message in ("", event.message)]

    def passages(self, message: ReceivedMessage) -> list[tuple[TraceEvent, TraceEvent]]:
        """Each passage of a message through the gateway as the trace has it: how it came in, and which way it went."""
        message_id = f"<{token_of(message.content)}@world.example>"
        came = [event for event in self.events(EventKind.RECEIVE) if event.data.get("message_id") == message_id]
        return [(one, next(iter(self.events(EventKind.ROUTE, one.message)))) for one in came]

    def check(self, row: Row, mail: Mail) -> None:
        """Everything that a row promises."""
        end, message = self.arrival(mail)
        sender, recipient = row.becomes or (row.sender, row.recipient)
        assert (end, message.recipients) == (row.end, (recipient,)), row
        assert message.sender.startswith(sender) if sender else message.sender == "", row
        assert hops(message) == row.path, row
        passages = self.passages(message)
        assert tuple((came.connector, went.data["next_hop"]) for came, went in passages) == row.legs, row
        self._check_header(row, message)
        for came, went in passages:
            self._check_explained(came, went)

    def _check_header(self, row: Row, message: ReceivedMessage) -> None:
        """The organization's fields cross from the own servers to mailboxes here; nobody else brings them in, and they never go out."""
        block = header(message)
        inside = row.sender == JOHN and row.end == "mailbox"
        assert (b"X-MS-Exchange-Organization-AuthAs: Internal" in block) is inside, row
        assert b"CrossPremises" not in block or not row.legs, row
        assert block.count(b"X-Mailwye-Path: ") == sum(hop != "mailbox" for _, hop in row.legs), row

    def _check_explained(self, came: TraceEvent, went: TraceEvent) -> None:
        """The trace gives the reasons, and `explain` would have foretold this very way with the same ones."""
        gateway = self.gateway
        certificate = {OWN: OWN_NAME, FILTER: FILTER_NAME}.get(came.data["peer_address"], "")
        question = Question(
            came.sender,
            went.data["original"],
            ip=came.data["peer_address"],
            certificate_name=certificate,
            auth=came.data.get("authenticated", ""),
        )
        foretold = explain(
            gateway.snapshot.current, question, unwrap=lambda address: gateway.rewriting.unwrap(address, gateway.clock.now())
        )
        assert foretold.reply.code == 250
        (route,) = foretold.routes
        assert route.next_hop == went.data["next_hop"]
        assert tuple(dict.fromkeys((*foretold.recipient.reasons, *route.reasons))) == went.reasons
        assert any(f'"{came.connector}" identifies the peer' in reason for reason in came.reasons) == bool(came.connector)
        sent = self.events(EventKind.DELIVER if route.next_hop == "mailbox" else EventKind.SEND, came.message)
        assert [event.status for event in sent] == ["Delivered"]

    async def check_quiet(self, mails: int) -> None:
        """All of it arrived and nothing else did: no copy twice, no notice, no refusal, no retry; and nothing goes on turning."""
        assert len(list(self.arrivals())) == mails
        unwanted = (EventKind.REJECT, EventKind.FAIL, EventKind.EXPIRE, EventKind.DSN)
        assert [event for kind in unwanted for event in self.events(kind)] == []
        assert not any((self.own.refused, self.filter.refused, self.world.ledger.refused))
        await check_quiescence(self.world)


def header(message: ReceivedMessage) -> bytes:
    """The header section, unfolded."""
    return message.content[: find_header_end(message.content)].replace(b"\r\n\t", b" ")


def hops(message: ReceivedMessage) -> tuple[str, ...]:
    """The servers that a message passed, first one first, by their own word."""
    return tuple(name.decode() for name in reversed(_BY.findall(header(message))))


async def set_up(world: World, setup: Setup, *, organization: str = "", certificate: str = OWN_NAME, careless: bool = False) -> Place:
    """Start everybody. `organization`: instead of the one that the page shows; `certificate`: the name in that of the own server;
    `careless`: the own server takes everybody's X-MS-Exchange- fields.
    """
    world.resolver.zone |= {"contoso.com": {"MX": [(10, setup.mx[0])]}, OWN_NAME: {"A": [OWN]}, FILTER_NAME: {"A": [FILTER]}}
    own = _machine(world, world.own, OWN, certificate, setup.own)
    own.friends = None if careless else frozenset({GATEWAY})
    filtering = PeerServer(FILTER_NAME, world.network(FILTER), world.clock)
    relaying = _machine(world, filtering, FILTER, FILTER_NAME, lambda _sender, _recipient: Onward(GATEWAY))
    await filtering.start(FILTER, 25)
    delivery = DeliverySettings(connections_per_destination=1)  # so that the order of arrival can be seen
    gateway = await world.begin(organization=organization or setup.organization, tls=True, delivery=delivery)
    return Place(world, setup, gateway, own, relaying)


def _machine(world: World, peer: PeerServer, address: str, certificate: str, ways: Ways) -> RelayServer:
    """`peer` with a certificate for both directions."""
    pair = world.authority.issue(peer.name, [certificate])
    peer.tls = world.server_tls(pair)
    sender = world.sender(peer.name, address)
    sender.identity = world.client_tls(pair)
    return RelayServer(peer, sender, world.ledger, ways, world.sending)


def play(
    directory: Path,
    setup: Setup,
    story: Callable[[Place], Coroutine[Any, Any, None]],
    *,
    seed: int = 1,
    organization: str = "",
    certificate: str = OWN_NAME,
    careless: bool = False,
) -> None:
    """Set a topology up and play `story` in it."""

    async def main(world: World) -> None:
        await story(await set_up(world, setup, organization=organization, certificate=certificate, careless=careless))

    World.run(seed, directory, main)


_FROM = "From our servers"
_TO = "connector:To our servers"
_MX_HERE = (GATEWAY_NAME, GATEWAY)
_MX_OWN = (OWN_NAME, OWN)
_MX_SUN = "mx:example.net"


def _rows(
    *,
    arriving: tuple[str, ...] = (),
    to_john: tuple[tuple[str, str], ...] = (("", _TO),),
    to_bob: tuple[tuple[str, str], ...] = (("", "mailbox"),),
    own: str = "",
    direct: bool = False,
) -> tuple[Row, ...]:
    """All six directions of a topology without centralized transport. `arriving`: the path of mail from outside before it comes to
    Mailwye, `own`: the same for Bob; the own server's Internet mail goes through Mailwye, or `direct`ly.
    """
    through = (*arriving, *((own,) if own else ()))
    return (
        Row(JOHN, BOB, (OWN_NAME, GATEWAY_NAME), ((_FROM, "mailbox"),), "mailbox"),
        Row(BOB, JOHN, (GATEWAY_NAME,), (("", _TO),), "own"),
        Row(JOHN, SUN, (OWN_NAME,) if direct else (OWN_NAME, GATEWAY_NAME), () if direct else ((_FROM, _MX_SUN),), "sun"),
        Row(SUN, JOHN, (*arriving, GATEWAY_NAME) if to_john else arriving, to_john, "own"),
        Row(BOB, SUN, (GATEWAY_NAME,), (("", _MX_SUN),), "sun"),
        Row(SUN, BOB, (*through, GATEWAY_NAME), to_bob, "mailbox"),
    )


def _centralized(*, direct: bool) -> tuple[Row, ...]:
    through = ("", "connector:Through our servers")
    outside = () if direct else ((_FROM, _MX_SUN),)
    back = () if direct else (GATEWAY_NAME,)
    return (
        Row(JOHN, BOB, (OWN_NAME, GATEWAY_NAME), ((_FROM, "mailbox"),), "mailbox"),
        Row(BOB, JOHN, (GATEWAY_NAME,), (through,), "own"),
        Row(JOHN, SUN, (OWN_NAME, *back), outside, "sun"),
        Row(SUN, JOHN, (GATEWAY_NAME,), (through,), "own"),
        Row(BOB, SUN, (GATEWAY_NAME, OWN_NAME, *back), (through, *outside), "sun"),
        Row(SUN, BOB, (GATEWAY_NAME, OWN_NAME, GATEWAY_NAME), (through, (_FROM, "mailbox")), "mailbox"),
    )


_FORWARDING = (
    Row(
        SUN,
        FORWARDED,
        (OWN_NAME, GATEWAY_NAME),
        ((_FROM, "mx:example.org"),),
        "moon",
        ("SRS0=", MOON),
    ),
    Row(SUN, NOBODY, (OWN_NAME, GATEWAY_NAME), ((_FROM, _MX_SUN),), "sun", ("", SUN)),
)
_VIA_OWN: dict[str, Any] = {"to_john": (), "to_bob": ((_FROM, "mailbox"),), "own": OWN_NAME}
_DIRECT = partial(own_ways, direct=True)

SEED = Setup("1", _MX_HERE, own_ways, _rows())
CENTRALIZED = Setup("2", _MX_HERE, own_ways, _centralized(direct=False))
CENTRALIZED_DIRECT = Setup("2", _MX_HERE, _DIRECT, _centralized(direct=True))
OWN_FILTER = Setup("3", _MX_OWN, _DIRECT, _rows(**_VIA_OWN, direct=True))
OWN_MX = Setup("4", _MX_OWN, own_ways, (*_rows(**_VIA_OWN), *_FORWARDING))
FILTERED = Setup("5", (FILTER_NAME, FILTER), own_ways, _rows(arriving=(FILTER_NAME,)))
PROTECTION = Setup("6", _MX_HERE, own_ways, tuple(row for row in _rows() if BOB not in (row.sender, row.recipient)))

SETUPS = {
    "1 all through here": SEED,
    "2 centralized": CENTRALIZED,
    "2 centralized, own server delivers": CENTRALIZED_DIRECT,
    "3 own filter": OWN_FILTER,
    "4 own MX": OWN_MX,
    "5 third-party filter": FILTERED,
    "6 protection only": PROTECTION,
}
