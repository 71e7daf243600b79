from __future__ import annotations

import dataclasses

import pytest

from mailwye.config import schema
from mailwye.config.export import from_json, in_order, to_json, to_plain, to_yaml
from mailwye.config.parse import read_organization
from mailwye.config.schema import exchange_name, field_names
from mailwye.config.schema.json_schema import json_schema
from mailwye.config.schema.smart_host import read_smart_host, write_smart_host
from mailwye.connectors import model
from mailwye.connectors.model import SmartHost
from mailwye.smtp.address import parse_address


def organization(text: str) -> schema.Organization:
    parsed = read_organization(text)
    assert parsed.problems == ()
    assert parsed.value is not None
    return parsed.value


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("sender_ip_addresses", "SenderIPAddresses"),
        ("tls_sender_certificate_name", "TlsSenderCertificateName"),
        ("restrict_domains_to_ip_addresses", "RestrictDomainsToIPAddresses"),
        ("ef_skip_ips", "EFSkipIPs"),
        ("ef_skip_last_ip", "EFSkipLastIP"),
        ("use_mx_record", "UseMXRecord"),
        ("domain_name", "DomainName"),
        ("match_sub_domains", "MatchSubDomains"),
        ("route_all_messages_via_on_premises", "RouteAllMessagesViaOnPremises"),
    ],
)
def test_exchange_spelling(field: str, name: str) -> None:
    assert exchange_name(field) == name


def test_fields_of_the_dataclasses_are_those_of_the_schema() -> None:
    pairs: list[tuple[type, type[schema.ConfigObject]]] = [
        (model.InboundConnector, schema.InboundConnector),
        (model.OutboundConnector, schema.OutboundConnector),
    ]
    for compiled, written in pairs:
        defaults = {field.name: field.default for field in dataclasses.fields(compiled)}
        assert {name: info.default for name, info in written.fields.items() if name != "name"} == {
            name: default for name, default in defaults.items() if name != "name"
        }


def test_spellings_of_all_kinds() -> None:
    assert field_names(schema.Organization) == ("Organization", *schema.KINDS)
    assert field_names(schema.MailUser) == ("PrimarySmtpAddress", "EmailAddresses", "DisplayName", "ExternalEmailAddress")
    assert all(kind == entry.model.kind for kind, entry in schema.KINDS.items())


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("mail.contoso.com", SmartHost("mail.contoso.com")),
        ("MAIL.Contoso.com.", SmartHost("mail.contoso.com")),
        ("mail", SmartHost("mail")),
        ("mail.contoso.com:2525", SmartHost("mail.contoso.com", 2525, look_up_mx=False)),
        ("[mail.contoso.com]", SmartHost("mail.contoso.com", look_up_mx=False)),
        ("[mail.contoso.com]:26", SmartHost("mail.contoso.com", 26, look_up_mx=False)),
        ("192.0.2.1", SmartHost("192.0.2.1", look_up_mx=False)),
        ("[192.0.2.1]:26", SmartHost("192.0.2.1", 26, look_up_mx=False)),
        ("2001:DB8:0::1", SmartHost("2001:db8::1", look_up_mx=False)),
        ("[2001:db8::1]:2525", SmartHost("2001:db8::1", 2525, look_up_mx=False)),
        ("[::ffff:192.0.2.1]:26", SmartHost("192.0.2.1", 26, look_up_mx=False)),
        ("bücher.example", SmartHost("xn--bcher-kva.example")),
        ({"Host": "mail.x", "Priority": 5}, SmartHost("mail.x", priority=5)),
        ({"host": "mail.x", "PORT": 26, "weight": 3}, SmartHost("mail.x", 26, weight=3, look_up_mx=False)),
        ({"Host": "[mail.x]", "Priority": 5}, SmartHost("mail.x", priority=5, look_up_mx=False)),
        ({"Host": "2001:db8::1", "Port": 26, "Weight": 2}, SmartHost("2001:db8::1", 26, weight=2, look_up_mx=False)),
    ],
)
def test_smart_hosts_read_and_write(written: object, host: SmartHost) -> None:
    assert read_smart_host(written) == host
    assert read_smart_host(write_smart_host(host)) == host


