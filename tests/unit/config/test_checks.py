from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailwye.config.checks import check_organization
from mailwye.config.installation import Installation, ListenerSettings, TlsFileSettings
from mailwye.config.merge import merge
from mailwye.config.parse import read_organization
from mailwye.config.problem import Severity
from mailwye.config.schema import Organization

DOMAINS = "AcceptedDomain: [{DomainName: contoso.com}, {DomainName: fabrikam.com}]\n"
OWN = "Name: x, ConnectorType: OnPremises, SenderIPAddresses: 192.0.2.1"
WAY = "UseMXRecord: false, SmartHosts: mail.contoso.com"
INSTALLATION = Installation(
    "mx.mailwye.example",
    Path("data"),
    (
        ListenerSettings("mx", "mx", "127.0.0.2", 2525),
        ListenerSettings("all", "mx", "0.0.0.0", 25),
        ListenerSettings("admin", "admin", "127.0.0.2", 8443),
    ),
    tls=TlsFileSettings(
        certificate=Path("mx.pem"),
        private_key=Path("mx.key"),
        client_certificates={"partner": (Path("p.pem"), Path("p.key"))},
        authorities={"own": (Path("own.pem"),)},
    ),
)


def findings(text: str, installation: Installation | None = None) -> list[tuple[Severity, str, str, str]]:
    parsed = read_organization(DOMAINS + text, "f.yaml")
    assert parsed.problems == ()
    assert parsed.value is not None
    found = check_organization(parsed.value, installation=installation, source=parsed)
    assert all(problem.remedy and problem.file == "f.yaml" and problem.line for problem in found)
    return [(problem.severity, problem.object, problem.field, problem.message) for problem in found]


def test_the_scenario_has_no_findings() -> None:
    parsed = read_organization(Path(__file__).resolve().parents[2] / "scenarios" / "contoso.yaml")
    assert parsed.value is not None
    assert check_organization(parsed.value, installation=INSTALLATION, source=parsed) == ()


