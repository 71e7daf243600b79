"""Versions and drafts against a running service: in force in all workers at once, old settings until then, and killed saves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
from pathlib import Path

from mailwye.cli.exit_codes import DATA_ERROR, NO_INPUT, TEMPORARY_FAILURE
from mailwye.config.export import to_json
from mailwye.config.parse import read_organization
from mailwye.config.schema import Organization
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from tests.e2e.installed import Installed, serving, until
from tests.e2e.organizations import hosted
from tests.e2e.test_control import ALICE, answer_to


def alice(directory: Path) -> str:
    path = directory / "alice.yaml"
    path.write_text("Mailbox: {PrimarySmtpAddress: alice@contoso.com}\n")
    return str(path)


async def test_a_draft_is_in_force_in_all_workers_when_it_is_activated_and_not_before(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    async with serving(installed):
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        await installed.run("draft", "new", "more", "--comment", "alice comes")
        await installed.run("apply", "--draft", "more", "-f", alice(tmp_path), "--author", "ann")
        assert {answer_to(installed, ALICE) for _ in range(10)} == {550}
        assert (await installed.json("status"))["version"] == 1
        activated = await installed.run("draft", "activate", "more", "--author", "bob")
        assert "version 2 is saved and in force in all workers" in activated.out
        assert {answer_to(installed, ALICE) for _ in range(10)} == {250}
        shown = await installed.json("config", "show")
        assert (shown["author"], shown["draft"], shown["comment"]) == ("bob", "more", "alice comes")
        assert [save["author"] for save in shown["saves"]] == ["ann"]
        assert "version 3 is saved and in force in all workers" in (await installed.run("config", "rollback")).out
        assert {answer_to(installed, ALICE) for _ in range(10)} == {550}


async def test_two_editors_of_one_export(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    export = (await installed.run("export")).out
    await installed.run("apply", "-f", "-", "--base", "1", "--author", "bob", stdin=export.replace("robert@", "rob@"))
    mine = export.replace("robert@", "bobby@")
    refused = await installed.run("apply", "-f", "-", "--base", "1", "--author", "ann", stdin=mine, code=TEMPORARY_FAILURE)
    assert "it was robert@contoso.com, is rob@contoso.com now, and this change wants bobby@contoso.com" in refused.err
    assert "what was changed since version 1:" in refused.err
    as_json = await installed.run("apply", "-f", "-", "--base", "1", "--json", stdin=mine, code=TEMPORARY_FAILURE)
    (conflict,) = json.loads(as_json.out)["conflicts"]
    assert (conflict["field"], conflict["base"], conflict["theirs"]) == ("EmailAddresses", ["robert@contoso.com"], ["rob@contoso.com"])
    assert len(await installed.json("config", "log")) == 2
    other = export.replace("Default: true", "Default: true\n  Name: Our domain")
    together = await installed.run("apply", "-f", "-", "--base", "1", "--author", "ann", stdin=other)
    assert "version 3 is saved" in together.out
    assert "rob@contoso.com" in (await installed.run("export")).out


async def test_rollback_goes_back_and_never_forth(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    nothing = await installed.run("config", "rollback", code=DATA_ERROR)
    assert "nothing was saved yet" in nothing.err
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    assert "is the first one" in (await installed.run("config", "rollback", code=DATA_ERROR)).err
    for name in ("a.example", "b.example", "c.example"):
        await installed.run("apply", "-f", "-", stdin=f"AcceptedDomain: {{DomainName: {name}}}")
    assert '- AcceptedDomain "c.example"' in (await installed.run("config", "rollback", "--dry-run", code=2)).out
    assert '- AcceptedDomain "c.example"' in (await installed.run("config", "rollback")).out
    assert '- AcceptedDomain "b.example"' in (await installed.run("config", "rollback")).out
    assert '- AcceptedDomain "a.example"' in (await installed.run("config", "rollback")).out
    assert "is the first one" in (await installed.run("config", "rollback", code=DATA_ERROR)).err
    log = await installed.json("config", "log")
    assert [one["restores"] for one in log] == [1, 2, 3, 0, 0, 0, 0]
    assert log[0]["comment"] == "back to version 1"
    assert '+ AcceptedDomain "c.example"' in (await installed.run("config", "activate", "4")).out
    assert "no change" in (await installed.run("config", "activate", "4")).out
    assert "there is no version 99" in (await installed.run("config", "activate", "99", code=NO_INPUT)).err


async def test_a_rollback_gives_mailboxes_their_passwords_back(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    await installed.run("mailbox", "password", "bob@contoso.com", "--password-stdin", stdin="correct horse\n")
    await installed.run("mailbox", "remove", "bob@contoso.com")
    await installed.run("config", "rollback")
    assert (await installed.json("mailbox", "list"))[0]["has_password"]
    await installed.run("mailbox", "remove", "bob@contoso.com")
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    assert not (await installed.json("mailbox", "list"))[0]["has_password"]


async def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    for words in (["show", "none"], ["diff", "none"], ["check", "none"], ["activate", "none"]):
        assert "there is no draft none" in (await installed.run("draft", *words, code=NO_INPUT)).err
    assert "there is no draft none" in (await installed.run("draft", "discard", "none", code=NO_INPUT)).err
    assert "there is no draft none" in (await installed.run("apply", "--draft", "none", "-f", alice(tmp_path), code=NO_INPUT)).err
    missing = await installed.run("config", "show", "--object", "Mailbox", "eve@contoso.com", code=NO_INPUT)
    assert 'version 1 has no Mailbox "eve@contoso.com"' in missing.err
    assert "Did you mean Mailbox?" in (await installed.run("config", "log", "--object", "Mailbx", "eve", code=DATA_ERROR)).err
    await installed.run("draft", "new", "one")
    assert "there is a draft one already" in (await installed.run("draft", "new", "one", code=DATA_ERROR)).err
    assert [draft["name"] for draft in await installed.json("draft", "list")] == ["one"]


async def test_saves_that_are_killed_leave_the_old_or_the_new_version(tmp_path: Path) -> None:
    """SIGKILL at random moments of `mailwye apply`, which replaces all of one organization by another in one save."""
    sides = [_side("a"), _side("b")]
    texts = [to_json(_organization(side)) for side in sides]
    files = [tmp_path / f"{number}.yaml" for number in range(2)]
    for file, side in zip(files, sides, strict=True):
        file.write_text(side)
    installed = Installed(tmp_path)
    await installed.run("apply", "--prune", "-f", str(files[0]))
    store = SqliteConfigStore(installed.data / "config.sqlite")
    chance = random.Random(7)
    for number in range(12):
        words = (sys.executable, "-m", "mailwye", "apply", "--prune", "-f", str(files[(number + 1) % 2]), "--config", str(installed.config))
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), chance.uniform(0.2, 1.5))
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert to_json(store.current().organization) in texts
        fresh = SqliteConfigStore(installed.data / "config.sqlite")
        assert to_json(fresh.current().organization) == to_json(store.current().organization)
        fresh.close()
    store.close()


def _side(name: str) -> str:
    domains = ", ".join(f"{{DomainName: {name}{number}.example}}" for number in range(200))
    users = ", ".join(f"{{PrimarySmtpAddress: user{number}@{name}{number}.example, DisplayName: {name}}}" for number in range(200))
    connector = f"{{Name: Out, ConnectorType: OnPremises, AllAcceptedDomains: true, UseMXRecord: false, SmartHosts: {name}.example.net}}"
    return f"Organization: {{Name: {name}}}\nAcceptedDomain: [{domains}]\nMailUser: [{users}]\nOutboundConnector: [{connector}]\n"


def _organization(text: str) -> Organization:
    found = read_organization(text).value
    assert found is not None
    return found


async def test_a_version_that_a_killed_command_saved_is_found(tmp_path: Path) -> None:
    installed = Installed(tmp_path, workers=2)
    async with serving(installed):
        await installed.run("apply", "-f", str(hosted(tmp_path)))
        store = SqliteConfigStore(installed.data / "config.sqlite")  # saves, and tells nobody
        changes = store.changes(0, 1).reversed()
        store.commit(changes, expected_version=1, author="killed", at=0.0)
        store.close()
        await until(lambda: {answer_to(installed, "bob@contoso.com") for _ in range(10)} == {550}, "the version in force in both workers")
