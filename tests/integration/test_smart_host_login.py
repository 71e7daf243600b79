"""Logging in at a real smart host: Postfix with Dovecot's passwords, which relays for nobody else; with a whole Mailwye."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.counterparts.dovecot import DovecotSasl
from tests.counterparts.place import Place
from tests.counterparts.postfix import Postfix, SmartHostOfPostfix
from tests.counterparts.process import free_port, wait_until
from tests.integration.junction import HOSTNAME, Junction, free_ports, issue_certificates
from tests.integration.messages import find, id_of, message

pytestmark = [pytest.mark.counterpart("postfix"), pytest.mark.counterpart("dovecot")]

USER = "relay@contoso.com"
PASSWORD = "never-in-any-file, ünd never printed"
BOB = "bob@contoso.com"
MECHANISMS = {"scram.example": "SCRAM-SHA-256", "plain.example": "PLAIN", "login.example": "LOGIN", "own.example": "SCRAM-SHA-256"}
OWN = "own.example"  # served by a SendConnector, the others by OutboundConnectors


@dataclass(frozen=True, slots=True)
class Relayed:
    """`smart_host`: one listener for each domain, each offering other mechanisms."""

    junction: Junction
    smart_host: Postfix
    dovecot: DovecotSasl

    def send(self, domain: str) -> tuple[str, str]:
        """Bob writes to Sun at `domain` → the recipient and the Message-ID."""
        recipient = f"sun@{domain}"
        content = message(BOB, recipient)
        with self.junction.bob() as client:
            client.sendmail(BOB, [recipient], content)
        return recipient, id_of(content)

    def arrived(self, domain: str, message_id: str) -> bytes | None:
        """The message in Sun's mailbox."""
        return find(self.smart_host.mailbox("sun", domain), message_id)

    def set_password(self, domain: str, password: str) -> str:
        """As an administrator does."""
        return self.junction.run("secrets", "set", f"To {domain}", "--password-stdin", stdin=f"{password}\n")

    def refusals(self) -> int:
        """How often somebody failed to log in."""
        return self.smart_host.log().count("authentication failed")

    @property
    def key(self) -> Path:
        """The key file."""
        return self.junction.data / "credentials.key"


def organization(address: str, ports: dict[str, int], password: str = PASSWORD) -> str:
    def connector(domain: str, way: str) -> str:
        return f"""  - Name: To {domain}
    {way}
    SmartHosts: ["[{address}]:{ports[domain]}"]
    TlsDomain: mail.example.net
    SmartHostAuthMechanism: BasicAuthRequireTLS
    AuthenticationCredential: {{UserName: {USER}, Password: "{password}"}}
"""

    outbound = "".join(
        connector(domain, f"RecipientDomains: [{domain}]\n    UseMXRecord: false\n    TlsSettings: DomainValidation")
        for domain in ports
        if domain != OWN
    )
    send = f"AddressSpaces: [{OWN}]\n    DNSRoutingEnabled: false\n    RequireTLS: true\n    TlsAuthLevel: DomainValidation"
    return (
        "AcceptedDomain: {DomainName: contoso.com, Default: true}\nMailbox: {PrimarySmtpAddress: bob@contoso.com}\n"
        f"OutboundConnector:\n{outbound}SendConnector:\n{connector(OWN, send)}"
    )


@pytest.fixture(scope="module")
def relayed(place: Place) -> Iterator[Relayed]:
    directory, here, there = place.directory / "login", place.address(40), place.address(41)
    directory.mkdir()
    directory.chmod(0o755)
    certificates = issue_certificates(directory / "tls", now=time.time(), service_addresses=[here])
    ports = free_ports(here)
    with ExitStack() as running:
        dovecot = DovecotSasl(directory / "sasl", address=there, users={USER: PASSWORD})
        dovecot.start()
        running.callback(dovecot.stop)
        listeners = {domain: free_port(there) for domain in MECHANISMS}
        smart_host = Postfix(
            directory / "relay",
            address=there,
            smart_host=SmartHostOfPostfix(here, ports.mx, HOSTNAME),
            pair=certificates.sun,
            authority=certificates.authority,
            domains=tuple(MECHANISMS),
            mailboxes=("sun",),
            more_listeners={
                listeners[domain]: {
                    "smtpd_sasl_auth_enable": "yes",
                    "smtpd_sasl_type": "dovecot",
                    "smtpd_sasl_path": f"inet:{there}:{dovecot.port}",
                    "smtpd_sasl_mechanism_filter": "!external,static:rest" if mechanism == "SCRAM-SHA-256" else mechanism.lower(),
                    "smtpd_tls_auth_only": "yes",
                    "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
                    "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject",
                }
                for domain, mechanism in MECHANISMS.items()
            },
            name="mail.example.net",
        )
        smart_host.start()
        running.callback(smart_host.stop)
        junction = Junction(
            place, directory / "junction", here, ports, certificates, "127.0.0.1:1", organization(there, listeners), "connection_idle = 1"
        )
        junction.set_up()
        junction.start()
        running.callback(junction.stop)
        yield Relayed(junction, smart_host, dovecot)


