"""Values of the queue: a message, its deliveries (one per recipient), leases on them and their outcomes."""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from mailwye.message.content import Content
from mailwye.message.envelope import BodyType, Notify, TlsWish
from mailwye.smtp.address import Address
from mailwye.value import dataclass


class DeliveryState(Enum):
    """Where one recipient's copy stands. Legal moves: queue/transitions.py. The last five are final."""

    QUEUED = "queued"  # waits for `due`
    LEASED = "leased"  # an attempt is under way
    HELD = "held"  # an administrator holds it; never due
    DELIVERED = "delivered"  # a next hop or a mailbox took responsibility
    FAILED = "failed"  # permanent failure; DSN sent where one is due
    EXPIRED = "expired"  # too old; DSN sent where one is due
    DELETED = "deleted"  # an administrator deleted it
    CORRUPT = "corrupt"  # unreadable; kept aside with an alert


FINAL_STATES = frozenset(
    {DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.EXPIRED, DeliveryState.DELETED, DeliveryState.CORRUPT}
)


@dataclass(frozen=True, slots=True)
class Origin:
    """How the message came in, kept with it so that later decisions (selection, loops, DSN) know it.

    `caller_kind` "anonymous" | "connector" | "mailbox" | "internal" (a DSN of our own); `connector` the InboundConnector's
    Name or ""; `authenticated` the mailbox's PrimarySmtpAddress or "".
    """

    session_id: str
    caller_kind: str
    connector: str = ""
    authenticated: str = ""
    peer_address: str = ""
    hello: str = ""
    listener: str = ""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One final recipient of a new message. `recipient`: where the copy goes (after aliases and groups);
    `original`: the forward-path as accepted at RCPT. `next_hop` is the key of the way chosen at acceptance
    ("mailbox", "connector:NAME", "mx:DOMAIN", "none"): a hint by which work is grouped; the route is decided again at each attempt.
    `rule_connector`: the OutboundConnector that a mail flow rule chose at acceptance, "" for none. It is kept, since rules are not asked
    again (docs/decisions/0008).
    """

    recipient: Address
    original: Address
    next_hop: str
    notify: Notify = Notify.DEFAULT
    orcpt: str = ""
    rule_connector: str = ""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to accept. `id` from message/ids.py; times in Unix seconds; `size` of the content in octets."""

    id: str
    received_at: float
    sender: Address | None
    deliveries: tuple[NewDelivery, ...]
    content: Content
    origin: Origin
    config_version: int
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    message_id: str = ""  # header Message-ID, for the trace
    subject: str = ""  # decoded, at most 256 characters, for the trace
    auto_submitted: bool = False  # RFC 3834: causes no DSN
    requires_8bit: bool = False  # content holds octets >= 0x80
    plain: bool = False  # DATA can carry the content as it is (smtp/events.ContentEnded)
    first_attempt_at: float | None = None  # None: at once
    tls: TlsWish = TlsWish.DEFAULT


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message as the queue holds it, without its content."""

    id: str
    received_at: float
    sender: Address | None
    size: int
    origin: Origin
    config_version: int
    body: BodyType
    smtputf8: bool
    ret: str
    envid: str
    message_id: str
    subject: str
    auto_submitted: bool
    requires_8bit: bool
    plain: bool = False
    tls: TlsWish = TlsWish.DEFAULT


@dataclass(frozen=True, slots=True)
class Delivery:
    """One recipient's copy in the queue. `id` is unique in its engine. Times in Unix seconds."""

    id: int
    message_id: str
    recipient: Address
    original: Address
    next_hop: str
    notify: Notify
    orcpt: str
    state: DeliveryState
    due: float
    attempts: int = 0
    first_failed_at: float = 0.0
    last_attempt_at: float = 0.0
    last_error: str = ""
    delay_notice_sent: bool = False
    rule_connector: str = ""  # as in NewDelivery
    pinned: str = ""  # an administrator keeps it on this way, whatever the settings say (connectors/pins.py; apply --pin-queued)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to attempt deliveries of one message until `expires_at`. All deliveries have the same `next_hop`.

    `token` fences: settling with a token that the engine no longer knows changes nothing and raises LeaseLost.
    """

    token: int
    message: QueuedMessage
    deliveries: tuple[Delivery, ...]
    content: Content
    expires_at: float


class Receipt:
    """Proof that a message is durable. Only an engine's `accept` makes one, after its commit; the reply 250 to content
    is built from it (inbound/acceptance.py) and from nothing else.
    """

    __slots__ = ("message_id",)

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id


class Result(Enum):
    """What became of one delivery in one attempt."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"
    EXPIRED = "expired"
    RELEASED = "released"  # nothing was tried (shutdown, saturated hop): back to the queue, no attempt counted


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of one attempt for one delivery, as the engine must store it.

    `due`: next attempt (DEFERRED, RELEASED). `next_hop`: set when the way changed. `error`: the far side's reply or the cause.
    """

    delivery_id: int
    result: Result
    due: float = 0.0
    error: str = ""
    next_hop: str = ""
    delay_notice_sent: bool = False
    attempted_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another way for one delivery that waits by `from_hop`. It waits by `next_hop` from then on, and until `due` (None: as before).

    `pinned` and `rule_connector` (see Delivery) where they change, None where they stay.
    """

    delivery_id: int
    from_hop: str
    next_hop: str
    due: float | None = None
    pinned: str | None = None
    rule_connector: str | None = None

    @property
    def changes_detail(self) -> bool:
        """It changes more than where and how long the delivery waits."""
        return self.pinned is not None or self.rule_connector is not None


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """What to list, hold, release, retry or delete: the oldest `limit` that match. Empty fields do not restrict.

    `after`: only deliveries with an id above it, which is how to go on after the last one of a page (ids grow in the order of the answers).
    `sender`, `recipient`: exact address or `*@domain`; `sender` may be `<>`.
    """

    message_id: str = ""
    sender: str = ""
    recipient: str = ""
    next_hop: str = ""
    states: frozenset[DeliveryState] = field(default_factory=frozenset)
    limit: int = 1000
    after: int = -1


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One delivery with its message: a row of `mailwye queue list`."""

    message: QueuedMessage
    delivery: Delivery
