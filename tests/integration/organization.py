"""Contoso with three connectors to its own servers (the page's example), connectors to broken servers, and the zones of the story."""

from __future__ import annotations

from dataclasses import dataclass

from tests.counterparts.place import Place
from tests.integration.junction import HOSTNAME


@dataclass(frozen=True, slots=True)
class OwnPorts:
    """Of John's server: a good one, one for each fault, and a place for a server without 8BITMIME and SMTPUTF8."""

    good: int
    wrong_name: int
    expired: int
    self_signed: int
    no_tls: int
    sink: int


def organization(place: Place, own: OwnPorts, sales_port: int) -> str:
    """YAML for `mailwye apply`."""
    faulty = "".join(
        f"""  - Name: To {domain}
    ConnectorType: Partner
    RecipientDomains: [{domain}]
    UseMXRecord: false
    SmartHosts: ["{place.own}:{port}"]
    TlsSettings: {settings}
"""
        for domain, port, settings in (
            ("wrong-name.example", own.wrong_name, "DomainValidation\n    TlsDomain: mail.contoso.com"),
            ("expired.example", own.expired, "CertificateValidation"),
            ("self-signed.example", own.self_signed, "CertificateValidation"),
            ("no-tls.example", own.no_tls, "EncryptionOnly"),
            ("seven-bit.example", own.sink, "null"),
        )
    )
    return f"""\
Organization: {{Name: contoso}}
AcceptedDomain:
  - {{DomainName: contoso.com, DomainType: Authoritative, Default: true}}
  - {{DomainName: sales.contoso.com}}
  - {{DomainName: fabrikam.com}}
Mailbox:
  - PrimarySmtpAddress: bob@contoso.com
    EmailAddresses: [robert@contoso.com]
MailUser:
  - {{PrimarySmtpAddress: john@contoso.com}}
  - {{PrimarySmtpAddress: gone@contoso.com}}
  - {{PrimarySmtpAddress: john@sales.contoso.com}}
  - {{PrimarySmtpAddress: john@fabrikam.com}}
InboundConnector:
  - Name: From our servers
    ConnectorType: OnPremises
    SenderDomains: ["*"]
    RequireTls: true
    TlsSenderCertificateName: "*.contoso.com"
  - Name: From sales
    ConnectorType: OnPremises
    SenderDomains: ["*"]
    SenderIPAddresses: ["{place.sales}"]
    TlsSenderCertificateName: mail.sales.contoso.com
    TrustedAuthorities: [sales]
OutboundConnector:
  - Name: Connector 1
    ConnectorType: OnPremises
    AllAcceptedDomains: true
    UseMXRecord: false
    SmartHosts: ["mail.contoso.com"]
    TlsSettings: DomainValidation
    TlsDomain: mail.contoso.com
  - Name: Connector 2
    ConnectorType: OnPremises
    RecipientDomains: [contoso.com]
    UseMXRecord: false
    SmartHosts: ["{place.own}:{own.good}"]
    TlsSettings: EncryptionOnly
  - Name: Connector 3
    ConnectorType: OnPremises
    RecipientDomains: ["*.contoso.com"]
    UseMXRecord: false
    SmartHosts: ["{place.sales}:{sales_port}"]
{faulty}"""


def zones(place: Place) -> dict[str, str]:
    """For NSD. `example` holds every odd domain, so that a name in it that is missing does not exist for sure."""
    ours = f"@ MX 10 {HOSTNAME}."
    return {
        "contoso.com": f"{ours}\nsales MX 10 {HOSTNAME}.\nmail A {place.own}",
        "fabrikam.com": ours,
        "example.net": f"@ MX 10 mail\nmail A {place.sun}",
        "example": "\n".join(
            (
                f"mx.mailwye A {place.service}",
                "null MX 0 .",
                f"loop MX 10 {HOSTNAME}.",
                "loop-by-address MX 10 same.loop-by-address",
                f"same.loop-by-address A {place.service}",
                "private MX 10 mail.private",
                "mail.private A 10.1.2.3",
                "mail.private A 169.254.169.254",
                "alias MX 10 cname.alias",
                "cname.alias CNAME mail.example.net.",
                "late MX 10 mail.example.net.",
                f"no-mx A {place.sun}",
            )
        ),
    }
