"""A recorded envelope, decided again with some settings: by the functions of the live path."""

from __future__ import annotations

from collections.abc import Mapping

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, Unwrap, decide_recipient, decide_route, decide_sender
from mailwye.message.facts import SessionFacts
from mailwye.policy.rules.decide import decide_rules, may_route
from mailwye.policy.rules.matching import KnownHeader, MessageFacts, message_facts
from mailwye.smtp.address import Address
from mailwye.whatif.answers import WITHOUT_LISTENER, Answer, Ways, answer_to
from mailwye.whatif.traffic import Envelope, Peer


class Evaluation:
    """The answers of one snapshot. `unwrap`: see decide_recipient."""

    def __init__(self, snapshot: Snapshot, unwrap: Unwrap | None = None) -> None:
        self.snapshot = snapshot
        self._unwrap = unwrap
        self._ways: Ways = {}

    def answer(self, peer: Peer, envelope: Envelope) -> Answer:
        """What the peer would hear, and which way each copy would take."""
        snapshot, facts, sender, recipient = self.snapshot, peer.facts(), envelope.from_address, envelope.to_address
        if not peer.local and snapshot.connectors.receive is not None:
            return WITHOUT_LISTENER
        at_mail = decide_sender(snapshot.directory, snapshot.connectors, facts, sender)
        if recipient is None or not at_mail.reply.is_success:
            return answer_to(snapshot, at_mail, sender, None, None, None)
        at_rcpt = self._at_rcpt(facts, at_mail, sender, recipient)
        return answer_to(snapshot, at_mail, sender, recipient, at_rcpt, envelope.known_header, self._ways)

    def limits(self, peer: Peer) -> Mapping[str, str]:
        """Those of the ReceiveConnector that takes the peer's session, by name; empty where none does or nobody knows which."""
        receive = self.snapshot.connectors.receive
        reception = receive.find(peer.local, peer.address) if receive is not None and peer.local else None
        return {} if reception is None or reception.connector is None else reception.connector.limits()

    def reasons(self, peer: Peer, envelope: Envelope) -> tuple[str, ...]:
        """Why, in sentences: for the few examples that are shown."""
        facts, sender = peer.facts(), envelope.from_address
        at_mail = decide_sender(self.snapshot.directory, self.snapshot.connectors, facts, sender)
        told = dict.fromkeys(at_mail.caller.reasons)
        recipient = envelope.to_address
        if recipient is None or not at_mail.reply.is_success:
            return (*told, f"Reply: {at_mail.reply}")
        at_rcpt = self._at_rcpt(facts, at_mail, sender, recipient)
        told |= dict.fromkeys(at_rcpt.reasons)
        if at_rcpt.reply.is_success:
            for reason in _way_reasons(self.snapshot, at_mail, sender, at_rcpt, envelope.known_header):
                told[reason] = None
        told[f"Reply: {at_rcpt.reply}"] = None
        return tuple(told)

    def _at_rcpt(self, facts: SessionFacts, at_mail: SenderDecision, sender: Address | None, recipient: Address) -> RecipientDecision:
        snapshot = self.snapshot
        hope = None
        if snapshot.rules.active:  # as inbound/decisions.py: at RCPT the header has not come
            hope = may_route(snapshot.rules, message_facts(snapshot.directory, at_mail.caller.kind.value, sender, None))
        return decide_recipient(
            snapshot.directory, snapshot.connectors, facts, at_mail.caller, sender, recipient, unwrap=self._unwrap, may_have_way=hope
        )


def _way_reasons(
    snapshot: Snapshot, at_mail: SenderDecision, sender: Address | None, at_rcpt: RecipientDecision, header: KnownHeader | None
) -> list[str]:
    told = [reason for route in at_rcpt.routes for reason in route.reasons]
    if not snapshot.rules.active:
        return told
    known = message_facts(snapshot.directory, at_mail.caller.kind.value, sender, None)
    recipients = at_rcpt.resolution.recipients
    ruled = decide_rules(snapshot.rules, MessageFacts(known.sender, known.internal, header), recipients, explain=True)
    for route, decision in zip(at_rcpt.routes, ruled, strict=True):
        if decision.routing is not None:
            found = decide_route(
                snapshot.directory, snapshot.connectors, route.recipient, from_on_premises=False, rule_connector=decision.connector
            )
            told += [decision.routing.sentence, *found.reasons]
        told += [
            f'Mail flow rule "{finding.rule}" cannot be decided: {"; ".join(finding.reasons)}'
            for finding in decision.findings
            if finding.match is not None and finding.match.value == "unknown"
        ]
    return told
