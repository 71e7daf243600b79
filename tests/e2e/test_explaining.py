"""`mailwye explain`: the same answers as mail gets, with every key that the issue names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installed import Installed
from tests.e2e.test_scenarios import SCENARIOS

DATA_ERROR, NO_INPUT, USAGE = 65, 66, 64
SUN, EVE = "sun@example.net", "eve@evil.example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explaining")


@pytest.fixture
async def contoso(folder: Path) -> Installed:
    """The scenario's organization, applied once for all tests of this file."""
    if (folder / "mailwye.toml").exists():
        installed = Installed.__new__(Installed)
        installed.directory, installed.config, installed.data, installed.ports = folder, folder / "mailwye.toml", folder / "data", {}
        return installed
    installed = Installed(folder)
    shutil.copy(SCENARIOS / "contoso.yaml", folder)
    await installed.run("apply", "-f", "contoso.yaml")
    return installed


async def ask(installed: Installed, sender: str, recipient: str, *more: str) -> Any:
    return await installed.json("explain", "--from", sender, "--to", recipient, *more)


async def test_every_key_is_there(contoso: Installed) -> None:
    answer = await ask(contoso, SUN, "john@contoso.com")
    assert answer["caller"]["connector"] == ""
    assert any("From our servers" in reason["connector"] for reason in answer["caller"]["considered"])
    assert answer["caller"]["reasons"]
    assert answer["relay"]["allowed"] is True
    assert answer["recipient"]["kind"] == "MailUser"
    assert answer["route"]["kind"] == "connector"
    assert answer["route"]["connector"] == "Connector 2"
    assert answer["route"]["hosts"] == ["127.0.0.10:2510"]
    assert answer["route"]["tls"] == "EncryptionOnly"
    considered = {one["connector"]: one for one in answer["considered"]}
    assert set(considered) == {"Connector 1", "Connector 2", "Connector 3"}
    assert [name for name, one in considered.items() if one["chosen"]] == ["Connector 2"]
    assert all(one["reason"] for one in considered.values())
    assert answer["config_version"] == 1
    assert answer["reply"].startswith("250 2.1.5")


@pytest.mark.parametrize(
    ("recipient", "connector"),
    [("john@fabrikam.com", "Connector 1"), ("john@contoso.com", "Connector 2"), ("john@sales.contoso.com", "Connector 3")],
)
async def test_the_three_rows_of_the_page(contoso: Installed, recipient: str, connector: str) -> None:
    answer = await ask(contoso, SUN, recipient)
    assert (answer["route"]["kind"], answer["route"]["connector"]) == ("connector", connector)


async def test_a_stranger_may_not_relay(contoso: Installed) -> None:
    answer = await ask(contoso, EVE, SUN, "--ip", "192.0.2.66")
    assert answer["relay"]["allowed"] is False
    assert answer["reply"].startswith("550 5.7.64 TenantAttribution; Relay Access Denied")
    assert answer["route"]["kind"] == "none"


async def test_an_unknown_recipient(contoso: Installed) -> None:
    answer = await ask(contoso, SUN, "nobody@contoso.com")
    assert answer["reply"].startswith("550 5.4.1 ")
    assert answer["recipient"]["kind"] == "Unknown"


async def test_the_own_server_by_its_certificate(contoso: Installed) -> None:
    answer = await ask(contoso, "john@contoso.com", SUN, "--certificate-name", "mail.contoso.com")
    assert answer["caller"]["connector"] == "From our servers"
    assert answer["relay"]["allowed"] is True
    assert (answer["route"]["kind"], answer["route"]["domain"]) == ("mx", "example.net")


async def test_bob_with_his_password(contoso: Installed) -> None:
    answer = await ask(contoso, "bob@contoso.com", SUN, "--auth", "robert@contoso.com")
    assert answer["caller"]["mailbox"] == "bob@contoso.com"
    assert answer["relay"]["allowed"] is True
    assert answer["route"]["kind"] == "mx"


async def test_the_hosted_mailbox(contoso: Installed) -> None:
    answer = await ask(contoso, "<>", "robert@contoso.com")
    assert (answer["route"]["kind"], answer["route"]["mailbox"]) == ("mailbox", "bob@contoso.com")


@pytest.mark.parametrize(
    "words",
    [
        ("--from", "no address", "--to", SUN),
        ("--from", SUN, "--to", "a@b\r\nRCPT TO:<c@d>"),
        ("--from", SUN, "--to", "a@contoso.com\x1b[31m"),
        ("--from", SUN, "--to", "john@contoso.com", "--ip", "not an address"),
        ("--from", SUN, "--to", "john@contoso.com", "--certificate-name", "a b"),
    ],
)
async def test_what_is_no_address_is_named(contoso: Installed, words: tuple[str, ...]) -> None:
    finished = await contoso.run("explain", *words, code=DATA_ERROR)
    assert "mailwye: " in finished.err
    assert "Traceback" not in finished.words
    assert "\x1b" not in finished.words
    assert finished.out == ""


async def test_a_missing_option_is_named(contoso: Installed) -> None:
    assert "--to" in (await contoso.run("explain", "--from", SUN, code=USAGE)).err


async def test_a_session_that_nobody_knows_is_named(contoso: Installed) -> None:
    finished = await contoso.run("explain", "--session", "nothing", code=NO_INPUT)
    assert "the trace knows no message or session 'nothing'" in finished.err


async def test_a_session_and_a_message_exclude_one_another(contoso: Installed) -> None:
    assert "--session takes everything from the trace" in (await contoso.run("explain", "--session", "x", "--from", SUN, code=USAGE)).err
