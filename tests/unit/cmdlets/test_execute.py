"""What cmdlets do to an organization: everything of a script, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.cmdlets import values
from mailwye.cmdlets.catalog import catalog
from mailwye.cmdlets.execute import Execution, execute_text
from mailwye.cmdlets.records import Style
from mailwye.config.checks import check_organization
from mailwye.config.diff import diff
from mailwye.config.export import to_plain
from mailwye.config.parse import read_organization
from mailwye.config.schema import KINDS, Organization
from mailwye.config.schema.credential import Password
from tests.unit.cmdlets.running import errors, names, run, tables, warnings

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"

BASE = """
New-AcceptedDomain contoso.com -DomainName contoso.com
Set-AcceptedDomain contoso.com -MakeDefault $true
New-OutboundConnector "Connector 2" -ConnectorType OnPremises -RecipientDomains contoso.com -UseMXRecord $false -SmartHosts mail.contoso.com
New-OutboundConnector "Site CA" -ConnectorType OnPremises -IsTransportRuleScoped $true -UseMXRecord $false -SmartHosts ca.contoso.com
New-InboundConnector "From our IPs" -ConnectorType OnPremises -SenderDomains * -SenderIPAddresses 198.51.100.10,203.0.113.0/28
New-MailUser john@contoso.com
New-Mailbox -Name Bob -Alias bob -EmailAddresses robert@contoso.com
New-DistributionGroup West -PrimarySmtpAddress west@contoso.com -Members john@contoso.com
New-TransportRule "DL West" -SentToMemberOf west@contoso.com -RouteMessageOutboundConnector "Site CA"
"""


@pytest.fixture(scope="module")
def base() -> Organization:
    return run(BASE).organization


def plain(organization: Organization, kind: str, identity: str) -> dict[str, object]:
    return next(to_plain(thing) for thing in organization.objects(kind) if thing.identity == identity.lower())


def connector(text: str, base: Organization, name: str = "Connector 2") -> dict[str, object]:
    return plain(run(text, base).organization, "OutboundConnector", name)


# --- the page


PAGE_SEND = (
    'New-SendConnector -Name "My company to Office 365" -AddressSpaces * -CloudServicesMailEnabled $true -Fqdn mail.contoso.com '
    "-RequireTLS $true %s-SmartHosts contoso-com.mail.protection.outlook.com -TlsAuthLevel CertificateValidation"
)
"""The page's line; Microsoft left -DNSRoutingEnabled out of its last copy."""


def found(execution: Execution) -> list[str]:
    """What the checks say of what a script made."""
    return [str(problem) for problem in check_organization(execution.organization, source=execution.touched)]


def test_the_page_s_own_server() -> None:
    made = run(PAGE_SEND % "-DNSRoutingEnabled $false ")
    assert found(made) == []
    (send,) = made.organization.send_connectors
    assert (send.fqdn, send.dns_routing_enabled, send.tls_auth_level.value) == ("mail.contoso.com", False, "CertificateValidation")
    refused, _warning = found(run(PAGE_SEND % ""))
    assert "script.ps1:1: " in refused
    assert "DNSRoutingEnabled: must be false where SmartHosts are given (its default is true, and Exchange Server refuses" in refused

    line = (
        "Set-ReceiveConnector \"Default Frontend EX1\" -TlsCertificateName '<I>issuer<S>subject' "
        "-TlsDomainCapabilities mail.protection.outlook.com:AcceptCloudServicesMail"
    )
    assert 'there is no ReceiveConnector "Default Frontend EX1"' in errors(line)[0]
    new = "New-ReceiveConnector 'Default Frontend EX1' -Bindings 0.0.0.0:25,:::25 -PermissionGroups 'AnonymousUsers, ExchangeServers'"
    before = run(new).organization
    for spelling in (line, line.replace('"Default', '"EX1\\Default')):
        (receive,) = run(spelling, before).organization.receive_connectors
        assert receive.tls_certificate_name == "<I>issuer<S>subject"
        assert receive.tls_domain_capabilities == ("mail.protection.outlook.com:AcceptCloudServicesMail",)
        assert [one.value for one in receive.permission_groups] == ["AnonymousUsers", "ExchangeServers"]


