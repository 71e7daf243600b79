"""Queued mail over the API of a running service: what a change would do to it, and what cannot be read any more."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw

from tests.counterparts.process import free_port
from tests.e2e.api_client import LISTENERS, Api, new_token
from tests.e2e.installed import ADDRESS, Installed, serving
from tests.e2e.organizations import BOB, JOHN, SUN, relay
from tests.e2e.test_what_if import until_tried

DIFFERENCE, NOT_SOUND = 2, 3


async def test_a_dry_run_tells_of_queued_mail_as_the_command_does(tmp_path: Path) -> None:
    installed = Installed(tmp_path, listeners=LISTENERS, more='[replay]\nrequire = "clean"\n')
    settings = relay(tmp_path, f"{ADDRESS}:{free_port(ADDRESS)}")
    await installed.run("apply", "-f", str(settings))
    moved = settings.read_text().replace(f"{ADDRESS}:", "127.0.0.9:")
    file = tmp_path / "moved.yaml"
    file.write_text(moved)
    async with serving(installed):
        api = Api(installed, await new_token(installed))
        for _ in range(2):
            await installed.send(SUN, JOHN)
        await until_tried(installed, 2)
        words = await installed.run("apply", "-f", str(file), "--dry-run", code=None)
        assert "Queued mail: 2 of 2 deliveries would be affected" in words.out
        told = (await api.ask("POST", "/apply?dry_run=true", {"text": moved})).json
        (group,) = told["queue"]["groups"]
        assert (told["queue"]["changed"], told["queue"]["unchanged"], group["deliveries"]) == (2, 0, 2)
        assert {one["recipient"] for one in group["examples"]} == {JOHN}
        assert all(f"{one['what']}: {one['before']} → {one['after']}" in words.out for one in group["aspects"])
        assert ("nothing was saved" in words.err, "nothing was saved" in told["kept_back"]) == (True, True), "[replay] asks for it"
        (same,) = (await api.ask("POST", "/replay", {"file": moved})).json["queue"]["groups"]
        assert same == group
        changed = (await api.ask("POST", "/apply?dry_run=true", {"text": settings.read_text()})).json
        assert "queue" not in changed, "nothing changes"


async def test_corrupt_mail_is_listed_saved_and_deleted(tmp_path: Path) -> None:
    """The queue file was damaged on the disk: what is told, what is kept, and what a person decides."""
    installed = Installed(tmp_path, listeners=LISTENERS)
    await installed.run("apply", "-f", str(relay(tmp_path, f"{ADDRESS}:{free_port(ADDRESS)}")))
    async with serving(installed):
        for number in range(3):
            await installed.send(SUN, JOHN, f"Number {number}")
    _damage(installed)
    async with serving(installed):
        api = Api(installed, await new_token(installed))
        audit = (await api.ask("POST", "/queue/fsck", {})).json
        assert (audit["clean"], audit["spools"][0]["accepted"]) == (False, 3)
        await api.ask("POST", "/queue/retry", {"all": True})
        rows = []
        for _ in range(200):
            if len(rows := (await api.ask("GET", "/queue/corrupt")).json["items"]) == 2:
                break
        assert {(row["recipient"], row["state"]) for row in rows} == {(JOHN, "corrupt")}
        first = (await api.ask("GET", "/queue/corrupt?limit=1")).json
        assert [row["message"] for row in first["items"]] == [rows[0]["message"]]
        rest = (await api.ask("GET", f"/queue/corrupt?limit=1&cursor={first['next']}")).json
        assert [row["message"] for row in rest["items"]] == [rows[1]["message"]]
        content = await api.ask("GET", f"/queue/corrupt/{rows[0]['message']}")
        assert content.headers["Content-Type"] == "message/rfc822"
        assert content.text.endswith("changed")
        (whole,) = [row for row in (await api.ask("GET", "/queue")).json["items"] if row["state"] != "corrupt"]
        await api.ask("GET", f"/queue/corrupt/{whole['message']}", status=404)  # it is not set aside
        await api.ask("DELETE", f"/queue/corrupt/{whole['message']}", status=404)
        assert (await api.ask("POST", "/queue/release", {"message_id": rows[0]["message"]})).json["count"] == 0, "it is not whole"
        await api.ask("POST", "/queue/delete", {"message_id": rows[0]["message"]})
        assert len((await api.ask("GET", "/queue/corrupt")).json["items"]) == 2, "it goes only where it is meant"
        assert (await api.ask("DELETE", f"/queue/corrupt/{rows[0]['message']}")).json["count"] == 1
        await api.ask("GET", f"/queue/corrupt/{rows[0]['message']}", status=404)
        await api.ask("DELETE", "/queue/corrupt", status=422)
        assert (await api.ask("DELETE", "/queue/corrupt?all=true")).json["count"] == 1
        assert (await api.ask("GET", "/queue/corrupt")).json["items"] == []
        after = (await api.ask("POST", "/queue/fsck", {})).json["spools"][0]
        assert (after["clean"], after["deleted"], after["queued"]) == (True, 2, 1)
        actions = [entry["action"] for entry in (await api.ask("GET", "/audit?action=content.read")).json["items"]]
        assert actions == ["content.read"]
    assert BOB not in str(rows)


def _damage(installed: Installed) -> None:
    """Of three messages, two change on the disk."""
    with closing(apsw.Connection(str(installed.data / "queue/worker-0.sqlite"))) as connection:
        connection.execute("UPDATE message SET content = CAST(content || 'changed' AS BLOB) WHERE seq IN (SELECT seq FROM message LIMIT 2)")
