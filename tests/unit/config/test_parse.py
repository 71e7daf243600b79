from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mailwye.config.export import from_json, to_json, to_yaml
from mailwye.config.installation.file import read_installation
from mailwye.config.parse import read_organization, validate_object
from mailwye.config.problem import Severity
from mailwye.connectors.model import ConnectorType, SmartHost, TlsSettings
from mailwye.directory.model import DomainType, MtaStsMode

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_organization(text, "f.yaml").problems]


def test_the_scenario_installation_is_accepted_as_it_stands() -> None:
    parsed = read_installation(SCENARIOS / "mailwye.toml")
    assert parsed.problems == ()
    installation = parsed.value
    assert installation is not None
    assert installation.hostname == "mx.mailwye.example"
    assert installation.data_directory == SCENARIOS / "data"
    assert installation.workers == 2
    assert [(listener.name, listener.kind, listener.address, listener.port) for listener in installation.listeners] == [
        ("mx", "mx", "127.0.0.2", 2525),
        ("submission", "submission", "127.0.0.2", 2587),
        ("admin", "admin", "127.0.0.2", 8443),
    ]
    assert installation.tls.trusted_authorities == (SCENARIOS / "ca.pem",)
    assert installation.dns.nameservers == ("127.0.0.1:5353",)
    assert installation.limits.message_size == 36_700_160


def test_the_scenario_organization_is_accepted_as_it_stands() -> None:
    parsed = read_organization(SCENARIOS / "contoso.yaml")
    assert parsed.problems == ()
    organization = parsed.value
    assert organization is not None
    assert organization.name == "contoso"
    assert [domain.domain_name for domain in organization.accepted_domains] == [
        "contoso.com",
        "sales.contoso.com",
        "fabrikam.com",
        "contoso.onmicrosoft.com",
    ]
    assert organization.accepted_domains[0].default
    first, second, third = organization.outbound_connectors
    assert first.tls_settings is TlsSettings.DOMAIN_VALIDATION
    assert first.smart_hosts == (SmartHost("mail.contoso.com"),)
    assert second.smart_hosts == (SmartHost("127.0.0.10", 2510, look_up_mx=False),)
    assert third.recipient_domains == ("*.contoso.com",)
    assert organization.inbound_connectors[0].connector_type is ConnectorType.ON_PREMISES


def test_reading_is_case_insensitive_for_keys_and_values() -> None:
    parsed = read_organization(
        """
        accepteddomain: {domainname: CONTOSO.com., domaintype: INTERNALRELAY, matchsubdomains: true}
        OUTBOUNDCONNECTOR:
          - {name: A, tlssettings: encryptiononly, usemxrecord: false, smarthosts: mail.contoso.com, connectortype: onpremises}
        """
    )
    assert parsed.problems == ()
    assert parsed.value is not None
    assert parsed.value.accepted_domains[0].domain_name == "contoso.com"
    assert parsed.value.accepted_domains[0].domain_type is DomainType.INTERNAL_RELAY
    assert parsed.value.outbound_connectors[0].tls_settings is TlsSettings.ENCRYPTION_ONLY


