"""The answer to one envelope, in a form that can be kept and compared: who the caller was, what he heard, which way each copy takes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.attribution import Caller, CallerKind
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, decide_route
from mailwye.connectors.model import MtaStsMode, SmartHost, SmtpDaneMode
from mailwye.connectors.selection import Route, RouteKind
from mailwye.policy.rules.decide import NOTHING, RuleDecision, decide_rules
from mailwye.policy.rules.matching import KnownHeader, MessageFacts, message_facts
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply

RECIPIENTS_NAMED = 8
"""Up to so many final recipients are told one by one; a larger group by how many of them take which way."""

NOWHERE = "nowhere"
_NO_MEMBERS = Reply(550, "5.2.4", "")
_PLAIN = SmartHost("")


class Way(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The way of one final recipient `to` ("": he who was asked for), or of several ("12 recipients").

    `by`: "mailbox" | 'connector "NAME"' | "MX records" | "nowhere"; `hosts`: smart hosts as configured; `tls`: what is asked of
    TLS, "" where nothing is dialled; `also`: what else is particular to it, in words; `rules`: mail flow rules that matched. Stored as an
    array: a later version may append fields, never change or remove one.
    """

    to: str
    by: str
    hosts: tuple[str, ...] = ()
    tls: str = ""
    also: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class Answer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`caller`: "anonymous" | "mailbox" | 'connector "NAME"'; `reply`: code and status of the last reply, 250 where he was taken.

    `open`: what cannot be answered: mail flow rules whose answer depends on a header that is not known, so that `ways` may be wrong; or
    WITHOUT_LISTENER, and then nothing is known.
    """

    caller: str
    reply: str
    ways: tuple[Way, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def is_taken(self) -> bool:
        """Nobody refused it."""
        return self.reply.startswith("2")

    @property
    def is_undecided(self) -> bool:
        """It may be wrong. A refusal does not depend on rules."""
        return bool(self.open) and (self.is_taken or self == WITHOUT_LISTENER)


WITHOUT_LISTENER = Answer("", "", open=("which ReceiveConnector takes it: its listener was not recorded",))
"""Where ReceiveConnectors decide, and an older Mailwye did not record what they decide by."""


Ways = dict[tuple[object, ...], Way]
"""Ways of one snapshot that were put into words before."""


def answer_to(
    snapshot: Snapshot,
    at_mail: SenderDecision,
    sender: Address | None,
    asked: Address | None,
    at_rcpt: RecipientDecision | None,
    header: KnownHeader | None,
    known_ways: Ways | None = None,
) -> Answer:
    """From the decisions of the session to the end: mail flow rules are asked here, as the live path asks them (inbound/ruling.py).

    `asked`: the forward-path; `at_rcpt` None: there was no RCPT. `header` None: nothing is known of it. `known_ways`: of this snapshot, to
    be quick with many.
    """
    caller = caller_words(at_mail.caller)
    reply = at_mail.reply if at_rcpt is None or not at_mail.reply.is_success else at_rcpt.reply
    if at_rcpt is None or not reply.is_success:
        return Answer(caller, _words(reply))
    recipients = at_rcpt.resolution.recipients
    if not recipients:
        return Answer(caller, _words(_NO_MEMBERS))
    ruled: Sequence[RuleDecision] = [NOTHING] * len(recipients)
    if snapshot.rules.active:
        known = message_facts(snapshot.directory, at_mail.caller.kind.value, sender, None)
        ruled = decide_rules(snapshot.rules, MessageFacts(known.sender, known.internal, header), recipients)
    routes = [_ruled(snapshot, at_mail.caller, route, decision) for route, decision in zip(at_rcpt.routes, ruled, strict=True)]
    undecided = tuple(rule.rule.name for rule in snapshot.rules.active if rule.asks_header) if any(one.open for one in ruled) else ()
    if not undecided and all(route.kind is RouteKind.NONE for route in routes):
        return Answer(caller, _words(_refusal(routes, ruled)))
    if known_ways is None:
        known_ways = {}
    ways = [
        _way_to(route, asked, tuple([hit.rule for hit in decision.hits]) if decision.hits else (), known_ways)
        for route, decision in zip(routes, ruled, strict=True)
    ]
    return Answer(caller, _words(reply), _folded(ways), undecided)


def _way_to(route: Route, asked: Address | None, rules: tuple[str, ...], known: Ways) -> Way:
    """`way_of`, which by one snapshot is the same for all recipients but for who they are."""
    key = route.kind, route.connector, route.rewrites_sender, route.failure_enhanced, rules
    way = known.get(key)
    if way is None:
        way = known[key] = msgspec.structs.replace(way_of(route, rules), to="")
    return way if route.recipient == asked else msgspec.structs.replace(way, to=str(route.recipient))


def caller_words(caller: Caller) -> str:
    """Whom the organization took the peer for."""
    if caller.kind is CallerKind.CONNECTOR and caller.connector is not None:
        return f'connector "{caller.connector.name}"'
    return caller.kind.value


def way_of(route: Route, rules: tuple[str, ...] = ()) -> Way:
    """A route in words that can be compared."""
    to = str(route.recipient)
    hosts: tuple[str, ...] = ()
    match route.kind:
        case RouteKind.MAILBOX:
            return Way(to, "mailbox", rules=rules)
        case RouteKind.NONE:
            return Way(to, NOWHERE, also=(route.failure_enhanced,), rules=rules)
        case RouteKind.MX:
            by = "MX records"
        case _:
            by = f'connector "{route.connector}"'
            hosts = tuple(map(_host_words, route.smart_hosts)) or ("MX records",)
    tls = route.tls_settings.value or "opportunistic"
    return Way(to, by, hosts, f"{tls} for {route.tls_domain}" if route.tls_domain else tls, _also(route), rules)


def _also(route: Route) -> tuple[str, ...]:
    told = []
    if route.client_certificate:
        told.append(f"presents certificate {route.client_certificate}")
    if route.credential is not None:
        told.append(f"logs in as {route.credential.user_name}")
    if route.hello_name:
        told.append(f"says EHLO {route.hello_name}")
    if route.max_message_size:
        told.append(f"up to {route.max_message_size} octets")
    if route.cloud_services_mail_enabled:
        told.append("the organization's headers cross")
    if route.remove_internal_received_headers:
        told.append("internal Received headers are removed")
    if route.rewrites_sender:
        told.append("foreign senders are rewritten")
    if not route.smart_hosts and route.mta_sts_mode is not MtaStsMode.OPPORTUNISTIC:
        told.append(f"MtaStsMode {route.mta_sts_mode.value}")
    if not route.smart_hosts and route.smtp_dane_mode is not SmtpDaneMode.OPPORTUNISTIC:
        told.append(f"SmtpDaneMode {route.smtp_dane_mode.value}")
    return tuple(told)


def _host_words(host: SmartHost) -> str:
    text = str(host)
    if host.priority != _PLAIN.priority:
        text += f" priority {host.priority}"
    return text if host.weight == _PLAIN.weight else f"{text} weight {host.weight}"


def _ruled(snapshot: Snapshot, caller: Caller, route: Route, decision: RuleDecision) -> Route:
    if not decision.connector:
        return route
    return decide_route(
        snapshot.directory,
        snapshot.connectors,
        route.recipient,
        from_on_premises=caller.kind is CallerKind.CONNECTOR,
        rule_connector=decision.connector,
    )


def _refusal(routes: Sequence[Route], ruled: Sequence[RuleDecision]) -> Reply:
    """What the content hears where no copy has a way: a rule's failure before the others (inbound/ruling.py)."""
    by_rule = [route for route, decision in zip(routes, ruled, strict=True) if decision.connector]
    return (by_rule or routes)[-1 if by_rule else 0].reply


def _folded(ways: list[Way]) -> tuple[Way, ...]:
    if len(ways) <= RECIPIENTS_NAMED:
        return tuple(sorted(ways, key=_sorting)) if len(ways) > 1 else tuple(ways)
    counts: dict[Way, int] = {}
    for way in ways:
        alike = msgspec.structs.replace(way, to="")
        counts[alike] = counts.get(alike, 0) + 1
    return tuple(sorted((msgspec.structs.replace(way, to=f"{count} recipients") for way, count in counts.items()), key=_sorting))


def _sorting(way: Way) -> tuple[object, ...]:
    return msgspec.structs.astuple(way)


def _words(reply: Reply) -> str:
    return f"{reply.code} {reply.enhanced}"
