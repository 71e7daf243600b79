"""`explain`: what would happen to a message, and why. Composed of the functions of connectors/mailflow.py, which the live path calls
too; nothing is decided here. Pure, but for the injected resolver. For people: explain_text.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailwye.admin.explain_rows import CandidateRow, ExplanationRow, RouteRow, RuleRow
from mailwye.admin.question import Question
from mailwye.config.installation import Installation
from mailwye.config.snapshot import Snapshot
from mailwye.connectors.attribution import Caller, CallerKind, keeps_headers
from mailwye.connectors.changes import changes
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, Unwrap, decide_recipient, decide_route, decide_sender
from mailwye.connectors.matching import canonical_address
from mailwye.connectors.selection import Candidate, Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import AuthorityVerdict, PeerCertificate, SessionFacts, TlsFacts
from mailwye.message.firewall import filter_header, promote
from mailwye.message.headers import Header, scan
from mailwye.policy.rules.decide import RuleDecision, RuleFinding, decide_rules, may_route
from mailwye.policy.rules.matching import message_facts
from mailwye.smtp.address import Address, parse_address, parse_domain
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the DNS says of a route now. `hosts` in the order in which they are tried, as people read them
    ("mail.contoso.com[192.0.2.1]:25"); with none, `failure` is the reply that says why. `reasons`: how the list came about, and which
    policy (MTA-STS) holds for each host.
    """

    hosts: tuple[str, ...] = ()
    failure: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The hosts, or why there are none."""
        return self.hosts or ((self.failure,) if self.failure else ())


def listener_of(installation: Installation, kind: str, name: str) -> tuple[str, str]:
    """Kind and address of the listener of a question: the named one, else the first of the kind; no address where there is none.

    :raises ValueError: none of that name takes mail.
    """
    known = {one.name: one for one in installation.listeners if one.kind in ("mx", "submission", "submissions")}
    if name and name not in known:
        raise ValueError(f"there is no listener {name!r} that takes mail; there are: {', '.join(known) or 'none'}")
    found = known[name] if name else next((one for one in known.values() if one.kind == kind), None)
    return (found.kind, str(found.binding)) if found is not None else (kind, "")


HostResolver = Callable[[Route], Resolved]
_NOTHING = Resolved()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: the decisions themselves. `reply`: what the peer would hear, at MAIL FROM where that is refused, else at RCPT TO.
    `hosts`: one list per route; `resolved`: the same after the resolver, empty without one; `changes`: what changes on each route.
    `rules`: what the mail flow rules say, one decision per route, empty where none were asked.
    """

    question: Question
    config_version: int
    sender: SenderDecision
    recipient: RecipientDecision
    routes: tuple[Route, ...]
    reply: Reply
    hosts: tuple[tuple[str, ...], ...]
    resolved: tuple[Resolved, ...] = ()
    changes: tuple[tuple[str, ...], ...] = ()
    rules: tuple[RuleDecision, ...] = ()

    def to_dict(self) -> ExplanationRow:
        """Plain values for JSON. `route` is the first of `routes`; each has `smart_hosts` as configured, and `hosts`: those that the
        resolver found where one was asked, else the configured ones; `resolved` also says why it found none.
        """
        caller, relay, resolution = self.sender.caller, self.recipient.relay, self.recipient.resolution
        accepted = resolution.accepted_domain
        routes = [self._route(number) for number in range(len(self.routes))]
        return {
            "config_version": self.config_version,
            "question": self.question,
            "reply": str(self.reply),
            "caller": {
                "kind": caller.kind.value,
                "connector": caller.connector.name if caller.connector else "",
                "mailbox": caller.mailbox,
                "receive_connector": caller.receiver.name if caller.receiver else "",
                "proof": caller.proof,
                "certificate_name": caller.certificate_name,
                "partners": list(caller.partners),
                "reasons": list(caller.reasons),
                "considered": _candidates(caller.considered),
            },
            "relay": {"allowed": relay.allowed, "reasons": list(relay.reasons), "near_miss": relay.near_miss},
            "recipient": {
                "address": str(resolution.address),
                "kind": resolution.kind,
                "accepted_domain": accepted.domain_name if accepted else "",
                "domain_type": accepted.domain_type.value if accepted else "",
                "final": [str(final.address) for final in resolution.recipients],
                "reasons": list(resolution.reasons),
            },
            "route": routes[0],
            "routes": routes,
            "considered": routes[0]["considered"],
        }

    def _route(self, number: int) -> RouteRow:
        route = self.routes[number]
        resolved = self.resolved[number] if self.resolved else _NOTHING
        return {
            "kind": route.kind.value,
            "recipient": str(route.recipient),
            "connector": route.connector,
            "hosts": list(resolved.hosts or self.hosts[number]),
            "smart_hosts": list(self.hosts[number]),
            "resolved": list(resolved.words),
            "resolution": list(resolved.reasons),
            "domain": route.domain,
            "mailbox": route.mailbox,
            "tls": tls_asked(route),
            "user_name": route.credential.user_name if route.credential else "",
            "tls_domain": route.tls_domain,
            "hello_name": route.hello_name,
            "client_certificate": route.client_certificate,
            "max_message_size": route.max_message_size,
            "failure": f"{route.failure_enhanced} {route.failure}".strip(),
            "reasons": list(route.reasons),
            "changes": list(self.changes[number]) if self.changes else [],
            "considered": _candidates(route.considered),
            "rules": _findings(self.rules[number].findings) if self.rules else [],
        }


