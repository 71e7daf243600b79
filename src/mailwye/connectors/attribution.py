"""Who is calling? SEMANTICS section 3: pure, with the reason for every connector. (Values; the function follows.)"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailwye.connectors.model import InboundConnector
from mailwye.connectors.selection import Candidate
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply


class CallerKind(Enum):
    """Whom the organization takes the peer for."""

    ANONYMOUS = "anonymous"
    CONNECTOR = "connector"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Caller:
    """The answer. `proof`: "certificate" | "address" | "certificate and address" | "" ; `certificate_name`: the presented name that
    matched. `refusal`: the reply to MAIL FROM where a Partner connector's restriction, or an address that the mailbox user does not
    own, forbids this transaction; None otherwise. `considered` has every inbound connector.
    """

    kind: CallerKind
    connector: InboundConnector | None = None
    mailbox: str = ""
    proof: str = ""
    certificate_name: str = ""
    refusal: Reply | None = None
    reasons: tuple[str, ...] = ()
    considered: tuple[Candidate, ...] = ()


def attribute(facts: SessionFacts, sender: Address | None, table: ConnectorTable, directory: Directory) -> Caller:
    """Attribute one transaction."""
    raise NotImplementedError
