"""An organization written as cmdlets and carried out from nothing is the same organization; no text makes the reader fail."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailwye.cmdlets.execute import execute_text
from mailwye.cmdlets.write import write
from mailwye.config.export import to_json
from mailwye.config.schema import Organization

LABELS = st.sampled_from(["a", "bc", "d-e"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join((*labels, "example")))
PATTERNS = st.one_of(st.just("*"), DOMAINS, DOMAINS.map(lambda domain: f"*.{domain}"))
# What PowerShell gives a meaning to, in names and comments.
TEXT = st.text(alphabet="ab Ü'\"‘’“”„–-$`@{}();,|&#<>*.:/\\%", min_size=1, max_size=12).map(lambda text: text.strip() or "x")
LOCAL = st.sampled_from(["u", "john.doe", "o'neil", "a+b", "x_y", "Bob"])
HOSTS = st.one_of(
    DOMAINS,
    DOMAINS.map(lambda domain: f"{domain}:2525"),
    st.sampled_from(["192.0.2.1", "[2001:db8::1]:25", "2001:db8::1", "[relay.example]"]),
    st.builds(lambda host, weight: {"Host": host, "Priority": 5, "Weight": weight}, DOMAINS, st.integers(1, 9)),
)
NETWORKS = st.sampled_from(["192.0.2.1", "198.51.100.0/24", "2001:db8::/64"])
FLAGS = st.booleans()
LOGIN = {
    "SmartHostAuthMechanism": st.sampled_from(["None", "BasicAuthRequireTLS"]),
    "AuthenticationCredential": st.builds(lambda name: {"UserName": name, "Password": "(saved)"}, TEXT),
}
SCOPES = st.sampled_from([None, "InOrganization", "NotInOrganization"])


def lists(of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, max_size=most)


def named(draw: st.DrawFn, key: str, names: st.SearchStrategy[str], fields: dict[str, st.SearchStrategy[Any]]) -> list[dict[str, Any]]:
    """Objects of different names, each with some of the fields."""
    found = draw(st.lists(names, unique_by=str.lower, max_size=3))
    return [{key: name, **draw(st.fixed_dictionaries({}, optional=fields))} for name in found]


@st.composite
def organizations(draw: st.DrawFn) -> Organization:
    addresses = draw(st.lists(st.builds(lambda local, domain: f"{local}@{domain}", LOCAL, DOMAINS), unique_by=str.lower, max_size=6))
    recipients: dict[str, list[dict[str, Any]]] = {"Mailbox": [], "MailUser": [], "MailContact": [], "DistributionGroup": []}
    for number, address in enumerate(addresses):
        kind = draw(st.sampled_from(sorted(recipients)))
        one: dict[str, Any] = {"PrimarySmtpAddress": address, **draw(st.fixed_dictionaries({}, optional={"DisplayName": TEXT}))}
        one["EmailAddresses"] = draw(st.sampled_from([[], [f"alias{number}@a.example", f"second.{number}@a.example"]]))
        is_elsewhere = draw(FLAGS)
        if kind == "MailContact" or (kind == "MailUser" and is_elsewhere):
            one["ExternalEmailAddress"] = draw(st.sampled_from([address, "else@far.example"]))
        if kind == "DistributionGroup":
            one["Members"] = draw(lists(st.sampled_from(addresses)))
        recipients[kind].append(one)
    is_default = draw(FLAGS)
    domains = named(draw, "DomainName", DOMAINS, {"DomainType": st.sampled_from(["Authoritative", "InternalRelay"]), "Name": TEXT})
    if domains and is_default:
        domains[0]["Default"] = True
    inbound = {
        "Enabled": FLAGS,
        "ConnectorType": st.sampled_from(["OnPremises", "Partner"]),
        "Comment": TEXT,
        "SenderDomains": lists(PATTERNS),
        "SenderIPAddresses": lists(NETWORKS),
        "TlsSenderCertificateName": DOMAINS,
        "RequireTls": FLAGS,
        "TrustedAuthorities": lists(TEXT),
    }
    outbound = {
        "Enabled": FLAGS,
        "ConnectorType": st.sampled_from(["OnPremises", "Partner"]),
        "Comment": TEXT,
        "RecipientDomains": lists(PATTERNS),
        "UseMXRecord": FLAGS,
        "SmartHosts": lists(HOSTS),
        "TlsSettings": st.sampled_from([None, "EncryptionOnly", "CertificateValidation", "DomainValidation"]),
        **LOGIN,
        "ValidationRecipients": lists(st.sampled_from(["a@b.example", "o'c@b.example"])),
    }
    send = {
        "Comment": TEXT,
        "AddressSpaces": st.lists(PATTERNS.map("smtp:{};5".format), min_size=1, max_size=3, unique=True),
        "DNSRoutingEnabled": FLAGS,
        "SmartHosts": lists(HOSTS),
        "RequireTLS": FLAGS,
        "TlsAuthLevel": st.sampled_from([None, "EncryptionOnly", "DomainValidation"]),
        "TlsCertificateName": st.just("<I>CN='a', O=$b<S>CN=\"c\""),
        "MaxMessageSize": st.sampled_from(["unlimited", "35MB", 65_537]),
        **LOGIN,
    }
    receive = {
        "Bindings": st.sampled_from([["0.0.0.0:25"], ["[::]:25", "192.0.2.1:587"]]),
        "RemoteIPRanges": st.lists(NETWORKS, min_size=1, max_size=2),
        "TlsDomainCapabilities": lists(DOMAINS.map("{}:AcceptCloudServicesMail".format)),
        "PermissionGroups": st.sampled_from(["None", "AnonymousUsers, ExchangeServers"]),
        "AuthMechanism": st.sampled_from([[], ["Tls", "BasicAuth"]]),
        "MaxInboundConnection": st.sampled_from(["unlimited", 7]),
        "ConnectionTimeout": st.sampled_from(["00:20:00", "1.00:00:00"]),
        "Fqdn": DOMAINS,
    }
    rule = {
        "Mode": st.sampled_from(["Enforce", "Audit"]),
        "FromScope": SCOPES,
        "SenderDomainIs": lists(DOMAINS),
        "HeaderContainsMessageHeader": st.just("X-Site"),
        "HeaderContainsWords": lists(TEXT),
        "RouteMessageOutboundConnector": TEXT,
        "StopRuleProcessing": FLAGS,
    }
    rules = named(draw, "Name", TEXT, rule)
    order = draw(st.permutations(range(len(rules))))
    settings = {"Name": draw(TEXT), **draw(st.fixed_dictionaries({}, optional={"SenderRewritingEnabled": FLAGS}))}
    return Organization.of(
        {
            "Organization": settings,
            "AcceptedDomain": domains,
            **recipients,
            "InboundConnector": named(draw, "Name", TEXT, inbound),
            "OutboundConnector": named(draw, "Name", TEXT, outbound),
            "SendConnector": [{"AddressSpaces": "*", **one} for one in named(draw, "Name", TEXT.map("S {}".format), send)],
            "ReceiveConnector": [{"Bindings": "[::1]:25", **one} for one in named(draw, "Name", TEXT, receive)],
            "TransportRule": [{**one, "Priority": 3 * number} for one, number in zip(rules, order, strict=True)],
        }
    )


@given(organizations())
def test_written_and_carried_out_it_is_the_same(organization: Organization) -> None:
    script = write(organization)
    execution = execute_text(Organization(), script, "script.ps1")
    assert [str(problem) for problem in execution.problems] == []
    assert to_json(execution.organization) == to_json(organization)
    again = execute_text(execution.organization, script)
    assert to_json(again.organization) == to_json(organization)


PIECES = "Get-AcceptedDomain New-Mailbox Set-OutboundConnector | ft ? { } ( ) $x = $_ .Name -eq 'a' \"b$x\" @{ Add= @( ; , -Name -WhatIf"
MORE = "foreach in ` $( –Enabled $true <# #> % select @' '@"
WORDS = st.sampled_from([*PIECES.split(), *MORE.split(), "\n", "\n'@", "@'\n"])


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=25).map(" ".join)))
def test_any_text_is_read(text: str) -> None:
    execution = execute_text(Organization(), text, "s.ps1")
    assert all(problem.message for problem in execution.problems)
    lines = text.count("\n") + text.count("\r") + 1
    assert all(0 <= problem.line <= lines for problem in execution.problems)