def explain(snapshot: Snapshot, question: Question, resolve: HostResolver | None = None, unwrap: Unwrap | None = None) -> Explanation:
    """Think `question` through with `snapshot`. `unwrap`: see decide_recipient.

    :raises ValueError: (AddressError is one) an address, name or listener in the question is none; the text says which.
    """
    sender = None if question.sender.strip() in ("", "<>") else parse_address(question.sender)
    recipient = parse_address(question.recipient)
    return explain_facts(snapshot, question, _facts(snapshot, question), sender, recipient, resolve, unwrap)


def explain_facts(
    snapshot: Snapshot,
    question: Question,
    facts: SessionFacts,
    sender: Address | None,
    recipient: Address,
    resolve: HostResolver | None = None,
    unwrap: Unwrap | None = None,
) -> Explanation:
    """The same for a session whose facts are known; `question` is only told with the answer."""
    directory, table = snapshot.directory, snapshot.connectors
    at_mail = decide_sender(directory, table, facts, sender, explain=True)
    caller, rules = at_mail.caller, snapshot.rules
    message = message_facts(directory, caller.kind.value, sender, _header(question, caller, facts))
    hope = may_route(rules, message) if rules.active else None
    at_rcpt = decide_recipient(directory, table, facts, caller, sender, recipient, explain=True, unwrap=unwrap, may_have_way=hope)
    reply = at_rcpt.reply if at_mail.reply.is_success else at_mail.reply
    routes = at_rcpt.routes
    ruled: list[RuleDecision] = []
    if routes and reply.is_success and rules.rules:
        ruled = decide_rules(rules, message, at_rcpt.resolution.recipients, explain=True)
        routes = tuple(_ruled(snapshot, caller, route, decision) for route, decision in zip(routes, ruled, strict=True))
        if all(route.kind is RouteKind.NONE for route in routes) and not any(decision.open for decision in ruled):
            reply = routes[0].reply  # the content would hear it
    if not at_mail.reply.is_success or not (routes and (reply.is_success or routes[0].kind is RouteKind.NONE)):
        routes = (_refused(recipient, reply, table),)
    hosts = tuple(tuple(str(host) for host in route.smart_hosts) for route in routes)
    resolved = tuple(resolve(route) if route.kind in _DIALLED else _NOTHING for route in routes) if resolve else ()
    changed = tuple(changes(route, directory, sender) for route in routes)
    return Explanation(question, snapshot.version, at_mail, at_rcpt, routes, reply, hosts, resolved, changed, tuple(ruled))


_DIALLED = frozenset({RouteKind.CONNECTOR, RouteKind.MX})
_LISTENERS = frozenset({"mx", "submission", "submissions"})


