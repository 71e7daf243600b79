"""Who is told what about an attempt (RFC 3461, RFC 3464, SEMANTICS section 11), and the notice as a message for the queue.

One notice for each message and settlement, also for several recipients. Never one about a null sender or automatic mail, so that
notices cannot answer each other (RFC 5321 section 4.5.5, RFC 3834).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.changes import is_foreign
from mailwye.connectors.mailflow import decide_route
from mailwye.connectors.selection import RouteKind
from mailwye.message.content import Content, InlineContent
from mailwye.message.dsn import Action, RecipientStatus, Report, Returned, fits_lines, render, title
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.message.firewall import leave
from mailwye.message.headers import find_header_end, scan
from mailwye.outbound.settling import Ended
from mailwye.policy.rules.decide import decide_rules
from mailwye.policy.rules.matching import message_facts
from mailwye.queue.engine import QueueError
from mailwye.queue.item import NewDelivery, NewMessage, Origin, QueuedMessage, Result
from mailwye.smtp.address import Address, parse_address

UNCLASSIFIED = "5.0.350"
"""Exchange's status for a remote error that names none."""

_DELIVERED, _NO_WISH = Result.DELIVERED, Notify.DEFAULT
_HEADER_LIMIT = 262_144  # octets of a header section that are looked for
_NO_HEADER = scan(b"")
_INTERNAL = "internal"  # the caller_kind of our own notices
_LOOPS = frozenset({"5.4.6", "5.4.14", "4.4.6", "4.4.14"})


def action_owed(message: QueuedMessage, ended: Ended) -> Action | None:
    """What the sender must be told about one ended attempt, None for nothing. Pure."""
    notify = ended.delivery.notify
    if message.sender is None or message.auto_submitted or message.origin.caller_kind == _INTERNAL:
        return None
    if notify & Notify.NEVER:
        return None
    match ended.settlement.result:
        case Result.FAILED | Result.EXPIRED:
            return Action.FAILED if not notify or notify & Notify.FAILURE else None
        case Result.DEFERRED:
            return Action.DELAYED if ended.delay_notice and (not notify or notify & Notify.DELAY) else None
        case Result.DELIVERED:
            # RFC 3461 section 5.2: a next hop that offers DSN took over this duty.
            if not notify & Notify.SUCCESS or ended.attempt.offers_dsn:
                return None
            return Action.DELIVERED if ended.route.kind is RouteKind.MAILBOX else Action.RELAYED
        case Result.RELEASED:
            return None


def is_owed(message: QueuedMessage, ended: Sequence[Ended]) -> bool:
    """Whether anybody must be told anything."""
    for one in ended:
        if one.settlement.result is _DELIVERED and one.attempt.delivery.notify is _NO_WISH:
            continue  # almost every message; action_owed would say the same
        if action_owed(message, one) is not None:
            return True
    return False


class Bounces:
    """Writes notices. `new_id` makes queue ids; `return_octets`: the largest message that is sent back whole; `expire_after` seconds."""

    def __init__(self, *, hostname: str, new_id: Callable[[], str], return_octets: int, expire_after: float) -> None:
        self._hostname = hostname
        self._new_id = new_id
        self._return_octets = return_octets
        self._expire_after = expire_after

    async def build(
        self, message: QueuedMessage, content: Content, ended: Sequence[Ended], now: float, snapshot: Snapshot
    ) -> NewMessage | None:
        """The notice about `ended`, None where nobody must be told, or where nothing leads to the sender."""
        told = [(one, action) for one in ended if (action := action_owed(message, one)) is not None]
        sender = message.sender
        if not told or sender is None:
            return None
        deliveries = _deliveries(snapshot, sender)
        if not deliveries:
            return None
        failed = any(action is Action.FAILED for _, action in told)
        report = Report(
            id=self._new_id(),
            hostname=self._hostname,
            postmaster=f"postmaster@{snapshot.directory.default_domain or self._hostname}",
            to=str(sender),
            at=now,
            arrived_at=message.received_at,
            recipients=tuple(self._status(message, one, action) for one, action in told),
            returned=await self._returned(message, content, failed=failed, outside=is_foreign(snapshot.directory, sender)),
            subject=message.subject,
            message_id=message.message_id,
            envid=message.envid,
            reference=message.id,
        )
        octets = render(report)
        return NewMessage(
            id=report.id,
            received_at=now,
            sender=None,  # RFC 5321 section 6.1
            deliveries=deliveries,
            content=InlineContent(octets),
            origin=Origin(message.origin.session_id, _INTERNAL),
            config_version=snapshot.version,
            body=BodyType.SEVEN_BIT if octets.isascii() else BodyType.EIGHT_BIT_MIME,
            smtputf8=not sender.is_ascii,
            message_id=report.notice_message_id,
            subject=title(report)[:256],
            auto_submitted=True,
            # RFC 8689 section 5: the notice holds what the message was to be protected for.
            tls=message.tls if message.tls is TlsWish.REQUIRED else TlsWish.DEFAULT,
            requires_8bit=not octets.isascii(),
        )

    def _status(self, message: QueuedMessage, one: Ended, action: Action) -> RecipientStatus:
        delivery, reply, attempt = one.delivery, one.reply, one.attempt
        return RecipientStatus(
            recipient=str(delivery.recipient),
            original=_original(delivery.orcpt, delivery.original),
            action=action,
            status=reply.enhanced or _default_status(action),
            diagnostic=str(reply),
            last_attempt=one.settlement.attempted_at,
            orcpt=delivery.orcpt,
            remote=attempt.host,
            retry_until=message.received_at + self._expire_after if action is Action.DELAYED else 0.0,
            attempts=delivery.attempts + 1,
            cause_status=attempt.reply.enhanced,
            cause_code=attempt.reply.code,
            connectors=_connectors(message, one),
        )

    async def _returned(self, message: QueuedMessage, content: Content, *, failed: bool, outside: bool) -> Returned:
        """RFC 3461 section 4.3: RET=FULL sends the message back with a failure, where it is not too large; else the header section.
        `outside`: to a sender who must not see the organization's headers (SEMANTICS section 9).
        """
        whole = failed and message.ret == "FULL" and content.size <= self._return_octets
        try:
            octets = await _start_of(content, content.size if whole else _HEADER_LIMIT)
        except (QueueError, OSError):
            return Returned(b"")  # to be told without it is better than not to be told
        end = find_header_end(octets)
        header = octets[: end - 2] if end >= 2 else octets
        if outside:
            header, told = leave(header, scan(header), crossing=False)
            if told:
                octets = header + (octets[end - 2 :] if end >= 2 else b"")
        if whole and header.isascii() and fits_lines(octets):
            return Returned(octets, full=True)
        return Returned(_cut(header, self._return_octets))


