"""Certificates by ACME, from a real authority's test server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from mailwye.runtime.clock import SystemClock
from tests.counterparts.pebble import Pebble
from tests.counterparts.process import REPOSITORY, free_port, program
from tests.e2e.installed import ADDRESS, Installed, serving, until

HOST = "mx.mailwye.example"


@pytest.mark.counterpart("pebble")
async def test_a_certificate_is_requested_used_and_renewed(tmp_path: Path) -> None:
    for one in ("pebble", "pebble-challtestsrv"):
        program(one)
    installed = Installed(tmp_path, listeners=("mx", "http"))
    pebble = Pebble(tmp_path / "pebble", address=ADDRESS, http_port=installed.ports["http"], now=SystemClock().now())
    words = (
        *("certificate", "request", "--domain", HOST, "--domain", "mta-sts.contoso.com", "--directory", pebble.url),
        *("--authority", str(pebble.authority), "--email", "admin@contoso.com", "--accept-terms"),
    )
    certificate, key = (installed.data / "acme" / f"{HOST}.{ending}" for ending in ("pem", "key"))
    pebble.start()
    try:
        assert "no service runs" in (await installed.run(*words, code=69)).err
        async with serving(installed):
            told = (await installed.run(*words)).out
            assert f"{certificate} holds a certificate for {HOST}, mta-sts.contoso.com" in told
            assert f'private_key = "{key}"' in told
        first = certificate.read_bytes()
        assert len(x509.load_pem_x509_certificates(first)) > 1, "the chain, leaf first"
        assert {path.stat().st_mode & 0o777 for path in (certificate, key)} == {0o600}
        assert list((installed.data / "acme" / ".well-known" / "acme-challenge").iterdir()) == [], "no answer is left behind"

        installed.write(more=f'[tls]\ncertificate = "{certificate}"\nprivate_key = "{key}"\n')
        async with serving(installed) as service:
            assert "nothing to do" in (await installed.run(*words)).out
            assert certificate.read_bytes() == first
            assert "the service uses it" in (await installed.run(*words, "--unless-valid-for", "3650")).out  # the same account
            assert certificate.read_bytes() != first
            (row, *_) = [row for row in await installed.json("certificates") if row["use"] == "[tls]"]
            assert row["names"] == [HOST, "mta-sts.contoso.com"]
            await until(lambda: "certificates reloaded" in service.log(), "the watch saw it too")
    finally:
        pebble.stop()


@pytest.mark.counterpart("pebble")
async def test_what_the_authority_says_is_said(tmp_path: Path) -> None:
    program("pebble")
    installed = Installed(tmp_path, listeners=("mx", "http"))
    elsewhere = free_port(ADDRESS)  # nobody listens there
    pebble = Pebble(tmp_path / "pebble", address=ADDRESS, http_port=elsewhere, now=SystemClock().now())
    words = ("certificate", "request", "--directory", pebble.url, "--accept-terms")
    trusting = (*words, "--authority", str(pebble.authority))
    async with serving(installed):
        assert "cannot be used" in (await installed.run(*trusting, code=69)).err  # not started yet
        pebble.start()
        try:
            assert "certificate verify failed" in (await installed.run(*words, code=69)).err.lower()
            refused = (await installed.run(*trusting, code=69)).err
            assert f"Authorization for {HOST} failed" in refused
            assert "refused" in refused
            assert "terms of service" in (await installed.run("certificate", "request", code=64)).err
            assert "wildcard" in (await installed.run(*words, "--domain", "*.contoso.com", code=64)).err
            await installed.run(*words, "--domain", "no domain", code=65)
        finally:
            pebble.stop()
    installed = Installed(tmp_path, listeners=("mx",))
    assert 'listener of kind "http"' in (await installed.run(*words, code=78)).err


async def test_without_the_extra_the_remedy_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked" / "acme"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'acme'\")\n")
    installed = Installed(tmp_path, listeners=("mx", "http"))
    path = os.pathsep.join(filter(None, (str(blocked.parent), os.environ.get("PYTHONPATH", ""))))
    async with serving(installed):
        finished = await installed.run("certificate", "request", "--accept-terms", code=69, environment={"PYTHONPATH": path})
    assert "pip install 'mailwye[acme]'" in finished.err


@pytest.mark.counterpart("certbot")
async def test_certbot_gets_and_renews_one_as_documented(tmp_path: Path) -> None:
    """docs/operations.md: the webroot below the data directory, and packaging/certbot/mailwye-deploy-hook."""
    certbot = program("certbot")
    program("pebble")
    installed = Installed(tmp_path, listeners=("mx", "http"))
    pebble = Pebble(tmp_path / "pebble", address=ADDRESS, http_port=installed.ports["http"], now=SystemClock().now())
    webroot, tls, folder = installed.data / "acme", tmp_path / "tls", tmp_path / "bin"
    for made in (webroot, tls, folder):
        made.mkdir(parents=True)
    mailwye = folder / "mailwye"
    mailwye.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailwye "$@"\n')
    mailwye.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "REQUESTS_CA_BUNDLE": str(pebble.authority),
        "MAILWYE_CONFIG": str(installed.config),
        "MAILWYE_TLS": str(tls),
        "MAILWYE_GROUP": str(os.getgid()),
    }
    own = [part for name in ("config", "work", "logs") for part in (f"--{name}-dir", str(tmp_path / "certbot" / name))]

    def run_certbot(*words: str) -> str:
        done = subprocess.run(
            [certbot, *words, *own, "--non-interactive"], env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get() -> str:
        hook = str(REPOSITORY / "packaging" / "certbot" / "mailwye-deploy-hook")
        proof = ("--webroot", "-w", str(webroot), "-d", HOST, "--deploy-hook", hook)
        return run_certbot("certonly", *proof, "--server", pebble.url, "--agree-tos", "-m", "admin@contoso.com")

    pebble.start()
    try:
        async with serving(installed):
            await asyncio.to_thread(get)
        first = (tls / f"{HOST}.pem").read_bytes()
        installed.write(more=f'[tls]\ncertificate = "{tls}/{HOST}.pem"\nprivate_key = "{tls}/{HOST}.key"\n')
        async with serving(installed):
            (before, *_) = [row for row in await installed.json("certificates") if row["use"] == "[tls]"]
            await asyncio.to_thread(run_certbot, "renew", "--force-renewal", "--no-random-sleep-on-renew")
            assert (tls / f"{HOST}.pem").read_bytes() != first
            (after, *_) = [row for row in await installed.json("certificates") if row["use"] == "[tls]"]
            assert before["fingerprint"] != after["fingerprint"]
    finally:
        pebble.stop()