def test_lists_that_must_not_be_empty_are_merged_too() -> None:
    before = run("New-SendConnector S -AddressSpaces contoso.com,fabrikam.com").organization
    after = run("Set-SendConnector S -AddressSpaces @{Add='tailspin.com;5'; Remove='fabrikam.com'}", before).organization
    assert [str(space) for space in after.send_connectors[0].address_spaces] == ["contoso.com", "tailspin.com;5"]
    after = run("Set-SendConnector S -AddressSpaces @{Add='tailspin.com;5'}", before).organization
    assert len(after.send_connectors[0].address_spaces) == 3
    assert "is empty" in errors("Set-SendConnector S -AddressSpaces $null", before)[0]


RELAY = "-AddressSpaces * -DNSRoutingEnabled $false -SmartHosts relay.example -SmartHostAuthMechanism BasicAuthRequireTLS"


def test_a_password_is_taken_and_never_printed() -> None:
    made = run(
        f"New-SendConnector R {RELAY} -AuthenticationCredential @{{UserName='x'; Password='hunter2'}}\nGet-SendConnector | fl\n"
        "Get-SendConnector | ConvertTo-Json\nSet-SendConnector R -Comment y -WhatIf\nGet-SendConnector R | ForEach-Object { "
        "$_.AuthenticationCredential }"
    )
    credential = made.organization.send_connectors[0].authentication_credential
    assert credential is not None
    assert (credential.user_name, credential.password.given) == ("x", "hunter2")
    assert "hunter2" not in repr(made)
    assert "(saved)" in repr(made.outputs)
    kept = run("Set-SendConnector R -Comment y", made.organization).organization.send_connectors[0].authentication_credential
    assert kept is not None
    assert kept.password == Password()  # the one that is saved, as the plan finds it
    none = run("Set-SendConnector R -AuthenticationCredential $null", made.organization).organization
    assert none.send_connectors[0].authentication_credential is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("(Get-Credential)", "use `mailwye secrets set CONNECTOR`"),
        ("$credential", "$credential has no value"),
        ("(New-Object PSCredential('u', 'hunter2'))", "use `mailwye secrets set CONNECTOR`"),
        ("hunter2", "must be a table of UserName and Password"),
        ("@{UserName='u'; Passwrd='hunter2'}", "Did you mean Password?"),
        ("@{Password='hunter2'}", "has no UserName"),
        ("@{UserName='u'; Password=''}", "has no Password"),
        ("@{UserName='u'; Password=@{a='hunter2'}}", "a table within a table"),
        ("@{UserName='u'; Password=4711}", ""),
    ],
)
def test_what_is_no_credential(value: str, words: str) -> None:
    execution = execute_text(Organization(), f"New-SendConnector R {RELAY} -AuthenticationCredential {value}")
    found = "\n".join(map(str, execution.problems))
    assert words in found
    assert "hunter2" not in found


def test_the_scenario_is_the_organization_of_its_file() -> None:
    text = (SCENARIOS / "contoso.ps1").read_text()
    made = run(text).organization
    parsed = read_organization(SCENARIOS / "contoso.yaml")
    assert parsed.value is not None
    domains = tuple(domain.changed(default=False) for domain in parsed.value.accepted_domains)
    wanted = parsed.value.changed(accepted_domains=domains, mailboxes=(), mail_users=())
    assert {change.object for change in diff(wanted, made)} <= {"Organization", "SendConnector"}


