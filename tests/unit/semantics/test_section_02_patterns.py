"""SEMANTICS section 2, patterns: what a wildcard means in each field."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.outbound.tls_check import name_satisfies
from tests.unit.connectors.world import session
from tests.unit.semantics.asking import BOB, JOHN, STRANGER, SUN, Case, ask, errors, organization, out, own, partner, rule, way


@dataclass(frozen=True, slots=True)
class Pattern(Case):
    """`holds`: whether the pattern in the title's field stands for `domain`."""

    pattern: str
    domain: str
    holds: bool


@rule(
    "2.1",
    "In RecipientDomains and TlsDomain `*.contoso.com` means subdomains only",
    Pattern("the name itself", "example.net", "example.net", True),
    Pattern("a name is not its subdomains", "example.net", "a.example.net", False),
    Pattern("a subdomain", "*.example.net", "a.example.net", True),
    Pattern("a subdomain of one", "*.example.net", "b.a.example.net", True),
    Pattern("the apex", "*.example.net", "example.net", False),
    Pattern("only alike", "*.example.net", "myexample.net", False),
)
def test_recipient_domains_and_tls_domain(case: Pattern) -> None:
    text = organization(outbound=[out("To", f"RecipientDomains: '{case.pattern}'")])
    hop = way(text, session(auth=BOB, listener="submission", tls=True), BOB, f"u@{case.domain}")
    assert hop == ("connector:To" if case.holds else f"mx:{case.domain}")
    assert name_satisfies(case.domain, case.pattern) is case.holds


@rule(
    "2.2",
    "in SenderDomains and TlsSenderCertificateName it means the domain and its subdomains",
    Pattern("the name itself", "contoso.com", "contoso.com", True),
    Pattern("a name is not its subdomains", "contoso.com", "sales.contoso.com", False),
    Pattern("a subdomain", "*.contoso.com", "sales.contoso.com", True),
    Pattern("a subdomain of one", "*.contoso.com", "b.a.contoso.com", True),
    Pattern("the apex too", "*.contoso.com", "contoso.com", True),
    Pattern("only alike", "*.contoso.com", "evilcontoso.com", False),
)
def test_sender_domains_and_certificate_names(case: Pattern) -> None:
    by_sender = organization(inbound=[own("In", f"SenderIPAddresses: 192.0.2.7, SenderDomains: '{case.pattern}'")])
    caller = ask(by_sender, session(ip="192.0.2.7"), f"u@{case.domain}", BOB).sender.caller
    assert (caller.connector is not None) is case.holds
    by_partner = organization(inbound=[partner("In", f"RequireTls: true, SenderDomains: '{case.pattern}'")])
    assert (ask(by_partner, STRANGER, f"u@{case.domain}", BOB).reply.code == 451) is case.holds
    by_certificate = organization(inbound=[own("In", f"TlsSenderCertificateName: '{case.pattern}'")])
    caller = ask(by_certificate, session(case.domain), JOHN, BOB).sender.caller
    assert (caller.connector is not None) is case.holds


@dataclass(frozen=True, slots=True)
class Written(Case):
    """`fields` of an inbound or outbound connector."""

    fields: str
    kind: str = "inbound"


@rule(
    "2.3",
    "a wildcard inside a label is refused",
    Written("SenderDomains", "SenderIPAddresses: 192.0.2.7, SenderDomains: 'con*so.com'"),
    Written("between labels", "SenderIPAddresses: 192.0.2.7, SenderDomains: 'mail.*.contoso.com'"),
    Written("at the end of a label", "TlsSenderCertificateName: 'mail*.contoso.com'"),
    Written("RecipientDomains", "RecipientDomains: '*contoso.com'", "outbound"),
    Written("TlsDomain", "RecipientDomains: a.example, TlsSettings: DomainValidation, TlsDomain: 'm*.contoso.com'", "outbound"),
)
def test_a_wildcard_inside_a_label(case: Written) -> None:
    text = organization(inbound=[own("In", case.fields)]) if case.kind == "inbound" else organization(outbound=[out("Out", case.fields)])
    (error,) = errors(text)
    assert "*" in error


def test_the_tables_reach_the_outside() -> None:
    """The control: without any connector, mail for outside goes by MX."""
    assert way(organization(), session(auth=BOB, listener="submission", tls=True), BOB, SUN) == "mx:example.net"
