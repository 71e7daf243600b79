"""Certificates of callers are remembered, and another issuer of one that identified raises an alert while mail goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mailwye.connectors.attribution import attribute
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import ConnectorTable
from mailwye.inbound.caller_certificates import remember_certificate
from mailwye.message.facts import SessionFacts
from mailwye.trace.certificate_watch import AGAIN_SECONDS, CertificateWatch
from mailwye.trace.sightings import MemorySightings, Sighting
from tests.unit.connectors.world import CONTOSO, PARTNER, address, inbound, session

OWN = inbound("Own", tls_sender_certificate_name="*.contoso.com")


@dataclass
class Watched:
    """A watch with its store, its alerts and its clock."""

    connectors: tuple[InboundConnector, ...] = (OWN,)
    store: MemorySightings = field(default_factory=MemorySightings)
    alerts: list[str] = field(default_factory=list)
    time: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.table = ConnectorTable(self.connectors)
        self.watch = CertificateWatch(self.store, self, self.alerts.append)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def come(self, facts: SessionFacts, sender: str = "john@contoso.com") -> None:
        caller = attribute(facts, address(sender), self.table, CONTOSO)
        if caller.refusal is None and facts.tls is not None and facts.tls.certificate is not None:
            remember_certificate(self.watch, caller, facts.tls.certificate, self.table)


def presented(*names: str, issuer: str = "CN=R10,O=Good,C=US", fingerprint: str = "f1", trusted: bool = True) -> SessionFacts:
    facts = session(*(names or ("mail.contoso.com",)), trusted=trusted)
    assert facts.tls is not None
    assert facts.tls.certificate is not None
    certificate = replace(facts.tls.certificate, issuer=issuer, fingerprint=fingerprint)
    return replace(facts, tls=replace(facts.tls, certificate=certificate))


def test_overlap_a_renewed_certificate_is_silent_and_another_issuer_an_alert() -> None:
    watched = Watched()
    watched.come(presented())
    watched.come(presented(issuer="CN=R12,O=Good,C=US", fingerprint="f2"))
    assert watched.alerts == []
    watched.come(presented(issuer="CN=X,O=Other,C=US", fingerprint="f3"))
    watched.come(presented(issuer="CN=X,O=Other,C=US", fingerprint="f3"))
    watched.come(presented(issuer="CN=X,O=Other,C=US", fingerprint="f4"))
    (alert,) = watched.alerts
    assert 'inbound connector "Own": mail.contoso.com presented a certificate by CN=X,O=Other,C=US' in alert
    assert [one.fingerprint for one in watched.store.all()] == ["f1", "f2", "f3", "f4"]


def test_the_memory_outlives_the_process() -> None:
    watched = Watched()
    watched.come(presented())
    again = Watched(store=watched.store)
    again.come(presented(issuer="CN=X,O=Other,C=US", fingerprint="f3"))
    assert len(again.alerts) == 1


def test_strangers_are_not_remembered() -> None:
    watched = Watched()
    for facts in (presented(trusted=False), presented("evil.example"), session(), session(tls=True)):
        watched.come(facts)
    assert watched.store.all() == []


def test_partners_with_a_certificate_are_remembered_where_they_passed() -> None:
    lock = inbound("Lock", connector_type=PARTNER, tls_sender_certificate_name="*.filter.example", restrict_domains_to_certificate=True)
    plain = inbound("Plain", connector_type=PARTNER, require_tls=True)
    watched = Watched((lock, plain))
    watched.come(presented("mx.filter.example"), "x@y.example")
    watched.come(presented("mx.evil.example", fingerprint="f2"), "x@y.example")
    assert [(one.use, one.name, one.fingerprint) for one in watched.store.all()] == [
        ('inbound connector "Lock"', "mx.filter.example", "f1"),
    ]


def test_who_only_says_a_partners_domain_is_a_stranger() -> None:
    """He could make a certificate for each session, drive out what identifies others, and flood somebody with warnings."""
    plain = inbound("Plain", connector_type=PARTNER, require_tls=True)
    lock = inbound("Lock", connector_type=PARTNER, tls_sender_certificate_name="*.filter.example", restrict_domains_to_certificate=True)
    some = replace(lock, name="Some", associated_accepted_domains=("fabrikam.com",))
    watched = Watched((plain, some))
    watched.come(presented("mx.filter.example", trusted=False), "x@y.example")
    watched.come(presented("mx.evil.example"), "x@y.example")
    assert watched.store.all() == []
    watched.come(presented("mx.filter.example"), "x@y.example")
    assert [one.use for one in watched.store.all()] == ['inbound connector "Some"']


def test_many_long_names_do_not_fill_the_disk() -> None:
    watched = Watched()
    watched.come(presented("mail.contoso.com", *(f"{'x' * 60}{number:03}.example" for number in range(200))))
    (kept,) = watched.store.all()
    assert sum(map(len, kept.names)) <= 4_096


def test_once_an_hour_is_enough() -> None:
    watched = Watched()
    watched.come(presented())
    watched.time += AGAIN_SECONDS / 2
    watched.come(presented())
    assert watched.store.all()[0].last_seen == 1_000_000.0
    watched.time += AGAIN_SECONDS
    watched.come(presented())
    assert watched.store.all()[0].last_seen == watched.time


class Broken(MemorySightings):
    def of(self, use: str) -> Sequence[Sighting]:
        raise OSError("disk gone")


def test_a_store_that_fails_is_told_once_and_stops_nobody() -> None:
    watched = Watched(store=Broken())
    watched.come(presented())
    watched.come(presented(fingerprint="f2"))
    (alert,) = watched.alerts
    assert "may not be noticed: disk gone" in alert


class Full(MemorySightings):
    full = False

    def saw(self, sighting: Sighting) -> None:
        if self.full:
            raise OSError("disk full")
        super().saw(sighting)


def test_another_issuer_is_noticed_where_nothing_can_be_written() -> None:
    watched = Watched(store=Full())
    watched.come(presented())
    watched.store.full = True  # type: ignore[attr-defined]  # a Full
    watched.come(presented(issuer="CN=X,O=Other,C=US", fingerprint="f3"))
    assert ["disk full" in watched.alerts[0], "never seen here before" in watched.alerts[1]] == [True, True]