COMMANDS = """
Get-AcceptedDomain | ft DomainName,DomainType,MatchSubDomains
Get-OutboundConnector | fl ; Get-OutboundConnector -IsTransportRuleScoped $true ; Get-OutboundConnector `
  -IncludeTestModeConnectors $true
Get-InboundConnector | fl
New-OutboundConnector "To our servers" -ConnectorType OnPremises -AllAcceptedDomains $true -UseMXRecord $false `
  -SmartHosts mail.contoso.com -TlsSettings DomainValidation -TlsDomain mail.contoso.com
New-OutboundConnector "Connector 3" -ConnectorType OnPremises -RecipientDomains *.contoso.com -UseMXRecord $false `
  -SmartHosts mail.contoso.com
New-OutboundConnector "Contoso Outbound" -RecipientDomains *.contoso.com -TlsSettings DomainValidation `
  -TlsDomain *.contoso.com     # partner, MX
Set-OutboundConnector "Contoso Outbound" -UseMxRecord $false -SmartHosts 192.168.0.1
Set-OutboundConnector "Connector 2" -IsValidated $true -LastValidationTimestamp (Get-Date).ToUniversalTime()   # the manual stamp
Set-OutboundConnector "Connector 2" -Enabled $false ; Remove-OutboundConnector "Connector 2"
Set-OutboundConnector "To our servers" -RouteAllMessagesViaOnPremises $true -RecipientDomains *
New-InboundConnector "From our servers" -ConnectorType OnPremises -SenderDomains * -RequireTls $true `
  -TlsSenderCertificateName *.contoso.com
New-InboundConnector "Contoso In" -SenderDomains *.contoso.com -SenderIPAddresses 192.168.0.1/25 `
  -RestrictDomainsToIPAddresses $true
New-InboundConnector "Contoso Secure" -SenderDomains *.contoso.com -SenderIPAddresses 192.168.0.1/25 `
  -RestrictDomainsToIPAddresses $true -RequireTLS $true -TlsSenderCertificateName *.contoso.com
New-InboundConnector "Only via filter" -ConnectorType Partner -SenderDomains * -RestrictDomainsToCertificate $true `
  -TlsSenderCertificateName *.filter.example -RequireTls $true
Set-InboundConnector "Only via filter" -EFSkipLastIP $true
Set-InboundConnector "From our IPs" -SenderIPAddresses @{Add='198.51.100.11';Remove='198.51.100.10'}
Set-AcceptedDomain contoso.com -DomainType InternalRelay ; Set-AcceptedDomain contoso.com -MatchSubDomains $true
"""


