"""The files of tests/scenarios as they stand: tools outside the repository write such files, so every command takes them."""

from __future__ import annotations

import asyncio
import shutil
import smtplib
import socket
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from tests.counterparts.process import free_port
from tests.e2e.installed import ADDRESS, Installed, run, serving, until
from tests.e2e.organizations import BOB, SUN

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
FIXED_PORTS = {"mx": 2525, "submission": 2587, "admin": 8443}


@pytest.fixture
def contoso(tmp_path: Path) -> Installed:
    """The two files in a folder of their own, with the certificates that they name."""
    folder = tmp_path / "contoso"
    folder.mkdir()
    for name in ("mailwye.toml", "contoso.yaml"):
        shutil.copy(SCENARIOS / name, folder)
    authority = Authority(folder, now=SystemClock().now())
    authority.issue("mx", ["mx.mailwye.example"])
    installed = Installed.__new__(Installed)
    installed.directory, installed.config, installed.data = folder, folder / "mailwye.toml", folder / "data"
    installed.ports = dict(FIXED_PORTS)
    return installed


def with_free_ports(installed: Installed) -> None:
    """Other ports where somebody has the fixed ones already."""
    for kind, port in FIXED_PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                installed.ports[kind] = free_port(ADDRESS)
                installed.config.write_text(installed.config.read_text().replace(f"port = {port}\n", f"port = {installed.ports[kind]}\n"))


async def test_commands_take_the_files_from_any_folder(contoso: Installed, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config, organization = str(contoso.config), str(contoso.directory / "contoso.yaml")
    checked = await run("check", "--config", "contoso/mailwye.toml", "-f", "contoso/contoso.yaml", cwd=tmp_path)
    assert "0 errors" in checked.out
    applied = await run("apply", "--config", config, "-f", organization, cwd=elsewhere)
    assert '+ OutboundConnector "Connector 3"' in applied.out
    assert "no service is running" in applied.out
    environment = {"MAILWYE_CONFIG": config}
    exported = await run("export", cwd=elsewhere, environment=environment)
    again = await run("apply", "-f", "-", "--prune", cwd=elsewhere, stdin=exported.out, environment=environment)
    assert "no change" in again.words
    assert "Connector 2" in exported.out
    assert contoso.data.is_dir()  # relative paths are relative to the file
    assert list(elsewhere.iterdir()) == []


async def test_they_serve(contoso: Installed) -> None:
    with_free_ports(contoso)
    async with serving(contoso) as service:
        await contoso.run("apply", "-f", str(contoso.directory / "contoso.yaml"), cwd=Path("/"))
        await contoso.send(SUN, "robert@contoso.com", "To Bob")
        await until(lambda: contoso.maildir(BOB), "mail in Bob's mailbox")

        def starttls() -> int:
            with smtplib.SMTP(ADDRESS, contoso.ports["submission"], timeout=10) as client:
                return client.starttls()[0]

        assert await asyncio.to_thread(starttls) == 220
        status = await contoso.json("status")
        assert (status["ready"], len(status["workers"]), status["version"], status["missing"]) == (True, 2, 1, [])
        assert "tls=offered" in service.log()
        assert [path for path in contoso.data.rglob("*") if path.stat().st_mode & 0o007] == []  # nothing is for others