def _facts(snapshot: Snapshot, question: Question) -> SessionFacts:
    """The session that the question describes."""
    listener = question.listener or ("submission" if question.auth else "mx")
    if listener not in _LISTENERS:
        raise ValueError(f"not a kind of listener: {listener!r} (mx, submission or submissions)")
    certificate = None
    if question.certificate_name:
        name = question.certificate_name.lower()
        name = f"*.{parse_domain(name[2:])}" if name.startswith("*.") else parse_domain(name)
        certificate = _assumed(snapshot, name, trusted=question.certificate_trusted)
    secure = question.tls or certificate is not None or listener == "submissions"
    authenticated = question.auth
    if authenticated:
        known = snapshot.directory.find(parse_address(authenticated))
        authenticated = str(known.primary_smtp_address) if known is not None else authenticated
    return SessionFacts(
        session_id="explain",
        listener=listener,
        listener_kind=listener,
        peer_address=canonical_address(question.ip) if question.ip else "",
        hello=question.helo,
        esmtp=True,
        tls=TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, certificate) if secure else None,
        authenticated=authenticated,
        local=question.local,
    )


def _assumed(snapshot: Snapshot, name: str, *, trusted: bool) -> PeerCertificate:
    """A certificate for `name` that every connector trusts, by its authorities and its pins, or that none does."""
    reason = "assumed by the question" if trusted else "assumed untrusted by the question"
    inbound = snapshot.connectors.inbound
    path = tuple(dict.fromkeys(pin for connector in inbound for pin in connector.tls_sender_certificate_pins)) if trusted else ()
    sets = dict.fromkeys(authorities for connector in inbound for authorities in connector.trusted_authorities)
    verdicts = tuple(AuthorityVerdict(authorities, trusted, reason, path) for authorities in sets)
    return PeerCertificate(f"CN={name}", "", (name,), 0.0, 0.0, "", trusted, reason, path=path, verdicts=verdicts)


def _header(question: Question, caller: Caller, facts: SessionFacts) -> Header | None:
    """The header section that the question describes, after the header firewall, as rules see it."""
    if not question.header:
        return None
    for line in question.header:
        name, colon, _ = line.partition(":")
        if not colon or not name.strip() or not name.isascii() or not line.isprintable():
            raise ValueError(f"not a header field: {line!r} (Name: value)")
    block = "".join(f"{line}\r\n" for line in question.header).encode("utf-8")
    header = scan(block)
    return scan(promote(block, header) if keeps_headers(caller, facts) else filter_header(block, header, trusted=False, hostname="")[0])


def _ruled(snapshot: Snapshot, caller: Caller, route: Route, decision: RuleDecision) -> Route:
    """The route after the rules: acceptance asks in the same way (inbound/ruling.py)."""
    if decision.routing is None:
        return route
    found = decide_route(
        snapshot.directory,
        snapshot.connectors,
        route.recipient,
        from_on_premises=caller.kind is CallerKind.CONNECTOR,
        rule_connector=decision.connector,
    )
    others = tuple(Candidate(c.name, False, "A mail flow rule chose another connector") for c in snapshot.connectors.outbound)
    considered = (*found.considered, *(each for each in others if each.connector != found.connector))
    return replace(found, reasons=(decision.routing.sentence, *found.reasons), considered=considered)


def _refused(recipient: Address, reply: Reply, table: ConnectorTable) -> Route:
    """A recipient that the session refuses goes nowhere."""
    return Route(
        RouteKind.NONE,
        recipient,
        failure_enhanced=reply.enhanced,
        failure=reply.text,
        reasons=(f"The message is refused in the session with {reply.code} {reply.enhanced}",),
        considered=tuple(Candidate(c.name, False, "The message is refused: no connector is asked") for c in table.outbound),
    )


def tls_asked(route: Route) -> str | None:
    """TlsSettings as outbound/tls_check.py reads them: a password asks for encryption."""
    return route.tls_settings.value or ("EncryptionOnly" if route.credential else None)


def _candidates(considered: tuple[Candidate, ...]) -> list[CandidateRow]:
    return [{"connector": each.connector, "chosen": each.chosen, "reason": each.reason} for each in considered]


def _findings(findings: tuple[RuleFinding, ...]) -> list[RuleRow]:
    return [
        {
            "rule": each.rule,
            "priority": each.priority,
            "mode": each.mode,
            "action": each.action,
            "match": each.match.value if each.match is not None else "not asked",
            "reasons": list(each.reasons),
        }
        for each in findings
    ]