def test_all_errors_are_told_at_once_each_with_line_object_field_and_remedy() -> None:
    text = (
        "Organisation: {Name: x}\n"
        "AcceptedDomain:\n"
        "  - {DomainName: contoso.com, DomainType: Authoritive}\n"
        "  - DomainName: '*.foo.com'\n"
        "OutboundConnector:\n"
        "  - Name: Connector 1\n"
        "    Enabled: yes\n"
        "    SmartHosts: [mail.x, 'a b']\n"
        "    RecipientDomain: x\n"
        "  - ConnectorSource: HybridWizard\n"
        "Mailbox: 5\n"
    )
    assert problems(text) == [
        "f.yaml:1: Organisation: is no kind of object that Mailwye knows. Did you mean Organization?",
        'f.yaml:3: AcceptedDomain "contoso.com": DomainType: "Authoritive" is none of its values. Did you mean Authoritative?',
        (
            'f.yaml:4: AcceptedDomain "*.foo.com": DomainName: "*.foo.com" holds a wildcard. '
            "Name the domain itself; for its subdomains set DomainType InternalRelay and MatchSubDomains true."
        ),
        'f.yaml:7: OutboundConnector "Connector 1": Enabled: must be true or false, not "yes". Write true or false without quotes.',
        'f.yaml:8: OutboundConnector "Connector 1": SmartHosts[2]: "a b" is no host. Write a name, an address, name:port or [IPv6]:port.',
        'f.yaml:9: OutboundConnector "Connector 1": RecipientDomain: is no setting that Mailwye knows. Did you mean RecipientDomains?',
        "f.yaml:10: OutboundConnector 2: Name: is missing. Add it.",
        (
            "f.yaml:10: OutboundConnector 2: ConnectorSource: is a setting of Exchange that does not exist here. "
            "It says who made the connector; remove it."
        ),
        "f.yaml:11: Mailbox 1: must be a mapping of settings. Write lines such as Name: ….",
    ]
    assert read_organization(text).value is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n", "must be a mapping of kinds to lists of objects"),
        ("AcceptedDomain:\n  - {DomainName: a.com}\n  - {DomainName: A.COM}\n", 'f.yaml:3: AcceptedDomain "a.com": there is another'),
        ("Mailbox: {PrimarySmtpAddress: a@b.com}\nMailUser: {PrimarySmtpAddress: A@B.com}\n", "f.yaml:2: MailUser"),
        ("OutboundConnector:\n - Name: a\n - Name: A\n", 'f.yaml:3: OutboundConnector "A": there is another one of this identity'),
        ("Mailbox: {PrimarySmtpAddress: 'a@b.com\\r\\nRCPT TO:<x@y>'}", "PrimarySmtpAddress: "),
        ('Mailbox: {PrimarySmtpAddress: "a@b.com\\r\\nRCPT TO:<x@y>"}', "holds a control character"),
        ("Mailbox: {PrimarySmtpAddress: 'a＠b.com'}", "PrimarySmtpAddress: "),
        ("AcceptedDomain: {DomainName: 'xn--ls8h=.com'}", "DomainName: "),
        ("OutboundConnector: {Name: " + "x" * 65 + "}", "Name: is longer than 64 characters"),
        ("OutboundConnector: {Name: ''}", "Name: is empty"),
        ("OutboundConnector: {Name: true}", "Name: must be text"),
        ("AcceptedDomain: {DomainName: a.com, DomainType: ExternalRelay}", "Use InternalRelay and an outbound connector"),
        ("AcceptedDomain: {DomainName: a.com, Default: $true}", 'must be true or false, not "$true"'),
        ("AcceptedDomain: {DomainName: a.com, Default: 1}", "must be true or false, not 1"),
        ("InboundConnector: {Name: a, SenderIPAddresses: 10.0.0.0/33}", "is neither an IP address nor an address range"),
        ("InboundConnector: {Name: a, SenderIPAddresses: 10.0.0.1-2001:db8::1}", "is neither an IP address nor an address range"),
        ("InboundConnector: {Name: a, SenderIPAddresses: fe80::1%eth0}", "is neither an IP address nor an address range"),
        ("InboundConnector: {Name: a, TlsSenderCertificateName: '*'}", "would accept anybody's certificate"),
        ("InboundConnector: {Name: a, TlsSenderCertificateName: '*.com'}", "would accept anybody's certificate"),
        ("InboundConnector: {Name: a, TlsSenderCertificateName: '*.co.uk'}", "would accept anybody's certificate"),
        ("InboundConnector: {Name: a, TlsSenderCertificatePins: abcd}", "is no SHA-256 of a public key"),
        ("InboundConnector: {Name: a, TlsSenderCertificatePins: [" + "ab" * 31 + "]}", "is no SHA-256 of a public key"),
        ("InboundConnector: {Name: a, TrustedAuthorities: ['']}", "TrustedAuthorities"),
        ("InboundConnector: {Name: a, TlsSenderCertificateName: '<I>CN=x<S>CN=y'}", "names issuer and subject"),
        ("OutboundConnector: {Name: a, RecipientDomains: 'mail.*.com'}", "wildcard in the wrong place"),
        ("OutboundConnector: {Name: a, RecipientDomains: '*contoso.com'}", "wildcard in the wrong place"),
        ("OutboundConnector: {Name: a, SmartHosts: 192.168.0.0/24}", "List the addresses one by one"),
        ("OutboundConnector: {Name: a, MtaStsMode: Mandatory}", "is none of its values"),
    ],
)
def test_what_is_refused(text: str, expected: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert expected in found[0]


def test_foreign_text_cannot_draw_on_the_terminal() -> None:
    (found,) = problems('"\\e[2J\\u202e": 1')
    assert found.isprintable()
    assert "\\x1b[2J\\u202e" in found
    assert len(problems(f"{'x' * 100_000}: 1")[0]) < 500
    assert len(problems(f"OutboundConnector: {{Name: a, {'x' * 100_000}: {'y' * 100_000}}}")[0]) < 1000


def test_pins_have_one_form() -> None:
    digest = bytes(range(32))
    coded = base64.b64encode(digest).decode()
    colons = digest.hex(":").upper()
    text = f"InboundConnector: {{Name: a, TlsSenderCertificatePins: [{coded}, 'sha256//{coded}', '{colons}', {'ff' * 32}]}}"
    parsed = read_organization(text)
    assert parsed.problems == ()
    assert parsed.value is not None
    assert parsed.value.inbound_connectors[0].tls_sender_certificate_pins == (digest.hex(), "ff" * 32)


def test_null_is_the_default_and_a_scalar_is_a_list_of_one() -> None:
    parsed = read_organization("OutboundConnector: {Name: a, TlsSettings: null, Comment: ~, RecipientDomains: contoso.com, SmartHosts: ''}")
    assert parsed.value is not None
    connector = parsed.value.outbound_connectors[0]
    assert (connector.tls_settings, connector.comment, connector.smart_hosts) == (TlsSettings.OPPORTUNISTIC, "", ())
    assert connector.recipient_domains == ("contoso.com",)


def test_an_empty_file_is_an_empty_organization() -> None:
    parsed = read_organization("# nothing yet\n")
    assert parsed.problems == ()
    assert parsed.value is not None
    assert list(parsed.value.recipients()) == []


def test_json_is_read_too() -> None:
    parsed = read_organization('{"AcceptedDomain": [{"DomainName": "contoso.com", "Default": true}]}')
    assert parsed.value is not None
    assert parsed.value.accepted_domains[0].default


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    missing = read_organization(tmp_path / "none.yaml").problems
    assert "cannot be read: no such file or directory" in str(missing[0])
    assert "cannot be read" in str(read_installation(tmp_path).problems[0])
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"Organization:\n  Name: caf\xe9\n")
    assert f"{latin}:2: is not UTF-8 text" in str(read_organization(latin).problems[0])