def test_what_an_administrator_types_is_understood(base: Organization) -> None:
    made = run(COMMANDS, base).organization
    assert plain(made, "InboundConnector", "From our IPs")["SenderIPAddresses"] == ["198.51.100.11/32", "203.0.113.0/28"]
    assert plain(made, "AcceptedDomain", "contoso.com") == {
        "DomainName": "contoso.com",
        "DomainType": "InternalRelay",
        "MatchSubDomains": True,
        "Default": True,
    }
    assert len(made.outbound_connectors) == 4
    assert len(made.inbound_connectors) == 5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Get-OutboundConnectorReport -Domain contoso.com", "mailwye explain"),
        ('Validate-OutboundConnector -Identity "Connector 2" -Recipients john@contoso.com', "mailwye explain"),
        (
            "Get-MessageTraceV2 -SenderAddress john@contoso.com -StartDate (Get-Date).AddDays(-2) | Get-MessageTraceDetailV2",
            "mailwye trace",
        ),
        ("Get-BlockedConnector ; Get-OutboundConnector", "Nothing blocks connectors"),
        ("Get-OutboundConnector | Export-Clixml connectors.xml", "mailwye export"),
        ("Get-Queue | Retry-Queue", "mailwye queue list"),
        ("Set-Mailbox bob@contoso.com -ForwardingSmtpAddress x@y.example", "DistributionGroup"),
        ("New-TransportRule X -SubjectContainsWords hello", "choose the way only"),
        ("Set-InboundConnector 'From our IPs' -EFUsers a@b.example", "applies to all recipients"),
    ],
)
def test_what_is_done_elsewhere_is_refused_with_the_way_to_do_it(base: Organization, line: str, words: str) -> None:
    (error,) = errors(line, base)
    assert words in error


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Set-OutboundConector x", "Did you mean Set-OutboundConnector?"),
        ("Get-AceptedDomain", "Did you mean Get-AcceptedDomain?"),
        ('Set-OutboundConnector "Connector 2" -SmartHost5 a.example', "Did you mean SmartHosts?"),
        ('Set-OutboundConnector "Connector 2" -Smrt a.example', "Did you mean SmartHosts?"),
        ('Set-OutboundConnector "Connector 2" -TlsS EncryptionOnly -Tls a', "could be -TlsSettings or -TlsDomain"),
        ('Set-OutboundConnector "Conector 2" -Enabled $true', "Did you mean Connector 2?"),
        ('Set-OutboundConnector "Connector 2" -TlsSettings EncryptOnly', "Did you mean EncryptionOnly?"),
        ("contoso.com", "is no cmdlet"),
        ("Set-OutboundConnector Connector 2 -Enabled $true", "belongs to no parameter"),
        ('Set-OutboundConnector "Connector 2" -Enabled', "-Enabled has no value"),
        ('Set-OutboundConnector "Connector 2" -Enabled "true"', "Write $true"),
        ('Set-OutboundConnector "Connector 2" -Enabled $null', "not $null"),
        ('Set-OutboundConnector "Connector 2" -Comment a -Comment b', "given twice"),
        ('Set-OutboundConnector "Connector 2" -Comment a,b', "takes one value"),
        ("Set-OutboundConnector -Enabled $true", "does not say which object"),
        ("Remove-OutboundConnector $x", "$x has no value"),
        ("Get-AcceptedDomain | Set-OutboundConnector -Enabled $true", "OutboundConnector is needed"),
        ("New-MailContact Sun", "Add -ExternalEmailAddress"),
        ("Set-Mailbox Bob -PrimarySmtpAddress bobby@contoso.com", "cannot be changed"),
        ("New-MailUser bob@contoso.com", "another one of this identity: Mailbox"),
        ("New-OutboundConnector 'connector 2' -SmartHosts x.example", "exists already, with another"),
    ],
)
def test_an_error_names_the_remedy(base: Organization, line: str, words: str) -> None:
    assert words in " ".join(errors(line, base))


def test_all_errors_are_found_and_nothing_is_done(base: Organization) -> None:
    found = errors(
        'New-AcceptedDomain a.example\nSet-OutboundConnector "Connector 2" -Smrt x -Enabled true -SmartHosts "a b"\nGet-X\n'
        'New-InboundConnector "N" -SenderDomains "a.*.b"\nSet-InboundConnector "N" -Enabled $false\nGet-AcceptedDomain | Set-X\n',
        base,
    )
    places = [error.split(":")[1] for error in found]
    assert places == ["2", "2", "3", "4", "6"]  # line 5 misses what line 4 should have made: that is told already


def test_errors_stand_at_their_value() -> None:
    execution = execute_text(Organization(), "New-InboundConnector N `\n  -SenderDomains a.example,`\n   a.*.b", "s.ps1")
    (problem,) = execution.problems
    assert (problem.line, problem.field) == (3, "SenderDomains[2]")


# --- values


def test_lists_are_replaced_merged_and_cleared(base: Organization) -> None:
    line = "Set-OutboundConnector 'Connector 2' -SmartHosts "
    assert connector(line + "a.example,b.example", base)["SmartHosts"] == ["a.example", "b.example"]
    assert connector(line + "@{Add='a.example:2525','b.example'}", base)["SmartHosts"] == [
        "a.example:2525",
        "b.example",
        "mail.contoso.com",
    ]
    assert connector(line + "@{add='a.example';remove='MAIL.contoso.com'}", base)["SmartHosts"] == ["a.example"]
    assert connector(line + "@{Host='a.example';Port=2525;Priority=5}", base)["SmartHosts"] == [
        {"Host": "a.example", "Port": 2525, "Priority": 5}
    ]
    for nothing in ("$null", "@()", "''"):
        assert "SmartHosts" not in connector(line + nothing, base)
    assert "was not in SmartHosts" in warnings(line + "@{Remove='x.example'}", base)[0]


