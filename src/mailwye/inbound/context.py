"""What inbound sessions work with: collaborators of one worker, put together by app.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailwye.config.installation import InboundLimits
from mailwye.config.snapshot import ActiveSnapshot
from mailwye.inbound.admission import Admission
from mailwye.inbound.authenticator import Authenticator
from mailwye.inbound.decisions import Decisions
from mailwye.inbound.traffic import Traffic
from mailwye.message.path_mark import PathMarks
from mailwye.queue.engine import QueueEngine
from mailwye.runtime.clock import Clock
from mailwye.runtime.tls import ServerTlsContext
from mailwye.trace.certificate_watch import CertificateWatch
from mailwye.trace.recorder import TraceRecorder


@dataclass(slots=True)
class ActiveTls:
    """The TLS contexts in force for new handshakes: of each listener by its name, and `current` for those that are not named. None: no
    TLS is offered. Renewed certificates: assign new contexts. `chosen`: for a listener and a choice of connectors/own_certificates.py,
    None where no certificate fits.
    """

    current: ServerTlsContext | None = None
    by_listener: Mapping[str, ServerTlsContext] = field(default_factory=dict)
    chosen: Callable[[str, str], ServerTlsContext | None] | None = None

    def of(self, listener: str, choice: str = "") -> ServerTlsContext | None:
        """The context for a handshake that begins now; the listener's own where none fits the `choice` of a ReceiveConnector."""
        if choice and self.chosen is not None:
            context = self.chosen(listener, choice)
            if context is not None:
                return context
        return self.by_listener.get(listener, self.current)


@dataclass(frozen=True, slots=True)
class InboundContext:
    """Collaborators of all listeners of one worker. `new_id` makes queue ids and session ids (message/ids.py); `marks` reads the path marks
    of this installation; `traffic` counts what comes, None: nothing is kept for replays.
    """

    hostname: str
    limits: InboundLimits
    snapshot: ActiveSnapshot
    queue: QueueEngine
    trace: TraceRecorder
    clock: Clock
    new_id: Callable[[], str]
    admission: Admission
    marks: PathMarks
    tls: ActiveTls = field(default_factory=ActiveTls)
    authenticator: Authenticator | None = None
    certificates: CertificateWatch | None = None
    decisions: Decisions = field(default_factory=Decisions)
    traffic: Traffic | None = None
