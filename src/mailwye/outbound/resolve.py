"""From a route to the servers behind it: MX records or smart hosts, looked up now (SEMANTICS section 6, RFC 5321 section 5.1).

What the records mean is decided in outbound/mx.py; here is only the asking.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from mailwye.config.installation import DeliverySettings
from mailwye.connectors.model import MtaStsMode, SmartHost
from mailwye.connectors.selection import Route
from mailwye.message.envelope import TlsWish
from mailwye.outbound.courier import Host, Hosts
from mailwye.outbound.mx import Exchanges, Ourselves, Usable, final_failure, judge_mx, order_smart_hosts, spread, usable_addresses
from mailwye.outbound.protection import asks_for_dane, fetch_results, keep_listed, protect, require, tlsa_bases
from mailwye.outbound.ticket import REPLY_KEPT
from mailwye.runtime.dns_answer import Absence, Absent, MxRecord, Resolver, Unknown
from mailwye.smtp.reply import Reply
from mailwye.transport.dane import tlsa_name
from mailwye.transport.sts_policies import StsFinding, StsPolicies

Protect = Callable[[list[Usable]], Awaitable[list[Usable]]]
"""Puts the demands of policies on the hosts of one group, or takes hosts away."""


REASONS_LIMIT = 50
"""Sentences about one look-up."""

RESULTS_LIMIT = 50
"""Results of one look-up for TLS reports: as many hosts are told of."""


class RouteResolver:
    """The HostResolver of live couriers. `own_names` and `own_addresses`: under which this server is known and listens, so that it
    never delivers to itself; the couriers dial the addresses that it gives, so nothing is looked up twice (no rebinding, catalogue R1).
    `policies`: finds the MTA-STS policy of a domain; None: nobody asks.
    """

    def __init__(
        self,
        *,
        resolver: Resolver,
        settings: DeliverySettings,
        rng: random.Random,
        own_names: Iterable[str] = (),
        own_addresses: Iterable[str] = (),
        policies: StsPolicies | None = None,
    ) -> None:
        self._resolver = resolver
        self._settings = settings
        self._rng = rng
        self._ourselves = Ourselves(frozenset(name.lower() for name in own_names), frozenset(own_addresses))
        self._policies = policies

    async def hosts(self, route: Route) -> Hosts:
        """See HostResolver."""
        return bounded(await (self._smart_hosts(route) if route.smart_hosts else self._mx(route)))

    # MX

    async def _mx(self, route: Route) -> Hosts:
        domain, settings = route.domain, self._settings
        answer = await self._resolver.mx(domain)
        exchanges = judge_mx(domain, answer, self._ourselves, self._rng)
        if exchanges.failure is not None and not exchanges.looped:
            return Hosts(failure=exchanges.failure, reasons=exchanges.reasons)
        finding = await self._finding(route)
        results = fetch_results(domain, finding)
        if not (exchanges.validated and asks_for_dane(route)):
            # Signed records are not forged, and DANE decides about their hosts first.
            listed = keep_listed(domain, answer, finding.policy)
            if listed.failure is not None:
                return Hosts(failure=listed.failure, reasons=(*finding.reasons, *listed.refused), results=results + listed.results)
            results += listed.results
            if listed.refused:
                exchanges = judge_mx(domain, listed.answer, self._ourselves, self._rng)
                exchanges = replace(exchanges, reasons=(*exchanges.reasons, *listed.refused))
        if exchanges.failure is not None:
            return Hosts(failure=exchanges.failure, reasons=(*finding.reasons, *exchanges.reasons), results=results)

        async def protected(usables: list[Usable]) -> list[Usable]:
            return [await self._protected(route, usable, finding) for usable in usables]

        found = await self._of_exchanges(
            domain, exchanges, settings.mx_port, private_allowed=settings.allow_private_mx, protected=protected
        )
        return replace(found, reasons=(*finding.reasons, *found.reasons), results=results + found.results)

    async def _protected(self, route: Route, usable: Usable, finding: StsFinding) -> Usable:
        """Ask for the TLSA records that count; what all of it means is decided in protection.py."""
        port = self._settings.mx_port
        bases = tlsa_bases(route, usable)
        answers = {base: await self._resolver.tlsa(tlsa_name(base, port)) for base in bases}
        return require(route, protect(route, usable, finding.policy, answers, port), doubtful=finding.is_doubtful)

    async def _finding(self, route: Route) -> StsFinding:
        if self._policies is None:
            return StsFinding()
        if route.tls_wish is TlsWish.OPTIONAL:
            return StsFinding(reasons=("The message says TLS-Required: No, so no policy of the domain is asked for (RFC 8689 section 5)",))
        if route.mta_sts_mode is MtaStsMode.NONE:
            return StsFinding(reasons=(f'connector "{route.connector}" asks for no MTA-STS (MtaStsMode None)',))
        return await self._policies.find(route.domain)

    async def _of_exchanges(
        self, domain: str, exchanges: Exchanges, port: int, *, private_allowed: bool, protected: Protect | None = None
    ) -> Hosts:
        """Group by group until there are enough addresses. One that proves to be ourselves ends the list before its group."""
        limit = self._settings.addresses_per_destination
        found: list[Usable] = []
        for group in exchanges.groups:
            usables = await self._group(group, port, private_allowed=private_allowed, validated=exchanges.validated)
            if any(usable.ourselves for usable in usables):
                found += [Usable(reasons=usable.reasons, ourselves=usable.ourselves) for usable in usables]
                break
            found += usables if protected is None else await protected(usables)
            if sum(len(usable.hosts) for usable in found) >= limit:
                break
        reasons = (*exchanges.reasons, *(reason for usable in found for reason in usable.reasons))
        results = tuple(usable.result for usable in found if usable.result is not None)
        hosts = spread(found, limit)
        if not hosts:
            return Hosts(failure=final_failure(domain, exchanges, found), reasons=reasons, results=results)
        return Hosts(hosts, reasons=(*reasons, f"MX of {domain}: {_listed(hosts)}"), results=results)

    async def _group(self, group: Sequence[MxRecord], port: int, *, private_allowed: bool, validated: bool) -> list[Usable]:
        names = [record.exchange for record in group]
        if len(names) == 1:
            answers = [await self._resolver.addresses(names[0])]
        else:
            answers = await asyncio.gather(*(self._resolver.addresses(name) for name in names))
        return [
            usable_addresses(name, port, answer, self._ourselves, self._rng, private_allowed=private_allowed, validated=validated)
            for name, answer in zip(names, answers, strict=True)
        ]

    # Smart hosts

    async def _smart_hosts(self, route: Route) -> Hosts:
        """All entries in their order; one that cannot be looked up now only leaves the others. No failure here is for good: the
        connector can be corrected, and the mail waits for that.
        """
        limit = self._settings.addresses_per_destination
        hosts: list[Host] = []
        reasons: list[str] = []
        failures: list[str] = []
        for entry in order_smart_hosts(route.smart_hosts, self._rng):
            found = await self._smart_host(entry, route)
            hosts += found.hosts
            reasons += found.reasons
            if found.failure is not None:
                failures.append(f"{entry}: {found.failure.text}")
            if len(hosts) >= limit:
                break
        if hosts:
            return Hosts(tuple(dict.fromkeys(hosts))[:limit], reasons=(*reasons, f"SmartHosts: {_listed(hosts)}"))
        text = f'DNS query failed for SmartHosts of connector "{route.connector}": {"; ".join(failures)}'
        return Hosts(failure=Reply(450, "4.4.312", text), reasons=(*reasons, text))

    async def _smart_host(self, entry: SmartHost, route: Route) -> Hosts:
        port = entry.port or self._settings.smart_host_port
        if entry.is_address:
            return Hosts((Host(entry.host, entry.host, port),))
        if not entry.look_up_mx:
            return await self._address_records(entry.host, port)
        answer = await self._resolver.mx(entry.host)
        if isinstance(answer, Unknown):
            return Hosts(failure=Reply(450, "4.4.312", answer.reason))
        if isinstance(answer, Absent) and answer.absence is Absence.NODATA:
            return await self._address_records(entry.host, port)
        exchanges = judge_mx(entry.host, answer, self._ourselves, self._rng)
        if exchanges.failure is not None:
            return Hosts(failure=exchanges.failure, reasons=exchanges.reasons)
        if route.tls_wish is TlsWish.REQUIRED and not exchanges.validated and not route.tls_domain:
            text = (
                f"REQUIRETLS support required: DNSSEC does not vouch for the MX records of {entry.host}, and TlsDomain names no certificate"
            )
            return Hosts(failure=Reply(450, "4.7.30", text))
        return await self._of_exchanges(entry.host, exchanges, port, private_allowed=True)

    async def _address_records(self, name: str, port: int) -> Hosts:
        """A smart host may be anywhere, also on a private address or on another port of this machine."""
        answer = await self._resolver.addresses(name)
        usable = usable_addresses(name, port, answer, Ourselves(), self._rng, private_allowed=True, validated=True)
        if not usable.hosts:
            return Hosts(failure=Reply(450, "4.4.312", "; ".join(usable.reasons)))
        return Hosts(usable.hosts)


def bounded(found: Hosts) -> Hosts:
    """What is told of it goes into queue, trace, notices and reports; a domain may have thousands of records to be told of."""
    reasons, failure = found.reasons, found.failure
    if len(reasons) > REASONS_LIMIT:
        left_out = f"{len(reasons) - REASONS_LIMIT} more reasons are left out"
        reasons = (*reasons[: REASONS_LIMIT - 1], left_out, reasons[-1])
    if failure is not None:
        failure = failure.shortened(REPLY_KEPT)
    return Hosts(found.hosts, failure, reasons, found.results[:RESULTS_LIMIT])


def _listed(hosts: Sequence[Host]) -> str:
    return ", then ".join(map(str, hosts))
