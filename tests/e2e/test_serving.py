"""Mail through the running service, and the commands beside it."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.smtp.reply import Reply
from mailwye.testing.authority import Authority
from mailwye.testing.peers import PeerServer, ReceivedMessage, Script
from tests.counterparts.process import free_port
from tests.e2e.installed import ADDRESS, ARRIVAL_SECONDS, Installed, message, serving, until
from tests.e2e.organizations import BOB, JOHN, SUN, hosted, hybrid, relay

PEER = "127.0.0.3"


@pytest.fixture
async def own_server() -> AsyncIterator[tuple[PeerServer, str]]:
    """The organization's own server, and the smart host that names it."""
    peer = PeerServer("mail.contoso.com", SystemNetwork(), SystemClock())
    port = free_port(PEER)
    await peer.start(PEER, port)
    yield peer, f"{PEER}:{port}"
    peer.stop()


async def arrived(peer: PeerServer, subject: str) -> ReceivedMessage:
    found = await peer.arrived(lambda one: subject.encode() in one.content, seconds=ARRIVAL_SECONDS)
    assert found is not None, f"{subject} did not arrive"
    return found


@pytest.mark.parametrize("workers", [0, 2])
async def test_mail_in_the_mailbox_and_in_the_trace(tmp_path: Path, workers: int) -> None:
    installed = Installed(tmp_path, workers=workers)
    async with serving(installed) as service:
        applied = await installed.run("apply", "-f", str(hosted(tmp_path)), cwd=Path("/"))
        assert '+ Mailbox "bob@contoso.com"' in applied.out
        await installed.send(SUN, "robert@contoso.com", "To an alias")
        (stored,) = await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")
        assert b"Subject: To an alias" in stored
        assert b"Received: from client.example" in stored
        (row,) = await installed.json("trace", "--recipient", BOB)
        assert (row["status"], row["sender"]) == ("Delivered", SUN)
        events = await installed.json("trace", "show", row["message"])
        assert [event["kind"] for event in events][:1] == ["Receive"]
        assert "Deliver" in [event["kind"] for event in events]
        told = await installed.run("trace", "show", row["message"])
        assert "Deliver" in told.out
        explained = await installed.json("explain", "--from", SUN, "--to", "robert@contoso.com")
        assert explained["route"]["mailbox"] == BOB
        assert await installed.json("queue", "list") == []
        log = service.log()
    assert str(installed.ports["mx"]) in log
    assert "TLS" in log.upper()  # that there is none


@pytest.mark.parametrize("workers", [0, 2])
async def test_saved_settings_are_in_force_everywhere_when_apply_returns(tmp_path: Path, workers: int) -> None:
    installed = Installed(tmp_path, workers=workers)
    organization = hosted(tmp_path)

    def codes(recipient: str) -> set[int]:
        """What twenty connections answer: with several workers, those of each."""
        answers = set()
        for _ in range(20):
            with installed.client() as client:
                client.ehlo()
                client.mail(SUN)
                answers.add(client.rcpt(recipient)[0])
        return answers

    async with serving(installed):
        await installed.run("apply", "-f", str(organization))
        assert await asyncio.to_thread(codes, BOB) == {250}
        assert await asyncio.to_thread(codes, "alice@contoso.com") == {550}
        with organization.open("a") as file:
            file.write("  - {PrimarySmtpAddress: alice@contoso.com}\n")
        await installed.run("apply", "-f", str(organization))
        assert await asyncio.to_thread(codes, "alice@contoso.com") == {250}


async def test_the_queue_is_held_released_retried_and_emptied(tmp_path: Path, own_server: tuple[PeerServer, str]) -> None:
    peer, smart_host = own_server
    peer.script = Script(mail=Reply(451, "4.3.2", "Not now"))
    installed = Installed(tmp_path, workers=2)
    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, smart_host)))
        for number in range(3):
            await installed.send(SUN, JOHN, f"Number {number}")
        rows = await installed.json("queue", "list")
        assert [row["recipient"] for row in rows] == [JOHN] * 3

        async def list_when_tried() -> None:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                while not all(row["attempts"] for row in await installed.json("queue", "list")):
                    pass

        await list_when_tried()
        text = (await installed.run("queue", "list")).out
        assert "Not now" in text
        held = rows[0]["message"]
        shown = (await installed.run("queue", "show", held)).out
        assert "Subject: Number 0" in shown
        assert "1 " in (await installed.run("queue", "hold", held)).out
        peer.script = Script()
        assert "2 " in (await installed.run("queue", "retry", "--recipient", JOHN)).out
        await arrived(peer, "Number 1")
        await arrived(peer, "Number 2")
        (left,) = await installed.json("queue", "list")
        assert (left["message"], left["state"]) == (held, "held")
        await installed.run("queue", "release", held)
        await arrived(peer, "Number 0")
        await installed.run("queue", "delete", held, code=None)
        story = [event["kind"] for event in await installed.json("trace", "show", held)]
        assert [kind for kind in story if kind in ("Hold", "Release", "Send")] == ["Hold", "Release", "Send"]


