"""What would other settings do? Replays of recorded traffic, and a queue that follows a change, through the installed program."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port
from tests.e2e.installed import ARRIVAL_SECONDS, Installed, serving, until

DATA_ERROR, DIFFERENCE = 65, 2
SUN, JOHN, MARY = "sun@example.net", "john@contoso.com", "mary@contoso.com"
PEER, NOBODY = "127.0.0.3", "127.0.0.4"
ORGANIZATION = """\
AcceptedDomain: {DomainName: contoso.com, Default: true}
MailUser: [{PrimarySmtpAddress: john@contoso.com}, {PrimarySmtpAddress: mary@contoso.com}]
OutboundConnector:
  - {Name: Old site, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: "OLD"}
"""
ONLY_MARY = """\
AcceptedDomain: {DomainName: contoso.com, Default: true}
MailUser: [{PrimarySmtpAddress: mary@contoso.com}]
"""


@pytest.fixture
async def site() -> AsyncIterator[tuple[PeerServer, str]]:
    """The server of the new site, and its host:port."""
    peer, port = PeerServer("new.contoso.com", SystemNetwork(), SystemClock()), free_port(PEER)
    await peer.start(PEER, port)
    yield peer, f"{PEER}:{port}"
    peer.stop()


def write(directory: Path, name: str, text: str) -> str:
    (directory / name).write_text(text)
    return name


def nobody() -> str:
    """A host that refuses connections."""
    return f"{NOBODY}:{free_port(NOBODY)}"


async def arrived(peer: PeerServer, subject: str) -> tuple[str, ...]:
    found = await peer.arrived(lambda one: f"Subject: {subject}\r\n".encode() in one.content, seconds=ARRIVAL_SECONDS)
    assert found is not None, f"{subject} did not arrive"
    return found.recipients


@pytest.mark.parametrize("workers", [0, 2])
async def test_recent_traffic_is_replayed_against_a_file(tmp_path: Path, site: tuple[PeerServer, str], workers: int) -> None:
    peer, host = site
    installed = Installed(tmp_path, workers=workers)
    organization = write(tmp_path, "organization.yaml", ORGANIZATION.replace("OLD", host))
    fewer = write(tmp_path, "fewer.yaml", ONLY_MARY)
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        for number in range(3):
            await installed.send(SUN, JOHN, f"Number {number}")
        await installed.send(SUN, MARY, "For Mary")
        assert await arrived(peer, "For Mary") == (MARY,)
        same = await installed.run("replay", "-f", organization)
        assert "4 recorded messages (2 different envelopes), compared with version 1" in same.out
        assert "4 would not change" in same.out
        found = json.loads((await installed.run("replay", "-f", fewer, "--prune", "--json", code=DIFFERENCE)).out)
        (group,) = found["groups"]
        assert (group["difference"], group["messages"], found["unchanged"], found["undecidable"]) == ("refused", 3, 1, 0)
        assert group["aspects"] == [{"what": "reply", "before": "250 2.1.5", "after": "550 5.4.1"}]
        (example,) = group["examples"]
        assert (example["sender"], example["recipient"], example["messages"]) == (SUN, JOHN, 3)
        assert "Reply: 550 5.4.1 Recipient address rejected: Access denied" in example["after"]
        assert "Trace" not in (await installed.run("trace", "show", example["trace_id"])).err
    assert "3 would be refused" in (await installed.run("replay", "-f", fewer, "--prune", code=DIFFERENCE)).out, "without the service too"


async def test_a_change_may_have_to_show_a_clean_or_acknowledged_replay(tmp_path: Path, site: tuple[PeerServer, str]) -> None:
    _, host = site
    installed = Installed(tmp_path)
    organization = write(tmp_path, "organization.yaml", ORGANIZATION.replace("OLD", host))
    fewer = write(tmp_path, "fewer.yaml", ONLY_MARY)
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        await installed.send(SUN, JOHN)
        strict = ("apply", "-f", fewer, "--prune", "--require-replay")
        refused = await installed.run(*strict, "clean", code=DATA_ERROR)
        assert "recorded traffic would be answered differently, see above; nothing was saved" in refused.err
        refused = await installed.run(*strict, "acknowledged", code=DATA_ERROR)
        digest = refused.err.rpartition("--acknowledge ")[2].strip()
        assert f"This difference is {digest}" in refused.out
        wrong = await installed.run(*strict, "acknowledged", "--acknowledge", "123456789abc", code=DATA_ERROR)
        assert "that is not the difference that was acknowledged" in wrong.err
        assert len(await installed.json("config", "log")) == 1
        await installed.run(*strict, "acknowledged", "--acknowledge", digest)
        assert len(await installed.json("config", "log")) == 2
    installed.write(more='[replay]\nrequire = "clean"\n')
    back = write(tmp_path, "back.yaml", 'Mailbox: {PrimarySmtpAddress: "postmaster@contoso.com"}\nMailUser: []\n')
    refused = await installed.run("apply", "-f", back, "--prune", code=None)
    assert refused.code == 0, "john is refused already: nothing would change for him"


async def test_queued_mail_follows_a_change_and_is_delivered(tmp_path: Path, site: tuple[PeerServer, str]) -> None:
    peer, host = site
    installed = Installed(tmp_path)
    organization = write(tmp_path, "organization.yaml", ORGANIZATION.replace("OLD", nobody()))
    moved = write(tmp_path, "moved.yaml", ORGANIZATION.replace("OLD", host).replace("Old site", "New site"))
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        for number in range(3):
            await installed.send(SUN, JOHN, f"Number {number}")
        await until_tried(installed, 3)
        shown = await installed.run("apply", "-f", moved, "--prune", "--dry-run", code=DIFFERENCE)
        assert "Queued mail: 3 of 3 deliveries would be affected" in shown.out
        assert 'way: connector "Old site" → connector "New site"' in shown.out
        await installed.run("apply", "-f", moved, "--prune")
        for number in range(3):
            assert await arrived(peer, f"Number {number}") == (JOHN,)
        row = (await installed.json("trace", "--recipient", JOHN))[-1]
        told = (await installed.run("trace", "show", row["message"])).out
        assert "Re-routed from connector:Old site to connector:New site by version 2 of the settings" in told


async def test_pinned_mail_stays_and_may_be_let_go(tmp_path: Path, site: tuple[PeerServer, str]) -> None:
    peer, host = site
    installed = Installed(tmp_path)
    old = nobody()
    organization = write(tmp_path, "organization.yaml", ORGANIZATION.replace("OLD", old))
    moved = write(tmp_path, "moved.yaml", ORGANIZATION.replace("OLD", host))
    gone = write(tmp_path, "gone.yaml", ORGANIZATION.replace("OLD", host).replace("Old site", "New site"))
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        await installed.send(SUN, JOHN, "Queued")
        await until_tried(installed, 1)
        told = await installed.run("apply", "-f", moved, "--prune", "--pin-queued")
        assert "1 queued delivery stays on its way (pinned)" in told.out
        await installed.send(SUN, MARY, "After the change")
        assert await arrived(peer, "After the change") == (MARY,)
        await installed.run("apply", "-f", gone, "--prune")
        await installed.send(SUN, MARY, "After the end of the connector")
        assert await arrived(peer, "After the end of the connector") == (MARY,)
        await installed.run("queue", "retry", "--all")
        (row,) = await installed.json("queue", "list")
        assert row["next_hop"].startswith("kept:")
        assert row["next_hop"].endswith(":Old site")
        assert (row["pinned"], row["recipient"]) == (f"connector:Old site by {old}, TlsSettings null", JOHN)
        assert "1 delivery set to follow the settings" in (await installed.run("queue", "follow", "--all")).out
        assert await arrived(peer, "Queued") == (JOHN,)


async def test_old_keys_are_kept_while_pinned_mail_logs_in_with_them(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    login = "TlsSettings: CertificateValidation, SmartHostAuthMechanism: BasicAuthRequireTLS, "
    text = ORGANIZATION.replace("OLD", nobody()).replace(
        "Name: Old site, ", f"Name: Old site, {login}AuthenticationCredential: {{ACCOUNT}}, "
    )
    organization = write(tmp_path, "organization.yaml", text.replace("{ACCOUNT}", "{UserName: us, Password: secret}"))
    other = write(tmp_path, "other.yaml", text.replace("{ACCOUNT}", "{UserName: them, Password: other}"))
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        await installed.send(SUN, JOHN, "Queued")
        await until_tried(installed, 1)
        assert "1 delivery pinned" in (await installed.run("queue", "pin", "--all")).out
        await installed.run("secrets", "rotate", "--drop-old-keys")  # the settings hold the same password
        await installed.run("apply", "-f", other)
        refused = await installed.run("secrets", "rotate", "--drop-old-keys", code=65)
        assert "the passwords with which 1 pinned deliveries log in would be lost with the old keys" in refused.err
        assert refused.err.strip().endswith("The key was not changed")
        await installed.run("queue", "follow", "--all")
        assert "old keys dropped" in (await installed.run("secrets", "rotate", "--drop-old-keys")).out


async def test_a_kill_while_the_queue_follows_loses_nothing(tmp_path: Path, site: tuple[PeerServer, str]) -> None:
    peer, host = site
    installed = Installed(tmp_path)
    organization = write(tmp_path, "organization.yaml", ORGANIZATION.replace("OLD", nobody()))
    moved = write(tmp_path, "moved.yaml", ORGANIZATION.replace("OLD", host).replace("Old site", "New site"))
    async with serving(installed) as service:
        await installed.run("apply", "-f", organization)
        for number in range(30):
            await installed.send(SUN, JOHN, f"Number {number}")
        await until_tried(installed, 30)
        await installed.run("apply", "-f", moved, "--prune")
        await service.stop(with_signal=signal.SIGKILL)
    async with serving(installed):
        for number in range(30):
            assert await arrived(peer, f"Number {number}") == (JOHN,)
    await installed.run("queue", "fsck")


async def test_the_queue_of_a_stopped_service_is_shown_and_pinned_too(tmp_path: Path, site: tuple[PeerServer, str]) -> None:
    peer, host = site
    installed = Installed(tmp_path)
    text = ORGANIZATION.replace("OLD", nobody())
    organization = write(tmp_path, "organization.yaml", text)
    moved = write(tmp_path, "moved.yaml", ORGANIZATION.replace("OLD", host))
    async with serving(installed):
        await installed.run("apply", "-f", organization)
        await installed.send(SUN, JOHN, "Queued")
        await until_tried(installed, 1)
    shown = await installed.run("apply", "-f", moved, "--dry-run", code=DIFFERENCE)
    assert "smart hosts: " in shown.out
    assert "Queued mail: 1 of 1 delivery would be affected" in shown.out
    assert "1 delivery pinned" in (await installed.run("queue", "pin", "--all")).out
    assert "1 delivery set to follow the settings" in (await installed.run("queue", "follow", "--all")).out
    await installed.run("apply", "-f", moved)
    async with serving(installed):
        assert await arrived(peer, "Queued") == (JOHN,)


async def until_tried(installed: Installed, count: int) -> None:
    """Wait until so many deliveries wait after an attempt."""

    rows: list[dict[str, object]] = []
    while len(rows) < count:
        rows = [row for row in await installed.json("queue", "list") if row["attempts"]]
    assert until is not None
