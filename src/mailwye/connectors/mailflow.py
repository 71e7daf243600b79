"""The three questions of a transaction, composed once: MAIL FROM, RCPT TO, and the way out. The live path, `explain`, replay and
validation call these functions and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailwye.connectors.attribution import Caller, CallerKind, attribute
from mailwye.connectors.model import ConnectorType, OutboundConnector
from mailwye.connectors.own_server import UNLIMITED, SendConnector
from mailwye.connectors.pins import kept_way
from mailwye.connectors.relay import RelayDecision, decide_relay, relay_to_accepted
from mailwye.connectors.returned import resolve_returned
from mailwye.connectors.selection import (
    Candidate,
    Route,
    RouteKind,
    consider,
    missing_connector,
    select_centralized,
    select_inside,
    select_outside,
)
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory, Resolution, ResolvedRecipient
from mailwye.message.facts import SessionFacts
from mailwye.message.sender_rewriting import Unwrapped
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

__all__ = ["RecipientDecision", "RelayDecision", "SenderDecision", "decide_recipient", "decide_route", "decide_sender"]

Unwrap = Callable[[Address], Unwrapped | None]

NO_WAY = "5.4.4"
"""The status of a Route for want of a connector: another one, or another setting of one, may lead on."""

_SENDER_OK = Reply(250, "2.1.0", "Sender OK")
_RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
_UNKNOWN = Reply(550, "5.4.1", "Recipient address rejected: Access denied")
_LITERAL = Reply(550, "5.1.2", "Mail to an address literal is not relayed: use a domain name")


@dataclass(frozen=True, slots=True)
class SenderDecision:
    """At MAIL FROM. `reply` 250 or the refusal."""

    caller: Caller
    reply: Reply


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """At RCPT TO. `reply` 250 or the refusal; `routes` one per final recipient of `resolution`, in its order."""

    reply: Reply
    relay: RelayDecision
    resolution: Resolution
    routes: tuple[Route, ...]
    reasons: tuple[str, ...]


def decide_sender(
    directory: Directory, table: ConnectorTable, facts: SessionFacts, sender: Address | None, *, explain: bool = False
) -> SenderDecision:
    """SEMANTICS section 3. With `explain`, `caller.considered` names every inbound connector."""
    caller = attribute(facts, sender, table, directory, explain=explain)
    return SenderDecision(caller, caller.refusal or _SENDER_OK)


def decide_recipient(
    directory: Directory,
    table: ConnectorTable,
    facts: SessionFacts,
    caller: Caller,
    sender: Address | None,
    recipient: Address,
    *,
    explain: bool = False,
    unwrap: Unwrap | None = None,
    may_have_way: Callable[[ResolvedRecipient], bool] | None = None,
) -> RecipientDecision:
    """SEMANTICS sections 4, 5 and 6. Where relaying is refused no way out is looked for: `routes` is empty. `unwrap`: what the address of
    a sender that was rewritten here stands for (message/sender_rewriting.py); without it there are none.

    `may_have_way`: asked of a final recipient to whom no connector leads, whether a mail flow rule may still give him a way (None: there
    are no rules). Then he is not refused yet.
    """
    resolution = directory.resolve(recipient)
    if unwrap is not None and resolution.kind in _UNLISTED and (unwrapped := unwrap(recipient)) is not None:
        resolution = resolve_returned(directory, resolution, sender, unwrapped)
    accepted = resolution.accepted_domain
    relay = relay_to_accepted(accepted) if accepted is not None else decide_relay(directory, table, facts, caller, sender, recipient.domain)
    routes = tuple(
        _route(
            directory,
            table,
            final,
            from_on_premises=caller.kind is CallerKind.CONNECTOR,
            from_mailbox=caller.kind is CallerKind.MAILBOX,
            explain=explain,
        )
        for final in (resolution.recipients if relay.allowed else ())
    )
    reply = _recipient_reply(caller, relay, resolution, routes, may_have_way)
    reasons = (*relay.reasons, *resolution.reasons)
    return RecipientDecision(reply, relay, resolution, routes, reasons)


def _recipient_reply(
    caller: Caller,
    relay: RelayDecision,
    resolution: Resolution,
    routes: tuple[Route, ...],
    may_have_way: Callable[[ResolvedRecipient], bool] | None,
) -> Reply:
    if resolution.address.is_literal:
        return _LITERAL  # catalogue A7
    if not relay.allowed:
        return Reply(550, "5.7.64", f"TenantAttribution; Relay Access Denied. {relay.near_miss}")
    accepted = resolution.accepted_domain
    if accepted is not None:
        for domains, refusal in caller.restrictions:
            if accepted.domain_name in domains:
                return refusal
    if resolution.kind == "Unknown":
        return _UNKNOWN
    if resolution.failure:
        return Reply(550, resolution.failure_enhanced, resolution.failure)
    if all(route.kind is RouteKind.NONE for route in routes) and not (may_have_way and any(map(may_have_way, resolution.recipients))):
        return routes[0].reply  # the sender learns it now, not from a bounce (SEMANTICS section 1)
    return _RECIPIENT_OK


def decide_route(
    directory: Directory,
    table: ConnectorTable,
    recipient: Address,
    *,
    from_on_premises: bool,
    explain: bool = False,
    from_mailbox: bool = False,
    rule_connector: str = "",
    pinned: str = "",
) -> Route:
    """SEMANTICS section 6 and 7 for one final recipient: called at acceptance and again at each attempt.

    `from_on_premises`: the message came in through an OnPremises connector. `from_mailbox`: a mailbox user sent it, so centralized
    transport leaves a hosted recipient alone. `rule_connector`: the Name in a rule's RouteMessageOutboundConnector. `pinned`: the way on
    which an administrator keeps a queued delivery (queue/item.Delivery). With `explain`, `considered` names every outbound connector;
    without it only the chosen one, so that the cost does not grow with their number.
    """
    final = directory.locate(recipient)
    if pinned:
        return _pinned(directory, table, final.address, pinned)
    if rule_connector:
        return _by_rule(directory, table, final.address, rule_connector)
    return _route(directory, table, final, from_on_premises=from_on_premises, from_mailbox=from_mailbox, explain=explain)


def _route(
    directory: Directory,
    table: ConnectorTable,
    final: ResolvedRecipient,
    *,
    from_on_premises: bool,
    from_mailbox: bool,
    explain: bool,
) -> Route:
    """The way of one located recipient."""
    address = final.address
    domain = address.domain
    if address.is_literal:
        return _none(final, "5.1.2", _LITERAL.text)
    if final.kind in _NOWHERE:
        return _none(final, *_nowhere(final))
    inside = directory.accepted_domain(domain) is not None
    if final.kind == "Mailbox":
        selection = None if from_on_premises or from_mailbox else select_centralized(table, domain)
        if selection is None:
            return _mailbox(table, final, explain=explain)
    elif inside:
        selection = select_inside(table, domain)
    else:
        selection = select_outside(table, domain, from_on_premises=from_on_premises)
    connector = selection.connector
    considered: tuple[Candidate, ...] = ()
    if explain:
        considered = consider(table, domain, inside=inside, from_on_premises=from_on_premises, selection=selection)
    elif connector is not None:
        considered = (Candidate(connector.name, True, selection.reason),)
    reasons = (*final.reasons, selection.reason)
    if connector is not None:
        return _through(connector, address, reasons, considered, inside=inside)
    if inside:
        failure = missing_connector(table, domain)
        return Route(RouteKind.NONE, address, failure_enhanced=NO_WAY, failure=failure, reasons=reasons, considered=considered)
    return _by_mx(table, address, reasons, considered)


def _by_mx(table: ConnectorTable, address: Address, reasons: tuple[str, ...], considered: tuple[Candidate, ...]) -> Route:
    direct = table.direct
    return Route(
        RouteKind.MX,
        address,
        domain=address.domain,
        reasons=reasons,
        considered=considered,
        remove_internal_received_headers=direct.remove_internal_received_headers,
        rewrites_sender=direct.sender_rewriting_enabled,
    )


_UNLISTED = frozenset({"Unknown", "Relayed"})
_NOWHERE = frozenset({"Unknown", "Loop", "DistributionGroup"})


def _nowhere(final: ResolvedRecipient) -> tuple[str, str]:
    """Status and text for a recipient without a way. At RCPT the resolution says this first; at a later attempt this does."""
    match final.kind:
        case "Unknown":
            return _UNKNOWN.enhanced, _UNKNOWN.text
        case "Loop":
            return "5.4.6", final.reasons[-1]
        case _:
            return "5.2.4", f"{final.address} is a DistributionGroup now: send the message again, so that it is expanded"


def _none(final: ResolvedRecipient, enhanced: str, failure: str) -> Route:
    return Route(RouteKind.NONE, final.address, failure_enhanced=enhanced, failure=failure, reasons=(*final.reasons, failure))


def _mailbox(table: ConnectorTable, final: ResolvedRecipient, *, explain: bool) -> Route:
    considered: tuple[Candidate, ...] = ()
    if explain:
        considered = tuple(Candidate(c.name, False, "The mailbox is hosted here: no connector is asked") for c in table.outbound)
    return Route(RouteKind.MAILBOX, final.address, mailbox=final.mailbox, reasons=final.reasons, considered=considered)


def _through(
    connector: OutboundConnector, recipient: Address, reasons: tuple[str, ...], considered: tuple[Candidate, ...], *, inside: bool
) -> Route:
    own = connector.connector_type is ConnectorType.ON_PREMISES
    route = Route(
        RouteKind.CONNECTOR,
        recipient,
        connector.name,
        () if connector.use_mx_record else connector.smart_hosts,
        recipient.domain,
        connector.tls_settings,
        connector.tls_domain,
        connector.client_certificate,
        # A partner is not the organization: its headers never cross to him.
        connector.cloud_services_mail_enabled and own,
        reasons=reasons,
        considered=considered,
        remove_internal_received_headers=connector.remove_internal_received_headers,
        rewrites_sender=connector.sender_rewriting_enabled and own and not inside,
        mta_sts_mode=connector.mta_sts_mode,
        smtp_dane_mode=connector.smtp_dane_mode,
        credential=connector.login,
    )
    if not isinstance(connector, SendConnector):
        return route
    limit = 0 if connector.max_message_size == UNLIMITED else connector.max_message_size
    return replace(route, hello_name=connector.fqdn, max_message_size=limit, tls_field="TlsAuthLevel")


def _by_rule(directory: Directory, table: ConnectorTable, recipient: Address, name: str) -> Route:
    """Rule 1 of section 6: a rule's connector wins over everything."""
    said = f'A mail flow rule sends this message through connector "{name}"'
    reason = 'A mail flow rule sends it through connector "{}" (RouteMessageOutboundConnector)'
    return _by_name(directory, table, recipient, name, said, reason, "Correct the rule or the connector.")