def test_addresses_are_exchanges(base: Organization) -> None:
    made = run("Set-Mailbox bob -EmailAddresses 'SMTP:bob@contoso.com','smtp:rob@contoso.com','X500:/o=x'", base)
    assert plain(made.organization, "Mailbox", "bob@contoso.com")["EmailAddresses"] == ["rob@contoso.com"]
    assert plain(made.organization, "Mailbox", "bob@contoso.com")["DisplayName"] == "Bob"


def test_names_are_found_as_they_are_in_that_line(base: Organization) -> None:
    text = "Set-Mailbox robert -EmailAddresses rob@contoso.com -DisplayName 'Bob B'\nSet-Mailbox rob@contoso.com -DisplayName Robert\n"
    made = run(f"Set-Mailbox robert@contoso.com -DisplayName Robert\n{text}Get-Mailbox Robert", base)
    assert plain(made.organization, "Mailbox", "bob@contoso.com")["DisplayName"] == "Robert"
    for gone in ("robert@contoso.com", "'Bob B'"):
        assert "there is no Mailbox" in errors(f"{text}Get-Mailbox {gone}", made.organization)[0]
    assert "there is no Mailbox" in errors("Remove-Mailbox Bob; Get-Mailbox robert@contoso.com", base)[0]


def test_null_is_the_default(base: Organization) -> None:
    made = run("Set-OutboundConnector 'Connector 2' -TlsSettings CertificateValidation", base).organization
    assert "TlsSettings" not in connector("Set-OutboundConnector 'Connector 2' -TlsSettings $null", made)


def test_variables_text_and_objects(base: Organization) -> None:
    text = "$host1 = 'relay'\n$list = \"$host1.a.example\",'b.example'\nSet-OutboundConnector 'Connector 2' -SmartHosts $list"
    assert connector(text, base)["SmartHosts"] == ["b.example", "relay.a.example"]
    text = "$c = Get-OutboundConnector 'Site CA'\nSet-OutboundConnector 'Connector 2' -SmartHosts $c.SmartHosts -Comment \"as $($c.Name)\""
    assert connector(text, base)["SmartHosts"] == ["ca.contoso.com"]
    assert connector(text, base)["Comment"] == "as Site CA"
    assert names("(Get-OutboundConnector 'Site CA').Name\nGet-AcceptedDomain", base) == ["contoso.com"]


def test_loops(base: Organization) -> None:
    made = run("foreach ($d in 'a.example','b.example') { New-AcceptedDomain $d -DomainName $d }", base).organization
    made = run("Get-AcceptedDomain | ForEach-Object { Set-AcceptedDomain $_.DomainName -DomainType InternalRelay }", made).organization
    assert {str(domain.domain_type.value) for domain in made.accepted_domains} == {"InternalRelay"}
    assert len(made.accepted_domains) == 3


# --- what changes with it


def test_there_is_one_default_domain(base: Organization) -> None:
    made = run("New-AcceptedDomain a.example; Set-AcceptedDomain a.example -MakeDefault $true", base).organization
    assert [domain.domain_name for domain in made.accepted_domains if domain.default] == ["a.example"]


def test_rules_follow_a_renamed_connector(base: Organization) -> None:
    made = run("Set-OutboundConnector 'Site CA' -Name 'Site US'", base).organization
    assert plain(made, "TransportRule", "dl west")["RouteMessageOutboundConnector"] == "Site US"
    assert "Site US" in names("Get-OutboundConnector", made)


def test_rules_make_room() -> None:
    made = run("New-TransportRule A -Priority 0; New-TransportRule B -Priority 0; New-TransportRule C -Priority 1").organization
    assert {rule.name: rule.priority for rule in made.transport_rules} == {"B": 0, "C": 1, "A": 2}


def test_members_come_and_go(base: Organization) -> None:
    made = run(
        "Add-DistributionGroupMember West -Member bob; Get-MailUser | Remove-DistributionGroupMember -Identity West", base
    ).organization
    assert plain(made, "DistributionGroup", "west@contoso.com")["Members"] == ["bob@contoso.com"]
    assert names("Get-DistributionGroupMember West", made) == ["bob@contoso.com"]
    made = run("Update-DistributionGroupMember West -Members robert@contoso.com,john", made).organization
    assert plain(made, "DistributionGroup", "west@contoso.com")["Members"] == ["bob@contoso.com", "john@contoso.com"]


