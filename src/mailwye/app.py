"""The composition root of a worker: names the concrete classes and puts them together. stores.py does so for what is stored."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from mailwye.certificates import ChosenServerTls, ClientTls, server_tls
from mailwye.config.installation import Installation
from mailwye.config.secrets import SecretError, Vault
from mailwye.config.snapshot import ActiveSnapshot, Snapshot
from mailwye.connectors.selection import RouteKind
from mailwye.inbound.admission import Admission, names_own_server
from mailwye.inbound.context import ActiveTls, InboundContext
from mailwye.inbound.decisions import Decisions
from mailwye.inbound.listener import KINDS, Listener
from mailwye.inbound.mailbox_login import MailboxLogin
from mailwye.inbound.traffic import Traffic
from mailwye.message.ids import queue_id
from mailwye.message.path_mark import PathMarks
from mailwye.message.sender_rewriting import SenderRewriting
from mailwye.outbound.courier import Courier
from mailwye.outbound.departure import Border
from mailwye.outbound.dispatcher import Dispatcher
from mailwye.outbound.mailbox_lmtp import LmtpCourier
from mailwye.outbound.mailbox_maildir import MaildirCourier
from mailwye.outbound.resolve import RouteResolver
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.engine import QueueEngine
from mailwye.runtime.clock import Clock, SystemClock
from mailwye.runtime.entropy import system_random
from mailwye.runtime.network import Network, SystemNetwork
from mailwye.runtime.resolver import DnsResolver
from mailwye.stores import (
    Alert,
    challenge_folder,
    compiled,
    installation_secret,
    open_config_store,
    open_policy_store,
    open_queue,
    open_result_store,
    open_sightings,
    open_trace_recorder,
    open_traffic_store,
    open_vault,
)
from mailwye.trace.certificate_watch import CertificateWatch
from mailwye.transport.policy_fetch import HttpsPolicyFetcher
from mailwye.transport.report_mail import ReportMail
from mailwye.transport.report_message import report_events, report_message, submitter_of
from mailwye.transport.reporter import HttpsPoster, Reporter
from mailwye.transport.results import TlsResults
from mailwye.transport.security import TransportSecurity
from mailwye.transport.sts_policies import StsPolicies
from mailwye.transport.tls_report import Submitter
from mailwye.web.listener import KINDS as PAGE_KINDS
from mailwye.web.listener import PageListener
from mailwye.web.pages import Pages

GOODBYE_SECONDS = 2.0  # for QUIT to the servers that connections are kept to, after everything else is done


# --- one worker


def own_signatures(installation: Installation) -> tuple[PathMarks, SenderRewriting]:
    """What this installation knows again by its secret. :raises ConfigStoreError: the secret is unreadable or damaged."""
    secret = installation_secret(installation)
    return PathMarks(secret), SenderRewriting(secret, installation.limits.rewritten_sender_days)


def unusable_passwords(snapshot: Snapshot, vault: Vault) -> list[str]:
    """A sentence for each connector whose password cannot be opened: its mail waits, all other mail is carried."""
    found = []
    for connector in snapshot.connectors.outbound:
        if connector.login is not None:
            try:
                vault.open(connector.login.sealed_password, connector.login.owner)
            except SecretError as error:
                found.append(f'the password of connector "{connector.name}" cannot be used, so its mail waits: {error}')
    return found


def id_factory(clock: Clock, number: int) -> Callable[[], str]:
    """Makes queue and session ids that never repeat in one worker: time that does not go back, and a counter."""
    last, counter = 0.0, 0

    def new_id() -> str:
        nonlocal last, counter
        last = max(last, clock.now())
        counter += 1
        return queue_id(last, number, counter)

    return new_id


class Worker:
    """Everything that serves mail in one process: listeners, queue, dispatcher, trace."""

    def __init__(
        self,
        installation: Installation,
        number: int = 0,
        *,
        queues: Sequence[int] = (0,),
        alert: Alert,
        network: Network | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`queues`: numbers of the queue files to serve; the first is its own, the others belonged to workers that no longer exist.

        :raises ConfigStoreError, QueueError, TlsError, ListenerError, OSError: what is wrong, where, and what to do.
        """
        self.installation = installation
        self.number = number
        self.clock = clock or SystemClock()
        self._network = network or SystemNetwork()
        self._store = open_config_store(installation)
        self._marks, self._rewriting = own_signatures(installation)
        stored = self._store.current()
        self._compiled = stored, compiled(stored)  # the last one: the next is made from it
        self.snapshot = ActiveSnapshot(self._compiled[1])
        self._vault = open_vault(installation)
        self._alert = alert
        self._prepared: Snapshot | None = None
        self._chosen_tls = ChosenServerTls(installation, alert)
        self.tls = ActiveTls(by_listener=server_tls(installation), chosen=self._chosen_tls)
        self._client_tls = ClientTls(installation)
        self.trace = open_trace_recorder(installation, number, alert)
        self.engines: list[QueueEngine] = [open_queue(installation, queue, alert) for queue in queues]
        new_id = id_factory(self.clock, number)
        self._certificates = CertificateWatch(open_sightings(installation, alert), self.clock, alert)
        self._login = MailboxLogin(self._store, self.snapshot)
        self.traffic = Traffic(open_traffic_store(installation, number, alert)) if installation.replay.retention_days else None
        self.context = self._make_context(new_id, alert)
        self.listeners = [Listener(self.context, one, self._network) for one in installation.listeners if one.kind in KINDS]
        self.page_listeners = self._make_page_listeners()
        self._dns = dns_resolver(installation, self.clock)
        rng = rng or system_random()
        self.transport = self._transport_security(rng, new_id, alert)
        self.resolver = route_resolver(installation, self._dns, rng, self.transport.policies)
        self._couriers = self._make_couriers()
        self.dispatcher = Dispatcher(
            engines=self.engines,
            couriers=self._couriers,
            snapshot=self.snapshot,
            clock=self.clock,
            trace=self.trace,
            queue=installation.queue,
            delivery=installation.delivery,
            hostname=installation.hostname,
            new_id=new_id,
            alert=alert,
        )

    def _make_context(self, new_id: Callable[[], str], alert: Alert) -> InboundContext:
        admission = Admission(self.installation.limits, lambda address: names_own_server(self.snapshot, address), alert)
        return InboundContext(
            hostname=self.installation.hostname,
            limits=self.installation.limits,
            snapshot=self.snapshot,
            queue=self.engines[0],
            trace=self.trace,
            clock=self.clock,
            new_id=new_id,
            admission=admission,
            marks=self._marks,
            decisions=Decisions(lambda address: self._rewriting.unwrap(address, self.clock.now())),
            tls=self.tls,
            authenticator=self._login,
            certificates=self._certificates,
            traffic=self.traffic,
        )

    def _make_page_listeners(self) -> list[PageListener]:
        pages = Pages(self.installation.hostname, lambda: self.snapshot.current, challenge_folder(self.installation))
        chosen = [one for one in self.installation.listeners if one.kind in PAGE_KINDS]
        return [PageListener(one, pages, self._network, partial(self.tls.of, one.name)) for one in chosen]

    def _transport_security(self, rng: random.Random, new_id: Callable[[], str], alert: Alert) -> TransportSecurity:
        """Policies and results in every worker, reports from the first."""
        installation, store = self.installation, open_result_store(self.installation)
        policies = sts_policies(installation, self._dns, self._network, self.clock, self._client_tls, alert)
        results = TlsResults(store=store, clock=self.clock, alert=alert)
        if self.number:
            return TransportSecurity(policies, results, None, store)
        settings, private_allowed = installation.transport, installation.delivery.allow_private_mx
        reporter = Reporter(
            store=store,
            resolver=self._dns,
            poster=HttpsPoster(self._network, self._dns, self._client_tls.anonymous, settings, private_allowed),
            submit=self._submit_report,
            submitter=self._submitter,
            new_id=new_id,
            clock=self.clock,
            settings=settings,
            rng=rng,
            alert=alert,
        )
        return TransportSecurity(policies, results, reporter, store)

    def _submitter(self) -> Submitter:
        return submitter_of(self.snapshot.current, self.installation.hostname, self.installation.transport.tls_report_contact)

    async def _submit_report(self, mail: ReportMail) -> None:
        message = report_message(mail, self._submitter(), self.snapshot.current)
        await self.engines[0].accept(message)
        for event in report_events(message, mail.domain):
            self.trace.record(event)

    def _make_couriers(self) -> Mapping[RouteKind, Courier]:
        installation, delivery = self.installation, self.installation.delivery
        smtp = SmtpCourier(
            network=self._network,
            resolver=self.resolver,
            tls_contexts=self._client_tls,
            clock=self.clock,
            settings=delivery,
            hostname=installation.hostname,
            border=Border(self._marks, self._rewriting, self.clock),
            certificates=self._certificates,
            report=self.transport.results.record,
            open_secret=lambda credential: self._vault.open(credential.sealed_password, credential.owner),
        )
        mailbox: Courier
        if delivery.lmtp:
            mailbox = LmtpCourier(delivery.lmtp, network=self._network, clock=self.clock, settings=delivery, hostname=installation.hostname)
        else:
            mailbox = MaildirCourier(installation.data_directory / "mailboxes", hostname=installation.hostname, clock=self.clock)
        return {RouteKind.CONNECTOR: smtp, RouteKind.MX: smtp, RouteKind.MAILBOX: mailbox}

    async def start(self, sockets: Mapping[str, socket.socket] | None = None) -> None:
        """Deliver what is queued, then listen: on the bound `sockets` by listener name, or on the addresses of the settings."""
        self.transport.start()
        if not self.number:  # one of the workers is enough to tell
            for text in unusable_passwords(self.snapshot.current, self._vault):
                self._alert(text)
        self.dispatcher.start()
        for listener in self.listeners:
            await listener.start((sockets or {}).get(listener.settings.name))
        for pages in self.page_listeners:
            await pages.start((sockets or {}).get(pages.settings.name))

    @property
    def sessions(self) -> int:
        """Open inbound connections."""
        return sum(listener.sessions for listener in self.listeners)

    @property
    def version(self) -> int:
        """The version of the settings in force."""
        return self.snapshot.current.version

    async def prepare(self, version: int) -> None:
        """Load and compile `version`, where it is newer than the one in force; mail goes on meanwhile. Nothing changes until `commit`.

        :raises ConfigStoreError: it cannot be loaded.
        """
        if version > self.version:
            self._prepared = await asyncio.to_thread(self._load, version)

    def _load(self, version: int) -> Snapshot:
        stored = self._store.load(version)
        self._compiled = stored, compiled(stored, self._compiled)
        return self._compiled[1]

    def commit(self, version: int) -> None:
        """Put `version` in force, where it was prepared."""
        if self._prepared is not None and self._prepared.version == version:
            before = self.snapshot.current
            self.snapshot.activate(self._prepared)
            self._prepared = None
            self.dispatcher.settings_changed(before)

    async def reload_tls(self) -> None:
        """Read certificates again. New handshakes use them; where they are bad the old ones stay. :raises TlsError: what is wrong."""
        self.tls.by_listener = await asyncio.to_thread(server_tls, self.installation)
        self._client_tls.forget()
        self._chosen_tls.forget()

    async def stop(self, timeout: float) -> None:
        """Finish what is in flight, in both directions, within `timeout` seconds, give the rest back to the queue, close everything."""
        for pages in self.page_listeners:
            pages.close()
        await asyncio.gather(self.dispatcher.drain(timeout), *(listener.drain(timeout) for listener in self.listeners))
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await asyncio.gather(*(courier.close() for courier in set(self._couriers.values())))
        await self.transport.close()
        await self._dns.close()
        for engine in self.engines:
            await engine.close()
        await self.trace.close()
        if self.traffic is not None:
            await self.traffic.close()
        self._certificates.close()
        self._login.close()
        self._store.close()


