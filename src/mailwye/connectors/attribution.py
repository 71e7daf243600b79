"""Who is calling? SEMANTICS section 3: pure, with its reasons."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from mailwye.connectors import partner
from mailwye.connectors.identification import Evidence, Examination, evidence_of, examine
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.connectors.own_server import ReceiveConnector
from mailwye.connectors.receive_table import Reception
from mailwye.connectors.receiving import consider_receivers, other_side, refusal_of, without_relay
from mailwye.connectors.selection import Candidate
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.message.facts import SessionFacts
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

_SUBMISSION = frozenset({"submission", "submissions"})


class CallerKind(Enum):
    """Whom the organization takes the peer for."""

    ANONYMOUS = "anonymous"
    CONNECTOR = "connector"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Caller:
    """The answer. `connector`: the OnPremises connector, for kind CONNECTOR only. `proof`: "certificate" | "address" |
    "certificate and address" | ""; `certificate_name`: the presented name that matched.

    `refusal`: the reply to MAIL FROM where a Partner connector's restriction, or an address that the mailbox user does not own,
    forbids this transaction; None otherwise. `restrictions`: the same for single recipients, by the accepted domains to which a
    Partner connector's AssociatedAcceptedDomains limit it. `partners`: enabled Partner connectors for the sender's domain.
    `considered`: every inbound connector where reasons were asked for, else empty.

    `receiver`: the ReceiveConnector that takes the session, where there are any. `no_relay`: why a peer that TlsDomainCapabilities name may
    not send to the outside.
    """

    kind: CallerKind
    connector: InboundConnector | None = None
    mailbox: str = ""
    proof: str = ""
    certificate_name: str = ""
    refusal: Reply | None = None
    reasons: tuple[str, ...] = ()
    considered: tuple[Candidate, ...] = ()
    restrictions: tuple[tuple[frozenset[str], Reply], ...] = ()
    partners: tuple[str, ...] = ()
    receiver: ReceiveConnector | None = None
    no_relay: str = ""


def keeps_headers(caller: Caller, facts: SessionFacts) -> bool:
    """May the organization's own header fields pass? Only from a trusted OnPremises connector: TLS, certificate, and
    CloudServicesMailEnabled (SEMANTICS section 9).
    """
    connector = caller.connector
    return (
        connector is not None
        and caller.kind is CallerKind.CONNECTOR
        and connector.connector_type is ConnectorType.ON_PREMISES
        and connector.cloud_services_mail_enabled
        and facts.tls is not None
        and "certificate" in caller.proof
    )


def attribute(facts: SessionFacts, sender: Address | None, table: ConnectorTable, directory: Directory, *, explain: bool = False) -> Caller:
    """Attribute one transaction. Without `explain`, `considered` stays empty and the cost does not grow with the connectors."""
    if table.receive is None:
        return _attribute(facts, sender, table, directory, explain=explain)
    reception = table.receive.find(facts.local, facts.peer_address)
    caller = _attribute(facts, sender, table, directory, explain=explain)
    if explain:
        caller = replace(caller, considered=(*consider_receivers(table.receive, facts, reception), *caller.considered))
    return caller if reception is None else _received(caller, reception, facts)


def _received(caller: Caller, reception: Reception, facts: SessionFacts) -> Caller:
    """What the ReceiveConnector of the session makes of the caller."""
    receiver = reception.connector
    reasons = (reception.reason, *caller.reasons)
    if receiver is None:
        return replace(caller, refusal=reception.refusal, reasons=reasons)
    if caller.kind is CallerKind.ANONYMOUS and facts.listener_kind not in _SUBMISSION and receiver.cloud_services_domains:
        found = other_side(receiver, facts)
        reasons = (*reasons, *found.reasons)
        if found.connector is not None:
            caller = Caller(
                CallerKind.CONNECTOR,
                found.connector,
                proof="certificate",
                certificate_name=found.certificate_name,
                considered=caller.considered,
                no_relay=without_relay(receiver),
            )
            reasons = (reception.reason, *found.reasons)
    is_server = caller.kind is CallerKind.CONNECTOR
    # Each that restricts single recipients only is one whose conditions were not met: he is nobody's partner where all are such.
    partners = caller.partners if len(caller.restrictions) < len(caller.partners) else ()
    refusal = caller.refusal or refusal_of(receiver, facts, is_server=is_server, partners=partners)
    return replace(caller, receiver=receiver, refusal=refusal, reasons=reasons)


def _attribute(facts: SessionFacts, sender: Address | None, table: ConnectorTable, directory: Directory, *, explain: bool) -> Caller:
    if facts.authenticated:
        return _mailbox_user(facts, sender, table, directory, explain=explain)
    if facts.listener_kind in _SUBMISSION:
        refusal = Reply(530, "5.7.0", "Authentication required")  # RFC 4954 section 6
        reasons = (f"The {facts.listener_kind} listener is for mailbox users, and nobody has logged in",)
        return Caller(CallerKind.ANONYMOUS, refusal=refusal, reasons=reasons)
    evidence = evidence_of(facts, table)
    best = _best(evidence, facts, sender, table)
    if best is not None:
        return _own_server(best, evidence, facts, sender, table, explain=explain)
    return _anonymous(evidence, facts, sender, table, explain=explain)


def _best(evidence: Evidence, facts: SessionFacts, sender: Address | None, table: ConnectorTable) -> Examination | None:
    """The OnPremises connector that identifies the peer: certificate beats address, then name, prefix, alphabetical order."""
    best: Examination | None = None
    for index in evidence.candidates():
        found = examine(table.inbound[index], index, evidence, facts, sender)
        if not found.missing and (best is None or found.rank < best.rank):
            best = found
    return best


def _own_server(
    best: Examination, evidence: Evidence, facts: SessionFacts, sender: Address | None, table: ConnectorTable, *, explain: bool
) -> Caller:
    connector = best.connector
    partners = table.partners.find(sender.domain if sender else "")
    reasons = [best.reason]
    if partners:
        reasons.append("Partner connectors do not restrict mail from the organization's own servers")
    return Caller(
        CallerKind.CONNECTOR,
        connector,
        proof=best.proof,
        certificate_name=best.certificate_name,
        reasons=tuple(reasons),
        considered=_considered(evidence, facts, sender, table, best) if explain else (),
        partners=tuple(c.name for c in partners),
    )


def _anonymous(evidence: Evidence, facts: SessionFacts, sender: Address | None, table: ConnectorTable, *, explain: bool) -> Caller:
    partners = table.partners.find(sender.domain if sender else "")
    refusal: Reply | None = None
    restrictions: list[tuple[frozenset[str], Reply]] = []
    reasons = [f"No enabled OnPremises connector identifies {facts.peer_address or 'the peer'}: the caller is anonymous"]
    if evidence.untrusted:
        reasons.append(f"The certificate that it presented is not trusted: {evidence.untrusted}")
    for connector in partners:
        reply, reason = partner.restrict(connector, facts)
        reasons.append(reason)
        if reply is None:
            continue
        if connector.associated_accepted_domains:
            restrictions.append((frozenset(connector.associated_accepted_domains), reply))
        else:
            refusal = refusal or reply
    return Caller(
        CallerKind.ANONYMOUS,
        refusal=refusal,
        reasons=tuple(reasons),
        considered=_considered(evidence, facts, sender, table, None) if explain else (),
        restrictions=tuple(restrictions),
        partners=tuple(c.name for c in partners),
    )


def _mailbox_user(facts: SessionFacts, sender: Address | None, table: ConnectorTable, directory: Directory, *, explain: bool) -> Caller:
    """A mailbox user sends as an address that he owns. The null sender is nobody's: read receipts need it (RFC 8098 section 3)."""
    user = facts.authenticated
    if sender is None or directory.owns(user, sender):
        refusal, reason = None, f"{user} logged in" + (f" and owns {sender}" if sender else "; the null sender is open to everyone")
    else:
        refusal = Reply(550, "5.7.60", f"Client does not have permissions to send as this sender: {user} does not own {sender}")
        reason = f"{user} logged in, but {sender} is neither its primary address nor one of its aliases"
    considered = (
        tuple(Candidate(c.name, False, "A mailbox user logged in: no connector is asked") for c in table.inbound) if explain else ()
    )
    return Caller(CallerKind.MAILBOX, mailbox=user, refusal=refusal, reasons=(reason,), considered=considered)