async def test_deleted_mail_is_gone_and_says_so(tmp_path: Path, own_server: tuple[PeerServer, str]) -> None:
    peer, smart_host = own_server
    peer.script = Script(mail=Reply(451, "4.3.2", "Not now"))
    installed = Installed(tmp_path)
    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, smart_host)))
        await installed.send(SUN, JOHN, "Unwanted")
        (row,) = await installed.json("queue", "list")
        await installed.run("queue", "hold", row["message"])
        await installed.run("queue", "delete", row["message"])
        assert await installed.json("queue", "list") == []
        (traced,) = await installed.json("trace", "--recipient", JOHN)
        assert traced["status"] == "Deleted"


async def test_a_dead_smart_host_is_named_in_queue_and_trace(tmp_path: Path) -> None:
    port = free_port(PEER)
    installed = Installed(tmp_path)
    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, f"{PEER}:{port}")))
        await installed.send(SUN, JOHN)
        for _ in range(100):
            (row,) = await installed.json("queue", "list")
            if row["last_error"]:
                break
        assert f"{PEER}]:{port}" in row["last_error"]
        assert "refused" in row["last_error"].lower()


async def test_a_dead_name_server_defers_and_says_so(tmp_path: Path) -> None:
    port = free_port(PEER)
    installed = Installed(tmp_path, more=f'[dns]\nnameservers = ["{PEER}:{port}"]\ntimeout = 0.5\n')
    async with serving(installed):
        await installed.run("apply", "-f", str(relay(tmp_path, "mail.contoso.com")))
        await installed.send(BOB, "sun@example.org")
        for _ in range(100):
            (row,) = await installed.json("queue", "list")
            if row["last_error"]:
                break
        assert row["state"] == "queued"
        assert f"{PEER}:{port}" in row["last_error"]


def send_octets(installed: Installed, content: bytes) -> None:
    with installed.client() as client:
        client.sendmail(SUN, [JOHN], content, mail_options=["BODY=8BITMIME"])


async def test_what_strangers_write_does_not_reach_the_terminal(tmp_path: Path, own_server: tuple[PeerServer, str]) -> None:
    peer, smart_host = own_server
    peer.script = Script(mail=Reply(451, "4.3.2", "Not now"))
    installed = Installed(tmp_path)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hybrid(tmp_path, smart_host)))
        await asyncio.to_thread(send_octets, installed, b"Subject: red\x1b[31m \xc2\x9b1m \x9b alert \x07\r\n\r\nText.\r\n")
        (row,) = await installed.json("queue", "list")
        for command in (("queue", "list"), ("queue", "show", row["message"]), ("trace",), ("trace", "show", row["message"])):
            printed = (await installed.run(*command)).words
            assert not set(printed) & {"\x1b", "\x9b", "\x07"}
        assert "\x1b" not in service.log()


async def test_bob_submits_over_tls_with_his_password(tmp_path: Path, own_server: tuple[PeerServer, str]) -> None:
    peer, smart_host = own_server
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    tls = '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n'
    installed = Installed(tmp_path, more=tls, listeners=("mx", "submission", "submissions"), workers=2)
    context = ssl.create_default_context(cafile=str(authority.certificate))

    def submit(password: str, subject: str) -> None:
        with installed.client("submission") as client:
            client.starttls(context=context)
            client.login(BOB, password)
            client.sendmail(BOB, [JOHN], message(BOB, JOHN, subject))

    def submit_with_implicit_tls(password: str, subject: str) -> None:
        with smtplib.SMTP_SSL(ADDRESS, installed.ports["submissions"], timeout=10, context=context) as client:
            client.login(BOB, password)
            client.sendmail(BOB, [JOHN], message(BOB, JOHN, subject))

    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, smart_host)))
        await installed.run("mailbox", "add", BOB, "--password-stdin", stdin="correct horse battery\n")
        await asyncio.to_thread(submit, "correct horse battery", "Submitted")
        await arrived(peer, "Submitted")
        await asyncio.to_thread(submit_with_implicit_tls, "correct horse battery", "Implicit")
        await arrived(peer, "Implicit")
        await installed.run("mailbox", "password", BOB, "--password-stdin", stdin="another one entirely\n")
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            await asyncio.to_thread(submit, "correct horse battery", "Old password")
        assert refusal.value.smtp_code == 535
        await asyncio.to_thread(submit, "another one entirely", "New password")
        await arrived(peer, "New password")


async def test_the_admin_listener_tells_health(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=("mx", "admin"), workers=2)

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{ADDRESS}:{installed.ports['admin']}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    async with serving(installed):
        assert (await asyncio.to_thread(get, "/healthz"))[0] == 200
        assert (await asyncio.to_thread(get, "/readyz"))[0] == 200
        assert (await asyncio.to_thread(get, "/nothing"))[0] == 404
        code, page = await asyncio.to_thread(get, "/metrics")
        assert code == 200
        assert 'mailwye_queue_messages{queue="queued"} 0' in page
        assert 'mailwye_smtpd_connections{worker="1"} 0' in page