def dns_resolver(installation: Installation, clock: Clock) -> DnsResolver:
    """Asks the name servers of [dns]. :raises ValueError: one of them is no address."""
    dns = installation.dns
    return DnsResolver(
        clock=clock,
        nameservers=dns.nameservers,
        validating=dns.validating,
        timeout=dns.timeout,
        cache_entries=dns.cache_entries,
        cache_ttl_max=dns.cache_ttl_max,
        cache_ttl_negative_max=dns.cache_ttl_negative_max,
    )


def sts_policies(
    installation: Installation, resolver: DnsResolver, network: Network, clock: Clock, tls: ClientTls, alert: Alert
) -> StsPolicies:
    """Finds MTA-STS policies, for deliveries and `explain --resolve`. :raises PolicyStoreError: transport.sqlite cannot be used."""
    fetcher = HttpsPolicyFetcher(
        network=network,
        resolver=resolver,
        context=tls.anonymous,
        settings=installation.transport,
        private_allowed=installation.delivery.allow_private_mx,
    )
    store = open_policy_store(installation)
    return StsPolicies(resolver=resolver, fetcher=fetcher, store=store, clock=clock, settings=installation.transport, alert=alert)


def route_resolver(
    installation: Installation, resolver: DnsResolver, rng: random.Random, policies: StsPolicies | None = None
) -> RouteResolver:
    """Finds the hosts of a route, for couriers and `explain --resolve`."""
    own_addresses = {one.address for one in installation.listeners if one.kind == "mx"} - {"0.0.0.0", "::"}
    return RouteResolver(
        resolver=resolver,
        settings=installation.delivery,
        rng=rng,
        own_names=(installation.hostname,),
        own_addresses=own_addresses,
        policies=policies,
    )