INBOUND = [
    ("Name: x, ConnectorType: OnPremises", "", "identifies nobody"),
    ("Name: x, RequireTls: true, RestrictDomainsToIPAddresses: true", "RestrictDomainsToIPAddresses", "SenderIPAddresses is empty"),
    ("Name: x, RestrictDomainsToCertificate: true", "RestrictDomainsToCertificate", "TlsSenderCertificateName is empty"),
    ("Name: x, RequireTls: true, TreatMessagesAsInternal: true", "TreatMessagesAsInternal", "for OnPremises connectors only"),
    (
        (
            "Name: x, ConnectorType: OnPremises, TlsSenderCertificateName: a.contoso.com, CloudServicesMailEnabled: true, "
            "TreatMessagesAsInternal: true"
        ),
        "TreatMessagesAsInternal",
        "excludes CloudServicesMailEnabled",
    ),
    (f"{OWN}, AssociatedAcceptedDomains: other.com", "AssociatedAcceptedDomains", "other.com is not an accepted domain"),
    (f"{OWN}, TrustedAuthorities: own", "TrustedAuthorities", "has no effect without TlsSenderCertificateName"),
    (f"{OWN}, TlsSenderCertificatePins: {'ab' * 32}", "TlsSenderCertificatePins", "has no effect without TlsSenderCertificateName"),
    (
        "Name: x, ConnectorType: OnPremises, TlsSenderCertificateName: a.contoso.com, TrustedAuthorities: [own, other]",
        "TrustedAuthorities",
        "no [tls.authorities] of the name other",
    ),
    ("Name: x, ConnectorType: OnPremises, SenderIPAddresses: '::/0'", "SenderIPAddresses", "the whole Internet could relay"),
]
INBOUND_WARNINGS = [
    ("Name: x, RequireTls: false", "", "restricts nothing"),
    ("Name: x, RequireTls: true, SenderIPAddresses: 192.0.2.1", "SenderIPAddresses", "while RestrictDomainsToIPAddresses is false"),
    (f"{OWN}, RestrictDomainsToCertificate: true", "RestrictDomainsToCertificate", "is ignored"),
    (
        "Name: x, ConnectorType: OnPremises, TlsSenderCertificateName: a.foo.com",
        "TlsSenderCertificateName",
        "does not prove the organization",
    ),
    (
        "Name: x, ConnectorType: OnPremises, TlsSenderCertificateName: contoso.com, RequireTls: false",
        "RequireTls",
        "a certificate identifies only over TLS",
    ),
    ("Name: x, ConnectorType: OnPremises, SenderIPAddresses: 10.0.0.0/8", "SenderIPAddresses", "wide range"),
    (f"{OWN}, CloudServicesMailEnabled: true", "CloudServicesMailEnabled", "has no effect"),
    (f"{OWN}, EFSkipLastIP: true, EFSkipIPs: 10.0.0.1", "EFSkipIPs", "is ignored"),
    ("Name: x, RequireTls: true, EFSkipLastIP: true", "EFSkipLastIP", "nothing proves that the last hop is the gateway"),
]
ON_PREMISES = "Name: x, ConnectorType: OnPremises"
WITHOUT_TLS = [
    (f"{ON_PREMISES}, TlsSenderCertificateName: a.contoso.com", "TlsSenderCertificateName", "recognizes nobody"),
    (f"{ON_PREMISES}, SenderIPAddresses: 192.0.2.1, RequireTls: true", "RequireTls", "recognizes nobody"),
    (f"{ON_PREMISES}, SenderIPAddresses: 192.0.2.1", "", ""),
    (f"{ON_PREMISES}, TlsSenderCertificateName: a.contoso.com, Enabled: false", "", ""),
    ("Name: x, SenderDomains: [a.com, b.com], RequireTls: true", "RequireTls", "refuses all mail from a.com, b.com"),
    (
        "Name: x, TlsSenderCertificateName: a.com, RestrictDomainsToCertificate: true",
        "RestrictDomainsToCertificate",
        "refuses all mail from *",
    ),
    ("Name: x, SenderIPAddresses: 192.0.2.1, RestrictDomainsToIPAddresses: true", "", ""),
]
LOGIN = "SmartHostAuthMechanism: BasicAuthRequireTLS"
CREDENTIAL = "AuthenticationCredential: {UserName: a, Password: b}"
OUTBOUND = [
    (f"RecipientDomains: a.com, {WAY}, {CREDENTIAL}", "AuthenticationCredential", "is not used: SmartHostAuthMechanism is None"),
    (f"RecipientDomains: a.com, {WAY}, TlsSettings: CertificateValidation, {LOGIN}", "AuthenticationCredential", "is missing"),
    (f"RecipientDomains: a.com, {LOGIN}, {CREDENTIAL}", "SmartHostAuthMechanism", "needs SmartHosts"),
    ("RecipientDomains: a.com, UseMXRecord: false", "SmartHosts", "there is no way out"),
    ("RecipientDomains: a.com, SmartHosts: b.com", "UseMXRecord", "must be false where SmartHosts are given"),
    ("RecipientDomains: a.com, TlsSettings: DomainValidation", "TlsDomain", "is missing"),
    (f"ConnectorType: Partner, AllAcceptedDomains: true, {WAY}", "AllAcceptedDomains", "for OnPremises connectors only"),
    (
        f"ConnectorType: Partner, RouteAllMessagesViaOnPremises: true, {WAY}",
        "RouteAllMessagesViaOnPremises",
        "needs an OnPremises",
    ),
    (
        f"ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, AllAcceptedDomains: true, {WAY}",
        "RouteAllMessagesViaOnPremises",
        "loops together with AllAcceptedDomains",
    ),
    (
        f"ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, RecipientDomains: [contoso.com, '*'], {WAY}",
        "RouteAllMessagesViaOnPremises",
        "loops together with the accepted domain scope contoso.com",
    ),
    (
        f"ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, RecipientDomains: '*.com', {WAY}",
        "RouteAllMessagesViaOnPremises",
        "loops together with the accepted domain scope *.com",
    ),
    (
        f"ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, IsTransportRuleScoped: true, {WAY}",
        "RouteAllMessagesViaOnPremises",
        "excludes IsTransportRuleScoped",
    ),
    ("RecipientDomains: a.com, ClientCertificate: other", "ClientCertificate", "no client certificate of the name other"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: '127.0.0.2:2525'", "SmartHosts", "own listener mx"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: 127.9.9.9", "SmartHosts", "own listener all"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: mx.mailwye.example", "SmartHosts", "own listener all"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: '[mail.localhost]'", "SmartHosts", "own listener all"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: '[::ffff:127.0.0.2]:2525'", "SmartHosts", "own listener mx"),
    ("ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true", "UseMXRecord", "loops together with RouteAllMessagesViaOnPremises"),
]
OUTBOUND_WARNINGS = [
    (f"RecipientDomains: a.com, {WAY}, {LOGIN}, {CREDENTIAL}", "TlsSettings", "be given the password"),
    (f"RecipientDomains: a.com, {WAY}, TlsSettings: EncryptionOnly, {LOGIN}, {CREDENTIAL}", "TlsSettings", "be given the password"),
    ("RecipientDomains: a.com, TlsDomain: b.com", "TlsDomain", "is ignored while TlsSettings is null"),
    ("RecipientDomains: a.com, IsTransportRuleScoped: true", "RecipientDomains", "is ignored while IsTransportRuleScoped"),
    ("Enabled: true", "", "is never chosen: it has no scope"),
    ("RecipientDomains: a.com, TestMode: true", "TestMode", "carries no mail"),
    ("RecipientDomains: a.com, SenderRewritingEnabled: true", "SenderRewritingEnabled", "is ignored"),
    ("ConnectorType: OnPremises, RecipientDomains: contoso.com", "UseMXRecord", "where the MX record points at this installation"),
    ("ConnectorType: OnPremises, AllAcceptedDomains: true", "UseMXRecord", "all accepted domains"),
    ("RecipientDomains: a.com, CloudServicesMailEnabled: true", "CloudServicesMailEnabled", "never cross to a partner"),
    ("RecipientDomains: a.com, UseMXRecord: false, SmartHosts: contoso.com", "SmartHosts", "its MX record is looked up first"),
    ("RecipientDomains: contoso.com", "RecipientDomains", "only OnPremises connectors lead to its mailboxes"),
]
OTHERS = [
    ("Mailbox: {PrimarySmtpAddress: a@other.com}", Severity.ERROR, "PrimarySmtpAddress", "other.com is not an accepted domain"),
    ("DistributionGroup: {PrimarySmtpAddress: a@other.com, Members: a@x.com}", Severity.ERROR, "PrimarySmtpAddress", "not an accepted"),
    (
        "Mailbox: [{PrimarySmtpAddress: a@contoso.com, EmailAddresses: B@contoso.com}, {PrimarySmtpAddress: b@contoso.com}]",
        Severity.ERROR,
        "EmailAddresses",
        'B@contoso.com belongs to Mailbox "b@contoso.com"',
    ),
    (
        "Mailbox: {PrimarySmtpAddress: a@contoso.com, EmailAddresses: a@other.com}",
        Severity.WARNING,
        "EmailAddresses",
        "no mail for a@other.com is taken",
    ),
    (
        (
            "MailContact: [{PrimarySmtpAddress: a@contoso.com, ExternalEmailAddress: b@contoso.com}, "
            "{PrimarySmtpAddress: b@contoso.com, ExternalEmailAddress: a@other.com}]\nMailUser: []"
        ),
        None,
        "",
        "",
    ),
    ("MailContact: {ExternalEmailAddress: sun@example.net}", None, "", ""),
    ("DistributionGroup: {PrimarySmtpAddress: g@contoso.com}", Severity.WARNING, "Members", "the group is empty"),
    (
        "DistributionGroup: {PrimarySmtpAddress: g@contoso.com, Members: x@contoso.com}",
        Severity.WARNING,
        "Members",
        "is no known recipient",
    ),
    (
        "DistributionGroup: {PrimarySmtpAddress: g@contoso.com, Members: [g@contoso.com, sun@example.net]}",
        Severity.WARNING,
        "Members",
        "the group contains itself",
    ),
    (
        "MailUser: {PrimarySmtpAddress: john@fabrikam.com}",
        Severity.WARNING,
        "DomainName",
        "fabrikam.com has 1 mail user, but no OnPremises connector carries its mail",
    ),
    ("MailUser: {PrimarySmtpAddress: john@fabrikam.com, ExternalEmailAddress: john@example.net}", None, "", ""),
]


def only(found: list[tuple[Severity, str, str, str]], severity: Severity, field: str, message: str) -> bool:
    return len(found) == 1 and found[0][0] is severity and found[0][2] == field and message in found[0][3]


@pytest.mark.parametrize(("text", "field", "message"), INBOUND)
def test_errors_of_inbound_connectors(text: str, field: str, message: str) -> None:
    found = [entry for entry in findings(f"InboundConnector: {{{text}}}", INSTALLATION) if entry[0] is Severity.ERROR]
    assert only(found, Severity.ERROR, field, message), found


@pytest.mark.parametrize(("text", "field", "message"), WITHOUT_TLS)
def test_connectors_that_ask_for_tls_where_no_listener_offers_it(text: str, field: str, message: str) -> None:
    without = replace(INSTALLATION, tls=TlsFileSettings())
    one_listener = ListenerSettings("mx", "mx", "127.0.0.2", 2525, certificate=Path("mx.pem"), private_key=Path("mx.key"))
    said = [entry for entry in findings(f"InboundConnector: {{{text}}}", without) if "no listener" in entry[3]]
    assert [(severity, at) for severity, _, at, _ in said] == ([(Severity.WARNING, field)] if field else [])
    assert all(message in entry[3] for entry in said)
    for offering in (INSTALLATION, replace(without, listeners=(one_listener,))):
        assert not [entry for entry in findings(f"InboundConnector: {{{text}}}", offering) if "no listener" in entry[3]]


@pytest.mark.parametrize(("text", "field", "message"), INBOUND_WARNINGS)
def test_warnings_of_inbound_connectors(text: str, field: str, message: str) -> None:
    found = [entry for entry in findings(f"InboundConnector: {{{text}}}") if entry[2] == field]
    assert only(found, Severity.WARNING, field, message), found


@pytest.mark.parametrize(("text", "field", "message"), OUTBOUND)
def test_errors_of_outbound_connectors(text: str, field: str, message: str) -> None:
    whole = f"OutboundConnector: {{Name: x, {text}}}\nInboundConnector: {{{OWN}}}"
    found = [entry for entry in findings(whole, INSTALLATION) if entry[0] is Severity.ERROR]
    assert only(found, Severity.ERROR, field, message), found


@pytest.mark.parametrize(("text", "field", "message"), OUTBOUND_WARNINGS)
def test_warnings_of_outbound_connectors(text: str, field: str, message: str) -> None:
    found = findings(f"OutboundConnector: {{Name: x, {text}}}", INSTALLATION)
    assert only(found, Severity.WARNING, field, message), found


@pytest.mark.parametrize(("text", "severity", "field", "message"), OTHERS)
def test_domains_recipients_and_groups(text: str, severity: Severity | None, field: str, message: str) -> None:
    found = findings(text)
    assert only(found, severity, field, message) if severity is not None else found == [], found


def test_accepted_domains() -> None:
    parsed = read_organization(
        "AcceptedDomain: [{DomainName: a.com, Default: true}, {DomainName: b.com, Default: true, MatchSubDomains: true}]", "f.yaml"
    )
    assert parsed.value is not None
    found = check_organization(parsed.value, source=parsed)
    assert [(problem.object, problem.field, problem.severity) for problem in found] == [
        ('AcceptedDomain "b.com"', "Default", Severity.ERROR),
        ('AcceptedDomain "b.com"', "MatchSubDomains", Severity.ERROR),
    ]


def test_external_addresses_in_a_circle() -> None:
    found = findings(
        "MailUser: [{PrimarySmtpAddress: a@contoso.com, ExternalEmailAddress: b@contoso.com}, "
        "{PrimarySmtpAddress: b@contoso.com, ExternalEmailAddress: a@contoso.com}]"
    )
    assert [entry[2] for entry in found if entry[0] is Severity.ERROR] == ["ExternalEmailAddress", "ExternalEmailAddress"]


def test_groups_in_a_circle_through_aliases_and_a_deep_chain() -> None:
    entries = ["{PrimarySmtpAddress: g0@contoso.com, EmailAddresses: alias@contoso.com, Members: g1@contoso.com}"]
    entries += [f"{{PrimarySmtpAddress: g{n}@contoso.com, Members: g{n + 1}@contoso.com}}" for n in range(1, 900)]
    entries += ["{PrimarySmtpAddress: g900@contoso.com, Members: [alias@contoso.com, sun@example.net]}"]
    entries += ["{PrimarySmtpAddress: out@contoso.com, Members: g5@contoso.com}"]
    found = findings(f"DistributionGroup: [{', '.join(entries)}]")
    cyclic = [entry[1] for entry in found if "contains itself" in entry[3]]
    assert len(cyclic) == 901
    assert 'DistributionGroup "out@contoso.com"' not in cyclic


def test_a_group_and_a_contact_that_leads_back_to_it() -> None:
    found = findings(
        "DistributionGroup: {PrimarySmtpAddress: g@contoso.com, Members: [c@contoso.com, sun@example.net]}\n"
        "MailContact: {PrimarySmtpAddress: c@contoso.com, ExternalEmailAddress: g@contoso.com}"
    )
    assert only(found, Severity.WARNING, "Members", "the group contains itself")


CENTRALIZED = f"OutboundConnector: {{Name: x, ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, {WAY}}}\n"


@pytest.mark.parametrize(
    "inbound",
    ["", "InboundConnector: {Name: p, RequireTls: true}\n", f"InboundConnector: {{{OWN}, Enabled: false}}\n"],
    ids=["none", "partner only", "disabled"],
)
def test_centralized_transport_that_does_not_recognize_what_comes_back(inbound: str) -> None:
    found = [entry for entry in findings(CENTRALIZED + inbound) if entry[0] is Severity.ERROR]
    assert only(found, Severity.ERROR, "RouteAllMessagesViaOnPremises", "would be sent to them again"), found


@pytest.mark.parametrize(
    "text", [f"{CENTRALIZED}InboundConnector: {{{OWN}}}\n", CENTRALIZED.replace("Name: x", "Name: x, Enabled: false")], ids=["on", "off"]
)
def test_centralized_transport_that_is_whole_or_off(text: str) -> None:
    assert [entry for entry in findings(text) if entry[0] is Severity.ERROR] == []


@pytest.mark.parametrize(
    ("outbound", "inbound", "warned"),
    [
        ("RecipientDomains: '*', SmartHosts: 192.0.2.1", "SenderIPAddresses: 192.0.2.0/24", True),
        ("RecipientDomains: a.com, SmartHosts: mail.contoso.com", "TlsSenderCertificateName: '*.contoso.com'", True),
        ("RecipientDomains: '*', SmartHosts: 198.51.100.1", "SenderIPAddresses: 192.0.2.0/24", False),
        ("RecipientDomains: contoso.com, SmartHosts: 192.0.2.1", "SenderIPAddresses: 192.0.2.0/24", False),
        ("RecipientDomains: '*', SmartHosts: 192.0.2.1, IsTransportRuleScoped: true", "SenderIPAddresses: 192.0.2.0/24", False),
    ],
)
def test_outside_mail_that_goes_back_to_the_server_it_came_from(outbound: str, inbound: str, warned: bool) -> None:
    found = findings(
        f"OutboundConnector: {{Name: x, ConnectorType: OnPremises, UseMXRecord: false, {outbound}}}\n"
        f"InboundConnector: {{Name: y, ConnectorType: OnPremises, {inbound}}}"
    )
    assert any("is sent back to it" in entry[3] for entry in found) == warned, found


def scope_warnings(*connectors: str) -> list[tuple[str, str, str]]:
    text = ", ".join(f"{{{connector}, {WAY}}}" for connector in connectors)
    return [(label, field, message) for _, label, field, message in findings(f"OutboundConnector: [{text}]")]


def test_same_scope_twice_names_the_winner() -> None:
    found = scope_warnings(
        "Name: b, ConnectorType: OnPremises, RecipientDomains: [contoso.com, fabrikam.com]",
        "Name: A, ConnectorType: OnPremises, RecipientDomains: contoso.com",
    )
    assert found == [('OutboundConnector "b"', "RecipientDomains", '"A" has the scope contoso.com too and wins')]


def test_a_connector_that_is_never_chosen() -> None:
    found = scope_warnings(
        "Name: b, ConnectorType: OnPremises, RecipientDomains: example.net",
        "Name: c, ConnectorType: Partner, RecipientDomains: example.net",
    )
    assert found == [
        ('OutboundConnector "b"', "RecipientDomains", '"c" has the scope example.net too and wins, so this connector is never chosen')
    ]


def test_wildcards_of_both_types_serve_inside_and_outside() -> None:
    assert (
        scope_warnings(
            "Name: b, ConnectorType: OnPremises, RecipientDomains: '*.contoso.com'",
            "Name: c, ConnectorType: Partner, RecipientDomains: '*.contoso.com'",
        )
        == []
    )


def test_all_accepted_domains_that_never_count() -> None:
    found = scope_warnings(
        "Name: a, ConnectorType: OnPremises, AllAcceptedDomains: true",
        "Name: b, ConnectorType: OnPremises, RecipientDomains: [contoso.com, fabrikam.com]",
        "Name: c, ConnectorType: OnPremises, AllAcceptedDomains: true",
    )
    assert [(label, field) for label, field, _ in found] == [
        ('OutboundConnector "a"', "AllAcceptedDomains"),
        ('OutboundConnector "c"', "AllAcceptedDomains"),
    ]


def test_disabled_connectors_claim_nothing() -> None:
    assert (
        scope_warnings(
            "Name: a, ConnectorType: OnPremises, RecipientDomains: contoso.com, Enabled: false",
            "Name: b, ConnectorType: OnPremises, RecipientDomains: contoso.com",
        )
        == []
    )


def test_two_inbound_connectors_for_the_same_servers() -> None:
    found = findings(f"InboundConnector: [{{{OWN}}}, {{{OWN.replace('x', 'A')}}}]")
    assert [(entry[1], entry[0]) for entry in found] == [('InboundConnector "x"', Severity.WARNING)]


def test_an_internal_relay_domain_needs_a_connector() -> None:
    parsed = read_organization("AcceptedDomain: {DomainName: a.com, DomainType: InternalRelay}")
    assert parsed.value is not None
    (found,) = check_organization(parsed.value)
    assert "unknown recipients to relay" in found.message
    assert (found.file, found.line) == ("", 0)


def test_subdomains_of_an_internal_relay_domain_need_a_connector_too() -> None:
    text = "AcceptedDomain: {DomainName: a.com, DomainType: InternalRelay, MatchSubDomains: true}\nOutboundConnector: "
    only_apex = read_organization(text + f"{{Name: x, ConnectorType: OnPremises, RecipientDomains: a.com, {WAY}}}").value
    assert only_apex is not None
    (found,) = check_organization(only_apex)
    assert (found.field, found.severity) == ("MatchSubDomains", Severity.WARNING)
    both = read_organization(text + f"{{Name: x, ConnectorType: OnPremises, RecipientDomains: [a.com, '*.a.com'], {WAY}}}").value
    assert both is not None
    assert check_organization(both) == ()


def test_findings_in_a_merged_organization_name_lines_of_the_file_only() -> None:
    parsed = read_organization("OutboundConnector:\n  - Name: new\n", "f.yaml")
    assert parsed.value is not None
    active = read_organization("OutboundConnector: {Name: old}")
    assert active.value is not None
    found = check_organization(merge(active.value, parsed.value), source=parsed)
    assert [str(problem).partition(" is never")[0] for problem in found] == [
        'f.yaml:2: OutboundConnector "new":',
        'OutboundConnector "old":',
    ]


def test_duplicates_are_found_without_a_file() -> None:
    one = read_organization("OutboundConnector: {Name: a, RecipientDomains: x.com}").value
    assert one is not None
    twice = Organization(outbound_connectors=(*one.outbound_connectors, *one.outbound_connectors))
    found = check_organization(twice)
    assert "there is another one of this identity" in found[0].message


def test_many_findings_are_counted_and_errors_are_never_crowded_out_by_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwye.config.checks.findings.FINDINGS_LIMIT", 2)
    users = ", ".join(f"{{Name: c{n}}}" for n in range(5))
    parsed = read_organization(f"OutboundConnector: [{users}, {{Name: last, UseMXRecord: false, RecipientDomains: a.com}}]", "f.yaml")
    assert parsed.value is not None
    found = check_organization(parsed.value, source=parsed)
    assert [problem.severity for problem in found if problem.is_error] == [Severity.ERROR]
    assert str(found[-1]) == "f.yaml: 3 more warnings are not shown. Correct these first."
    assert found[-1].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("default", "warned"), [("", ['OutboundConnector "x"', "Organization"]), (", Default: true", [])], ids=["no default", "default"]
)
def test_senders_are_rewritten_to_the_default_domain(default: str, warned: list[str]) -> None:
    parsed = read_organization(
        f"AcceptedDomain: [{{DomainName: contoso.com{default}}}]\nOrganization: {{SenderRewritingEnabled: true}}\n"
        f"OutboundConnector: {{Name: x, ConnectorType: OnPremises, RecipientDomains: a.com, {WAY}, SenderRewritingEnabled: true}}",
        "f.yaml",
    )
    assert parsed.value is not None
    found = check_organization(parsed.value, source=parsed)
    assert sorted(problem.object for problem in found if problem.field == "SenderRewritingEnabled") == sorted(warned)


def test_connectors_that_trust_different_authorities_identify_different_servers() -> None:
    both = "ConnectorType: OnPremises, TlsSenderCertificateName: '*.contoso.com'"
    text = f"InboundConnector: [{{Name: a, {both}}}, {{Name: b, {both}, TrustedAuthorities: own}}]\n"
    assert findings(text, INSTALLATION) == []


def test_a_policy_that_nobody_serves_is_warned_of(tmp_path: Path) -> None:
    parsed = read_organization("AcceptedDomain: [{DomainName: a.com, MtaStsMode: enforce}, {DomainName: b.com}]", "f.yaml")
    assert parsed.value is not None
    for kind, warned in (("mx", ["MtaStsMode"]), ("https", [])):
        installation = Installation("mx.a.com", tmp_path, (ListenerSettings("one", kind, "127.0.0.1", 0),))
        found = check_organization(parsed.value, installation=installation, source=parsed)
        assert [problem.field for problem in found] == warned