def _pinned(directory: Directory, table: ConnectorTable, recipient: Address, pinned: str) -> Route:
    """A way that was chosen for what waited when the settings changed. "connector:NAME" is what earlier versions pinned to."""
    try:
        kept = kept_way(pinned, recipient)
    except ValueError:
        failure = "An administrator keeps this message on a way that this version of Mailwye cannot read. Let it follow the settings."
        return Route(RouteKind.NONE, recipient, failure_enhanced=NO_WAY, failure=failure, reasons=(failure,))
    if kept is not None:
        return _with_password_of_now(table, kept)
    name = pinned.removeprefix("connector:")
    if name == pinned:
        return _by_mx(table, recipient, (f"An administrator keeps it on the MX records of {recipient.domain} (pinned)",), ())
    said = f'An administrator keeps this message on connector "{name}"'
    reason = 'An administrator keeps it on connector "{}" (pinned)'
    return _by_name(directory, table, recipient, name, said, reason, "Correct the connector, or let the message follow the settings.")


def _with_password_of_now(table: ConnectorTable, kept: Route) -> Route:
    """The way with the password that its account has now: with an old one it would lock the account. Other hosts get no new password."""
    connector = table.outbound_by_name.get(kept.connector.lower())
    now = connector.login if connector is not None else None
    if now is None or kept.credential is None or connector is None or now.user_name != kept.credential.user_name:
        return kept
    return replace(kept, credential=now) if connector.smart_hosts == kept.smart_hosts else kept


def _by_name(directory: Directory, table: ConnectorTable, recipient: Address, name: str, said: str, reason: str, remedy: str) -> Route:
    """The way of the connector `name`. `reason` with its name; `said` and `remedy` stand before and after why it cannot be used."""
    connector = table.outbound_by_name.get(name.lower())
    if connector is None or not connector.enabled or connector.test_mode:
        state = "does not exist" if connector is None else "is in TestMode" if connector.enabled else "is disabled"
        failure = f"{said}, which {state}. {remedy}"
        return Route(RouteKind.NONE, recipient, failure_enhanced=NO_WAY, failure=failure, reasons=(failure,))
    why = reason.format(connector.name)
    inside = directory.accepted_domain(recipient.domain) is not None
    return _through(connector, recipient, (why,), (Candidate(connector.name, True, why),), inside=inside)
