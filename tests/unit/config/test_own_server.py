"""SendConnector and ReceiveConnector from the file to the snapshot: Exchange's values, and what is refused with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.config.checks import check_organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.export import from_json, to_json, to_yaml
from mailwye.config.installation import Installation, ListenerSettings
from mailwye.config.merge import merge
from mailwye.config.parse import read_organization, validate_object
from mailwye.config.problem import Problem
from mailwye.config.schema import Organization, ReceiveConnector, SendConnector, field_names
from mailwye.config.secrets import seal_secrets
from mailwye.connectors.model import ConnectorType, SmartHost, TlsSettings
from mailwye.connectors.own_server import UNLIMITED, PermissionGroup
from mailwye.connectors.own_server import SendConnector as Compiled
from tests.unit.config.test_secrets import Caesar

DOMAINS = "AcceptedDomain: [{DomainName: contoso.com}]\n"
PAGE = """
SendConnector:
  - Name: My company to Office 365
    AddressSpaces: "*"
    CloudServicesMailEnabled: true
    Fqdn: mail.contoso.com
    RequireTLS: true
    DNSRoutingEnabled: false
    SmartHosts: contoso-com.mail.protection.outlook.com
    TlsAuthLevel: CertificateValidation
ReceiveConnector:
  - Name: Default Frontend EX1
    Bindings: 0.0.0.0:25
    TlsCertificateName: <I>CN=Contoso CA<S>CN=mail.contoso.com
    TlsDomainCapabilities: mail.protection.outlook.com:AcceptCloudServicesMail
    PermissionGroups: AnonymousUsers
