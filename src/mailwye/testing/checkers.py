"""What must be true after every simulated run, whatever was done to the gateways in it.

Conservation (reliability D9): each acknowledged (message, recipient) was delivered, or its sender was told that it was not, or it is still
queued. At least once: more than one of these only where the power was cut, or a connection lost, while a delivery was in flight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from mailwye.testing.peers import ReceivedMessage
from mailwye.testing.sender import TOKEN_HEADER, Acknowledged
from mailwye.testing.world import World

IN_FLIGHT_SECONDS = 15.0
"""How long before a cut a message may have been taken whose delivery was still in flight: an answer's way and a commit."""

ON_THE_WIRE_SECONDS = 0.5
"""How long after a cut what was sent before it may still arrive."""

IDLE_STEPS_PER_HOUR = 200  # a look at the queue each minute is not hot

_TOKEN = re.compile(re.escape(TOKEN_HEADER) + rb"(\S+)")
_REPORT = re.compile(
    rb"^Final-Recipient: *[^;]+; *(?P<recipient>\S+)\r\n(?:[^\r\n]+\r\n)*?Action: *(?P<action>[a-z]+).*?\r\n"
    rb"(?:[^\r\n]+\r\n)*?Status: *(?P<status>[\d.]+)",
    re.MULTILINE,
)


class Fate(Enum):
    """What became of one recipient's copy."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"
    FAILED_SILENTLY = "failed without a notice"  # only what has the null sender
    QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class Notice:
    """One recipient's part of a delivery status notification that arrived. `at`: world time."""

    token: str
    recipient: str
    action: str
    status: str
    to: str
    at: float


@dataclass(slots=True)
class Tally:
    """The account of a run. `fates`: (token, recipient) → each with its time. `duplicates`: how many were explained by a disturbance."""

    fates: dict[tuple[str, str], list[tuple[Fate, float]]] = field(default_factory=dict)
    duplicates: int = 0

    def count(self, fate: Fate) -> int:
        """How many copies had this fate."""
        return sum(any(one is fate for one, _ in found) for found in self.fates.values())


def token_of(content: bytes) -> str:
    """The token of a world's message, or of the message that a notice is about; "" where there is none."""
    found = _TOKEN.search(content)
    return found[1].decode() if found else ""


def notices(world: World) -> list[Notice]:
    """All notices that arrived anywhere."""
    found: list[Notice] = []
    for end in world.far_ends.values():
        for message in end.messages:
            if message.sender == "" and b"multipart/report" in message.content:
                token = token_of(message.content)
                assert token, f"a notice about nothing that was sent: {message.content[:2000]!r}"
                found += [
                    Notice(token, part["recipient"].decode(), part["action"].decode(), part["status"].decode(), to, message.at)
                    for part in _REPORT.finditer(message.content)
                    for to in message.recipients
                ]
    return found


async def check_conservation(world: World) -> Tally:
    """Every acknowledged copy has a fate, and more than one only where a disturbance explains it. Octets are those that were sent."""
    tally = Tally()
    for (token, recipient), at in _deliveries(world):
        tally.fates.setdefault((token, recipient), []).append((Fate.DELIVERED, at))
    for notice in notices(world):
        if notice.action == "failed":
            fate = Fate.EXPIRED if notice.status in ("4.4.7", "5.4.300") else Fate.BOUNCED
            tally.fates.setdefault((notice.token, notice.recipient), []).append((fate, notice.at))
    now = world.clock.now()
    for gateway in world.gateways:
        for row in await gateway.rows() if gateway.is_up else []:
            token = row.message.message_id.strip("<>").partition("@")[0]
            tally.fates.setdefault((token, str(row.delivery.original)), []).append((Fate.QUEUED, now))
    silent = _silent_failures(world)
    for one in world.ledger.acknowledged:
        key = (one.token, one.recipient)
        if key not in tally.fates and one.sender == "" and _queue_id(one) in silent:
            tally.fates[key] = [(Fate.FAILED_SILENTLY, now)]
        assert key in tally.fates, f"lost: {one}"
    for key, fates in tally.fates.items():
        tally.duplicates += _check_duplicates(world, key, fates)
    return tally