def _considered(
    evidence: Evidence, facts: SessionFacts, sender: Address | None, table: ConnectorTable, best: Examination | None
) -> tuple[Candidate, ...]:
    """Every inbound connector with the reason why it was chosen or not."""
    matching = {c.name for c in table.partners.find(sender.domain if sender else "")}
    found: list[Candidate] = []
    for index, connector in enumerate(table.inbound):
        if connector.connector_type is ConnectorType.PARTNER:
            reason = _partner_reason(connector, facts, sender, connector.name in matching, best)
            found.append(Candidate(connector.name, False, reason))
            continue
        examined = examine(connector, index, evidence, facts, sender)
        chosen = best is not None and connector is best.connector
        if chosen or best is None or examined.missing:
            reason = examined.reason
        else:
            reason = f"It matches too, but {best.connector.name} is preferred: {best.preferred_to(examined)}"
        found.append(Candidate(connector.name, chosen, reason))
    return tuple(found)


def _partner_reason(
    connector: InboundConnector, facts: SessionFacts, sender: Address | None, matching: bool, best: Examination | None
) -> str:
    if not connector.enabled:
        return "It is disabled"
    if not matching:
        return f"SenderDomains {', '.join(connector.sender_domains)} do not hold {sender.domain if sender else 'the null sender'}"
    if best is not None:
        return "Partner connectors do not restrict mail from the organization's own servers"
    return partner.restrict(connector, facts)[1]
