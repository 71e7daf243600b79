"""The shapes in which PowerShell prints objects, and what follows from each property."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailwye.config.export import to_plain
from mailwye.importing.collect import Imported
from mailwye.importing.exchange.json_files import import_exchange
from mailwye.importing.source import ImportRefused, Source

OUTBOUND = {
    "Name": "A",
    "ConnectorType": "OnPremises",
    "RecipientDomains": ["contoso.com"],
    "UseMXRecord": False,
    "SmartHosts": ["h.contoso.com"],
}
INBOUND = {"Name": "A", "ConnectorType": "OnPremises", "SenderDomains": ["smtp:*;1"], "SenderIPAddresses": ["192.0.2.1"]}
RULE = {"Name": "R", "State": "Enabled", "Mode": "Enforce", "RuleErrorAction": "Ignore", "RouteMessageOutboundConnector": "A"}


def imported(*values: Any) -> Imported:
    return import_exchange([Source("f.json", json.dumps(value, indent=1)) for value in values])


def only(result: Imported, kind: str) -> dict[str, Any]:
    (found,) = result.organization.objects(kind)
    return to_plain(found)


def said(result: Imported) -> list[str]:
    """What is not plainly carried over."""
    return [str(entry) for entry in result.entries if entry.outcome.name != "CARRIED_OVER"]


@pytest.mark.parametrize(
    "value",
    [
        [OUTBOUND],
        OUTBOUND,
        {"value": [OUTBOUND], "Count": 1},
        {"Get-OutboundConnector": [OUTBOUND], "InboundConnector": None},
        {"OutboundConnectors": OUTBOUND},
        [[OUTBOUND]],
        OUTBOUND | {"SmartHosts": {"value": ["h.contoso.com"], "Count": 1}},
        OUTBOUND | {"SmartHosts": [{"Address": None, "Domain": {"HostnameString": "h.contoso.com", "IsWildcard": False}}]},
        OUTBOUND | {"ConnectorType": {"value": 1, "Value": "OnPremises"}},
        OUTBOUND | {"SmartHosts": "h.contoso.com", "RecipientDomains": "contoso.com"},
        OUTBOUND | {"TlsSettings": None, "ValidationRecipients": {}, "SmartHosts@odata.type": "#Collection(String)"},
        {key.lower(): part for key, part in OUTBOUND.items()},
    ],
)
def test_one_connector_in_many_shapes(value: Any) -> None:
    result = imported(value)
    assert only(result, "OutboundConnector") == OUTBOUND
    assert said(result) == []


def test_values_of_exchanges_own_shell() -> None:
    domain = {"DomainName": {"Domain": "contoso.com", "Address": "*.contoso.com", "IsStar": False}, "DomainType": "InternalRelay"}
    ranges = INBOUND | {
        "SenderIPAddresses": [{"LowerBound": "192.0.2.0", "UpperBound": "192.0.2.255"}, {"Expression": "198.51.100.7"}],
    }
    mailbox = {
        "PrimarySmtpAddress": {"Length": 15, "Local": "bob", "Domain": "contoso.com", "IsValidAddress": True},
        "EmailAddresses": [{"ProxyAddressString": "smtp:robert@contoso.com", "PrefixString": "smtp"}],
        "RecipientTypeDetails": {"value": 1, "Value": "UserMailbox"},
    }
    result = imported(domain, ranges, {"Mailbox": mailbox})
    assert only(result, "AcceptedDomain") == {"DomainName": "contoso.com", "DomainType": "InternalRelay", "MatchSubDomains": True}
    assert only(result, "InboundConnector")["SenderIPAddresses"] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert only(result, "Mailbox") == {"PrimarySmtpAddress": "bob@contoso.com", "EmailAddresses": ["robert@contoso.com"]}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (OUTBOUND | {"ConnectorType": 1}, "ConnectorType: the number 1 stands for a word, and nobody says for which"),
        (OUTBOUND | {"TlsSettings": 3}, "-EnumsAsStrings"),
        (OUTBOUND | {"SmartHosts": ["192.168.0.1/25"]}, '"192.168.0.1/25" is an address range. List the addresses one by one'),
        (OUTBOUND | {"SmartHosts": [{"Length": 3}]}, "SmartHosts: it is an object with Length, of which no text can be made"),
        (OUTBOUND | {"RecipientDomains": ["a.*.com"]}, "has a wildcard in the wrong place"),
        (INBOUND | {"TlsSenderCertificateName": "<I>CN=x<S>CN=y"}, "names issuer and subject"),
        (INBOUND | {"TrustedOrganizations": ["x"]}, "TrustedOrganizations: with TrustedOrganizations Exchange ignores"),
        ({"DomainName": "a.com", "DomainType": "Authoritative", "OutboundOnly": True}, "OutboundOnly: with OutboundOnly it takes no mail"),
        ({"DomainName": "*.a.com", "DomainType": "Authoritative"}, "an Authoritative domain cannot have subdomains without names"),
        ({"Name": "?", "Colour": "red"}, "none of its properties tells what it is"),
        ({"Name": "d", "RecipientTypeDetails": "DiscoveryMailbox"}, "this kind of object does not exist here"),
        (RULE | {"SubjectContainsWords": ["x"], "ExceptIfFrom": ["a@b.c"]}, "its SubjectContainsWords, ExceptIfFrom do not exist here"),
        (RULE | {"PrependSubject": "X"}, "its PrependSubject does not exist here"),
        (RULE | {"RouteMessageOutboundConnector": None}, "it has no action that exists here"),
        (RULE | {"ExpiryDate": "2027-01-01"}, "ExpiryDate: a rule here does not end by itself"),
        (RULE | {"Conditions": ["x.FromScopePredicate"]}, "Conditions: its conditions (FromScope) were not exported with it"),
        (RULE | {"Exceptions": ["x.SentToPredicate"]}, "Exceptions: its exceptions (SentTo) were not exported with it"),
        (RULE | {"SentTo": [{}]}, "SentTo: it has an entry of which nothing was exported"),
        (RULE | {"State": 0}, "State: the number 0 stands for a word"),
        (RULE | {"SentToMemberOf": ["DL West"]}, "Write it as user@domain"),
        (RULE | {"RouteMessageOutboundRequireTls": True}, "its RouteMessageOutboundRequireTls does not exist here"),
        ({"PrimarySmtpAddress": "not an address", "RecipientType": "MailUser"}, "Write it as user@domain"),
    ],
)
def test_what_is_left_out_as_a_whole(value: Any, sentence: str) -> None:
    result = imported(value)
    (line,) = said(result)
    assert line.startswith("left out: f.json:")
    assert sentence in line
    assert result.organization.given == set()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (INBOUND | {"EFUsers": ["a@contoso.com"]}, "changed in meaning: f.json:10"),
        (INBOUND | {"EFTestMode": True}, "EFTestMode does not exist"),
        (INBOUND | {"AssociatedAcceptedDomains": ["contoso.com"]}, "Microsoft's pages disagree"),
        (INBOUND | {"ScanAndDropRecipients": ["a@b.c"]}, "left out: f.json:10"),
        (INBOUND | {"SenderDomains": ["smtp:contoso.com;5"]}, "the cost 5 of"),
        (INBOUND | {"TlsSenderCertificateName": "mail.contoso.com"}, "certificate and address must both hold here"),
        (OUTBOUND | {"SomethingNew": ["x"]}, "Mailwye knows no such setting of OutboundConnector"),
        ({"DomainName": "a.com", "DomainType": "ExternalRelay"}, "ExternalRelay becomes InternalRelay"),
        ({"DomainName": "a.com", "DomainType": "Authoritative", "SendingFromDomainDisabled": True}, "sending from a domain"),
        ({"DomainName": "a.com", "DomainType": "InternalRelay", "CatchAllRecipientID": "x"}, "(catch-all) does not exist here"),
        (RULE | {"SetAuditSeverity": "High"}, "there is no audit log with severities"),
        (RULE | {"SenderDomainIs": ["a.com"], "SenderAddressLocation": "Header"}, "here SenderDomainIs looks at MAIL FROM alone"),
        (
            {"PrimarySmtpAddress": "b@c.com", "RecipientType": "UserMailbox", "ForwardingSmtpAddress": "smtp:x@y.z"},
            "a mailbox that forwards",
        ),
        ({"PrimarySmtpAddress": "b@c.com", "RecipientType": "MailUniversalSecurityGroup"}, "Get-DistributionGroup prints no members"),
    ],
)
def test_what_is_said_about_an_object_that_is_carried_over(value: Any, sentence: str) -> None:
    result = imported(value)
    assert sum(entry.outcome.name == "CARRIED_OVER" for entry in result.entries) == 1
    assert any(sentence in line for line in said(result))


def test_rules() -> None:
    rule = RULE | {
        "Priority": 4,
        "State": "Disabled",
        "Comments": "c",
        "Conditions": ["x.SentToPredicate"],
        "SentTo": ['"Bob, Team" <bob@contoso.com>'],
        "ExceptIfFromScope": "InOrganization",
        "StopRuleProcessing": True,
        "RouteMessageOutboundRequireTls": False,
    }
    result = imported(rule, OUTBOUND)
    assert only(result, "TransportRule") == {
        "Name": "R",
        "Priority": 4,
        "Enabled": False,
        "SentTo": ["bob@contoso.com"],
        "ExceptIfFromScope": "InOrganization",
        "RouteMessageOutboundConnector": "A",
        "StopRuleProcessing": True,
        "Comments": "c",
    }


def test_a_rule_goes_with_its_connector() -> None:
    result = imported([RULE], [OUTBOUND | {"SmartHosts": ["10.0.0.0/8"]}])
    assert 'its connector "A" is left out' in said(result)[1]


def test_contacts_and_users_elsewhere() -> None:
    contact = {
        "ExternalEmailAddress": "SMTP:sun@example.net",
        "RecipientTypeDetails": "MailContact",
        "PrimarySmtpAddress": "sun@example.net",
    }
    user = {
        "ExternalEmailAddress": "SMTP:john@old.contoso.com",
        "RecipientTypeDetails": "RemoteUserMailbox",
        "EmailAddresses": ["SMTP:john@contoso.com"],
    }
    result = imported([contact, user])
    assert only(result, "MailContact") == {"PrimarySmtpAddress": "sun@example.net", "ExternalEmailAddress": "sun@example.net"}
    assert only(result, "MailUser") == {"PrimarySmtpAddress": "john@contoso.com", "ExternalEmailAddress": "john@old.contoso.com"}


def test_the_same_object_in_two_exports_counts_once_another_of_its_name_is_left_out() -> None:
    result = imported([OUTBOUND], [OUTBOUND], [OUTBOUND | {"Comment": "other", "Name": "a"}])
    assert len(result.organization.outbound_connectors) == 1
    (line,) = said(result)
    assert line.endswith(
        'OutboundConnector "a": there is another one of this identity: OutboundConnector "A" in f.json:2. Remove one of them.'
    )


@pytest.mark.parametrize("text", ["", "3", '["OnPremises"]', "{"])
def test_files_that_are_no_export(text: str) -> None:
    with pytest.raises(ImportRefused):
        import_exchange([Source("f", text)])


def test_null_is_an_export_of_nothing() -> None:
    assert imported(None).entries == ()


SEND = {
    "Name": "To Office 365",
    "AddressSpaces": ["SMTP:*;1", "SMTP:contoso.com;5"],
    "DNSRoutingEnabled": False,
    "SmartHosts": ["contoso-com.mail.protection.outlook.com"],
    "SmartHostsString": "contoso-com.mail.protection.outlook.com",
    "SmartHostAuthMechanism": "None",
    "AuthenticationCredential": None,
    "Port": 25,
    "RequireTLS": True,
    "TlsAuthLevel": "CertificateValidation",
    "TlsCertificateName": None,
    "TlsDomain": None,
    "Fqdn": "mail.contoso.com",
    "MaxMessageSize": "35 MB (36,700,160 bytes)",
    "SourceIPAddress": "0.0.0.0",
    "SourceTransportServers": ["EX1"],
    "ProtocolLoggingLevel": "None",
    "ConnectionInactivityTimeOut": "00:10:00",
    "IsScopedConnector": False,
    "Enabled": True,
}
RECEIVE = {
    "Name": "Default Frontend EX1",
    "Identity": "EX1\\Default Frontend EX1",
    "Bindings": ["0.0.0.0:25", "[::]:25"],
    "RemoteIPRanges": ["0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    "PermissionGroups": "AnonymousUsers, ExchangeServers, ExchangeLegacyServers",
    "AuthMechanism": "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer",
    "TlsDomainCapabilities": ["mail.protection.outlook.com:AcceptCloudServicesMail"],
    "TlsCertificateName": "<I>CN=Contoso CA<S>CN=mail.contoso.com",
    "MaxInboundConnection": "5000",
    "MaxInboundConnectionPerSource": "Unlimited",
    "MaxMessageSize": "36 MB (37,748,736 bytes)",
    "ConnectionTimeout": "00:10:00",
    "MessageRateLimit": "Unlimited",
    "Banner": None,
    "Server": "EX1",
    "TransportRole": "FrontendTransport",
}
RECEIVED = {
    "Name": "Default Frontend EX1",
    "Bindings": ["0.0.0.0:25", "[::]:25"],
    "TlsCertificateName": "<I>CN=Contoso CA<S>CN=mail.contoso.com",
    "TlsDomainCapabilities": ["mail.protection.outlook.com:AcceptCloudServicesMail"],
    "PermissionGroups": ["AnonymousUsers", "ExchangeServers", "ExchangeLegacyServers"],
    "AuthMechanism": ["Tls", "Integrated", "BasicAuth", "BasicAuthRequireTLS", "ExchangeServer"],
    "MaxInboundConnectionPerSource": "unlimited",
}
# The same values as Exchange's own shell prints them, with their parts.
IN_PARTS = {
    "Bindings": [
        {"Address": {"Address": 0, "AddressFamily": 2, "IPAddressToString": "0.0.0.0"}, "AddressFamily": 2, "Port": 25},
        {"Address": {"AddressFamily": 23, "IPAddressToString": "::"}, "AddressFamily": 23, "Port": 25},
    ],
    "TlsDomainCapabilities": [{"Domain": {"Domain": "mail.protection.outlook.com"}, "Capabilities": "AcceptCloudServicesMail"}],
    "TlsCertificateName": {"CertificateIssuer": "CN=Contoso CA", "CertificateSubject": "CN=mail.contoso.com"},
    "MaxInboundConnection": {"IsUnlimited": False, "Value": 5000},
    "MaxInboundConnectionPerSource": {"IsUnlimited": True, "Value": None},
    "ConnectionTimeout": {"Ticks": 6_000_000_000, "Days": 0, "TotalSeconds": 600},
}


@pytest.mark.parametrize("shape", [{}, IN_PARTS])
def test_connectors_of_exchange_server(shape: dict[str, Any]) -> None:
    result = imported([SEND, RECEIVE | shape])
    assert only(result, "ReceiveConnector") == RECEIVED
    assert only(result, "SendConnector") == {
        "Name": "To Office 365",
        "AddressSpaces": ["*", "contoso.com;5"],
        "DNSRoutingEnabled": False,
        "SmartHosts": ["contoso-com.mail.protection.outlook.com"],
        "RequireTLS": True,
        "TlsAuthLevel": "CertificateValidation",
        "Fqdn": "mail.contoso.com",
    }
    assert said(result) == []


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"AddressSpaces": ["X400:c=US;1"]}, "only SMTP is known"),
        ({"LinkedReceiveConnector": "EX1\\R"}, "LinkedReceiveConnector: it only takes mail"),
        ({"IgnoreSTARTTLS": True}, "TLS is used wherever it is offered"),
        ({"SourceIPAddress": "192.0.2.1"}, "source_address in [delivery]"),
        ({"TlsAuthLevel": 2}, "the number 2 stands for a word"),
        ({"SmartHostAuthMechanism": "ExternalAuthoritative"}, "which cannot be checked"),
        ({"SmartHostAuthMechanism": "BasicAuth"}, "would send the password over plain text too"),
        ({"AddressSpaces": [{"Type": "SMTP", "Address": "*", "Cost": 3}], "DomainSecureEnabled": True}, "mutual TLS"),
    ],
)
def test_what_send_connectors_have_that_is_not_here(properties: dict[str, Any], words: str) -> None:
    (entry,) = said(imported(SEND | properties))
    assert words in entry


@pytest.mark.parametrize("password", [{"Length": 7}, "hunter2", None])
def test_a_password_is_never_carried_over(password: Any) -> None:
    login = {"SmartHostAuthMechanism": "BasicAuthRequireTLS", "AuthenticationCredential": {"UserName": "u", "Password": password}}
    result = imported(SEND | login)
    assert only(result, "SendConnector")["AuthenticationCredential"] == {"UserName": "u", "Password": "(saved)"}
    (entry,) = said(result)
    assert "passwords are not carried over. Write it into the file in the place of (saved), once" in entry
    assert "hunter2" not in repr(result)


@pytest.mark.parametrize("ranges", [{}, {"RemoteIPRanges": None}, {"RemoteIPRanges": {}}, {"RemoteIPRanges": []}, {"RemoteIPRanges": [{}]}])
def test_a_receive_connector_without_its_addresses_is_not_one_for_all_addresses(ranges: dict[str, Any]) -> None:
    receive = {"Name": "R", "Bindings": ["0.0.0.0:25"], "PermissionGroups": "AnonymousUsers, ExchangeServers"}
    result = imported({"ReceiveConnector": [receive | ranges]})
    assert result.organization.receive_connectors == ()
    (line,) = said(result)
    assert line.startswith("left out: f.json:")


def test_a_property_in_two_spellings_is_refused() -> None:
    with pytest.raises(ImportRefused, match=r'f\.json:3: gives "RequireTls" twice'):
        imported({"InboundConnector": [INBOUND | {"RequireTls": True, "requiretls": False}]})


def test_an_object_without_properties_is_told() -> None:
    result = imported([INBOUND, {}])
    assert len(result.organization.inbound_connectors) == 1
    assert [line for line in said(result) if "none of its properties tells what it is" in line]
    assert said(imported({"InboundConnector": {}})) == []
    assert said(imported({})) == []
