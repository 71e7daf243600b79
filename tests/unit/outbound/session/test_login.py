"""Logging in at smart hosts, over real TLS: every mechanism, every refusal, and what must never be said."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mailwye.config.secrets import SecretError
from mailwye.connectors.model import Credential, SmartHost, TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.outbound.courier import Attempt, Host, Stage
from mailwye.outbound.outcomes import judge
from mailwye.outbound.session import login
from mailwye.outbound.settling import hop_failed
from mailwye.outbound.smtp_courier import SmtpCourier
from mailwye.queue.item import Result
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext
from mailwye.smtp.authentication.scram import Salting, salt
from mailwye.testing.authority import Authority
from tests.unit.outbound.scripted_server import FAST, JOHN, FixedHosts, Peer, ScriptedServer, Talk, carry, scripted, work_for

NAME = "smtp.example.com"
USER = "apikey"
PASSWORD = "correct,horse=battery"
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
ITERATIONS = 4_096
SALT = b"0123456789abcdef"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("smtp", [NAME])
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.certificate, pair.private_key)
    return made


Auth = Callable[[Peer], Awaitable[bool]]


def server(context: ssl.SSLContext, offer: bytes, auth: Auth | None = None, *, plain_offer: bytes = b"") -> Talk:
    """STARTTLS, then `offer`, then what `auth` says; it serves whom `auth` lets in, and nobody else."""

    async def talk(peer: Peer) -> None:
        await peer.hello(b"STARTTLS", *([plain_offer] if plain_offer else []))
        await peer.start_tls(context)
        await peer.offer(b"PIPELINING", *([offer] if offer else []))
        if auth is None or await auth(peer):
            await peer.serve()
        else:
            await peer.serve({b"MAIL": b"530 5.7.0 Authentication required\r\n"})

    return talk


def says(reply: bytes, *before: bytes) -> Auth:
    """`before`: challenges, each of which is answered."""

    async def auth(peer: Peer) -> bool:
        await peer.line()
        for challenge in before:
            await peer.send(challenge)
            await peer.line()
        await peer.send(reply)
        return reply.startswith(b"2")

    return auth


ACCEPTED = b"235 2.7.0 welcome\r\n"
WRONG = b"535 5.7.8 Authentication credentials invalid\r\n"


def scram(*, password: str = PASSWORD, iterations: int = ITERATIONS, proves: bool = True, skips_proof: bool = False) -> Auth:
    """The server's half of SCRAM-SHA-256, by RFC 5802 section 3."""

    async def auth(peer: Peer) -> bool:
        first = base64.b64decode((await peer.line()).split()[2]).decode()
        bare = first.removeprefix("n,,")
        nonce = bare.partition(",r=")[2] + "servers"
        challenge = f"r={nonce},s={base64.b64encode(SALT).decode()},i={iterations}"
        await peer.send(b"334 " + base64.b64encode(challenge.encode()) + b"\r\n")
        line = await peer.line()
        if line == b"*":
            await peer.send(b"501 cancelled\r\n")
            return False
        without, _, proof = base64.b64decode(line).decode().partition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, iterations)
        signed = f"{bare},{challenge},{without}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature, strict=True)):
            await peer.send(WRONG)
            return False
        final = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256") if proves else bytes(32)
        if not skips_proof:
            await peer.send(b"334 " + base64.b64encode(b"v=" + base64.b64encode(final)) + b"\r\n")
            if await peer.line() == b"*":
                await peer.send(b"501 cancelled\r\n")
                return False
        await peer.send(ACCEPTED)
        return True

    return auth


def relay(password: str = PASSWORD, *, user: str = USER, settings: TlsSettings = TlsSettings.OPPORTUNISTIC) -> Route:
    """A route whose "sealed" password is the password, turned around."""
    credential = Credential(user, password[::-1], "OutboundConnector:relay")
    return Route(RouteKind.CONNECTOR, JOHN, "Relay", (SmartHost(NAME, 587),), "contoso.com", settings, credential=credential)


def opened(credential: Credential) -> str:
    if not credential.sealed_password:
        raise SecretError("the key file k does not exist. Restore it from the backup")
    return credential.sealed_password[::-1]


@asynccontextmanager
async def courier_to(authority: Authority, *hosts: Host, **settings: object) -> AsyncIterator[SmtpCourier]:
    tls = ClientTlsContext(trusted_authorities=(str(authority.certificate),))
    courier = SmtpCourier(
        network=SystemNetwork(),
        resolver=FixedHosts(*hosts),
        tls_contexts=lambda _name: tls,
        clock=SystemClock(),
        settings=replace(FAST, **settings),  # type: ignore[arg-type]  # DeliverySettings' own
        hostname="me.example",
        open_secret=opened,
    )
    try:
        yield courier
    finally:
        await courier.close()


