"""A loop through a real service: every worker, and the service after a restart, knows the path marks of the others."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.network import SystemNetwork
from mailwye.testing.peers import PeerServer
from tests.counterparts.process import free_port
from tests.e2e.installed import Installed, serving, until
from tests.e2e.organizations import JOHN, SUN, hybrid


async def test_what_comes_back_is_refused_by_all_workers_and_after_a_restart(tmp_path: Path) -> None:
    port = free_port("127.0.0.3")
    peer = PeerServer("mail.contoso.com", SystemNetwork(), SystemClock())
    await peer.start("127.0.0.3", port)
    installed = Installed(tmp_path, workers=2)

    def send_back() -> None:
        """The own server sends what it got to where it came from."""
        with installed.client() as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(SUN, [JOHN], peer.messages[0].content)
        assert refused.value.smtp_code == 554
        assert b"5.4.14" in refused.value.smtp_error
        assert b'outbound connector "To our servers"' in refused.value.smtp_error

    async with serving(installed):
        await installed.run("apply", "-f", str(hybrid(tmp_path, f"127.0.0.3:{port}")))
        await installed.send(SUN, JOHN)
        await until(lambda: len(peer.messages) == 1, "the message at the own server")
        for _ in range(8):  # the kernel gives some of these connections to each worker
            await asyncio.to_thread(send_back)
        trace = await installed.run("trace", "--status", "Rejected")
        assert "possible mail loop" in trace.out
    async with serving(installed):
        await asyncio.to_thread(send_back)
        told = await installed.run("explain", "--from", SUN, "--to", JOHN)
        assert "X-MS-Exchange-Organization-* headers do not leave" in told.out
        forged = await installed.run("explain", "--from", "<>", "--to", "SRS0=AAAAAA=AA=example.net=sun@contoso.com")
        assert "its signature is wrong" in forged.out
    peer.stop()
    assert (installed.data / "secret.key").stat().st_mode & 0o777 == 0o600
    assert len(peer.messages) == 1