@pytest.mark.parametrize(("domain", "mechanism"), MECHANISMS.items())
def test_mail_goes_through_by_every_mechanism(relayed: Relayed, domain: str, mechanism: str) -> None:
    recipient, message_id = relayed.send(domain)
    wait_until(lambda: relayed.arrived(domain, message_id), f"the message by {mechanism}")
    (sent,) = [event for event in relayed.junction.events(message_id) if event["kind"] == "Send"]
    assert f"authenticated as {USER} by {mechanism}" in sent["reasons"]
    assert f"sasl_method={mechanism}, sasl_username={USER}" in relayed.smart_host.log()
    explained = relayed.junction.run("explain", "--from", BOB, "--to", recipient, "--auth", BOB)
    assert f"logs in as {USER} (SmartHostAuthMechanism BasicAuthRequireTLS)" in explained


@pytest.mark.parametrize("domain", MECHANISMS)
def test_a_wrong_password_lets_mail_wait_until_it_is_corrected(relayed: Relayed, domain: str) -> None:
    junction, before = relayed.junction, relayed.refusals()
    printed = relayed.set_password(domain, "wrong")
    recipient, message_id = relayed.send(domain)
    row = junction.deferred(recipient)
    assert "450 4.7.8 Authentication failed" in row["last_error"]
    assert f"refused {USER} by {MECHANISMS[domain]}" in row["last_error"]
    assert f'Correct AuthenticationCredential of connector "To {domain}"' in row["last_error"]

    second, second_id = relayed.send(domain)
    wait_until(lambda: all(row["attempts"] for row in junction.queued(second)), "an answer to the second one")
    assert relayed.refusals() == before + 1  # the second one did not bring the account nearer to being locked

    printed += relayed.set_password(domain, PASSWORD)
    junction.run("queue", "retry", "--all")
    wait_until(lambda: relayed.arrived(domain, message_id) and relayed.arrived(domain, second_id), "both")
    assert relayed.refusals() == before + 1
    assert PASSWORD not in printed


def test_a_lost_key_lets_only_that_mail_wait_and_is_told_at_the_start(relayed: Relayed) -> None:
    junction = relayed.junction
    aside = relayed.key.with_name("aside")
    assert junction.stop() == 0
    relayed.key.rename(aside)
    junction.start()
    assert 'the password of connector \\"To plain.example\\" cannot be used, so its mail waits: the key file' in junction.log()
    checked = junction.run("check")
    assert f"the saved password of {USER} cannot be opened, so its mail waits: the key file {relayed.key} does not exist" in checked
    recipient, message_id = relayed.send("plain.example")
    assert (
        f'450 4.3.5 The password of connector "To plain.example" cannot be used: the key file {relayed.key} does not exist'
        in (junction.deferred(recipient)["last_error"])
    )
    with junction.bob() as client:
        client.sendmail(BOB, [BOB], message(BOB, BOB))  # all other mail is carried
    wait_until(lambda: not junction.queued(BOB), "bob's mail to himself")

    aside.rename(relayed.key)
    junction.run("queue", "retry", "--all")
    wait_until(lambda: relayed.arrived("plain.example", message_id), "the message, without a restart")


def test_a_rotated_key_is_used_without_a_restart(relayed: Relayed) -> None:
    junction, before = relayed.junction, relayed.key.read_text()
    assert "has a new key: back it up" in junction.run("secrets", "rotate")
    assert relayed.key.read_text().splitlines()[1:] == before.splitlines()
    _, message_id = relayed.send("scram.example")
    wait_until(lambda: relayed.arrived("scram.example", message_id), "the message after the rotation")
    junction.run("secrets", "rotate", "--drop-old-keys")
    assert len(relayed.key.read_text().splitlines()) == 1
    _, message_id = relayed.send("login.example")
    wait_until(lambda: relayed.arrived("login.example", message_id), "the message after the second rotation")
    rows = junction.json("secrets", "list")
    assert {(row["user_name"], row["problem"]) for row in rows} == {(USER, "")}


def test_the_password_is_in_no_file_and_in_no_output(relayed: Relayed) -> None:
    """After all that the tests above did: settings, queue, trace, log."""
    junction = relayed.junction
    exported = junction.run("export")
    assert exported.count("Password: (saved)") == len(MECHANISMS)
    assert junction.run("apply", "-f", "-", stdin=exported).startswith("no change")
    for text in (exported, junction.run("export", "--json"), junction.run("secrets", "list"), junction.log()):
        assert PASSWORD not in text
    for file in junction.data.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file
    assert relayed.key.stat().st_mode & 0o777 == 0o600
