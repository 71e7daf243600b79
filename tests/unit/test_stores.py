from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mailwye.config.installation import Installation, ListenerSettings
from mailwye.config.parse import read_organization
from mailwye.config.store import ConfigStoreError
from mailwye.queue.engine import QueueError
from mailwye.stores import (
    current_snapshot,
    installation_secret,
    open_config_store,
    open_queue,
    open_trace,
    open_trace_recorder,
    queue_file,
    queue_numbers,
)
from mailwye.testing.versions import save_whole
from mailwye.trace.event import EventKind, TraceEvent
from mailwye.trace.recorder import TraceQuery


def installation(directory: Path) -> Installation:
    return Installation("mx.example", directory, (ListenerSettings("mx", "mx", "127.0.0.1", 0),))


def silent(_text: str) -> None:
    return


def test_settings_are_stored_and_compiled(tmp_path: Path) -> None:
    store = open_config_store(installation(tmp_path / "new" / "data"))
    assert current_snapshot(store).version == 0
    organization = read_organization("AcceptedDomain: [{DomainName: contoso.com}]\n", "test").value
    assert organization is not None
    save_whole(store, organization, expected_version=0, author="test", at=0.0)
    snapshot = current_snapshot(store)
    store.close()
    assert snapshot.version == 1
    assert snapshot.directory.accepted_domain("contoso.com") is not None


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigStoreError, match=f"the data directory {tmp_path / place} cannot be made") as caught:
        open_config_store(installation(tmp_path / place))
    assert "data_directory" in str(caught.value)


async def test_queue_files_are_found_whoever_they_belonged_to(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    assert queue_numbers(settings) == []
    for number in (0, 10, 2):
        await open_queue(settings, number, silent).close()
    (tmp_path / "queue" / "worker-x.sqlite").write_text("somebody's")
    assert queue_numbers(settings) == [0, 2, 10]


async def test_one_process_at_a_time_has_a_queue(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    engine = open_queue(settings, 0, silent)
    with pytest.raises(QueueError, match=r"worker-0\.lock is locked"):
        open_queue(settings, 0, silent)
    await engine.close()
    assert queue_file(settings, 0).exists()


async def test_what_is_traced_is_found(tmp_path: Path) -> None:
    settings = installation(tmp_path)
    recorder = open_trace_recorder(settings, 3, silent)
    event = TraceEvent(at=1_780_000_000.0, kind=EventKind.RECEIVE, session="s", message="m", sender="a@b.example", recipient="c@d.example")
    recorder.record(event)
    await recorder.close()
    assert open_trace(settings).events("m") == [event]
    assert open_trace(settings).search(TraceQuery(message_id="nothing")) == []


def test_opening_settings_loads_nothing_of_the_mail_path() -> None:
    """It is what most commands wait for."""
    heavy = ("dns", "OpenSSL", "mailwye.smtp.server", "mailwye.outbound.dispatcher", "mailwye.storage.sqlite.queue_engine")
    program = f"import sys, mailwye.stores\nprint([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_secret_is_made_once_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    first = installation_secret(installation(tmp_path))
    assert len(first) == 32
    assert installation_secret(installation(tmp_path)) == first
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"00ff", b"not hexadecimal", b"\xff" * 64])
def test_a_damaged_secret_is_named_with_its_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(ConfigStoreError, match=r"secret.key is damaged. Restore it from the backup"):
        installation_secret(installation(tmp_path))


def test_a_secret_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigStoreError, match=r"secret.key cannot be read or made: no such file"):
        installation_secret(installation(tmp_path / "absent"))
