"""Commands without a service: every one works on the files alone, from any folder."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.e2e.installed import Installed, run
from tests.e2e.organizations import BOB, SUN, hosted, hybrid

CONFIGURATION = 78  # sysexits.h
SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


async def test_help_names_every_command(tmp_path: Path) -> None:
    text = (await run("--help", cwd=tmp_path)).out
    for command in ("serve", "check", "apply", "export", "import", "explain", "trace", "queue", "mailbox", "demo"):
        assert f"  {command} " in text


async def test_every_command_has_help(tmp_path: Path) -> None:
    for command in ("serve", "check", "apply", "export", "import", "explain", "trace", "queue", "mailbox", "demo"):
        assert "Usage: mailwye " + command in (await run(command, "--help", cwd=tmp_path)).out


async def test_version(tmp_path: Path) -> None:
    assert (await run("--version", cwd=tmp_path)).out.startswith("mailwye ")


async def test_help_loads_none_of_the_heavy_parts() -> None:
    """They cost most of the time between Enter and the first line."""
    program = "import sys; sys.argv = ['mailwye', '--help']\nimport mailwye.__main__ as m\ntry: m.main()\nexcept SystemExit: pass\n"
    heavy = ("pydantic", "cryptography", "apsw", "dns", "uvloop", "rich", "yaml", "fastapi", "uvicorn")
    program += f"print([n for n in {heavy!r} if n in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "command",
    [
        "get AcceptedDomain",
        "set AcceptedDomain contoso.com --match-sub-domains true --what-if",
        "ps Get-OutboundConnector",
        "explain --from sun@fabrikam.com --to john@contoso.com",
        "config log",
        "config show",
        "queue list",
        "trace",
        "status",
        "export",
        "apply -f hosted.yaml --dry-run",
    ],
)
async def test_no_command_loads_what_the_api_alone_needs(installed: Installed, command: str) -> None:
    """Loading pydantic took longer than all the rest of `get` (docs/decisions/0013)."""
    await installed.run("apply", "-f", str(hosted(installed.directory)))
    words = ["mailwye", *command.replace("hosted.yaml", str(hosted(installed.directory))).split(), "--config", str(installed.config)]
    program = f"import sys; sys.argv = {words!r}\nimport mailwye.__main__ as m\ntry: m.main()\nexcept SystemExit: pass\n"
    program += "print([n for n in ('pydantic', 'pydantic_core', 'fastapi', 'uvicorn', 'starlette') if n in sys.modules])"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaints = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"
    assert "Traceback" not in complaints.decode()


async def test_unknown_commands_are_refused(tmp_path: Path) -> None:
    finished = await run("srve", cwd=tmp_path, code=None)
    assert finished.code != 0
    assert "srve" in finished.err
    assert "Traceback" not in finished.words


@pytest.mark.parametrize("command", [("serve",), ("export",), ("trace",), ("queue", "list"), ("mailbox", "list"), ("status",)])
async def test_a_missing_installation_file_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    finished = await run(*command, "--config", "nowhere.toml", cwd=tmp_path, code=None)
    assert finished.code == CONFIGURATION
    assert "nowhere.toml" in finished.err
    assert "Traceback" not in finished.words


async def test_the_environment_names_the_installation(installed: Installed) -> None:
    await run("export", cwd=Path("/"), environment={"MAILWYE_CONFIG": str(installed.config)})


# --- check


async def test_check_takes_the_scenarios_as_they_stand(tmp_path: Path) -> None:
    finished = await run("check", "--config", str(SCENARIOS / "mailwye.toml"), "-f", str(SCENARIOS / "contoso.yaml"), cwd=tmp_path)
    assert "error:" not in finished.words


async def test_check_finds_every_error_of_both_files_at_once(installed: Installed) -> None:
    installed.config.write_text('hostname = "not a name"\ndata_directory = "data"\nworkers = -1\n')
    organization = installed.directory / "organization.yaml"
    organization.write_text(
        "AcceptedDomain:\n  - {DomainName: a.*.contoso.com}\nOutboundConnector:\n  - {Name: A, ConnectorTipe: OnPremises}\n"
    )
    finished = await installed.run("check", "-f", str(organization), code=CONFIGURATION)
    for wanted in ("mailwye.toml:1: hostname", "mailwye.toml:3: workers", "listener: is missing", "organization.yaml:2: ", "ConnectorTipe"):
        assert wanted in finished.words, finished.words


async def test_check_prints_json(installed: Installed) -> None:
    installed.config.write_text('hostname = "mx.example"\ndata_directory = "data"\nworkers = -1\n')
    findings = json.loads((await installed.run("check", "--json", code=CONFIGURATION)).out)
    assert {(one["field"], one["line"]) for one in findings} >= {("workers", 3)}


# --- apply and export


async def test_apply_prints_the_difference_and_is_idempotent(installed: Installed) -> None:
    organization = hosted(installed.directory)
    first = await installed.run("apply", "-f", str(organization), cwd=Path("/"))
    assert '+ AcceptedDomain "contoso.com"' in first.out
    assert '+ Mailbox "bob@contoso.com"' in first.out
    second = await installed.run("apply", "-f", str(organization), cwd=Path("/"))
    assert "no change" in second.words
    assert len(await installed.json("config", "log")) == 1


async def test_apply_finds_relative_files_from_where_one_stands(installed: Installed) -> None:
    elsewhere = installed.directory / "elsewhere"
    elsewhere.mkdir()
    hosted(elsewhere)
    await installed.run("apply", "-f", "organization.yaml", cwd=elsewhere)
    assert "bob@contoso.com" in (await installed.run("export")).out


async def test_apply_reads_standard_input(installed: Installed) -> None:
    await installed.run("apply", "-f", "-", stdin=hosted(installed.directory).read_text())
    assert "bob@contoso.com" in (await installed.run("export")).out


async def test_a_dry_run_saves_nothing(installed: Installed) -> None:
    finished = await installed.run("apply", "-f", str(hosted(installed.directory)), "--dry-run", code=None)
    assert '+ Mailbox "bob@contoso.com"' in finished.out
    assert await installed.json("config", "log") == []


async def test_what_export_prints_apply_takes_back_unchanged(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hybrid(installed.directory, "127.0.0.1:2510")), "--comment", "first")
    exported = installed.directory / "exported.yaml"
    exported.write_text((await installed.run("export")).out)
    assert "no change" in (await installed.run("apply", "-f", str(exported), "--prune")).words
    (version,) = await installed.json("config", "log")
    assert version["comment"] == "first"


async def test_prune_removes_what_the_file_no_longer_has(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hybrid(installed.directory, "127.0.0.1:2510")))
    smaller = installed.directory / "smaller.yaml"
    smaller.write_text("OutboundConnector: []\n")
    kept = await installed.run("apply", "-f", str(smaller))
    assert "no change" in kept.words
    pruned = await installed.run("apply", "-f", str(smaller), "--prune")
    assert '- OutboundConnector "to our servers"' in pruned.out.lower().replace("outboundconnector", "OutboundConnector")
    assert "OutboundConnector" not in (await installed.run("export")).out


async def test_apply_refuses_errors_with_their_lines(installed: Installed) -> None:
    organization = installed.directory / "organization.yaml"
    organization.write_text("AcceptedDomain:\n  - {DomainName: contoso.com}\n\nMailbox:\n  - {PrimarySmtpAddress: bob@elsewhere.example}\n")
    finished = await installed.run("apply", "-f", str(organization), code=None)
    assert finished.code != 0
    assert "organization.yaml:5" in finished.err
    assert await installed.json("config", "log") == []


# --- passwords of connectors

RELAY = """\
OutboundConnector:
  - Name: Relay
    RecipientDomains: ["*"]
    UseMXRecord: false
    SmartHosts: "[smtp.example.com]:587"
    TlsSettings: DomainValidation
    TlsDomain: smtp.example.com
    SmartHostAuthMechanism: BasicAuthRequireTLS
    AuthenticationCredential: {UserName: apikey, Password: "tell nobody"}