def test_a_file_above_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailwye.config.parse.ORGANIZATION_FILE_LIMIT", 10)
    large = tmp_path / "large.yaml"
    large.write_text("Organization: {Name: contoso}")
    assert "is larger than 10 octets" in str(read_organization(large).problems[0])


def test_validate_object_is_what_the_api_asks() -> None:
    value, found = validate_object("AcceptedDomain", {"domainname": "contoso.com"})
    assert found == []
    assert value is not None
    assert value.identity == "contoso.com"
    value, found = validate_object("OutboundConnector", {"Name": "A", "Enabled": "maybe", "Foo": 1})
    assert value is None
    assert [(problem.object, problem.field, problem.severity) for problem in found] == [
        ('OutboundConnector "A"', "Enabled", Severity.ERROR),
        ('OutboundConnector "A"', "Foo", Severity.ERROR),
    ]


def test_an_mta_sts_policy_is_read_and_written() -> None:
    text = "AcceptedDomain: {DomainName: a.com, MtaStsMode: Enforce, MtaStsMXHosts: [z.a.com, '*.B.com', z.a.com], mtastsmaxage: 86400}"
    parsed = read_organization(text)
    assert parsed.problems == ()
    assert parsed.value is not None
    (domain,) = parsed.value.accepted_domains
    assert (domain.mta_sts_mode, domain.mta_sts_mx_hosts) == (MtaStsMode.ENFORCE, ("z.a.com", "*.b.com"))
    assert from_json(to_json(parsed.value)) == parsed.value
    assert "MtaStsMode: enforce" in to_yaml(parsed.value)
    plain = read_organization("AcceptedDomain: {DomainName: a.com}").value
    assert plain is not None
    assert from_json(to_json(plain)) == plain
    assert "MtaSts" not in to_yaml(plain)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("MtaStsMode: strict", '"strict" is none of its values'),
        ("MtaStsMXHosts: '*'", "* would be any server"),
        ("MtaStsMXHosts: a b", "MtaStsMXHosts"),
        ("MtaStsMaxAge: 60", "must be from 86400 to 31557600 seconds"),
        ("MtaStsMaxAge: week", "must be a whole number of seconds"),
        ("MtaStsMaxAge: true", "must be a whole number of seconds"),
    ],
)
def test_an_mta_sts_policy_that_is_wrong(fields: str, words: str) -> None:
    (problem,) = read_organization(f"AcceptedDomain: {{DomainName: a.com, {fields}}}").problems
    assert words in str(problem)