"""
INSTALLATION = Installation(
    "mail.contoso.com",
    Path("data"),
    (
        ListenerSettings("mx", "mx", "0.0.0.0", 25),
        ListenerSettings("users", "submission", "0.0.0.0", 587),
        ListenerSettings("admin", "admin", "127.0.0.1", 8443),
    ),
)


def read(text: str) -> Organization:
    parsed = read_organization(text, "f.yaml")
    assert parsed.problems == (), "\n".join(map(str, parsed.problems))
    assert parsed.value is not None
    return parsed.value


def problems(text: str) -> list[Problem]:
    """Of reading and of the checks, all with place and remedy."""
    parsed = read_organization(DOMAINS + text, "f.yaml")
    found = list(parsed.problems)
    if parsed.value is not None:
        found += check_organization(parsed.value, installation=INSTALLATION, source=parsed)
    assert all(problem.remedy and problem.file == "f.yaml" and problem.line for problem in found)
    return found


def test_the_page_s_values_have_no_findings() -> None:
    assert [str(problem) for problem in problems(PAGE)] == []


def test_the_page_s_values_compiled() -> None:
    snapshot = compile_snapshot(read(DOMAINS + PAGE), 1)
    (send,) = snapshot.connectors.outbound
    assert isinstance(send, Compiled)
    assert (send.connector_type, send.recipient_domains, send.use_mx_record) == (ConnectorType.ON_PREMISES, ("*",), False)
    assert send.smart_hosts == (SmartHost("contoso-com.mail.protection.outlook.com"),)
    assert (send.tls_settings, send.tls_domain, send.client_certificate) == (
        TlsSettings.CERTIFICATE_VALIDATION,
        "",
        "<FQDN>mail.contoso.com",
    )
    assert (send.fqdn, send.cloud_services_mail_enabled, send.max_message_size) == ("mail.contoso.com", True, 36_700_160)
    table = snapshot.connectors.receive
    assert table is not None
    (receive,) = table.connectors
    assert receive.cloud_services_domains == ("mail.protection.outlook.com",)
    assert receive.certificate_choice == "<I>CN=Contoso CA<S>CN=mail.contoso.com"
    assert receive.permission_groups == (PermissionGroup.ANONYMOUS_USERS,)
    assert (receive.max_hop_count, receive.max_message_size, receive.connection_timeout) == (30, 37_748_736, 600.0)


def test_exchange_server_s_spelling_goes_out_and_comes_back() -> None:
    organization = read(DOMAINS + PAGE)
    assert from_json(to_json(organization)) == organization
    written = to_yaml(organization)
    assert read(written) == organization
    for line in ("RequireTLS: true", "DNSRoutingEnabled: false", "TlsAuthLevel: CertificateValidation", "- 0.0.0.0:25"):
        assert line in written
    assert "MaxMessageSize" not in written
    assert {"RequireTLS", "DNSRoutingEnabled", "AddressSpaces"} <= set(field_names(SendConnector))
    assert {"RemoteIPRanges", "RequireTLS", "MaxHopCount"} <= set(field_names(ReceiveConnector))


RELAY = "AddressSpaces: '*', DNSRoutingEnabled: false, SmartHosts: relay.example:587"
LOGIN = "SmartHostAuthMechanism: BasicAuthRequireTLS"
CREDENTIAL = "AuthenticationCredential: {UserName: apikey, Password: secret}"
VALIDATED = "RequireTLS: true, TlsAuthLevel: DomainValidation, TlsDomain: relay.example"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (f"{RELAY}, {VALIDATED}, {LOGIN}, {CREDENTIAL}", []),
        (f"{RELAY}, {VALIDATED}, {CREDENTIAL}", [("AuthenticationCredential", "is not used")]),
        (f"{RELAY}, {VALIDATED}, {LOGIN}", [("AuthenticationCredential", "is missing")]),
        (f"{LOGIN}, {CREDENTIAL}", [("SmartHostAuthMechanism", "needs SmartHosts: with DNSRoutingEnabled the password")]),
        (f"{RELAY}, {LOGIN}, {CREDENTIAL}", [("TlsAuthLevel", "does not ask for a certificate")]),
        (f"{RELAY}, RequireTLS: true, {LOGIN}, {CREDENTIAL}", [("TlsAuthLevel", "does not ask for a certificate")]),
        (f"{RELAY}, {VALIDATED}, SmartHostAuthMechanism: BasicAuth", [("SmartHostAuthMechanism", "would send the password over plain")]),
    ],
)
def test_a_send_connector_that_logs_in(fields: str, expected: list[tuple[str, str]]) -> None:
    found = problems(one("SendConnector", fields))
    assert [(problem.field, words in problem.message) for problem, (_, words) in zip(found, expected, strict=True)] == [
        (field, True) for field, _ in expected
    ]
    assert "secret" not in "".join(map(str, found))


def test_the_credential_of_a_send_connector_is_bound_to_it() -> None:
    parsed = read_organization(one("SendConnector", f"{RELAY}, {VALIDATED}, {LOGIN}, {CREDENTIAL}"), "f.yaml")
    sealed, problems_of_it = seal_secrets(Organization(), parsed, Caesar())
    assert problems_of_it == []
    assert sealed.value is not None
    (send,) = compile_snapshot(sealed.value, 1).connectors.outbound
    assert send.login is not None
    assert (send.login.user_name, send.login.owner) == ("apikey", "SendConnector:x")
    assert Caesar().open(send.login.sealed_password, send.login.owner) == "secret"
    assert "secret" not in to_yaml(sealed.value)


def test_no_receive_connector_is_no_table() -> None:
    assert compile_snapshot(read(DOMAINS), 1).connectors.receive is None


def one(kind: str, fields: str) -> str:
    """An object with what it needs beside `fields`."""
    needed = {
        "SendConnector": {"AddressSpaces": "'*'"},
        "ReceiveConnector": {"Bindings": "0.0.0.0:25", "PermissionGroups": "AnonymousUsers"},
    }[kind]
    more = "".join(f"{key}: {value}, " for key, value in needed.items() if f"{key}:" not in fields)
    return f"{kind}: {{Name: x, {more}{fields}}}"


@pytest.mark.parametrize(
    ("written", "spaces"),
    [
        ("'*'", ["*"]),
        ("contoso.com", ["contoso.com"]),
        ("['SMTP:Contoso.com;1', '*.fabrikam.com;5', 'smtp:*.com;100']", ["*.com;100", "contoso.com", "*.fabrikam.com;5"]),
        ("'contoso.com, fabrikam.com;2'", ["contoso.com", "fabrikam.com;2"]),
        ("[contoso.com, 'contoso.com;1']", ["contoso.com"]),
    ],
)
def test_address_spaces(written: str, spaces: list[str]) -> None:
    organization = read(f"SendConnector: {{Name: x, AddressSpaces: {written}}}")
    assert [str(space) for space in organization.send_connectors[0].address_spaces] == spaces
    assert read(to_yaml(organization)) == organization


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("'--'", "all accepted domains"),
        ("'X400:c=US'", "only SMTP is known"),
        ("'*contoso.com'", "wildcard in the wrong place"),
        ("'contoso.com;0'", "no usable cost"),
        ("'contoso.com;101'", "no usable cost"),
        ("'contoso.com;'", "no usable cost"),
        (f"'contoso.com;{'1' * 5000}'", "no usable cost"),
        ("[contoso.com, 'contoso.com;5']", "is given with the costs 1 and 5"),
        ("[]", "is empty"),
        ("a_b@c", ""),
    ],
)
def test_address_spaces_that_are_none(written: str, words: str) -> None:
    (problem,) = problems(f"SendConnector: {{Name: x, AddressSpaces: {written}}}")
    assert problem.is_error
    assert words in problem.message
    assert problem.field.startswith("AddressSpaces")


@pytest.mark.parametrize(
    ("field", "written", "value", "again"),
    [
        ("MaxMessageSize", "35MB", 36_700_160, None),
        ("MaxMessageSize", "unlimited", UNLIMITED, "unlimited"),
        ("MaxMessageSize", "10 mb", 10_485_760, "10MB"),
        ("MaxMessageSize", "'25 MB (26,214,400 bytes)'", 26_214_400, "25MB"),
        ("MaxMessageSize", "1000001", 1_000_001, 1_000_001),
        ("MaxMessageSize", "64KB", 65_536, "64KB"),
        ("MaxMessageSize", "1GB", 1 << 30, "1GB"),
    ],
)
def test_sizes(field: str, written: str, value: int, again: object) -> None:
    organization = read(one("SendConnector", f"{field}: {written}"))
    assert organization.send_connectors[0].max_message_size == value
    assert read(to_yaml(organization)) == organization
    assert organization.send_connectors[0].plain(defaults=False).get(field) == again


@pytest.mark.parametrize(
    ("written", "seconds", "again"),
    [("00:10:00", 600.0, None), ("00:20:05", 1205.0, "00:20:05"), ("1.00:00:00", 86_400.0, "1.00:00:00"), ("900", 900.0, "00:15:00")],
)
def test_time_spans(written: str, seconds: float, again: object) -> None:
    organization = read(one("ReceiveConnector", f"ConnectionTimeout: {written}"))
    receive = organization.receive_connectors[0]
    assert receive.connection_timeout == seconds
    assert receive.plain(defaults=False).get("ConnectionTimeout") == again
    assert read(to_yaml(organization)) == organization


@pytest.mark.parametrize(
    "fields",
    [
        "PermissionGroups: 'AnonymousUsers, ExchangeServers', AuthMechanism: 'Tls, BasicAuth'",
        "PermissionGroups: None, AuthMechanism: None",
        "Bindings: ['[::]:25', '192.0.2.1:2525', ':::26']",
        "RemoteIPRanges: [192.168.0.1-192.168.0.24, 10.0.0.0/8, '2001:db8::/32']",
        "RemoteIPRanges: 0.0.0.0-255.255.255.255",
        "MaxProtocolErrors: unlimited, MaxInboundConnection: unlimited, MaxInboundConnectionPerSource: unlimited",
        "MaxHopCount: 60, MaxRecipientsPerMessage: 5000, MaxMessageSize: 64MB, Fqdn: Mail.Contoso.com",
        "TlsDomainCapabilities: ['*.protection.outlook.com:acceptcloudservicesmail', fabrikam.com:AcceptCloudServicesMail]",
    ],
)
def test_values_of_receive_connectors_come_back(fields: str) -> None:
    organization = read(one("ReceiveConnector", fields))
    assert read(to_yaml(organization)) == organization
    assert from_json(to_json(organization)) == organization


READING = [
    ("SendConnector", "MaxMessageSize: big", "MaxMessageSize", "is no size"),
    ("SendConnector", "MaxMessageSize: 0", "MaxMessageSize", "must be from 1"),
    ("SendConnector", "MaxMessageSize: 3GB", "MaxMessageSize", "must be from"),
    ("SendConnector", "Port: 0", "Port", "must be a number from 1 to 65535"),
    ("SendConnector", "TlsCertificateName: mail.contoso.com", "TlsCertificateName", "is not <I>issuer<S>subject"),
    ("SendConnector", "TlsAuthLevel: Everything", "TlsAuthLevel", "is none of its values"),
    ("SendConnector", "Fqdn: a b", "Fqdn", ""),
    ("SendConnector", "SourceTransportServers: EX1", "SourceTransportServers", "a setting of Exchange that does not exist here"),
    ("SendConnector", "IgnoreSTARTTLS: true", "IgnoreSTARTTLS", "does not exist here"),
    ("SendConnector", "RecipientDomains: '*'", "RecipientDomains", "is no setting that Mailwye knows"),
    ("ReceiveConnector", "MaxMessageSize: unlimited", "MaxMessageSize", "is no size"),
    ("ReceiveConnector", "MaxHopCount: 501", "MaxHopCount", "from 1 to 500"),
    ("ReceiveConnector", "MaxHopCount: unlimited", "MaxHopCount", "from 1 to 500"),
    ("ReceiveConnector", f"MaxHopCount: '{'1' * 5000}'", "MaxHopCount", "from 1 to 500"),
    ("ReceiveConnector", "MaxProtocolErrors: -1", "MaxProtocolErrors", "or unlimited"),
    ("ReceiveConnector", "ConnectionTimeout: soon", "ConnectionTimeout", "is no time span"),
    ("ReceiveConnector", "ConnectionTimeout: 2.00:00:00", "ConnectionTimeout", "must be from 00:00:01"),
    ("ReceiveConnector", f"ConnectionTimeout: '{'1' * 5000}'", "ConnectionTimeout", "must be from 00:00:01"),
    ("ReceiveConnector", "Bindings: '25'", "Bindings", "is no address with a port"),
    ("ReceiveConnector", "Bindings: mail.contoso.com:25", "Bindings", "is no address with a port"),
    ("ReceiveConnector", "Bindings: 0.0.0.0:0", "Bindings", "is no address with a port"),
    ("ReceiveConnector", "RemoteIPRanges: []", "RemoteIPRanges", "is empty"),
    ("ReceiveConnector", "RemoteIPRanges: office", "RemoteIPRanges", "neither an IP address nor"),
    ("ReceiveConnector", "TlsDomainCapabilities: mail.protection.outlook.com", "TlsDomainCapabilities", "names no capability"),
    ("ReceiveConnector", "TlsDomainCapabilities: a.com:AcceptOorgProtocol", "TlsDomainCapabilities", "does not exist here"),
    ("ReceiveConnector", "TlsDomainCapabilities: NO-TLS:AcceptCloudServicesMail", "TlsDomainCapabilities", "NO-TLS trusts anybody"),
    ("ReceiveConnector", "TlsDomainCapabilities: '*.com:AcceptCloudServicesMail'", "TlsDomainCapabilities", "anybody's certificate"),
    ("ReceiveConnector", "PermissionGroups: Custom", "PermissionGroups", "rights of single accounts"),
    ("ReceiveConnector", "PermissionGroups: [None, AnonymousUsers]", "PermissionGroups", "None stands beside other values"),
    ("ReceiveConnector", "PermissionGroups: Everyone", "PermissionGroups", "is none of its values"),
    ("ReceiveConnector", "AuthMechanism: ExternalAuthoritative", "AuthMechanism", "would take everybody in RemoteIPRanges"),
    ("ReceiveConnector", "TransportRole: FrontendTransport", "TransportRole", "does not exist here"),
]


@pytest.mark.parametrize(("kind", "fields", "field", "words"), READING)
def test_values_that_are_none(kind: str, fields: str, field: str, words: str) -> None:
    found = problems(one(kind, fields))
    assert [problem.is_error for problem in found] == [True]
    assert words in found[0].message
    assert found[0].field.startswith(field)
    assert found[0].remedy


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1.5])
def test_fractions_are_no_time_span(value: float) -> None:
    """JSON has 1e400, which Python reads as infinity."""
    data = {"Name": "x", "Bindings": "0.0.0.0:25", "ConnectionTimeout": value}
    found, (problem,) = validate_object("ReceiveConnector", data)
    assert found is None
    assert "is no time span" in problem.message


SMART = "DNSRoutingEnabled: false, SmartHosts: a.example"
TLS = f"RequireTLS: true, {SMART}"
ERRORS = [
    # the page's last snippet
    ("SendConnector", "SmartHosts: a.example", "DNSRoutingEnabled", "must be false where SmartHosts are given"),
    ("SendConnector", "DNSRoutingEnabled: false", "SmartHosts", "there is no way out"),
    ("SendConnector", f"TlsAuthLevel: EncryptionOnly, {SMART}", "TlsAuthLevel", "needs RequireTLS true"),
    ("SendConnector", f"TlsAuthLevel: DomainValidation, {TLS}", "TlsDomain", "is missing"),
    ("SendConnector", "DNSRoutingEnabled: false, SmartHosts: '127.0.0.1'", "SmartHosts", "own listener mx"),
    ("SendConnector", "DNSRoutingEnabled: false, SmartHosts: mail.contoso.com, Port: 587", "SmartHosts", "own listener users"),
    ("ReceiveConnector", "Bindings: '[::]:25'", "Bindings", '[::]:25 is no listener of the installation; those that take mail: "mx"'),
    ("ReceiveConnector", "Bindings: 127.0.0.1:8443", "Bindings", "is no listener"),
    ("ReceiveConnector", "AuthMechanism: None, RequireTLS: true", "AuthMechanism", "lacks Tls, which RequireTLS needs"),
    ("ReceiveConnector", "AuthMechanism: [Tls, BasicAuthRequireTLS]", "AuthMechanism", "needs BasicAuth and Tls"),
    ("ReceiveConnector", "AuthMechanism: None, TlsDomainCapabilities: a.com:AcceptCloudServicesMail", "AuthMechanism", "certificates"),
    ("ReceiveConnector", "ConnectionTimeout: 00:05:00", "ConnectionInactivityTimeout", "must be less than ConnectionTimeout"),
]  # fmt: skip
WARNINGS = [
    ("SendConnector", f"TlsDomain: a.example, {TLS}", "TlsDomain", "is ignored"),
    ("SendConnector", f"CloudServicesMailEnabled: true, {SMART}", "CloudServicesMailEnabled", "RequireTLS is false"),
    ("SendConnector", "CloudServicesMailEnabled: true, RequireTLS: true", "CloudServicesMailEnabled", "cross to every domain"),
    ("SendConnector", "AddressSpaces: contoso.com", "DNSRoutingEnabled", "where the MX record points at this installation"),
    ("SendConnector", "DNSRoutingEnabled: false, SmartHosts: contoso.com", "SmartHosts", "its MX record is looked up first"),
    ("SendConnector", "Port: 26", "Port", "has no effect"),
    ("ReceiveConnector", "PermissionGroups: None", "PermissionGroups", "nobody may send"),
    ("ReceiveConnector", "PermissionGroups: [AnonymousUsers, ExchangeLegacyServers]", "PermissionGroups", "means nothing here"),
    ("ReceiveConnector", "PermissionGroups: [AnonymousUsers, ExchangeUsers]", "PermissionGroups", "nobody can log in"),
    ("ReceiveConnector", "AuthMechanism: [Tls, BasicAuth]", "AuthMechanism", "they may not send"),
    ("ReceiveConnector", "AuthMechanism: [Tls, Integrated]", "AuthMechanism", "is not offered here"),
    ("ReceiveConnector", "MaxMessageSize: 100MB", "MaxMessageSize", "message_size = 36700160 in [limits]"),
    ("ReceiveConnector", "MaxInboundConnectionPerSource: unlimited", "MaxInboundConnectionPerSource", "connections_per_address = 100"),
    ("ReceiveConnector", "Bindings: 0.0.0.0:587", "AuthMechanism", "is for mailbox users"),
]


@pytest.mark.parametrize(("kind", "fields", "field", "words"), ERRORS)
def test_errors(kind: str, fields: str, field: str, words: str) -> None:
    found = [problem for problem in problems(one(kind, fields)) if problem.is_error]
    assert [(problem.field, words in problem.message) for problem in found] == [(field, True)], [str(problem) for problem in found]


@pytest.mark.parametrize(("kind", "fields", "field", "words"), WARNINGS)
def test_warnings(kind: str, fields: str, field: str, words: str) -> None:
    found = problems(one(kind, fields))
    assert not any(problem.is_error for problem in found), [str(problem) for problem in found]
    assert [problem.field for problem in found if words in problem.message] == [field], [str(problem) for problem in found]


def test_two_connectors_for_the_same_sessions() -> None:
    both = "Bindings: 0.0.0.0:25, PermissionGroups: AnonymousUsers"
    found = problems(f"ReceiveConnector: [{{Name: a, {both}}}, {{Name: b, {both}}}]")
    assert [(problem.object, problem.field) for problem in found] == [('ReceiveConnector "b"', "RemoteIPRanges")]
    narrow = problems(f"ReceiveConnector: [{{Name: a, {both}}}, {{Name: b, {both}, RemoteIPRanges: 10.0.0.0/8}}]")
    assert narrow == []


def test_costs_make_a_backup_that_nobody_warns_of() -> None:
    smart = "DNSRoutingEnabled: false, SmartHosts: a.example"
    same = problems(f"SendConnector: [{{Name: a, AddressSpaces: '*', {smart}}}, {{Name: b, AddressSpaces: '*', {smart}}}]")
    assert ["wins, so this connector is never chosen" in problem.message for problem in same] == [True]
    costly = problems(f"SendConnector: [{{Name: a, AddressSpaces: '*', {smart}}}, {{Name: b, AddressSpaces: '*;5', {smart}}}]")
    assert costly == []


def test_one_name_is_one_way_out() -> None:
    found = problems("OutboundConnector: {Name: Out, RecipientDomains: a.com}\nSendConnector: {Name: OUT, AddressSpaces: b.com}")
    assert ["another one of this identity" in problem.message for problem in found] == [True]
    merged = merge(
        read("OutboundConnector: {Name: Out, RecipientDomains: a.com}"), read("SendConnector: {Name: OUT, AddressSpaces: b.com}")
    )
    assert (len(merged.outbound_connectors), len(merged.send_connectors)) == (0, 1)


def test_the_port_of_the_connector_is_for_hosts_that_name_none() -> None:
    organization = read(one("SendConnector", "DNSRoutingEnabled: false, Port: 587, SmartHosts: [a.example, 'b.example:26']"))
    (send,) = compile_snapshot(organization, 1).connectors.outbound
    assert send.smart_hosts == (SmartHost("a.example", 587), SmartHost("b.example", 26, look_up_mx=False))


def test_require_tls_without_a_level_takes_any_certificate() -> None:
    (send,) = compile_snapshot(read(one("SendConnector", "RequireTLS: true")), 1).connectors.outbound
    assert send.tls_settings is TlsSettings.ENCRYPTION_ONLY
