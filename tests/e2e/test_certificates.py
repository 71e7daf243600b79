"""Certificates of the running service: chosen by name, renewed without a word to it, kept where the new ones are no good."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from tests.e2e.installed import ADDRESS, Installed, serving, until
from tests.e2e.organizations import BOB, SUN, hosted

TLS = """[tls]
certificate = "mx.pem"
private_key = "mx.key"

[[tls.certificates]]
certificate = "fabrikam.pem"
private_key = "fabrikam.key"
"""


def presented(installed: Installed, server_name: str, kind: str = "mx") -> str:
    """The certificate's first name, or its serial number for `server_name` "" """
    context = ssl.create_default_context(cafile=str(installed.directory / "ca.pem"))
    context.check_hostname = False
    client = installed.client(kind)
    try:
        client.ehlo()
        client.putcmd("STARTTLS")
        assert client.getreply()[0] == 220
        assert client.sock is not None
        with context.wrap_socket(client.sock, server_hostname=server_name or None) as secured:
            certificate = secured.getpeercert()
    finally:
        client.close()
    assert certificate is not None
    return str(certificate["subjectAltName"][0][1]) if server_name else str(certificate["serialNumber"])


@pytest.mark.parametrize("number", [0, 2])
async def test_renewed_files_are_used_without_being_told_and_no_session_ends(tmp_path: Path, number: int) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    authority.issue("fabrikam", ["mx.fabrikam.com", "*.fabrikam.com"])
    installed = Installed(tmp_path, more=TLS, workers=number)
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        assert await asyncio.to_thread(presented, installed, "mx.mailwye.example") == "mx.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "a.fabrikam.com") == "mx.fabrikam.com"
        assert await asyncio.to_thread(presented, installed, "unknown.example") == "mx.mailwye.example"
        first = await asyncio.to_thread(presented, installed, "")

        client = await asyncio.to_thread(installed.client)
        await asyncio.to_thread(client.starttls, context=ssl.create_default_context(cafile=str(authority.certificate)))

        whole = (tmp_path / "mx.pem").read_bytes()
        (tmp_path / "mx.pem").write_bytes(whole[:200])
        await until(lambda: "the old ones stay in use" in service.log(), "the alert")
        assert str(tmp_path / "mx.pem") in service.log()
        assert await asyncio.to_thread(presented, installed, "") == first

        authority.issue("mx", ["mx.mailwye.example", ADDRESS])
        await until(lambda: "certificates reloaded" in service.log(), "the renewed certificate")
        assert await asyncio.to_thread(presented, installed, "") != first
        await asyncio.to_thread(client.sendmail, SUN, [BOB], b"Subject: As before\r\n\r\nText.\r\n")
        await asyncio.to_thread(client.quit)
        assert service.log().count("the old ones stay in use") == 1


async def test_a_listener_has_its_own_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    authority.issue("submit", ["submit.mailwye.example", ADDRESS])
    installed = Installed(tmp_path, listeners=("mx", "submission"))
    own = 'kind = "submission"\ncertificate = "submit.pem"\nprivate_key = "submit.key"'
    text = installed.config.read_text().replace('kind = "submission"', own)
    installed.config.write_text(text + '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n')
    async with serving(installed):
        assert await asyncio.to_thread(presented, installed, "other.example", "submission") == "submit.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "mx.mailwye.example", "submission") == "mx.mailwye.example"
        assert await asyncio.to_thread(presented, installed, "submit.mailwye.example", "mx") == "mx.mailwye.example"
