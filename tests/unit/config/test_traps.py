"""Combinations that are known to surprise (checks/traps.py): each with what it says, and what does not meet it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailwye.config.checks import traps
from mailwye.config.checks.findings import Findings
from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.config.problem import Problem, Severity

DOMAINS = "AcceptedDomain: [{DomainName: contoso.com}, {DomainName: fabrikam.com}]\n"
OUT = "ConnectorType: OnPremises, UseMXRecord: false, SmartHosts: mail.contoso.com"
TLS = "TlsSettings: DomainValidation, TlsDomain: mail.contoso.com"
IN = "ConnectorType: OnPremises, TlsSenderCertificateName: mail.contoso.com"
BY_ADDRESS = "ConnectorType: OnPremises, SenderIPAddresses: "
LOCK = "ConnectorType: Partner, RestrictDomainsToCertificate: true"


def found(text: str) -> list[Problem]:
    parsed = read_organization(DOMAINS + text, "f.yaml")
    assert parsed.value is not None, parsed.problems
    findings = Findings(parsed.value, parsed.places)
    traps.check_traps(parsed.value, compile_snapshot(parsed.value, 0), findings)
    return list(findings.all())


def rules(*fields: str) -> str:
    listed = ", ".join(f"{{RouteMessageOutboundConnector: Out, {each}}}" for each in fields)
    return f"OutboundConnector: {{Name: Out, IsTransportRuleScoped: true}}\nTransportRule: [{listed}]"


TRAPS = [
    (
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, RecipientDomains: '*', {OUT}}}",
        "RecipientDomains",
        "takes all Internet mail",
    ),
    (
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, CloudServicesMailEnabled: true, {OUT}}}",
        "CloudServicesMailEnabled",
        "null",
    ),
    ("OutboundConnector: {Name: Out, RecipientDomains: '*.partner.example'}", "RecipientDomains", "subdomains only"),
    (
        "OutboundConnector: {Name: Out, RecipientDomains: partner.example, ValidationRecipients: a@other.example}",
        "ValidationRecipients",
        "a@other.example is outside",
    ),
    (
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, ValidationRecipients: a@other.example, {OUT}}}",
        "ValidationRecipients",
        "a@other.example is outside",
    ),
    (
        (
            "InboundConnector: {Name: In, RestrictDomainsToCertificate: true, TlsSenderCertificateName: a.example, "
            "RestrictDomainsToIPAddresses: true, SenderIPAddresses: 192.0.2.1}"
        ),
        "RestrictDomainsToIPAddresses",
        "must have both",
    ),
    (f"InboundConnector: {{Name: In, SenderDomains: other.example, {BY_ADDRESS}192.0.2.1}}", "SenderDomains", "nothing is relayed"),
    (
        f"InboundConnector: [{{Name: A, {BY_ADDRESS}[192.0.2.1, 192.0.2.2]}}, {{Name: B, {BY_ADDRESS}192.0.2.2}}]",
        "SenderIPAddresses",
        'is in InboundConnector "A" too, which wins',
    ),
    (
        (
            f"InboundConnector: {{Name: In, {IN}}}\n"
            f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, CloudServicesMailEnabled: true, {OUT}, {TLS}}}"
        ),
        "CloudServicesMailEnabled",
        "not believed when they come back",
    ),
    (
        (
            f"InboundConnector: {{Name: In, CloudServicesMailEnabled: true, {IN}}}\n"
            f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, {OUT}}}"
        ),
        "CloudServicesMailEnabled",
        "never sent there",
    ),
    (
        (
            f"InboundConnector: {{Name: In, EFSkipLastIP: true, {IN}}}\n"
            f"OutboundConnector: {{Name: Out, RouteAllMessagesViaOnPremises: true, {OUT}}}"
        ),
        "EFSkipLastIP",
        "a second time",
    ),
    *(
        (f"InboundConnector: [{{Name: In, CloudServicesMailEnabled: true, {more}{IN}}}{others}]", "CloudServicesMailEnabled", words)
        for more, others, words in (
            ("EFSkipLastIP: true, ", "", "what a stranger writes there"),
            ("EFSkipIPs: 192.0.2.1, ", "", "counts as the organization's word"),
            ("", f", {{Name: Lock, {LOCK}, TlsSenderCertificateName: mail.contoso.com}}", "what a stranger writes there"),
            ("", f", {{Name: Lock, {LOCK}, TlsSenderCertificateName: '*.contoso.com'}}", "what a stranger writes there"),
        )
    ),
    (rules("Name: All, StopRuleProcessing: true", "Name: Never, SentToScope: InOrganization"), "Priority", "is never asked"),
]


@pytest.mark.parametrize(("text", "field", "words"), TRAPS)
def test_each_trap_is_warned_of(text: str, field: str, words: str) -> None:
    (problem,) = found(text)
    assert problem.severity is Severity.WARNING
    assert problem.field == field
    assert words in problem.message
    assert problem.remedy
    assert problem.line


@pytest.mark.parametrize(
    "text",
    [
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, RecipientDomains: '*', Enabled: false, {OUT}}}",
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, RecipientDomains: partner.example, {OUT}}}",
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, CloudServicesMailEnabled: true, {OUT}, {TLS}}}",
        "OutboundConnector: {Name: Out, RecipientDomains: [partner.example, '*.partner.example']}",
        "OutboundConnector: [{Name: Out, RecipientDomains: '*.partner.example'}, {Name: All, RecipientDomains: '*'}]",
        "OutboundConnector: {Name: Out, RecipientDomains: ['*.a.example', a.example], ValidationRecipients: x@b.a.example}",
        f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, ValidationRecipients: john@contoso.com, {OUT}}}",
        "InboundConnector: {Name: In, RestrictDomainsToCertificate: true, TlsSenderCertificateName: a.example}",
        f"InboundConnector: {{Name: In, SenderDomains: [contoso.com, other.example], {BY_ADDRESS}192.0.2.1}}",
        f"InboundConnector: {{Name: In, SenderDomains: other.example, {IN}}}",
        f"InboundConnector: [{{Name: A, {BY_ADDRESS}192.0.2.0/24}}, {{Name: B, {BY_ADDRESS}192.0.2.2}}]",
        f"InboundConnector: [{{Name: A, {BY_ADDRESS}192.0.2.2, SenderDomains: contoso.com}}, {{Name: B, {BY_ADDRESS}192.0.2.2}}]",
        f"InboundConnector: [{{Name: A, {BY_ADDRESS}192.0.2.2, Enabled: false}}, {{Name: B, {BY_ADDRESS}[192.0.2.2, 192.0.2.3]}}]",
        (
            f"InboundConnector: {{Name: In, CloudServicesMailEnabled: true, {IN}}}\n"
            f"OutboundConnector: {{Name: Out, AllAcceptedDomains: true, CloudServicesMailEnabled: true, {OUT}, {TLS}}}"
        ),
        f"InboundConnector: {{Name: In, {IN}}}\nOutboundConnector: {{Name: Out, RouteAllMessagesViaOnPremises: true, {OUT}}}",
        f"InboundConnector: [{{Name: In, {IN}}}, {{Name: Lock, {LOCK}, TlsSenderCertificateName: mail.contoso.com}}]",
        f"InboundConnector: {{Name: In, EFSkipLastIP: true, {IN}}}",
        *(
            f"InboundConnector: [{{Name: In, CloudServicesMailEnabled: true, {IN}}}, {{Name: Lock, {lock}}}]"
            for lock in (
                f"{LOCK}, TlsSenderCertificateName: mail.filter.example",
                f"{LOCK}, TlsSenderCertificateName: mail.contoso.com, SenderDomains: partner.example",
                f"{LOCK}, TlsSenderCertificateName: mail.contoso.com, Enabled: false",
                "ConnectorType: Partner, RequireTls: true, TlsSenderCertificateName: mail.contoso.com",
            )
        ),
        rules("Name: Some, StopRuleProcessing: true, SentToScope: InOrganization", "Name: Other, SentToScope: InOrganization"),
        rules("Name: All, StopRuleProcessing: true, ExceptIfSentToScope: InOrganization", "Name: Other, SentToScope: InOrganization"),
        rules("Name: All, StopRuleProcessing: true, Mode: Audit", "Name: Other, SentToScope: InOrganization"),
        rules("Name: All, StopRuleProcessing: true, Enabled: false", "Name: Other, SentToScope: InOrganization"),
        rules("Name: All, StopRuleProcessing: true", "Name: Off, Enabled: false, SentToScope: InOrganization"),
    ],
)
def test_what_is_near_a_trap_is_not_warned_of(text: str) -> None:
    assert found(text) == []


def test_the_documentation_lists_each_trap() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = re.search(r"^## Traps\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None
    for _, _, words in TRAPS:
        assert words in section.group(1), f"docs/configuration.md, Traps, does not say: {words}"
