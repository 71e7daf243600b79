"""How a session begins: whether the peer is admitted, and what he is offered. Nothing is sent here."""

from __future__ import annotations

from dataclasses import replace

from mailwye.connectors.matching import longest_prefix
from mailwye.connectors.own_server import ReceiveConnector
from mailwye.inbound.context import InboundContext
from mailwye.inbound.recording import record_refused_connection
from mailwye.inbound.session_settings import SessionSettings, received_config
from mailwye.message.facts import SessionFacts
from mailwye.runtime.tls import ServerTlsContext
from mailwye.smtp.reply import Reply
from mailwye.smtp.server import ServerConfig
from mailwye.value import dataclass

_SUBMISSION_KINDS = frozenset({"submission", "submissions"})


@dataclass(frozen=True, slots=True)
class Opening:
    """`facts`: what is known before the first word. `config`: what the machine offers; `tls`: the context for handshakes, None where
    there is no certificate. `refusal`: said instead of a greeting; `admitted`: the connection counts (Admission.release when it ends).
    `receiver`: the ReceiveConnector that takes it, where there are any.
    """

    facts: SessionFacts
    config: ServerConfig
    tls: ServerTlsContext | None
    refusal: Reply | None
    admitted: bool
    receiver: ReceiveConnector | None = None


def open_session(context: InboundContext, settings: SessionSettings, address: str, port: int, *, proxied: bool, now: float) -> Opening:
    """For a peer at the canonical `address`, known from the connection or (`proxied`) from a PROXY header."""
    listener = settings.listener
    receive = context.snapshot.current.connectors.receive
    reception = None if receive is None else receive.find(settings.local, address)
    receiver = None if reception is None else reception.connector
    tls = context.tls.of(listener.name) if receiver is None else context.tls.of(listener.name, receiver.certificate_choice)
    config = settings.config if tls is not None else settings.config_without_tls
    if receiver is not None:
        config = received_config(config, receiver, can_log_in=context.authenticator is not None)
    if listener.xclient and longest_prefix(listener.xclient, address) >= 0:
        config = replace(config, offer_xclient=True)
    facts = SessionFacts(context.new_id(), listener.name, listener.kind, address, port, proxied=proxied, local=settings.local)
    if reception is not None and reception.refusal is not None:
        record_refused_connection(context, facts, reception.refusal, reception.reason)
        return Opening(facts, config, tls, reception.refusal, admitted=False)
    refusal = context.admission.login_refusal(address, now) if listener.kind in _SUBMISSION_KINDS else None
    admitted = False
    if refusal is None:
        refusal = context.admission.admit(address, now, receiver)
        admitted = refusal is None
    return Opening(facts, config, tls, refusal, admitted, receiver)
