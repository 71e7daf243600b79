"""From DNS records to the hosts of a domain, in order, with reasons (RFC 5321 section 5.1, RFC 7505). Pure: answers in, values out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from mailwye.connectors.model import SmartHost
from mailwye.outbound.courier import Host
from mailwye.runtime.dns_answer import Absence, Absent, Answer, Found, MxRecord, Unknown
from mailwye.runtime.network import is_private
from mailwye.smtp.reply import Reply
from mailwye.transport.tls_report import SessionResult

EXCHANGE_LIMIT = 32
"""How many exchanges of one domain are looked at; a set of 500 (catalogue R4) is cut here."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What makes a host this server: `names` (lower-case A-labels) and `addresses` (canonical text)."""

    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The MX records to look at, in groups of equal preference, best first; or the `failure` in their place. `validated`: DNSSEC vouches
    for them. `cut`: some are left out because there are too many. `looped`: some are left out because they are ourselves.
    """

    groups: tuple[tuple[MxRecord, ...], ...] = ()
    failure: Reply | None = None
    reasons: tuple[str, ...] = ()
    validated: bool = False
    cut: bool = False
    looped: bool = False


@dataclass(frozen=True, slots=True)
class Usable:
    """The addresses of one host that may be dialled. `ourselves`: one of them is this server. `unknown`: the look-up failed.
    `canonical`: the host's name after CNAMEs. `refusal`: the deferring reply of a policy that forbids the host; `result`: the
    same for TLS reports.
    """

    hosts: tuple[Host, ...] = ()
    reasons: tuple[str, ...] = ()
    ourselves: bool = False
    unknown: bool = False
    canonical: str = ""
    refusal: Reply | None = None
    result: SessionResult | None = None


def judge_mx(domain: str, answer: Answer[MxRecord], ourselves: Ourselves, rng: random.Random) -> Exchanges:
    """The answer to the MX question for `domain` → its exchanges in order; `rng` shuffles equal preferences (section 5.1)."""
    match answer:
        case Unknown(reason):
            return Exchanges(failure=Reply(450, "4.4.312", f"DNS query failed: {reason}"), reasons=(f"DNS query failed: {reason}",))
        case Absent(Absence.NXDOMAIN):
            reply = Reply(550, "5.1.2", f"The domain {domain} does not exist")
            return Exchanges(failure=reply, reasons=(f"NXDOMAIN: {domain} does not exist",))
        case Absent():
            # Only a sure "no MX" makes the domain its own exchange; NXDOMAIN and failures do not.
            implicit = MxRecord(0, domain)
            return _order(domain, (implicit,), ourselves, rng, (f"{domain} has no MX: its own addresses count",), answer.authenticated)
        case Found(records):
            real = tuple(record for record in records if record.exchange)
            if not real:
                # RFC 7505 section 3: the null MX says that the domain takes no mail.
                reply = Reply(556, "5.1.10", f"The domain {domain} accepts no mail (null MX, RFC 7505)")
                return Exchanges(failure=reply, reasons=(f"{domain} has a null MX",))
            return _order(domain, real, ourselves, rng, (), answer.authenticated)


def _order(
    domain: str, records: Sequence[MxRecord], ourselves: Ourselves, rng: random.Random, reasons: tuple[str, ...], validated: bool
) -> Exchanges:
    own = [record.preference for record in records if record.exchange in ourselves.names]
    # Section 5.1: drop ourselves and everything of equal or lower preference (a higher number): such hosts would send it back to us.
    kept = [record for record in records if not own or record.preference < min(own)]
    if own:
        reasons += (f"The MX records of {domain} name this server at preference {min(own)}: that and everything after is left out",)
    rng.shuffle(kept)
    kept.sort(key=lambda record: record.preference)
    groups = tuple(tuple(group) for _, group in groupby(kept[:EXCHANGE_LIMIT], key=lambda record: record.preference))
    cut = len(kept) > EXCHANGE_LIMIT
    if cut:
        reasons += (f"{domain} has {len(kept)} MX records: the first {EXCHANGE_LIMIT} count",)
    failure = loop_reply(domain) if own and not kept else None
    return Exchanges(groups, failure, reasons, validated, cut, bool(own))


def loop_reply(domain: str) -> Reply:
    """554 5.4.6: all ways lead back here (catalogue R2)."""
    return Reply(554, "5.4.6", f"Mail for {domain} loops back to this server: its MX records point here, but it is not an accepted domain")


def usable_addresses(
    name: str, port: int, answer: Answer[str], ourselves: Ourselves, rng: random.Random, *, private_allowed: bool, validated: bool
) -> Usable:
    """The answer to the address question for host `name` → whom to dial, families in turn, IPv4 first.

    Private, loopback and link-local addresses are left out unless `private_allowed` (catalogue R1).
    """
    match answer:
        case Unknown(reason):
            return Usable(reasons=(f"DNS query failed: {reason}",), unknown=True)
        case Absent():
            return Usable(reasons=(f"{name} has no address ({answer.absence.value})",))
        case Found(addresses):
            reasons: list[str] = []
            kept: list[str] = []
            for address in addresses:
                if address in ourselves.addresses:
                    return Usable(reasons=(f"{name} has the address {address}, which is this server",), ourselves=True)
                if not private_allowed and is_private(address):
                    reasons.append(f"{name}[{address}] is private or special: never dialled for Internet mail")
                else:
                    kept.append(address)
            rng.shuffle(kept)
            vouched = validated and answer.authenticated
            return Usable(
                tuple(Host(name, address, port, vouched) for address in _families_in_turn(kept)), tuple(reasons), canonical=answer.name
            )


def _families_in_turn(addresses: Iterable[str]) -> list[str]:
    ipv4: list[str] = []
    ipv6: list[str] = []
    for address in addresses:
        (ipv6 if ":" in address else ipv4).append(address)
    return [address for pair in zip_longest(ipv4, ipv6) for address in pair if address is not None]


def spread(found: Sequence[Usable], limit: int) -> tuple[Host, ...]:
    """The hosts of several names in order, at most `limit`. Where there are more, no name takes more than its share, so that one name with
    many addresses does not keep the next one from being tried.
    """
    lists = [usable.hosts for usable in found if usable.hosts]
    if sum(map(len, lists)) > limit:
        share = max(1, limit // len(lists))
        lists = [hosts[:share] for hosts in lists]
    return tuple(host for hosts in lists for host in hosts)[:limit]


def order_smart_hosts(smart_hosts: Sequence[SmartHost], rng: random.Random) -> tuple[SmartHost, ...]:
    """By priority; within one at random by weight (as RFC 2782 orders SRV records: each draw in proportion to the weights left)."""
    if len(smart_hosts) < 2:
        return tuple(smart_hosts)
    keyed = [(host.priority, -(rng.random() ** (1.0 / max(1, host.weight))), host) for host in smart_hosts]
    keyed.sort(key=lambda entry: entry[:2])
    return tuple(host for _, _, host in keyed)


def final_failure(domain: str, exchanges: Exchanges, found: Sequence[Usable]) -> Reply:
    """Why no host is left: what is unknown defers, what is sure fails."""
    reasons = "; ".join(reason for usable in found for reason in usable.reasons)
    if any(usable.unknown for usable in found) or exchanges.cut:
        return Reply(450, "4.4.312", f"DNS query failed: {reasons}")
    refusals = [usable.refusal for usable in found if usable.refusal is not None]
    if refusals:
        mildest = next((reply for reply in refusals if reply.is_transient), refusals[0])
        return Reply(mildest.code, mildest.enhanced, f"No mail server of {domain} may be used: {reasons}")
    if exchanges.looped or any(usable.ourselves for usable in found):
        return loop_reply(domain)
    return Reply(550, "5.4.4", f"No mail server of {domain} can be reached: {reasons}")
