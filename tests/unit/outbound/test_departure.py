"""What changes in a message when it leaves: its header section by the route, never its body; in one piece and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.connectors.selection import Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain
from mailwye.message.headers import find_header_end, scan
from mailwye.message.path_mark import PathMarks
from mailwye.message.sender_rewriting import SenderRewriting, Unwrapped, Validity
from mailwye.outbound.courier import Work
from mailwye.outbound.departure import Border, Departure, header_section, is_looked_at, with_header
from mailwye.outbound.outcomes import judge
from mailwye.queue.item import Origin
from mailwye.runtime.clock import SystemClock
from mailwye.smtp.address import Address, parse_address
from tests.unit.outbound.scripted_server import BOB, JOHN, courier_to, route_to, scripted, work_for
from tests.unit.outbound.test_smtp_courier import good

BODY = b"X-MS-Exchange-Organization-SCL: in the body\r\n.\r\n\x00last line\r\n"
INSIDE = b"From: <a@contoso.com>\r\nX-MS-Exchange-Organization-SCL: 1\r\nSubject: x\r\n\r\n"
OUTSIDE = b"From: <a@contoso.com>\r\nSubject: x\r\n\r\n"
CROSSED = INSIDE.replace(b"Organization", b"CrossPremises")

CROSSING = replace(route_to(), cloud_services_mail_enabled=True)
MARKS = PathMarks(b"the secret of the test world")
REWRITING = SenderRewriting(b"the secret of the test world", 21)
BORDER = Border(MARKS, REWRITING, SystemClock())
MX = Route(RouteKind.MX, JOHN, domain="contoso.com")


class Pieces:
    """Content that is not at hand, in pieces of any size."""

    inline = None

    def __init__(self, data: bytes, length: int) -> None:
        self.data, self.length = data, length

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), self.length):
            yield self.data[at : at + self.length]


def left_of(departure: Departure, block: bytes) -> bytes:
    """The header section as it leaves."""
    return departure.added + (block if departure.block is None else departure.block)


def unmarked(sent: bytes) -> bytes:
    """Without the path mark, which comes first."""
    assert sent.startswith(b"X-Mailwye-Path: v=1;")
    return sent[scan(sent).fields[0].end :]


@pytest.mark.parametrize(
    ("route", "left", "why"),
    [
        (MX, OUTSIDE, "it leaves without a connector"),
        (route_to(), OUTSIDE, 'CloudServicesMailEnabled is not in force at connector "X"'),
        (CROSSING, CROSSED, 'CloudServicesMailEnabled is true at connector "X"'),
    ],
)
def test_the_route_decides_about_the_organizations_headers(route: Route, left: bytes, why: str) -> None:
    departure = BORDER.depart(work_for(route=route), INSIDE)
    assert unmarked(left_of(departure, INSIDE)) == left
    assert len(departure.reasons) == 1
    assert "X-MS-Exchange-Organization-SCL" in departure.reasons[0]
    assert departure.reasons[0].endswith(f"({why})")


@pytest.mark.parametrize("route", [MX, CROSSING])
def test_nothing_to_change_gets_a_mark_only(route: Route) -> None:
    departure = BORDER.depart(work_for(route=route), OUTSIDE)
    assert departure.block is None
    assert departure.reasons == ()
    assert not departure.refused


def test_a_copy_that_takes_the_same_way_again_is_stopped_alone() -> None:
    """The first recipient's copy was here before, the second one's comes for the first time."""
    first = left_of(BORDER.depart(work_for(JOHN), OUTSIDE), OUTSIDE)
    again = BORDER.depart(work_for(JOHN, BOB), first)
    assert again.refused is not None
    assert list(again.refused) == [0]
    assert 'Way in: no inbound connector; way out: outbound connector "X"' in again.refused[0].text
    assert not BORDER.depart(work_for(BOB), first).refused
    assert not BORDER.depart(work_for(JOHN, route=MX), first).refused  # another way out
    other = work_for(JOHN)
    message = replace(other.lease.message, origin=Origin("s", "connector", "From our servers"))
    assert not BORDER.depart(replace(other, lease=replace(other.lease, message=message)), first).refused  # another way in


@pytest.mark.parametrize("stored", [False, True], ids=["inline", "streamed"])
async def test_copies_that_were_here_before_fail_and_the_others_go(stored: bool) -> None:
    first = left_of(BORDER.depart(work_for(JOHN), OUTSIDE), OUTSIDE)
    content = Pieces(first + b"body\r\n", 10) if stored else first + b"body\r\n"
    async with scripted(good(b"PIPELINING")) as server, courier_to(server.host(), border=BORDER) as courier:
        attempts = await courier.deliver(work_for(JOHN, BOB, content=content))
        assert [str(judge(one).result) for one in attempts] == ["Result.FAILED", "Result.DELIVERED"]
        assert attempts[0].reply.enhanced == "5.4.14"
        (only,) = await courier.deliver(work_for(JOHN, content=content))
        assert (only.reply.code, only.reply.enhanced) == (554, "5.4.14")
        assert len(server.contents) == 1


@pytest.mark.parametrize("block", [b"X-MS-Exchange-A: 1\r\n", b"From: a\r\nx-ms-exchange-a: 1\r\n"])
def test_fields_are_found_at_the_start_and_in_any_case(block: bytes) -> None:
    assert is_looked_at(block)


@pytest.mark.parametrize("offers", [(), (b"PIPELINING", b"CHUNKING", b"SIZE 10000000")], ids=["lock-step", "chunking"])
@pytest.mark.parametrize("stored", [False, True], ids=["inline", "streamed"])
async def test_the_far_side_gets_the_changed_header_and_the_very_body(offers: tuple[bytes, ...], stored: bool) -> None:
    data = INSIDE + BODY.replace(b"\x00", b"") * 5000
    content = Pieces(data, 70_000) if stored else data
    async with scripted(good(*offers)) as server, courier_to(server.host(), border=BORDER) as courier:
        (attempt,) = await courier.deliver(work_for(content=content))
        assert attempt.reply.code == 250
        assert any("X-MS-Exchange-Organization-SCL" in reason for reason in attempt.reasons)
        (got,) = server.contents
        sent = got.replace(b"\r\n..", b"\r\n.").removesuffix(b".\r\n")  # larger content goes by DATA
        assert unmarked(sent) == OUTSIDE + data[len(INSIDE) :]
        if offers:
            assert any(f"SIZE={len(sent)}" in line for line in server.lines)


async def test_the_limit_of_the_far_side_counts_for_what_is_sent() -> None:
    """Removing a field makes it fit; the octets that were stored would not. One octet less, and it is too large."""
    content = INSIDE.replace(b"SCL: 1", b"SCL: " + b"1" * 400)
    limit = len(left_of(BORDER.depart(work_for(), content), content))
    assert limit < len(content)
    for size, code in ((limit, 250), (limit - 1, 552)):
        async with scripted(good(b"SIZE %d" % size)) as server, courier_to(server.host(), border=BORDER) as courier:
            (attempt,) = await courier.deliver(work_for(content=content))
            assert attempt.reply.code == code


@given(st.binary(max_size=200), st.integers(1, 50), st.booleans())
async def test_pieces_of_any_size_give_the_same_header_and_body(body: bytes, length: int, with_body: bool) -> None:
    data = INSIDE + body if with_body else INSIDE[:-2]
    content = Pieces(data, length)
    block = await header_section(content)
    assert block == (INSIDE if with_body else data)
    assert find_header_end(data) in (len(block), -1)
    departing = with_header(content, len(block), b"New: 1\r\n\r\n")
    sent = b"".join([piece async for piece in departing.chunks()])
    assert sent == b"New: 1\r\n\r\n" + (body if with_body else b"")
    assert departing.size == len(sent)


# --- Received lines and senders


def work_from(*recipients: Address, sender: str | None, route: Route, snapshot: Snapshot | None, kind: str = "connector") -> Work:
    work = work_for(*recipients, sender=parse_address(sender) if sender else None, route=route)
    message = replace(work.lease.message, origin=Origin("s", kind, "From our servers" if kind == "connector" else ""))
    return replace(work, lease=replace(work.lease, message=message), snapshot=snapshot)


def contoso(*, default: bool = True) -> Snapshot:
    ours = InboundConnector("Ours", connector_type=ConnectorType.ON_PREMISES, sender_ip_addresses=("203.0.113.9/32",))
    return Snapshot(1, "contoso", Directory([AcceptedDomain("contoso.com", default=default)]), ConnectorTable((ours,)))


CONTOSO = contoso()
HIDING = replace(MX, remove_internal_received_headers=True)
REWRITING_ROUTE = replace(route_to(), rewrites_sender=True)
OWN_HOPS = (
    b"Received: from own ([203.0.113.9])\r\n\tby mx.mailwye.example (Mailwye) with ESMTP id Q;\r\n\tx\r\n"
    b"Received: from pc (10.0.0.1) by own; x\r\n"
)


def test_the_own_network_is_hidden_where_the_route_says_so_and_its_hops_are_counted() -> None:
    work = work_from(JOHN, sender="bob@contoso.com", route=HIDING, snapshot=CONTOSO, kind="anonymous")
    departure = BORDER.depart(work, OWN_HOPS + OUTSIDE)
    assert departure.block == b"Received: by mx.mailwye.example (Mailwye) with ESMTP id Q;\r\n\tx\r\n" + OUTSIDE
    (mark,) = MARKS.read(scan(left_of(departure, b"")))
    assert mark.removed == 1
    assert [reason.endswith("(RemoveInternalReceivedHeaders of the organization)") for reason in departure.reasons] == [True, True]
    assert BORDER.depart(replace(work, route=MX), OWN_HOPS + OUTSIDE).block is None


@pytest.mark.parametrize(
    ("sender", "route", "snapshot", "rewritten"),
    [
        ("sun@example.net", REWRITING_ROUTE, CONTOSO, True),
        ("sun@example.net", route_to(), CONTOSO, False),  # nothing asks for it, or the copy stays in the organization
        ("bob@contoso.com", REWRITING_ROUTE, CONTOSO, False),  # not foreign
        (None, REWRITING_ROUTE, CONTOSO, False),
        ("sun@example.net", REWRITING_ROUTE, contoso(default=False), False),
        ("sun@example.net", REWRITING_ROUTE, None, False),
        (f"{'x' * 60}@example.net", REWRITING_ROUTE, CONTOSO, False),
    ],
)
def test_whose_sender_is_rewritten(sender: str | None, route: Route, snapshot: Snapshot | None, rewritten: bool) -> None:
    work = work_from(JOHN, sender=sender, route=route, snapshot=snapshot)
    departure = BORDER.depart(work, OUTSIDE)
    assert (departure.sender != work.lease.message.sender) == rewritten
    if rewritten:
        assert departure.sender is not None
        assert REWRITING.unwrap(departure.sender, SystemClock().now()) == Unwrapped(Validity.VALID, work.lease.message.sender)
        assert 'SenderRewritingEnabled of connector "X"' in departure.reasons[0]


@pytest.mark.parametrize("stored", [False, True], ids=["inline", "streamed"])
async def test_the_far_side_hears_the_rewritten_sender(stored: bool) -> None:
    work = work_from(JOHN, sender="sun@example.net", route=REWRITING_ROUTE, snapshot=CONTOSO)
    content = OUTSIDE + b"body\r\n"
    if stored:
        work = replace(work, lease=replace(work.lease, content=Pieces(content, 7)))
    async with scripted(good()) as server, courier_to(server.host(), border=BORDER) as courier:
        (attempt,) = await courier.deliver(work)
        assert attempt.reply.code == 250
        assert any(line.startswith("MAIL FROM:<SRS0=") and "=example.net=sun@contoso.com>" in line for line in server.lines)
        assert any("is rewritten to" in reason for reason in attempt.reasons)