@pytest.mark.parametrize(
    "written",
    [
        *("", "a b", "mail:0", "mail:65536", "mail:x", "[mail", "10.0.0.0/8", "http://mail", "10.0.0.256", "fe80::1%eth0"),
        *(5, {}, {"Host": 5}, {"Host": "a", "Prio": 1}, {"Host": "a", "Port": 70000}, {"Host": "a", "Weight": 0}),
        *({"Host": "a:1", "Port": 2}, {"Host": "a", "host": "b"}, {"Host": "a", "Priority": True}, "mail\r\nRCPT TO:<x@y>"),
    ],
)
def test_smart_hosts_that_are_none(written: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_smart_host(written)


def test_lists_are_canonical() -> None:
    read = organization(
        """
        Mailbox: {PrimarySmtpAddress: a@b.com, EmailAddresses: ["smtp:Z@b.com", "SMTP:c@b.com", z@B.com]}
        InboundConnector:
          Name: x
          SenderDomains: ["smtp:*.B.com;1", a.com, "*.b.com"]
          SenderIPAddresses: [192.168.0.1/25, "2001:db8::5/32", "::ffff:10.0.0.1", 192.0.2.0-192.0.2.2, 10.0.0.1]
        OutboundConnector:
          Name: x
          SmartHosts: [b.com, {Host: a.com, Priority: 20}, a.com, B.com]
        """
    )
    assert read.mailboxes[0].email_addresses == (parse_address("c@b.com"), parse_address("Z@b.com"))
    assert read.inbound_connectors[0].sender_domains == ("a.com", "*.b.com")
    assert read.inbound_connectors[0].sender_ip_addresses == (
        "10.0.0.1/32", "192.0.2.0/31", "192.0.2.2/32", "192.168.0.0/25", "2001:db8::/32",
    )  # fmt: skip
    assert [str(host) for host in read.outbound_connectors[0].smart_hosts] == ["a.com", "b.com", "a.com"]


def test_a_contact_without_primary_address_has_its_external_one() -> None:
    read = organization("MailContact: {externalemailaddress: sun@example.net}")
    assert read.mail_contacts[0].primary_smtp_address == parse_address("sun@example.net")


def test_export_writes_the_fixed_spelling_and_leaves_out_defaults() -> None:
    read = organization(
        """
        outboundconnector:
          - {name: Zeta, tlssettings: null, enabled: true, comment: "007", recipientdomains: ["*"]}
          - {name: alpha, usemxrecord: false, smarthosts: [{host: a.com, weight: 2}, "b.com:26"], tlssettings: domainvalidation,
             tlsdomain: A.com}
        """
    )
    assert to_yaml(read) == (
        "Organization:\n"
        "  Name: default\n"
        "OutboundConnector:\n"
        "- Name: alpha\n"
        "  UseMXRecord: false\n"
        "  SmartHosts:\n"
        "  - Host: a.com\n"
        "    Weight: 2\n"
        "  - b.com:26\n"
        "  TlsSettings: DomainValidation\n"
        "  TlsDomain: a.com\n"
        "- Name: Zeta\n"
        "  Comment: '007'\n"
        "  RecipientDomains:\n"
        "  - '*'\n"
    )
    assert from_json(to_json(read)) == in_order(read)


def test_plain_values_are_plain() -> None:
    read = organization("Mailbox: {PrimarySmtpAddress: '\"a b\"@Contoso.com', DisplayName: Ann}")
    assert to_plain(read.mailboxes[0]) == {"PrimarySmtpAddress": '"a b"@contoso.com', "DisplayName": "Ann"}


def test_there_is_a_json_schema_for_the_api() -> None:
    described = json_schema(schema.OutboundConnector)
    assert set(described["properties"]) == set(field_names(schema.OutboundConnector))
    assert json_schema(schema.Organization)["properties"].keys() == set(field_names(schema.Organization))