"""


async def test_a_password_goes_in_and_never_comes_out(installed: Installed) -> None:
    applied = await installed.run("apply", "-f", "-", stdin=RELAY)
    assert "AuthenticationCredential: {UserName: apikey, Password: (saved)}" in applied.out
    exported = (await installed.run("export")).out
    assert "Password: (saved)" in exported
    for stdin in (RELAY, exported):
        assert "no change" in (await installed.run("apply", "-f", "-", stdin=stdin)).words
    printed = [applied, *[await installed.run(*words) for words in (("export", "--json"), ("secrets", "list", "--json"), ("check",))]]
    assert not any("tell nobody" in each.words for each in printed)
    changed = await installed.run("apply", "-f", "-", stdin=RELAY.replace("tell nobody", "another one"))
    assert "Password: (saved)} → {UserName: apikey, Password: (changed)}" in changed.out
    for file in installed.data.rglob("*"):
        assert not file.is_file() or b"tell nobody" not in file.read_bytes()
    renamed = await installed.run("apply", "-f", "-", stdin=exported.replace("Relay", "Other"), code=None)
    assert "Password is (saved), but none is saved for it. Write the password itself, once." in renamed.err
    assert len(await installed.json("config", "log")) == 2


async def test_secrets_are_set_listed_and_rotated(installed: Installed) -> None:
    await installed.run("apply", "-f", "-", stdin="\n".join(RELAY.splitlines()[:7]) + "\n")
    missing = await installed.run("secrets", "set", "relay", "--password-stdin", stdin="x\n", code=None)
    assert missing.err.strip().endswith("has no UserName; nothing was changed")
    await installed.run("secrets", "set", "relay", "--user-name", "apikey", "--password-stdin", stdin="tell nobody\n")
    assert "no change" in (await installed.run("secrets", "set", "RELAY", "--password-stdin", stdin="tell nobody\n")).out
    assert "SmartHostAuthMechanism: BasicAuthRequireTLS" in (await installed.run("export")).out
    nobody = await installed.run("secrets", "set", "Nobody", "--password-stdin", stdin="x\n", code=None)
    assert "no connector that could log in is called 'Nobody'; there are: OutboundConnector Relay" in nobody.err
    assert await installed.json("secrets", "list") == [
        {"object": "OutboundConnector", "name": "Relay", "user_name": "apikey", "problem": ""}
    ]
    key = installed.data / "credentials.key"
    before = key.read_text()
    await installed.run("secrets", "rotate")
    assert key.read_text().splitlines()[1:] == before.splitlines()
    assert "2 old keys dropped" in (await installed.run("secrets", "rotate", "--drop-old-keys")).out
    assert (await installed.json("secrets", "list"))[0]["problem"] == ""

    key.write_text("00" * 32 + "\n")
    assert "was sealed with key" in (await installed.json("secrets", "list"))[0]["problem"]
    checked = await installed.run("check")
    assert 'OutboundConnector "Relay": AuthenticationCredential: the saved password of apikey cannot be opened' in checked.out
    refused = await installed.run("secrets", "rotate", code=None)
    assert "was sealed with key" in refused.err
    assert refused.err.strip().endswith("The key was not changed")
    assert key.read_text() == "00" * 32 + "\n"
    await installed.run("secrets", "set", "relay", "--password-stdin", stdin="written again\n")
    assert (await installed.json("secrets", "list"))[0]["problem"] == ""


async def test_rotations_at_once_lose_no_key(installed: Installed) -> None:
    await installed.run("apply", "-f", "-", stdin=RELAY)
    await asyncio.gather(*(installed.run("secrets", "rotate") for _ in range(3)))
    assert len((installed.data / "credentials.key").read_text().splitlines()) == 4
    assert (await installed.json("secrets", "list"))[0]["problem"] == ""
    assert [one["comment"] for one in await installed.json("config", "log")] == ["secrets rotate"] * 3 + [""]


async def test_old_keys_are_not_dropped_while_a_draft_needs_them(installed: Installed) -> None:
    await installed.run("draft", "new", "relay")
    await installed.run("apply", "--draft", "relay", "-f", "-", stdin=RELAY)
    key = (installed.data / "credentials.key").read_text()
    refused = await installed.run("secrets", "rotate", "--drop-old-keys", code=65)
    assert refused.err == (
        "mailwye: passwords in the draft relay would be lost with the old keys: activate or discard it first. The key was not changed\n"
    )
    assert (installed.data / "credentials.key").read_text() == key
    await installed.run("draft", "activate", "relay")
    assert "1 old keys dropped" in (await installed.run("secrets", "rotate", "--drop-old-keys")).out
    assert (await installed.json("secrets", "list"))[0]["problem"] == ""


async def test_a_named_key_file_has_to_be_there(tmp_path: Path) -> None:
    installed = Installed(tmp_path, more='[secrets]\nkey_file = "elsewhere.key"\n')
    checked = await installed.run("check")
    assert "[secrets]: key_file" in checked.out
    assert "saved passwords can neither be read nor written" in checked.out
    refused = await installed.run("apply", "-f", "-", stdin=RELAY, code=None)
    assert "elsewhere.key does not exist. Make it: openssl rand -hex 32" in refused.err
    assert await installed.json("config", "log") == []
    (tmp_path / "elsewhere.key").write_text("12" * 32 + "\n")
    (tmp_path / "elsewhere.key").chmod(0o644)
    await installed.run("apply", "-f", "-", stdin=RELAY)
    assert "can be read by everybody on this machine. Set its mode to 600." in (await installed.run("check")).out
    assert not (installed.data / "credentials.key").exists()


# --- mailboxes, explain, queue, trace: the stores of a service that does not run


async def test_mailbox_add_makes_the_mailbox(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hosted(installed.directory)))
    await installed.run("mailbox", "add", "alice@contoso.com", "--password-stdin", stdin="a good password\n")
    listed = (await installed.run("mailbox", "list")).out
    assert "alice@contoso.com" in listed
    assert "bob@contoso.com" in listed
    exported = (await installed.run("export")).out
    assert "alice@contoso.com" in exported
    assert "argon2" not in exported
    await installed.run("mailbox", "remove", "alice@contoso.com")
    assert "alice@contoso.com" not in (await installed.run("mailbox", "list")).out


async def test_mailboxes_and_passwords_wait_for_the_replay_that_is_required(tmp_path: Path) -> None:
    installed = Installed(tmp_path, more='[replay]\nrequire = "clean"\n')
    await installed.run("apply", "-f", "-", stdin=RELAY)
    await installed.run("apply", "-f", str(hosted(tmp_path)))
    for words in (("mailbox", "add", "alice@contoso.com"), ("mailbox", "remove", "alice@contoso.com"), ("secrets", "set", "Relay")):
        more = () if "remove" in words else ("--password-stdin",)
        saved = await installed.run(*words, *more, stdin="another good password\n")
        assert "no mail was recorded since then, so the replay says nothing" in saved.err
        assert "is saved" in saved.out


async def test_a_difference_that_is_not_read_to_its_end_is_not_saved(installed: Installed) -> None:
    file = installed.directory / "many.yaml"
    file.write_text("AcceptedDomain:\n" + "".join(f"  - DomainName: d{number}.example\n" for number in range(5000)))
    script = installed.directory / "many.ps1"
    script.write_text("\n".join(f"New-AcceptedDomain d{n}.example -DomainName d{n}.example" for n in range(2000)))
    for words in (("apply", "-f", str(file)), ("ps", "--yes", "-f", str(script))):
        ours, theirs = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailwye", *words, "--config", str(installed.config)), stdout=theirs, stderr=asyncio.subprocess.PIPE
        )
        os.close(theirs)
        await asyncio.to_thread(os.read, ours, 1)
        os.close(ours)  # as `head` does
        err = (await process.communicate())[1].decode()
        assert err.endswith("mailwye: nothing was saved: the difference was not read to its end; --dry-run only shows it\n")
        assert process.returncode == 74
    assert await installed.json("config", "log") == []


async def test_the_password_is_asked_for_twice_and_not_shown(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hosted(installed.directory)))
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailwye", "mailbox", "add", BOB, "--config", str(installed.config)),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)

    def talk() -> bytes:
        shown = b""
        for prompt in (b"Password for bob@contoso.com: ", b"Repeat for confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 1024)
            os.write(ours, b"a good password\n")
        try:
            while piece := os.read(ours, 1024):
                shown += piece
        except OSError:  # the other end is closed
            return shown
        return shown

    shown = await asyncio.to_thread(talk)
    os.close(ours)
    assert await process.wait() == 0
    assert b"a good password" not in shown
    assert b"password set" in shown
    (row,) = await installed.json("mailbox", "list")
    assert row["has_password"] is True


@pytest.mark.parametrize("password", ["short", "x" * 600, "with\x07bell", "\udcff is no UTF-8"])
async def test_passwords_that_cannot_be_used_are_refused(installed: Installed, password: str) -> None:
    finished = await installed.run("mailbox", "add", BOB, "--password-stdin", stdin=password + "\n", code=65)
    assert "nothing was changed" in finished.err
    assert "Traceback" not in finished.words
    assert not installed.data.exists()


async def test_mailbox_takes_addresses_only(installed: Installed) -> None:
    for command in ("add", "password", "remove"):
        finished = await installed.run("mailbox", command, "bob@contoso.com>\r\nDATA", stdin="a good password\n", code=65)
        assert "Traceback" not in finished.words


async def test_mailbox_add_refuses_a_domain_that_is_not_ours(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hosted(installed.directory)))
    finished = await installed.run("mailbox", "add", "bob@elsewhere.example", "--password-stdin", stdin="a good password\n", code=None)
    assert finished.code != 0
    assert "elsewhere.example" in finished.err
    assert "Traceback" not in finished.words


async def test_passwords_are_stored_as_argon2_hashes_only(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hosted(installed.directory)))
    await installed.run("mailbox", "add", BOB, "--password-stdin", stdin="correct horse battery\n")
    stored = b"".join(path.read_bytes() for path in installed.data.glob("config*"))
    assert b"$argon2id$" in stored
    assert b"correct horse" not in stored
    assert all(path.stat().st_mode & 0o077 == 0 for path in installed.data.glob("config.sqlite"))


async def test_explain_answers_without_a_service(installed: Installed) -> None:
    await installed.run("apply", "-f", str(hybrid(installed.directory, "127.0.0.1:2510")))
    told = await installed.run("explain", "--from", SUN, "--to", "john@contoso.com")
    assert 'connector "To our servers"' in told.out
    answer = await installed.json("explain", "--from", SUN, "--to", "john@contoso.com")
    assert answer["route"]["connector"] == "To our servers"
    stranger = await installed.json("explain", "--from", "eve@evil.example", "--to", SUN, "--ip", "192.0.2.66")
    assert "5.7.64" in stranger["reply"]


async def test_explain_names_a_bad_address(installed: Installed) -> None:
    finished = await installed.run("explain", "--from", SUN, "--to", "no address", code=None)
    assert finished.code != 0
    assert "Traceback" not in finished.words
    assert "no address" in finished.err


async def test_empty_stores_are_no_error(installed: Installed) -> None:
    assert await installed.json("queue", "list") == []
    assert await installed.json("trace") == []
    assert await installed.json("mailbox", "list") == []
