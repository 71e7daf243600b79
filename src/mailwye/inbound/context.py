"""What inbound sessions work with: collaborators of one worker, put together by app.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mailwye.config.installation import InboundLimits
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.inbound.admission import Admission
from mailwye.inbound.authenticator import Authenticator
from mailwye.inbound.decisions import Decisions
from mailwye.queue.engine import QueueEngine
from mailwye.runtime.clock import Clock
from mailwye.runtime.tls import ServerTlsContext
from mailwye.trace.recorder import TraceRecorder


@dataclass(slots=True)
class ActiveTls:
    """The TLS context in force for new handshakes; None: no TLS is offered. Renewed certificates: assign a new context."""

    current: ServerTlsContext | None = None


@dataclass(frozen=True, slots=True)
class InboundContext:
    """Collaborators of all listeners of one worker. `new_id` makes queue ids and session ids (message/ids.py)."""

    hostname: str
    limits: InboundLimits
    snapshot: ActiveSnapshot
    queue: QueueEngine
    trace: TraceRecorder
    clock: Clock
    new_id: Callable[[], str]
    admission: Admission
    tls: ActiveTls = field(default_factory=ActiveTls)
    authenticator: Authenticator | None = None
    decisions: Decisions = field(default_factory=Decisions)
