"""The whole world of the story with real counterparts, started once per test process, each with addresses and folders of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.counterparts.dns import Nsd, Unbound
from tests.counterparts.dovecot import Dovecot
from tests.counterparts.exim import Exim
from tests.counterparts.place import Place, make_place, remove_place
from tests.counterparts.postfix import Postfix, SmartHostOfPostfix
from tests.counterparts.process import free_port, need_root
from tests.integration.certificate_world import CertificateWorld, certificate_world
from tests.integration.junction import HOSTNAME, Certificates, Junction, Ports, free_ports, issue_certificates
from tests.integration.organization import OwnPorts, organization, zones


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs."""

    place: Place
    certificates: Certificates
    nsd: Nsd
    unbound: Unbound
    own: Postfix
    own_ports: OwnPorts
    sun: Postfix
    sales: Exim
    junction: Junction
    second_ports: Ports


def end(junction: Junction) -> None:
    """Stop it: it must end well, and may not have met a fault of its own in all that time."""
    assert junction.stop() == 0, junction.log()
    for sign in ("Traceback", "Internal error", "may be delivered twice"):
        assert sign not in junction.log(), junction.log()


@pytest.fixture(scope="session")
def place() -> Iterator[Place]:
    need_root()
    made = make_place()
    yield made
    remove_place(made)


@pytest.fixture(scope="session")
def world(place: Place) -> Iterator[World]:
    certificates = issue_certificates(place.directory / "tls", now=time.time(), service_addresses=[place.service, place.second_service])
    ports, second = free_ports(place.service), free_ports(place.second_service)
    with ExitStack() as running:
        nsd = Nsd(place.directory / "nsd", address=place.dns, zones=zones(place))
        nsd.start()
        running.callback(nsd.stop)
        unbound = Unbound(place.directory / "unbound", address=place.dns, nsd=nsd)
        unbound.start()
        running.callback(unbound.stop)

        smart_host = SmartHostOfPostfix(place.service, ports.mx, HOSTNAME)
        own_ports = OwnPorts(*(free_port(place.own) for _ in range(6)))
        own = _johns_server(place, smart_host, certificates, own_ports)
        own.start()
        running.callback(own.stop)
        sun = Postfix(
            place.directory / "sun",
            address=place.sun,
            smart_host=smart_host,
            pair=certificates.sun,
            authority=certificates.authority,
            domains=("example.net", "late.example", "alias.example"),
            mailboxes=("sun", "sün"),
            receiving_level="may",
            sending_level="may",
            name="mail.example.net",
        )
        sun.start()
        running.callback(sun.stop)
        sales = Exim(place.directory / "sales", address=place.sales, smart_host=(place.service, ports.mx), pair=certificates.sales)
        sales.start()
        running.callback(sales.stop)

        junction = Junction(
            place,
            place.directory / "junction",
            place.service,
            ports,
            certificates,
            f"{unbound.address}:{unbound.port}",
            organization(place, own_ports, sales.port),
            f"mx_port = {sun.port}\nsmart_host_port = {own_ports.good}\nallow_private_mx = true",
        )
        junction.set_up()
        junction.start()
        running.callback(end, junction)
        yield World(place, certificates, nsd, unbound, own, own_ports, sun, sales, junction, second)


def _johns_server(place: Place, smart_host: SmartHostOfPostfix, certificates: Certificates, ports: OwnPorts) -> Postfix:
    bad = {
        ports.wrong_name: certificates.wrong_name,
        ports.expired: certificates.expired,
        ports.self_signed: certificates.self_signed,
    }
    listeners: dict[int, dict[str, str]] = {
        port: {"smtpd_tls_cert_file": str(pair.certificate), "smtpd_tls_key_file": str(pair.private_key)} for port, pair in bad.items()
    }
    listeners[ports.no_tls] = {"smtpd_tls_security_level": "none"}
    return Postfix(
        place.directory / "own",
        address=place.own,
        smart_host=smart_host,
        pair=certificates.own,
        authority=certificates.authority,
        domains=("contoso.com", "fabrikam.com", "wrong-name.example", "expired.example", "self-signed.example", "no-tls.example"),
        elsewhere=("bob@contoso.com",),
        more_listeners=listeners,
        port=ports.good,
    )


@pytest.fixture(scope="session")
def certificates(place: Place) -> Iterator[CertificateWorld]:
    with certificate_world(place, now=time.time()) as running:
        yield running


@pytest.fixture(scope="session")
def junction(world: World) -> Junction:
    return world.junction


@pytest.fixture(scope="session")
def dovecot(world: World) -> Iterator[Dovecot]:
    """Reads the Maildirs that Mailwye writes."""
    running = Dovecot(world.place.directory / "imap", address=world.place.service, mailboxes=world.junction.data / "mailboxes")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def dovecot_lmtp(world: World) -> Iterator[Dovecot]:
    """Takes the mail of the second Mailwye by LMTP."""
    folder = world.place.directory / "lmtp"
    running = Dovecot(folder, address=world.place.second_service, mailboxes=folder / "mailboxes")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def second(world: World, dovecot_lmtp: Dovecot) -> Iterator[Junction]:
    """A Mailwye that gives Bob's mail to Dovecot by LMTP, and has one connection at a time to each destination."""
    first = world.junction
    made = Junction(
        world.place,
        world.place.directory / "second",
        world.place.second_service,
        world.second_ports,
        world.certificates,
        first.nameserver,
        first.organization,
        f'{first.delivery}\nconnections_per_destination = 1\nlmtp = "{dovecot_lmtp.address}:{dovecot_lmtp.lmtp_port}"',
    )
    made.set_up()
    made.start()
    yield made
    end(made)
