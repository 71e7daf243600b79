from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailwye.config.parse import read_organization
from mailwye.config.schema import KINDS, ConfigObject, OrganizationSettings, ReceiveConnector, SendConnector
from mailwye.config.versions import stored_form
from mailwye.config.versions.stored_form import from_stored, model_of, stored_text

ROOT = Path(__file__).resolve().parents[4]
FILES = [*sorted((ROOT / "tests" / "scenarios").glob("*.yaml")), *sorted((ROOT / "examples").glob("*.yaml"))]

FEW = {SendConnector.kind, ReceiveConnector.kind}
"""An own server has a handful of them, with sizes and times that validation may as well read."""

OWN_SERVER = """
SendConnector:
  - {Name: To Office 365, AddressSpaces: ["*", contoso.com;5], DNSRoutingEnabled: false, SmartHosts: "relay.example:587", RequireTLS: true,
     TlsAuthLevel: DomainValidation, TlsDomain: relay.example, TlsCertificateName: "<I>CN=ca<S>CN=x", Fqdn: mail.contoso.com}
ReceiveConnector:
  - {Name: Default Frontend, Bindings: ["0.0.0.0:25", "[::]:25"], RemoteIPRanges: [192.0.2.0/24, 10.0.0.1-10.0.0.9],
     TlsDomainCapabilities: "mail.protection.outlook.com:AcceptCloudServicesMail", PermissionGroups: [AnonymousUsers, Partners],
     AuthMechanism: [], RequireTLS: true}
"""


def objects() -> list[ConfigObject]:
    found: list[ConfigObject] = []
    sources: list[Path | str] = [*FILES, OWN_SERVER]
    for file in sources:
        organization = read_organization(file).value
        assert organization is not None
        found.append(organization.organization)
        found += [thing for kind in KINDS for thing in organization.objects(kind)]
    return found


@pytest.mark.parametrize("thing", objects(), ids=lambda thing: thing.label)
def test_what_is_stored_is_read_as_validation_would_read_it(thing: ConfigObject) -> None:
    text = stored_text(thing)
    read, validated = from_stored(thing.kind, text), type(thing).of(json.loads(text))
    assert read == validated == thing
    assert read.given == validated.given
    assert hash(json.dumps(read.plain())) == hash(json.dumps(validated.plain()))
    assert stored_text(read) == text
    assert read.changed() == read


def test_every_kind_is_read_without_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new field of a type that stored_form.py does not know is read all the same, only slowly: this test says so."""
    things = objects()
    texts = [(thing.kind, stored_text(thing)) for thing in things]
    assert {kind for kind, _ in texts} == {OrganizationSettings.kind, *KINDS}
    slow = {kind for kind, text in texts if stored_form._reader(kind).trusted(json.loads(text)) is None}
    assert slow <= FEW


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("Future", "{}", "no kind of object"),
        ("AcceptedDomain", "{", "not JSON"),
        ("AcceptedDomain", "[]", "mapping|dictionary|instance"),
        ("AcceptedDomain", "{}", "DomainName"),
        ("AcceptedDomain", '{"DomainName": "a.com", "Future": 1}', "Future"),
        ("AcceptedDomain", '{"DomainName": "a.com", "Default": "yes"}', "true or false"),
        ("AcceptedDomain", '{"DomainName": "a.com", "DomainType": "Other"}', "DomainType"),
        ("Mailbox", '{"PrimarySmtpAddress": "nobody"}', "PrimarySmtpAddress"),
        ("OutboundConnector", '{"Name": "x", "SmartHosts": "mail..example"}', "SmartHosts"),
    ],
)
def test_what_cannot_be_understood_is_told(kind: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_stored(kind, text)


def test_kinds_have_their_models() -> None:
    assert model_of("Organization") is OrganizationSettings
    with pytest.raises(KeyError):
        model_of("Future")
