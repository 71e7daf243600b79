"""PowerShell lines and the commands beside them, with the installed program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.entropy import system_random
from mailwye.testing.demo_world import CONNECTOR_2_PORT, CONNECTOR_3_PORT, DemoWorld, free_addresses
from mailwye.testing.story import STORY, tell
from tests.e2e.installed import Installed, run, serving, until
from tests.e2e.organizations import BOB, SUN

USAGE, DATA_ERROR = 64, 65  # sysexits.h
DIFFERENT = 2
SCENARIO = Path(__file__).resolve().parents[1] / "scenarios" / "contoso.yaml"

STORY_SCRIPT = """\
# John on the own server, Bob here, Sun anywhere: from nothing
Connect-ExchangeOnline -UserPrincipalName admin@contoso.com
$domains = 'contoso.com','sales.contoso.com','fabrikam.com','contoso.onmicrosoft.com'
foreach ($domain in $domains) {{ New-AcceptedDomain -Name $domain -DomainName $domain -DomainType Authoritative }}
Set-AcceptedDomain contoso.com -MakeDefault $true
New-Mailbox -Name Bob -PrimarySmtpAddress bob@contoso.com -Password (ConvertTo-SecureString 'x' -AsPlainText -Force)
'john@contoso.com','john@sales.contoso.com','john@fabrikam.com' | ForEach-Object {{ New-MailUser $_ }}
New-InboundConnector “From our servers” –ConnectorType OnPremises –SenderDomains * –RequireTls $true –TlsSenderCertificateName *.contoso.com
New-OutboundConnector -Name "Connector 1" -ConnectorType OnPremises -AllAcceptedDomains $true -UseMXRecord $false `
  -SmartHosts mail.contoso.com -TlsSettings DomainValidation -TlsDomain mail.contoso.com
New-OutboundConnector "Connector 2" -ConnectorType OnPremises -RecipientDomains contoso.com -UseMXRecord $false `
  -SmartHosts {own}:{connector_2_port} -TlsSettings EncryptionOnly