def _deliveries(world: World) -> Iterable[tuple[tuple[str, str], float]]:
    for name, end in world.far_ends.items():
        for message in end.messages:
            token = token_of(message.content)
            if message.sender == "" and b"multipart/report" in message.content:
                continue
            mail = world.ledger.mails[token]
            assert message.content.endswith(mail.content(token)), f"the octets of {token} were changed on the way to {name}"
            assert message.sender == mail.sender
            for recipient in message.recipients:
                assert recipient in mail.recipients, f"{token} came to {recipient}, who is none of its recipients"
                yield (token, recipient), message.at


def _silent_failures(world: World) -> set[str]:
    kinds = {"Fail", "Expire"}
    return {event.message for gateway in world.gateways for event in gateway.trace.recorded if event.kind.value in kinds}


def _queue_id(one: Acknowledged) -> str:
    return one.reply.rpartition(" ")[2]


def _check_duplicates(world: World, key: tuple[str, str], fates: Sequence[tuple[Fate, float]]) -> int:
    ordered = sorted(at for _, at in fates)
    for earlier, later in pairwise(ordered):
        assert _explained(world, key[0], earlier, later), f"{key} has several fates, and nothing explains it: {fates}"
    return len(ordered) - 1


def _explained(world: World, token: str, earlier: float, later: float) -> bool:
    """Whether a delivery at `earlier` may have been in flight when something happened to it before `later`."""
    epoch = world.clock.now() - world.clock.monotonic()
    moments = [*world.disturbances, *(at for gateway in world.gateways for at in gateway.cuts)]
    if any(_in_flight(world, earlier - epoch, at) and at + epoch <= later for at in moments):
        return True
    return any(token_of(message.content) == token for end in world.far_ends.values() for message in end.unanswered)


def _in_flight(world: World, delivered: float, at: float) -> bool:
    """Whether what was `delivered` may not have been stored as such `at` that time (both the loop's): not yet, or for want of room."""
    if -ON_THE_WIRE_SECONDS <= at - delivered <= IN_FLIGHT_SECONDS:
        return True
    return any(began <= delivered <= at <= ended + IN_FLIGHT_SECONDS for began, ended in world.full_disks)


def check_notices(world: World) -> None:
    """Nobody was told anything about mail from the null sender, and nobody who did not send it (RFC 5321 section 4.5.5)."""
    for notice in notices(world):
        mail = world.ledger.mails[notice.token]
        assert mail.sender, f"a notice about mail from the null sender: {notice}"
        assert notice.to == mail.sender, f"a notice to somebody who did not send it: {notice}"


def check_arrival_order(world: World, messages: Sequence[ReceivedMessage]) -> None:
    """`messages` came in the order in which they were accepted."""
    accepted = {one.token: _queue_id(one) for one in world.ledger.acknowledged}
    order = [accepted[token] for message in messages if (token := token_of(message.content)) in accepted]
    assert order == sorted(order), f"not in the order of arrival: {order}"


def check_limits(world: World) -> None:
    """No gateway had more connections to one place than its settings allow."""
    for gateway in world.gateways:
        address, limit = gateway.settings.address, gateway.settings.delivery.connections_per_destination
        peaks = {host: peak for (source, host), peak in world.wire.peaks.items() if source == address}
        assert all(peak <= limit for peak in peaks.values()), f"more than {limit} connections: {peaks}"


async def check_quiescence(world: World) -> None:
    """When all is done, nothing is left: no queue, no lease, no connection, no timer that runs hot."""
    await world.sleep(900.0)
    for gateway in world.gateways:
        assert await gateway.rows() == []
        assert gateway.under_way == 0, f"{gateway.under_way} leases are left"
        assert gateway.sessions == 0, f"{gateway.sessions} sessions are left"
        left = world.wire.connections(gateway.settings.address)
        assert left == 0, f"{left} connections are left"
    before = world.loop.steps
    await world.sleep(3600.0)
    steps = world.loop.steps - before
    assert steps <= IDLE_STEPS_PER_HOUR * len(world.gateways), f"{steps} steps in an idle hour"


async def check_all(world: World) -> Tally:
    """Everything above that holds for every run at its end."""
    tally = await check_conservation(world)
    check_notices(world)
    check_limits(world)
    await check_quiescence(world)
    return tally
