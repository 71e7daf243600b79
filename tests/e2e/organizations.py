"""Organizations as YAML, as administrators write them."""

from __future__ import annotations

from pathlib import Path

BOB = "bob@contoso.com"
JOHN = "john@contoso.com"
SUN = "sun@example.net"

_HOSTED = """\
Organization: {Name: contoso}
AcceptedDomain:
  - {DomainName: contoso.com, Default: true}
Mailbox:
  - {PrimarySmtpAddress: bob@contoso.com, EmailAddresses: [robert@contoso.com]}
"""

_OWN_SERVER = """\
MailUser:
  - {PrimarySmtpAddress: john@contoso.com}
OutboundConnector:
  - Name: To our servers
    ConnectorType: OnPremises
    RecipientDomains: [contoso.com]
    UseMXRecord: false
    SmartHosts: ["%s"]
"""

_RELAY = """\
InboundConnector:
  - {Name: From our servers, ConnectorType: OnPremises, SenderDomains: ["*"], SenderIPAddresses: [127.0.0.0/8]}
"""


def hosted(directory: Path) -> Path:
    """Bob alone, hosted here."""
    return _write(directory, _HOSTED)


def hybrid(directory: Path, smart_host: str) -> Path:
    """Bob hosted here, John behind `smart_host` ("127.0.0.1:2510")."""
    return _write(directory, _HOSTED + _OWN_SERVER % smart_host)


def relay(directory: Path, smart_host: str) -> Path:
    """As hybrid; every loopback address is an own server."""
    return _write(directory, _HOSTED + _OWN_SERVER % smart_host + _RELAY)


def _write(directory: Path, text: str) -> Path:
    path = directory / "organization.yaml"
    path.write_text(text)
    return path