New-OutboundConnector "Connector 3" -ConnectorType OnPremises -RecipientDomains *.contoso.com -UseMXRecord $false `
  -SmartHosts {sales}:{connector_3_port}
Get-OutboundConnector | Format-Table Name,SmartHosts
"""


class PastedWorld(DemoWorld):
    """The world of `mailwye demo`, whose organization comes from cmdlets instead of YAML."""

    async def command(self, *arguments: str, stdin: str = "") -> str:
        if arguments[0] != "apply":
            return await super().command(*arguments, stdin=stdin)
        at = self.addresses
        script = self.directory / "story.ps1"
        script.write_text(
            STORY_SCRIPT.format(own=at.own, sales=at.sales, connector_2_port=CONNECTOR_2_PORT, connector_3_port=CONNECTOR_3_PORT)
        )
        return await super().command("ps", "-f", str(script), "--yes")


async def test_the_story_is_set_up_by_cmdlets_alone(tmp_path: Path) -> None:
    async with PastedWorld(tmp_path, free_addresses(system_random()), SystemClock()) as world:
        told = [await tell(world, row, number) for number, row in enumerate(STORY, 1)]
    assert [(one.row.title, one.result) for one in told if not one.passed] == []


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


async def test_a_line_is_shown_asked_about_and_saved(installed: Installed) -> None:
    line = "New-AcceptedDomain contoso.com -DomainName contoso.com"
    asked = await installed.run("ps", line, code=USAGE)
    assert '+ AcceptedDomain "contoso.com"' in asked.out
    assert "--yes" in asked.err
    assert await installed.json("get", "accepted-domain") == []
    assert "exits 2" in (await run("ps", "--help", cwd=installed.directory)).out
    await installed.run("ps", line, "--what-if", code=DIFFERENT)
    saved = await installed.run("ps", line, "--yes", "--comment", "first")
    assert "version 1 is saved" in saved.out
    again = await installed.run("ps", line, "--yes")
    assert "no change" in again.out
    confirmed = await installed.run("ps", "Remove-AcceptedDomain contoso.com -Confirm:$false")
    assert "version 2 is saved" in confirmed.out
    history = await installed.json("config", "log")
    assert history[1]["comment"] == "first"


async def test_nothing_is_half_applied(installed: Installed) -> None:
    script = installed.directory / "s.ps1"
    lines = "New-AcceptedDomain a.example -DomainName a.example", "New-OutboundConnector X -SmrtHosts a", "Set-AcceptedDomain b.example"
    script.write_text("\n".join(lines))
    failed = await installed.run("ps", "-f", str(script), "--yes", code=DATA_ERROR)
    assert "s.ps1:2: " in failed.err
    assert "s.ps1:3: " in failed.err
    assert "Did you mean SmartHosts?" in failed.err
    assert "nothing was saved" in failed.err
    assert await installed.json("config", "log") == []


async def test_what_several_objects_do_together_is_checked_with_its_line(installed: Installed) -> None:
    script = "New-AcceptedDomain a.example -DomainName a.example\n\nNew-TransportRule R -RouteMessageOutboundConnector Nowhere"
    failed = await installed.run("ps", "-f", "-", "--yes", stdin=script, code=DATA_ERROR)
    assert 'standard input:3: TransportRule "R": RouteMessageOutboundConnector: ' in failed.err


async def test_scripts_of_other_encodings(installed: Installed) -> None:
    script = installed.directory / "s.ps1"
    script.write_bytes("Get-AcceptedDomain\r\n".encode("utf-16"))
    await installed.run("ps", "-f", str(script))
    script.write_bytes(b"Get-AcceptedDomain\r\n# \x93typographic\x94\r\n")
    refused = await installed.run("ps", "-f", str(script), code=DATA_ERROR)
    assert "s.ps1:2: is neither UTF-8 nor UTF-16 text" in refused.err


async def test_verbs_are_the_same_cmdlets(installed: Installed) -> None:
    await installed.run("new", "accepted-domain", "contoso.com")
    await installed.run("new", "mailbox", BOB, "--email-addresses", "robert@contoso.com,rob@contoso.com")
    added = "set", "Mailbox", "bob", "--add-email-addresses", "bobby@contoso.com", "--RemoveEmailAddresses", "rob@contoso.com"
    assert "EmailAddresses: " in (await installed.run(*added, "--what-if", code=DIFFERENT)).out
    await installed.run(*added)
    (row,) = await installed.json("get", "mailboxes")
    assert row["EmailAddresses"] == ["bobby@contoso.com", "robert@contoso.com"]
    shown = (await installed.run("get", "mailbox", "robert@contoso.com", "--fields", "Primary*")).out
    assert shown == "PrimarySmtpAddress : bob@contoso.com\n"
    settings = ("--connector-type", "OnPremises", "--use-mx-record", "false", "--recipient-domains", "contoso.com")
    await installed.run("new", "outbound-connector", "To us", *settings, "--smart-hosts", "127.0.0.9")
    await installed.run("disable", "outbound-connector", "To us")
    assert [one["Enabled"] for one in await installed.json("get", "OutboundConnector", "--fields", "Enabled")] == [False]
    await installed.run("enable", "outboundconnector", "To us")
    await installed.run("set", "outbound-connector", "To us", "--smart-hosts", "", "--use-mx-record", "true")
    assert "Did you mean To us?" in (await installed.run("set", "outbound-connector", "To su", "--comment", "x", code=DATA_ERROR)).err
    assert "Did you mean --smart-hosts?" in (await installed.run("set", "outbound-connector", "To us", "--smrt", "x", code=USAGE)).err
    assert "Did you mean mailbox?" in (await installed.run("get", "mailbx", code=USAGE)).err
    maybe = await installed.run("set", "outbound-connector", "To us", "--enabled", "maybe", code=USAGE)
    assert "must be true or false" in maybe.err
    await installed.run("remove", "outbound-connector", "To us", code=USAGE)
    removed = await installed.json("remove", "outbound-connector", "To us", "--yes")
    assert [(one["change"], one["identity"]) for one in removed["changes"]] == [("removed", "to us")]
    assert isinstance(removed["version"], int)


async def test_drafts_and_what_stands_before_an_activation_count_for_cmdlets_too(installed: Installed) -> None:
    await installed.run("draft", "new", "d")
    await installed.run("ps", "--draft", "d", "New-AcceptedDomain contoso.com -DomainName contoso.com", "--yes", "--author", "ann")
    set_domain = "set", "accepted-domain", "contoso.com", "--draft", "d", "--domain-type", "InternalRelay"
    assert (await installed.run(*set_domain, "--dry-run", code=DIFFERENT)).out.startswith("~ AcceptedDomain")
    assert "save 2" in (await installed.run(*set_domain, "--version-comment", "why")).out
    assert "the draft d already says this" in (await installed.run(*set_domain)).out
    (row,) = await installed.json("get", "accepted-domain", "--draft", "d")
    assert row["DomainType"] == "InternalRelay"
    assert await installed.json("get", "accepted-domain") == []
    shown = await installed.json("draft", "show", "d")
    assert (shown["saves"][0]["author"], shown["saves"][0]["comment"]) == ("ann", "")
    assert shown["saves"][1]["comment"] == "why"
    refused = await installed.run(*set_domain, "--pin-queued", code=USAGE)
    assert "give --pin-queued to `mailwye draft activate d`" in refused.err
    asked = await installed.json("remove", "accepted-domain", "contoso.com", "--draft", "d", "--yes")
    assert (asked["draft"], asked["revision"], asked["version"]) == ("d", 3, None)
    guarded = "ps", "New-AcceptedDomain b.example -DomainName b.example", "--yes", "--require-replay", "clean", "--pin-queued"
    saved = await installed.run(*guarded)
    assert "0 queued deliveries stay on their ways (pinned)" in saved.out
    assert "no mail was recorded since then" in saved.err


async def test_no_draft_keeps_a_password_that_is_not_encrypted(installed: Installed) -> None:
    await installed.run("draft", "new", "d")
    login = "-SmartHostAuthMechanism BasicAuthRequireTLS -AuthenticationCredential @{UserName='u'; Password='%s'}"
    way = "-AddressSpaces * -DNSRoutingEnabled $false -SmartHosts relay.example -RequireTLS $true -TlsAuthLevel CertificateValidation"
    refused = await installed.run("ps", "--draft", "d", f"New-SendConnector R {way} {login % '(saved)'}", "--yes", code=DATA_ERROR)
    assert "none is saved for it" in refused.err
    await installed.run("ps", "--draft", "d", f"New-SendConnector R {way} {login % 'hunter2'}", "--yes")
    renamed = await installed.run("set", "send-connector", "R", "--draft", "d", "--name", "S", code=DATA_ERROR)
    assert "Write the password itself, once" in renamed.err
    await installed.run("set", "send-connector", "R", "--draft", "d", "--comment", "kept")
    await installed.run("draft", "activate", "d")
    assert [row["problem"] for row in await installed.json("secrets", "list")] == [""]
    for file in installed.directory.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes(), file
    argued = await installed.run("set", "send-connector", "R", "--authentication-credential", "hunter2", code=USAGE)
    assert "`mailwye secrets set CONNECTOR" in argued.err


