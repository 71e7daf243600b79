from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.config.compile import compile_snapshot
from mailwye.config.parse import read_organization
from mailwye.connectors.mailflow import decide_route
from mailwye.directory.model import RecipientKind
from mailwye.smtp.address import parse_address

CONTOSO = Path(__file__).resolve().parents[2] / "scenarios" / "contoso.yaml"


@pytest.mark.parametrize(
    ("recipient", "connector"),
    [
        ("john@fabrikam.com", "Connector 1"),
        ("john@contoso.com", "Connector 2"),
        ("john@sales.contoso.com", "Connector 3"),
        ("bob@contoso.com", ""),
        ("sun@example.net", ""),
    ],
)
def test_the_page_s_example_from_file_to_route(recipient: str, connector: str) -> None:
    parsed = read_organization(CONTOSO)
    assert parsed.value is not None
    snapshot = compile_snapshot(parsed.value, 7)
    assert (snapshot.version, snapshot.organization) == (7, "contoso")
    route = decide_route(snapshot.directory, snapshot.connectors, parse_address(recipient), from_on_premises=False)
    assert route.connector == connector


def test_recipients_of_all_kinds() -> None:
    parsed = read_organization(
        """
        AcceptedDomain: {DomainName: contoso.com}
        Mailbox: {PrimarySmtpAddress: a@contoso.com, EmailAddresses: alias@contoso.com, DisplayName: Ann}
        MailUser: {PrimarySmtpAddress: b@contoso.com, ExternalEmailAddress: b@example.net}
        MailContact: {PrimarySmtpAddress: c@contoso.com, ExternalEmailAddress: c@example.net}
        DistributionGroup: {PrimarySmtpAddress: d@contoso.com, Members: [a@contoso.com, c@contoso.com]}
        """
    )
    assert parsed.value is not None
    directory = compile_snapshot(parsed.value, 1).directory
    found = {text: directory.find(parse_address(f"{text}@contoso.com")) for text in ("alias", "b", "c", "d", "e")}
    assert found["e"] is None
    kinds = {text: recipient.kind for text, recipient in found.items() if recipient is not None}
    assert kinds == {
        "alias": RecipientKind.MAILBOX,
        "b": RecipientKind.MAIL_USER,
        "c": RecipientKind.MAIL_CONTACT,
        "d": RecipientKind.DISTRIBUTION_GROUP,
    }
    assert found["alias"] is not None
    assert found["alias"].display_name == "Ann"
    assert found["b"] is not None
    assert found["b"].external_email_address == parse_address("b@example.net")
    assert found["d"] is not None
    assert found["d"].members == (parse_address("a@contoso.com"), parse_address("c@contoso.com"))
