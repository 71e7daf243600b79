"""What others find when they look at our TLS: Postfix's client, testssl.sh, and openssl itself."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from tests.counterparts.process import program
from tests.counterparts.tls_tools import issue_like_a_public_authority, posttls_finger, scan_with_testssl
from tests.e2e.installed import ADDRESS, Installed, serving

NAMES = ("mx.mailwye.example", "mail.fabrikam.com")
TLS = '[tls]\ncertificate = "mx.pem"\nprivate_key = "mx.key"\n'


def installed(directory: Path, *listeners: str) -> Installed:
    issue_like_a_public_authority(directory, NAMES, now=SystemClock().now())
    return Installed(directory, more=TLS, listeners=listeners)


@pytest.mark.counterpart("posttls-finger")
async def test_posttls_finger_verifies_us_by_each_name(tmp_path: Path) -> None:
    one = installed(tmp_path, "mx")
    program("posttls-finger")

    def look(name: str) -> str:
        return posttls_finger(tmp_path, ADDRESS, one.ports["mx"], authority=tmp_path / "ca.pem", name=name)

    async with serving(one):
        for name in NAMES:
            told = await asyncio.to_thread(look, name)
            assert f"matched peername: {name}" in told
            assert "Verified TLS connection established" in told
            assert "TLSv1.3" in told
        assert "hostname mismatch" in await asyncio.to_thread(look, "mx.contoso.com")


@pytest.mark.counterpart("testssl.sh")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "protocol"), [("mx", "smtp"), ("https", "")])
async def test_testssl_finds_nothing_above_low(tmp_path: Path, kind: str, protocol: str) -> None:
    one = installed(tmp_path, kind)
    program("testssl")
    async with serving(one):
        findings = await asyncio.to_thread(
            scan_with_testssl, tmp_path, ADDRESS, one.ports[kind], authority=tmp_path / "ca.pem", name=NAMES[0], protocol=protocol
        )
    assert [one for one in findings if one.severity in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")] == []
    by_id = {one.id: one for one in findings}
    for found, severity in {"TLS1": "INFO", "TLS1_1": "INFO", "TLS1_2": "OK", "TLS1_3": "OK", "secure_client_renego": "OK"}.items():
        assert by_id[found].severity == severity, by_id[found]
    assert by_id["cert_chain_of_trust"].severity == "OK"
    assert {"heartbleed", "ROBOT", "CRIME_TLS", "LUCKY13", "RC4", "cipher_order", "PFS"} <= set(by_id)  # it did look


@pytest.mark.counterpart("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_cannot_carry_a_session_to_another_listener_nor_back(tmp_path: Path, version: str) -> None:
    one = installed(tmp_path, "mx", "submission")
    openssl = program("openssl")

    def connect(kind: str, *options: str) -> str:
        done = subprocess.run(
            [openssl, "s_client", "-connect", f"{ADDRESS}:{one.ports[kind]}", "-starttls", "smtp", version, *options],
            input="QUIT\r\n",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout + done.stderr

    async with serving(one):
        session = tmp_path / "session.pem"
        first = await asyncio.to_thread(connect, "mx", "-sess_out", str(session))
        assert "Secure Renegotiation" in first
        assert "Compression: NONE" in first
        if session.exists():
            for kind in ("submission", "mx"):
                told = await asyncio.to_thread(connect, kind, "-sess_in", str(session))
                assert "New, TLSv1" in told
                assert "Reused" not in told