async def _start_of(content: Content, limit: int) -> bytes:
    """At least the header section, at most `limit` octets and one piece."""
    if content.inline is not None:
        return content.inline
    octets = b""
    async for piece in content.chunks():
        octets += piece
        if len(octets) >= limit or (limit == _HEADER_LIMIT and find_header_end(octets) >= 0):
            break
    return octets


def _cut(header: bytes, limit: int) -> bytes:
    """At most `limit` octets, ending at the end of a line."""
    if len(header) <= limit:
        return header
    end = header.rfind(b"\r\n", 0, limit)
    return header[: end + 2] if end >= 0 else header[:limit]


def _deliveries(snapshot: Snapshot, sender: Address) -> tuple[NewDelivery, ...]:
    """Who gets the notice: the sender, as the directory knows him. Empty where no way leads to him: then there is no notice.

    Mail flow rules choose the way of a notice like that of other mail to him: he may be on a site to which only a rule leads. Conditions
    on the header do not hold: the notice has none yet.
    """
    directory = snapshot.directory
    finals = directory.resolve(sender).recipients
    ruled = decide_rules(snapshot.rules, message_facts(directory, _INTERNAL, None, _NO_HEADER), finals)
    found: list[NewDelivery] = []
    for final, decision in zip(finals, ruled, strict=True):
        rule = decision.connector
        route = decide_route(directory, snapshot.connectors, final.address, from_on_premises=False, from_mailbox=True, rule_connector=rule)
        if route.kind is not RouteKind.NONE:
            found.append(NewDelivery(route.recipient, sender, route.next_hop, Notify.NEVER, rule_connector=rule))
    return tuple(found)


def _original(orcpt: str, address: Address) -> str:
    """The address that the sender wrote, if he can be believed: his ORCPT is an address of the mail kind."""
    kind, _, text = orcpt.partition(";")
    if kind.lower() in ("rfc822", "utf-8"):
        try:
            return str(parse_address(text))
        except ValueError:
            return str(address)
    return str(address)


def _default_status(action: Action) -> str:
    match action:
        case Action.FAILED:
            return UNCLASSIFIED
        case Action.DELAYED:
            return "4.0.0"
        case Action.DELIVERED | Action.RELAYED | Action.EXPANDED:
            return "2.0.0"


def _connectors(message: QueuedMessage, one: Ended) -> tuple[str, ...]:
    """The way in and the way out: both at a loop (SEMANTICS section 10), else the way out where it was a connector."""
    way_in, way_out = message.origin.connector, one.route.connector
    lines: list[str] = []
    if one.attempt.reply.enhanced in _LOOPS:
        lines.append(f"Came in through: {f'inbound connector {way_in!r}' if way_in else 'no connector'} from {message.origin.peer_address}")
        lines.append(f"Went out through: {f'outbound connector {way_out!r}' if way_out else one.hop}")
    elif way_out:
        lines.append(f'Outbound connector: "{way_out}"')
    return tuple(lines)
