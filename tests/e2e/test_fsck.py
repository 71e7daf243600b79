"""`mailwye queue fsck` as an administrator runs it: beside a busy service, after a crash, and when something really is lost."""

from __future__ import annotations

import asyncio
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from tests.counterparts.process import free_port
from tests.e2e.installed import ADDRESS, Installed, message, serving
from tests.e2e.organizations import BOB, JOHN, SUN, relay

NOT_SOUND, USAGE, NO_INPUT = 3, 64, 66
EACH = 60


async def send_many(installed: Installed, sender: str) -> None:
    """`EACH` messages over one connection, each to Bob (hosted) and John (whose server does not answer)."""

    def talk() -> None:
        with installed.client() as client:
            for _ in range(EACH):
                client.sendmail(sender, [BOB, JOHN], message(sender, BOB, "Hello"))

    await asyncio.to_thread(talk)


def problems(answer: dict[str, Any]) -> list[Any]:
    return [*(finding for spool in answer["spools"] for finding in spool["findings"]), *answer["trace"]["findings"]]


async def test_busy_killed_and_robbed(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    assert (await installed.run("queue", "fsck", code=None)).code == NO_INPUT
    async with serving(installed) as service:
        await installed.run("apply", "-f", str(relay(tmp_path, f"{ADDRESS}:{free_port(ADDRESS)}")))
        sending = asyncio.gather(*(send_many(installed, f"user{number}@contoso.com") for number in range(3)))
        while not sending.done():
            answer = await installed.json("queue", "fsck")
            assert answer["clean"], answer
            assert not problems(answer), answer
        await sending
        await service.stop(with_signal=signal.SIGKILL)
    answer = await installed.json("queue", "fsck")
    assert answer["clean"]
    assert sum(one["accepted"] for one in answer["spools"]) >= 3 * EACH * 2
    assert sum(one["queued"] for one in answer["spools"]) >= 3 * EACH, "John's server does not answer"
    async with serving(installed):
        assert (await installed.json("queue", "fsck"))["clean"]
    words = (await installed.run("queue", "fsck")).out
    assert "clean: each of" in words
    robbed = _rob(installed.data / "queue")
    finished = await installed.run("queue", "fsck", code=NOT_SOUND)
    assert "NOT CLEAN" in finished.out
    assert f"trace: ERROR: {robbed} for {JOHN}: the trace saw it accepted" in finished.out, "the witness names whom to look for"


async def test_what_is_corrupt_can_be_saved_and_deleted(tmp_path: Path) -> None:
    """A message whose content changed on the disk: never delivered, named by the alert, saved to a file, ended in the ledger."""
    installed = Installed(tmp_path)
    await installed.run("apply", "-f", str(relay(tmp_path, f"{ADDRESS}:{free_port(ADDRESS)}")))
    async with serving(installed):
        await installed.send(SUN, JOHN)
    with closing(apsw.Connection(str(installed.data / "queue/worker-0.sqlite"))) as connection:
        connection.execute("UPDATE message SET content = CAST(content || 'changed' AS BLOB)")
    assert "does not match its checksum" in (await installed.run("queue", "fsck", code=NOT_SOUND)).out
    async with serving(installed) as service:
        await installed.run("queue", "retry", "--all", code=None)
        for _ in range(100):
            if rows := await installed.json("queue", "corrupt", "list"):
                break
        (row,) = rows
        assert row["recipient"] == JOHN
        assert "set aside as corrupt" in service.log()
        assert row["message"] in service.log()
        saved = tmp_path / "saved.eml"
        await installed.run("queue", "corrupt", "export", row["message"], "--to", str(saved))
        assert saved.read_bytes().endswith(b"changed")
        await installed.run("queue", "corrupt", "export", row["message"], "--to", str(saved), code=USAGE)
        await installed.run("queue", "delete", "--all", code=None)
        assert await installed.json("queue", "corrupt", "list"), "what a person must look at goes only when he says so"
        await installed.run("queue", "corrupt", "delete", row["message"])
        assert not await installed.json("queue", "corrupt", "list")
    answer = await installed.json("queue", "fsck")
    assert (answer["clean"], answer["spools"][0]["deleted"]) == (True, 1)


def _rob(directory: Path) -> str:
    """Lose one message; its id."""
    for file in sorted(directory.glob("worker-*.sqlite")):
        connection = apsw.Connection(str(file))
        found = connection.execute("SELECT seq, id FROM message LIMIT 1").fetchone()
        if found is not None:
            connection.execute("DELETE FROM delivery WHERE id >> 20 = ?", found[:1])
            connection.execute("DELETE FROM message WHERE seq = ?", found[:1])
        connection.close()
        if found is not None:
            return str(found[1])
    raise AssertionError("nothing is queued")
