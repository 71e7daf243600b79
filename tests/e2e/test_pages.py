"""The https and http listeners of the running service."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from tests.e2e.installed import ADDRESS, Installed, serving

ORGANIZATION = """\
AcceptedDomain:
  - {DomainName: contoso.com, MtaStsMode: %s}
  - {DomainName: fabrikam.com, MtaStsMode: enforce, MtaStsMXHosts: [mx.contoso.com, "*.contoso.com"], MtaStsMaxAge: 86400}
  - {DomainName: plain.example}
Mailbox: [{PrimarySmtpAddress: bob@contoso.com}]
"""
POLICY = "/.well-known/mta-sts.txt"


@pytest.mark.parametrize("number", [0, 2])
async def test_policies_are_served_and_their_records_printed(tmp_path: Path, number: int) -> None:
    authority = Authority(tmp_path, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example", ADDRESS])
    authority.issue("sts", ["mta-sts.contoso.com", "mta-sts.fabrikam.com"])
    tls = '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n[[tls.certificates]]\ncertificate = "sts.pem"\nprivate_key = "sts.key"\n'
    installed = Installed(tmp_path, more=tls, listeners=("mx", "https", "http"), workers=number)
    organization = tmp_path / "organization.yaml"

    def get(host: str, path: str = POLICY) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=str(authority.certificate))
        plain = socket.create_connection((ADDRESS, installed.ports["https"]), timeout=10)
        with plain, context.wrap_socket(plain, server_hostname=host) as secured:
            secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            response = http.client.HTTPResponse(secured)
            response.begin()
            return response.status, response.read().decode()

    def get_plain(path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(ADDRESS, installed.ports["http"], timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    async with serving(installed) as service:
        organization.write_text(ORGANIZATION % "testing")
        await installed.run("apply", "-f", str(organization))
        assert "mode: testing\r\nmx: mx.mailwye.example" in (await asyncio.to_thread(get, "mta-sts.contoso.com"))[1]
        status, text = await asyncio.to_thread(get, "mta-sts.fabrikam.com")
        assert (status, text) == (200, "version: STSv1\r\nmode: enforce\r\nmx: mx.contoso.com\r\nmx: *.contoso.com\r\nmax_age: 86400\r\n")
        assert (await asyncio.to_thread(get, "mta-sts.contoso.com", "/"))[0] == 404
        assert (await asyncio.to_thread(get, "mx.mailwye.example"))[0] == 404
        records = (await installed.run("dns-records")).out
        assert '_mta-sts.contoso.com. IN TXT "v=STSv1; id=' in records
        assert "mta-sts.fabrikam.com. IN CNAME mx.mailwye.example." in records
        assert "plain.example" not in records

        organization.write_text(ORGANIZATION % "enforce")
        await installed.run("apply", "-f", str(organization))  # in force at once, with another id
        assert "mode: enforce" in (await asyncio.to_thread(get, "mta-sts.contoso.com"))[1]
        (changed,) = await installed.json("dns-records", "contoso.com")
        assert changed["records"][0] not in records
        assert "set MtaStsMode" in (await installed.run("dns-records", "plain.example")).err
        await installed.run("dns-records", "unknown.example", code=66)
        await installed.run("dns-records", "no domain", code=65)

        challenges = installed.data / "acme" / ".well-known" / "acme-challenge"
        challenges.mkdir(parents=True)
        (challenges / "token").write_text("token.thumbprint")
        assert await asyncio.to_thread(get_plain, "/.well-known/acme-challenge/token") == (200, "token.thumbprint")
        assert (await asyncio.to_thread(get_plain, POLICY))[0] == 404
        assert "answers a certificate authority" in service.log()