async def test_exported_cmdlets_make_the_same_organization(installed: Installed, tmp_path: Path) -> None:
    await installed.run("apply", "-f", str(SCENARIO))
    script = (await installed.run("export", "--format", "cmdlets")).out
    other = tmp_path / "other"
    other.mkdir()
    second = Installed(other)
    await second.run("ps", "-f", "-", "--yes", stdin=script)
    assert (await second.run("export")).out == (await installed.run("export")).out


async def test_a_change_is_in_force_when_the_command_returns(installed: Installed) -> None:
    async with serving(installed):
        script = f"New-AcceptedDomain contoso.com -DomainName contoso.com\nNew-Mailbox {BOB}"
        assert "in force" in (await installed.run("ps", script, "--yes")).out
        await installed.send(SUN, BOB)
        await until(lambda: installed.maildir(BOB), "mail in Bob's mailbox")


async def test_shells_complete_kinds_options_and_names(installed: Installed) -> None:
    await installed.run("new", "accepted-domain", "contoso.com")

    async def completed(words: str) -> list[str]:
        environment = {
            "_MAILWYE_COMPLETE": "bash_complete",
            "COMP_WORDS": f"mailwye {words}",
            "COMP_CWORD": str(len(f"mailwye {words} ".split(" ")) - 2),
            "MAILWYE_CONFIG": str(installed.config),
        }
        return [line.partition(",")[2] for line in (await run(cwd=installed.directory, environment=environment)).out.splitlines()]

    assert await completed("get acc") == ["accepted-domain"]
    assert await completed("set accepted-domain con") == ["contoso.com"]
    assert "--domain-type" in await completed("set accepted-domain contoso.com --dom")
    assert await completed("set accepted-domain contoso.com --domain-type int") == ["InternalRelay"]
    for shell in ("bash", "zsh", "fish"):
        assert "_MAILWYE_COMPLETE" in (await run("completion", shell, cwd=installed.directory)).out


async def test_json_of_a_script(installed: Installed) -> None:
    script = "New-AcceptedDomain a.example -DomainName a.example\nGet-AcceptedDomain | ft DomainName\nGet-AcceptedDomain -Typo x"
    failed = json.loads((await installed.run("ps", script, "--json", "--yes", code=DATA_ERROR)).out)
    assert (failed["version"], failed["problems"][0]["line"]) == (None, 3)