async def attempt_at(authority: Authority, talk: Talk, route: Route | None = None) -> tuple[Attempt, ScriptedServer]:
    async with scripted(talk) as running, courier_to(authority, running.host(NAME)) as courier:
        (attempt,) = await carry(courier, work_for(route=route or relay()))
    return attempt, running


def silent(attempt: Attempt) -> None:
    """Nothing that the queue or the trace keep of it holds the password, in any form that crossed the wire."""
    kept = repr(attempt)
    assert PASSWORD not in kept
    assert PLAIN not in kept
    assert base64.b64encode(PASSWORD.encode()).decode() not in kept


@pytest.mark.parametrize(
    ("offer", "auth", "mechanism", "first"),
    [
        (b"AUTH LOGIN PLAIN XOAUTH2", says(ACCEPTED), "PLAIN", f"AUTH PLAIN {PLAIN}"),
        (b"AUTH LOGIN XOAUTH2", says(ACCEPTED, b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"), "LOGIN", "AUTH LOGIN"),
        (b"AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-1", scram(), "SCRAM-SHA-256", "AUTH SCRAM-SHA-256 "),
    ],
)
async def test_every_mechanism_lets_mail_through(
    authority: Authority, context: ssl.SSLContext, offer: bytes, auth: Auth, mechanism: str, first: str
) -> None:
    attempt, running = await attempt_at(authority, server(context, offer, auth))
    assert judge(attempt).result is Result.DELIVERED
    assert f"authenticated as {USER} by {mechanism}" in attempt.reasons
    assert 'TLS as connector "Relay" (SmartHostAuthMechanism BasicAuthRequireTLS) asks; any certificate is good' in attempt.reasons
    assert running.lines[:3] == ["EHLO me.example", "STARTTLS", "EHLO me.example"]
    assert running.lines[3].startswith(first)
    silent(attempt)


async def test_one_login_for_many_messages_and_one_salting_for_many_connections(authority: Authority, context: ssl.SSLContext) -> None:
    talk = server(context, b"AUTH SCRAM-SHA-256", scram())
    async with scripted(talk) as running, courier_to(authority, running.host(NAME), messages_per_connection=2) as courier:
        for _ in range(6):
            assert (await carry(courier, work_for(route=relay())))[0].reply.code == 250
    assert running.connections == 3
    assert sum(line.startswith("AUTH ") for line in running.lines) == 3


REFUSALS = [
    (
        b"AUTH PLAIN LOGIN",
        says(WRONG),
        "4.7.8",
        "refused apikey by PLAIN (it offers LOGIN PLAIN): 535 5.7.8 Authentication credentials invalid",
    ),
    (b"AUTH PLAIN", says(b"534 5.7.9 too weak\r\n"), "4.7.8", "534 5.7.9 too weak"),
    (b"AUTH PLAIN", says(b"503 5.5.1 no\r\n"), "4.7.8", "503 5.5.1 no"),
    (b"AUTH PLAIN", says(b"454 4.7.0 later\r\n"), "4.7.0", "454 4.7.0 later"),
    (b"AUTH PLAIN", says(b"501 cancelled\r\n", b"334 \r\n"), "4.7.8", "PLAIN with {host} failed: it asks for more than PLAIN has"),
    (b"AUTH LOGIN", says(b"501 x\r\n", *[b"334 QQ==\r\n"] * 3), "4.7.8", "it asks for more than LOGIN has"),
    (b"AUTH SCRAM-SHA-256 PLAIN", scram(password="another"), "4.7.8", "refused apikey by SCRAM-SHA-256 (it offers PLAIN SCRAM-SHA-256)"),
    (b"AUTH SCRAM-SHA-256", scram(proves=False), "4.7.8", "it could not prove that it knows the password"),
    (b"AUTH SCRAM-SHA-256", scram(skips_proof=True), "4.7.8", "it let us in without proving that it knows the password"),
    (b"AUTH SCRAM-SHA-256", scram(iterations=1_000), "4.7.8", "it asks for 1000 iterations"),
    (b"AUTH SCRAM-SHA-256", scram(iterations=2_000_000), "4.7.8", "it asks for 2000000 iterations"),
    (b"AUTH PLAIN", says(b"334 not base64!\r\n"), "4.5.0", "its challenge is no base64"),
    (b"AUTH PLAIN", says(b"421 4.7.0 too many\r\n"), "4.7.0", "too many"),
    (b"", None, "4.7.4", 'connector "Relay" logs in as apikey, but {host} offers no AUTH'),
    (b"AUTH GSSAPI XOAUTH2", None, "4.7.4", "{host} offers GSSAPI XOAUTH2 for AUTH, and Mailwye knows SCRAM-SHA-256, PLAIN, LOGIN"),
]


@pytest.mark.parametrize(("offer", "auth", "enhanced", "words"), REFUSALS)
async def test_a_login_that_fails_defers_with_the_cause(
    authority: Authority, context: ssl.SSLContext, offer: bytes, auth: Auth | None, enhanced: str, words: str
) -> None:
    attempt, running = await attempt_at(authority, server(context, offer, auth))
    assert attempt.stage is Stage.AUTH
    assert attempt.reply.is_transient
    assert attempt.reply.enhanced == enhanced
    assert words.format(host=running.host(NAME)) in attempt.reply.text
    assert str(running.host(NAME)) in (attempt.reply.text + attempt.host)
    assert judge(attempt).result is Result.DEFERRED
    assert hop_failed([attempt]) is attempt
    assert not any(line.startswith("MAIL") for line in running.lines)
    silent(attempt)


async def test_what_a_server_echoes_is_masked(authority: Authority, context: ssl.SSLContext) -> None:
    """Some log what they could not understand; others mean harm."""

    async def echo(peer: Peer) -> bool:
        line = await peer.line()
        await peer.send(b"535 5.7.8 you said " + line + b", that is " + PASSWORD.encode() + b"\r\n")
        return False

    attempt, _ = await attempt_at(authority, server(context, b"AUTH PLAIN", echo))
    assert "you said AUTH PLAIN ***, that is ***" in attempt.reply.text
    silent(attempt)

    async def garbage(peer: Peer) -> bool:
        line = await peer.line()
        await peer.send(line.split()[2] + b" is no reply\r\n")
        return False

    attempt, _ = await attempt_at(authority, server(context, b"AUTH PLAIN", garbage))
    assert "does not speak SMTP properly" in attempt.reply.text
    silent(attempt)


async def test_no_password_without_tls(authority: Authority, context: ssl.SSLContext) -> None:
    async def plain(peer: Peer) -> None:
        await peer.hello(b"AUTH PLAIN LOGIN")
        await peer.serve()

    attempt, running = await attempt_at(authority, plain)
    assert (attempt.stage, attempt.reply.enhanced) == (Stage.TLS, "4.4.317")
    assert 'STARTTLS is required by connector "Relay" (SmartHostAuthMechanism BasicAuthRequireTLS)' in attempt.reply.text
    assert running.lines == ["EHLO me.example", "QUIT"]

    async def refuses(peer: Peer) -> None:
        await peer.hello(b"STARTTLS", b"AUTH PLAIN")
        await peer.line()
        await peer.send(b"454 4.7.0 no\r\n")
        await peer.serve()

    attempt, running = await attempt_at(authority, refuses)
    assert attempt.stage is Stage.TLS
    assert not any(line.startswith("AUTH") for line in running.lines)

    async def broken(peer: Peer) -> None:
        await peer.hello(b"STARTTLS", b"AUTH PLAIN")
        await peer.line()
        await peer.send(b"220 go\r\n")
        await peer.send(b"this is no TLS record at all\r\n")
        await peer.reader.read()

    attempt, running = await attempt_at(authority, broken)
    assert attempt.stage is Stage.TLS
    assert running.connections == 1  # no second one in plaintext


async def test_what_was_offered_before_tls_counts_for_nothing(authority: Authority, context: ssl.SSLContext) -> None:
    attempt, running = await attempt_at(authority, server(context, b"", plain_offer=b"AUTH PLAIN"))
    assert attempt.reply.enhanced == "4.7.4"
    assert not any(line.startswith("AUTH") for line in running.lines)


async def test_no_password_for_a_server_that_does_not_prove_its_name(authority: Authority, context: ssl.SSLContext) -> None:
    route = replace(relay(settings=TlsSettings.DOMAIN_VALIDATION), tls_domain="other.example.com")
    attempt, running = await attempt_at(authority, server(context, b"AUTH PLAIN", says(ACCEPTED)), route)
    assert attempt.reply.enhanced == "4.7.320"
    assert not any(line.startswith("AUTH") for line in running.lines)


async def test_the_other_host_is_tried_but_not_the_same_name_again(authority: Authority, context: ssl.SSLContext) -> None:
    refusing, good = server(context, b"AUTH PLAIN", says(WRONG)), server(context, b"AUTH PLAIN", says(ACCEPTED))
    async with scripted(refusing) as one, scripted(good) as other:
        hosts = (one.host(NAME), Host(NAME, "127.0.0.2", one.port), other.host("second.example.com"))
        async with courier_to(authority, *hosts) as courier:
            (attempt,) = await carry(courier, work_for(route=relay()))
        assert judge(attempt).result is Result.DELIVERED
        assert one.connections == 1
        assert f"{hosts[1]}: not tried, since {NAME} refused the login; each further try could lock the account" in attempt.reasons
        assert "refused apikey by PLAIN" in attempt.reasons[0]


async def test_a_refused_login_is_what_is_told_of_several_failures(authority: Authority, context: ssl.SSLContext) -> None:
    """It decides how long the next hop is left alone; nobody who listens elsewhere may hide it."""
    async with scripted(server(context, b"AUTH PLAIN", says(WRONG))) as one:
        dead = Host("dead.example.com", "127.0.0.3", one.port)
        async with courier_to(authority, one.host(NAME), dead) as courier:
            (attempt,) = await carry(courier, work_for(route=relay()))
    assert attempt.reply.enhanced == "4.7.8"
    assert attempt.host == str(one.host(NAME))


async def test_a_changed_password_takes_new_connections(authority: Authority, context: ssl.SSLContext) -> None:
    async def either(peer: Peer) -> bool:
        await peer.line()
        await peer.send(ACCEPTED)
        return True

    async with scripted(server(context, b"AUTH PLAIN", either)) as running, courier_to(authority, running.host(NAME)) as courier:
        for password in ("first", "first", "second", "second"):
            assert (await carry(courier, work_for(route=relay(password))))[0].reply.code == 250
        assert running.connections == 2
        assert (await carry(courier, work_for(route=replace(relay("second"), credential=None))))[0].reply.code == 250
        assert running.connections == 3  # who does not log in gets none that did
    said = [line.split()[2] for line in running.lines if line.startswith("AUTH PLAIN")]
    assert [base64.b64decode(one) for one in said] == [b"\0apikey\0first", b"\0apikey\0second"]


async def test_a_password_that_cannot_be_opened_dials_nobody(authority: Authority, context: ssl.SSLContext) -> None:
    async with scripted(server(context, b"AUTH PLAIN", says(ACCEPTED))) as running, courier_to(authority, running.host(NAME)) as courier:
        (attempt,) = await carry(courier, work_for(route=relay("")))
        assert (attempt.stage, attempt.reply.enhanced) == (Stage.AUTH, "4.3.5")
        assert attempt.reply.text == (
            'The password of connector "Relay" cannot be used: the key file k does not exist. Restore it from the backup'
        )
        assert judge(attempt).result is Result.DEFERRED
        assert running.connections == 0
        assert (await carry(courier, work_for(route=relay())))[0].reply.code == 250  # once it can be had, nothing needs a restart


async def test_a_server_that_wants_a_login_from_a_connector_without_one_defers(authority: Authority, context: ssl.SSLContext) -> None:
    async def wants(peer: Peer) -> bool:
        return False

    attempt, _ = await attempt_at(authority, server(context, b"AUTH PLAIN", wants), replace(relay(), credential=None))
    assert (attempt.stage, attempt.reply.code) == (Stage.AUTH, 530)
    assert judge(attempt).result is Result.DEFERRED


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Salting begins with the first event and ends with the second one, which the loop sets: within the loop it would never end."""
    begun, ended = threading.Event(), threading.Event()

    def salting(work: Salting) -> bytes:
        begun.set()
        assert ended.wait(30)
        return salt(work)

    monkeypatch.setattr(login, "salt", salting)
    return begun, ended


async def test_other_mail_goes_on_while_a_password_is_salted(
    authority: Authority, context: ssl.SSLContext, slow: tuple[threading.Event, threading.Event]
) -> None:
    """A million iterations take a good part of a second: not in the loop."""
    begun, ended = slow
    waits, passes = server(context, b"AUTH SCRAM-SHA-256", scram()), server(context, b"AUTH PLAIN", says(ACCEPTED))
    async with (
        scripted(waits) as one,
        scripted(passes) as other,
        courier_to(authority, one.host(NAME)) as salting,
        courier_to(authority, other.host(NAME)) as courier,
    ):
        ticket = salting.deliver(work_for(route=relay()))
        assert await asyncio.to_thread(begun.wait, 10)
        assert (await carry(courier, work_for(route=relay())))[0].reply.code == 250
        ended.set()
        (attempt,) = await ticket
    assert judge(attempt).result is Result.DELIVERED


async def test_a_peer_that_leaves_while_a_password_is_salted(
    authority: Authority, context: ssl.SSLContext, slow: tuple[threading.Event, threading.Event]
) -> None:
    async def leaves(peer: Peer) -> None:
        await peer.hello(b"STARTTLS")
        await peer.start_tls(context)
        await peer.offer(b"AUTH SCRAM-SHA-256")
        first = base64.b64decode((await peer.line()).split()[2]).decode()
        nonce = first.partition(",r=")[2] + "x"
        await peer.send(b"334 " + base64.b64encode(f"r={nonce},s=QUJD,i=4096".encode()) + b"\r\n")

    attempt, _ = await attempt_at(authority, leaves)
    assert await asyncio.to_thread(slow[0].wait, 10)
    slow[1].set()
    assert attempt.reply.is_transient
    assert judge(attempt).result is Result.DEFERRED