def test_what_is_made_again_as_it_is_stays(base: Organization) -> None:
    execution = run(BASE, base)
    assert diff(base, execution.organization) == ()


def test_enabling(base: Organization) -> None:
    made = run("Disable-OutboundConnector 'Connector 2'; Disable-TransportRule 'DL West'", base).organization
    assert names("Get-OutboundConnector | where Enabled -eq $false", made) == ["Connector 2"]
    assert run("Enable-OutboundConnector 'Connector 2'; Enable-TransportRule 'DL West'", made).organization == base


def test_what_if_says_powershells_sentence_and_changes_nothing(base: Organization) -> None:
    execution = run(
        "Remove-OutboundConnector 'Connector 2' -WhatIf -Confirm:$false\nSet-AcceptedDomain contoso.com -DomainType InternalRelay -WhatIf",
        base,
    )
    assert execution.organization is base
    first, second = (output.text for output in execution.outputs)
    assert first.startswith('What if: Performing the operation "Remove-OutboundConnector" on target "Connector 2".\n- OutboundConnector')
    assert "DomainType: (default) → InternalRelay" in second


def test_confirmed_is_what_says_so_everywhere(base: Organization) -> None:
    assert run("Remove-OutboundConnector 'Connector 2' -Confirm:$false", base).is_confirmed
    assert not run("Remove-OutboundConnector 'Connector 2' -Confirm:$false; New-AcceptedDomain a.example", base).is_confirmed
    assert not run("Get-AcceptedDomain").is_confirmed
    script = "Remove-OutboundConnector 'Connector 2' -WhatIf:$false; Set-OutboundConnector 'Site CA' -Comment x -Confirm:$false"
    assert not run(script, base).is_confirmed  # -WhatIf:$false removes it, and nobody confirmed that


# --- pipes


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("Where-Object {$_.IsTransportRuleScoped -eq $true}", ["Site CA"]),
        ("? {$_.IsTransportRuleScoped}", ["Site CA"]),
        ("where {-not $_.IsTransportRuleScoped -and $_.Name -like 'conn*'}", ["Connector 2"]),
        ("where Name -like *ca", ["Site CA"]),
        ("where RecipientDomains -contains contoso.com", ["Connector 2"]),
        ("where {$_.Name -in 'site ca','x'}", ["Site CA"]),
        ("where {!($_.Name -notlike 'S*') -or $_.Name -eq 'x'}", ["Site CA"]),
        ("sort Name -Descending", ["Site CA", "Connector 2"]),
        ("select -First 1", ["Connector 2"]),
        ("select -Skip 1", ["Site CA"]),
        ("ft Name", ["Connector 2", "Site CA"]),
        ("select Na*", ["Connector 2", "Site CA"]),
    ],
)
def test_pipes_choose(base: Organization, condition: str, wanted: list[str]) -> None:
    assert names(f"Get-OutboundConnector | {condition}", base) == wanted


def test_pipes_change(base: Organization) -> None:
    made = run("Get-OutboundConnector | ? {$_.Name -like 'Site*'} | Set-OutboundConnector -Comment here", base).organization
    assert connector("Get-AcceptedDomain", made, "Site CA")["Comment"] == "here"
    made = run(
        "Get-TransportRule | Remove-TransportRule -Confirm:$false; Get-OutboundConnector Site* | Remove-OutboundConnector", base
    ).organization
    assert (len(made.outbound_connectors), len(made.transport_rules)) == (1, 0)


