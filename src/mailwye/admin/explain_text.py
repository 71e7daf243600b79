"""`explain` for people: the answer as a story."""

from __future__ import annotations

from collections.abc import Sequence

from mailwye.admin.explain import Explanation, tls_asked
from mailwye.connectors.attribution import Caller
from mailwye.connectors.own_certificates import in_words
from mailwye.connectors.selection import Candidate, Route, RouteKind
from mailwye.policy.rules.decide import RuleFinding
from mailwye.policy.rules.matching import Match


def render(explanation: Explanation) -> str:
    """The explanation as a story for people."""
    question, caller, decision = explanation.question, explanation.sender.caller, explanation.recipient
    lines = [
        f"{question.sender or '<>'} → {question.recipient}, with configuration version {explanation.config_version}",
        "",
        *render_caller(caller),
        "May he send there?",
        *_bullets((*decision.relay.reasons, *((decision.relay.near_miss,) if decision.relay.near_miss else ()))),
        "What is the recipient?",
        *_bullets(decision.resolution.reasons),
        *_rules(explanation),
        "Which way out?",
    ]
    for number, route in enumerate(explanation.routes):
        resolved = explanation.resolved[number].words if explanation.resolved else ()
        lines += _bullets((_way(route, explanation.hosts[number], resolved), *_new(route.reasons, decision.resolution.reasons)))
        if explanation.resolved:
            lines += [f"      {reason}" for reason in explanation.resolved[number].reasons]
        if not number:
            lines += _considered(route.considered)
    if changed := list(dict.fromkeys(sentence for one in explanation.changes for sentence in one)):
        lines += ["What changes when it leaves?", *_bullets(changed)]
    lines.append(f"Reply: {explanation.reply}")
    return "\n".join(lines) + "\n"


def render_caller(caller: Caller) -> list[str]:
    """The part about the caller, line by line."""
    return ["Who is calling?", *_bullets(caller.reasons), *_considered(caller.considered)]


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
    tls = tls_asked(route) or "opportunistic"
    domain = f" for {route.tls_domain}" if route.tls_domain else ""
    login = f", logs in as {route.credential.user_name} (SmartHostAuthMechanism BasicAuthRequireTLS)" if route.credential else ""
    found = f" ({', '.join(resolved)})" if resolved else ""
    hello = f", EHLO {route.hello_name}" if route.hello_name else ""
    shown = f", showing {in_words(route.client_certificate)}" if route.client_certificate else ""
    limit = f", at most {route.max_message_size} octets" if route.max_message_size else ""
    return f"{route.recipient}: {way}{found}, TLS {tls}{domain}{login}{shown}{hello}{limit}"


def _rules(explanation: Explanation) -> list[str]:
    """Each rule with its reasons; for several recipients only where they differ from what was told last."""
    lines: list[str] = []
    told: tuple[RuleFinding, ...] = ()
    for route, decision in zip(explanation.routes, explanation.rules, strict=False):
        if decision.findings == told:
            continue
        told = decision.findings
        lines += [f"Which rules match for {route.recipient}?"]
        lines += [f"  - {_MATCH[each.match]} {each.rule} ({each.priority}, {each.mode}): {'; '.join(each.reasons)}" for each in told]
    return lines


_MATCH = {Match.YES: "matched  ", Match.NO: "no       ", Match.UNKNOWN: "depends  ", None: "not asked"}


def _considered(considered: tuple[Candidate, ...]) -> list[str]:
    return [f"      {'chosen' if each.chosen else 'not   '}  {each.connector}: {each.reason}" for each in considered]


def _bullets(sentences: Sequence[str]) -> list[str]:
    return [f"  - {sentence}" for sentence in sentences]


def _new(reasons: tuple[str, ...], told: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reason for reason in reasons if reason not in told)
