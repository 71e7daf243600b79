"""nmap's sixteen probes for open relays against the installed program (catalogue A1): none is accepted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.counterparts.process import program
from tests.e2e.installed import ADDRESS, Installed, serving
from tests.e2e.organizations import hosted

PROBE_SECONDS = 120.0


@pytest.mark.counterpart("nmap")
async def test_a01_nmap_finds_no_open_relay(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    words = (
        *(program("nmap"), "-n", "-Pn", "-sT", "-d", "-p", str(installed.ports["mx"])),
        *("--script", "+smtp-open-relay", ADDRESS),  # the plus: on this port too, which is not 25
    )
    async with serving(installed):
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        probing = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                said = (await probing.communicate())[0].decode(errors="replace")
        finally:
            if probing.returncode is None:
                probing.kill()
                await probing.wait()
        refused = await installed.json("trace", "--status", "Rejected")
        queued = await installed.json("queue", "list")
    assert "Server doesn't seem to be an open relay, all tests failed" in said, said
    assert queued == []
    assert {row["status"] for row in refused} == {"Rejected"}
    assert any("nmap.scanme.org" in row["recipient"] for row in refused)