def test_a_pipe_changes_one_object_after_the_other(base: Organization) -> None:
    """So none is lost under the name of another, and what follows from one change is there for the next."""
    (error,) = errors("Get-OutboundConnector | Set-OutboundConnector -Name Same", base)
    assert 'another one of this identity: OutboundConnector "Same"' in error
    (error,) = errors("Remove-OutboundConnector 'Connector 2','connector 2'", base)
    assert "there is no OutboundConnector" in error
    made = run(
        "New-AcceptedDomain a.example; New-AcceptedDomain b.example; Get-AcceptedDomain | Set-AcceptedDomain -MakeDefault $true", base
    )
    assert [domain.domain_name for domain in made.organization.accepted_domains if domain.default] == ["b.example"]
    rules = "".join(f"New-TransportRule {name} -Priority {number};" for number, name in enumerate("ABC"))
    made = run(f"{rules} Get-TransportRule | Set-TransportRule -Priority 0")
    assert {rule.name: rule.priority for rule in made.organization.transport_rules} == {"C": 0, "B": 1, "A": 2}


def test_formats(base: Organization) -> None:
    json, text, listed = run(
        "Get-AcceptedDomain | select DomainName | ConvertTo-Json\n(Get-AcceptedDomain).DomainName\nGet-AcceptedDomain | fl", base
    ).outputs
    assert (json.style, json.rows) == (Style.JSON, ({"DomainName": "contoso.com"},))
    assert text.text == "contoso.com"
    assert listed.style is Style.LIST
    assert run("Get-AcceptedDomain | Out-Null").outputs == ()
    assert tables("Get-OutboundConnector | measure", base)[0].rows == ({"Count": 2},)


def test_properties_that_only_exchange_has_are_empty(base: Organization) -> None:
    (output,) = tables("Get-OutboundConnector 'Site CA' | ft Name,IsValidated,WhenChanged", base)
    assert output.rows == ({"Name": "Site CA", "IsValidated": None, "WhenChanged": None},)
    assert "Did you mean SmartHosts?" in warnings("Get-OutboundConnector | ft Name,SmartHost", base)[0]


def test_names_with_stars(base: Organization) -> None:
    assert names("Get-OutboundConnector Con*", base) == ["Connector 2"]
    assert names("Get-OutboundConnector 'Site CA',*2,Con*", base) == ["Site CA", "Connector 2"]
    assert names("Get-OutboundConnector X*", base) == []


def test_recipients_of_all_kinds(base: Organization) -> None:
    assert set(names("Get-Recipient | select PrimarySmtpAddress", base)) == {"john@contoso.com", "bob@contoso.com", "west@contoso.com"}
    assert names("Get-Recipient robert@contoso.com", base) == ["bob@contoso.com"]


# --- limits


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is of another size, so that it is reached soon."""
    monkeypatch.setattr(values, "STEPS_LIMIT", 20_000)


@pytest.mark.usefixtures("few_steps")
def test_loops_within_loops_end() -> None:
    text = "$a = 1,2,3,4,5,6,7,8,9,10\n" + "".join(f"foreach ($x{n} in $a) {{ " for n in range(8)) + "'x'" + " }" * 8
    assert "does more than 20000 steps" in errors(text)[0]


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("line", ['$y = "$x"', "$y = $x -eq 'c'", "$y = 'c' -in $x"])
def test_long_lists_again_and_again_end(line: str) -> None:
    """Each line is short, and what it does is not."""
    text = "$x = 'a','b'\n" + "$x = $x,$x\n" * 9
    assert run(text).problems == ()
    assert "does more than 20000 steps" in errors(text + f"{line}\n" * 60)[0]


@pytest.mark.parametrize("line", ['$x = "$x$x"', "$x = $x,$x", "$x = @($x;$x)"])
def test_doubling_ends(line: str) -> None:
    assert errors("$x = 'abcdefgh','b'\n" + f"{line}\n" * 60)


def test_many_errors_are_cut() -> None:
    assert len(errors("Get-Nothing\n" * 10_000)) == 101


def test_what_must_not_be_done_is_not() -> None:
    assert "is no cmdlet" in errors("rm -rf /")[0]
    assert "Mailwye does not" in errors("& rm")[0]


def test_the_catalog_has_each_kind_of_the_schema() -> None:
    for kind in KINDS:
        for verb in ("Get", "New", "Set", "Remove"):
            assert f"{verb}-{kind}".lower() in catalog()
