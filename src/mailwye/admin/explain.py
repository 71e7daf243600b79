"""`explain`: what would happen to a message, and why. Composed of the functions of connectors/mailflow.py, which the live path calls
too; nothing is decided here. Pure, but for the injected resolver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.mailflow import RecipientDecision, SenderDecision, decide_recipient, decide_sender
from mailwye.connectors.matching import canonical_address
from mailwye.connectors.selection import Candidate, Route, RouteKind
from mailwye.connectors.table import ConnectorTable
from mailwye.message.facts import PeerCertificate, SessionFacts, TlsFacts
from mailwye.smtp.address import Address, parse_address, parse_domain
from mailwye.smtp.reply import Reply


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


HostResolver = Callable[[Route], Resolved]
_NOTHING = Resolved()


@dataclass(frozen=True, slots=True)
class Question:
    """A message to think through. `sender` may be "<>". `ip` "": an address that no connector lists. `certificate_name`: the peer has
    TLS and presents a certificate for this name, trusted unless `certificate_trusted` is False. `auth`: the mailbox that logged in.
    `listener`: "mx" | "submission" | "submissions"; "" means submission with `auth`, else mx.
    """

    sender: str
    recipient: str
    ip: str = ""
    certificate_name: str = ""
    auth: str = ""
    helo: str = ""
    listener: str = ""
    tls: bool = False
    certificate_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: the decisions themselves. `reply`: what the peer would hear, at MAIL FROM where that is refused, else at RCPT TO.
    `hosts`: one list per route; `resolved`: the same after the resolver, empty without one.
    """

    question: Question
    config_version: int
    sender: SenderDecision
    recipient: RecipientDecision
    routes: tuple[Route, ...]
    reply: Reply
    hosts: tuple[tuple[str, ...], ...]
    resolved: tuple[Resolved, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. `route` is the first of `routes`; each has `smart_hosts` as configured, and `hosts`: those that the
        resolver found where one was asked, else the configured ones; `resolved` also says why it found none.
        """
        caller, relay, resolution = self.sender.caller, self.recipient.relay, self.recipient.resolution
        accepted = resolution.accepted_domain
        routes = [self._route(number) for number in range(len(self.routes))]
        return {
            "config_version": self.config_version,
            "question": asdict(self.question),
            "reply": str(self.reply),
            "caller": {
                "kind": caller.kind.value,
                "connector": caller.connector.name if caller.connector else "",
                "mailbox": caller.mailbox,
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

    def _route(self, number: int) -> dict[str, Any]:
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
            "tls": route.tls_settings.value,
            "tls_domain": route.tls_domain,
            "failure": f"{route.failure_enhanced} {route.failure}".strip(),
            "reasons": list(route.reasons),
            "considered": _candidates(route.considered),
        }


def explain(snapshot: Snapshot, question: Question, resolve: HostResolver | None = None) -> Explanation:
    """Think `question` through with `snapshot`.

    :raises ValueError: (AddressError is one) an address, name or listener in the question is none; the text says which.
    """
    sender = None if question.sender.strip() in ("", "<>") else parse_address(question.sender)
    recipient = parse_address(question.recipient)
    facts = _facts(snapshot, question)
    directory, table = snapshot.directory, snapshot.connectors
    at_mail = decide_sender(directory, table, facts, sender, explain=True)
    at_rcpt = decide_recipient(directory, table, facts, at_mail.caller, sender, recipient, explain=True)
    reply = at_rcpt.reply if at_mail.reply.is_success else at_mail.reply
    routes = at_rcpt.routes
    if not at_mail.reply.is_success or not (routes and (reply.is_success or routes[0].kind is RouteKind.NONE)):
        routes = (_refused(recipient, reply, table),)
    hosts = tuple(tuple(str(host) for host in route.smart_hosts) for route in routes)
    resolved = tuple(resolve(route) if route.kind in _DIALLED else _NOTHING for route in routes) if resolve else ()
    return Explanation(question, snapshot.version, at_mail, at_rcpt, routes, reply, hosts, resolved)


def render(explanation: Explanation) -> str:
    """The explanation as a story for people."""
    question, caller, decision = explanation.question, explanation.sender.caller, explanation.recipient
    lines = [
        f"{question.sender or '<>'} → {question.recipient}, with configuration version {explanation.config_version}",
        "",
        "Who is calling?",
        *_bullets(caller.reasons),
        *_considered(caller.considered),
        "May he send there?",
        *_bullets((*decision.relay.reasons, *((decision.relay.near_miss,) if decision.relay.near_miss else ()))),
        "What is the recipient?",
        *_bullets(decision.resolution.reasons),
        "Which way out?",
    ]
    for number, route in enumerate(explanation.routes):
        resolved = explanation.resolved[number].words if explanation.resolved else ()
        lines += _bullets((_way(route, explanation.hosts[number], resolved), *_new(route.reasons, decision.resolution.reasons)))
        if explanation.resolved:
            lines += [f"      {reason}" for reason in explanation.resolved[number].reasons]
        if not number:
            lines += _considered(route.considered)
    lines.append(f"Reply: {explanation.reply}")
    return "\n".join(lines) + "\n"


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
        trusted = question.certificate_trusted
        reason = "assumed by the question" if trusted else "assumed untrusted by the question"
        certificate = PeerCertificate(f"CN={name}", "", (name,), 0.0, 0.0, "", trusted, reason)
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
    )


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


def _way(route: Route, hosts: tuple[str, ...], resolved: tuple[str, ...]) -> str:
    match route.kind:
        case RouteKind.MAILBOX:
            return f"{route.recipient}: delivered to the mailbox {route.mailbox}"
        case RouteKind.NONE:
            return f"{route.recipient}: nowhere"
        case RouteKind.MX:
            way = f"the MX records of {route.domain}"
        case RouteKind.CONNECTOR:
            way = f'connector "{route.connector}" to {", ".join(hosts) or f"the MX records of {route.domain}"}'
    tls = route.tls_settings.value or "opportunistic"
    domain = f" for {route.tls_domain}" if route.tls_domain else ""
    found = f" ({', '.join(resolved)})" if resolved else ""
    return f"{route.recipient}: {way}{found}, TLS {tls}{domain}"


def _candidates(considered: tuple[Candidate, ...]) -> list[dict[str, Any]]:
    return [{"connector": each.connector, "chosen": each.chosen, "reason": each.reason} for each in considered]


def _considered(considered: tuple[Candidate, ...]) -> list[str]:
    return [f"      {'chosen' if each.chosen else 'not   '}  {each.connector}: {each.reason}" for each in considered]


def _bullets(sentences: Sequence[str]) -> list[str]:
    return [f"  - {sentence}" for sentence in sentences]


def _new(reasons: tuple[str, ...], told: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reason for reason in reasons if reason not in told)
