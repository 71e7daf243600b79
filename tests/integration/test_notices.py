"""What cannot be delivered comes back, readable for people and for programs (SEMANTICS section 11)."""

from __future__ import annotations

import smtplib

import pytest

from tests.integration.conftest import World
from tests.integration.messages import id_of, message
from tests.integration.notices import notice_about
from tests.integration.test_story import BOB, JOHN, SUN, hand_in


@pytest.mark.counterpart("postfix")
def test_bob_is_told_that_johns_server_does_not_know_the_recipient(world: World) -> None:
    content = message(BOB, "gone@contoso.com", b"are you there?\r\n")
    with world.junction.bob() as client:
        client.sendmail(BOB, ["gone@contoso.com"], content)
    notice = notice_about(world.junction.bobs_maildir(), id_of(content))
    (group,) = notice.recipients
    assert group["Final-Recipient"] == "rfc822; gone@contoso.com"
    assert group["Action"] == "failed"
    assert group["Status"] == "5.1.1"
    assert "User unknown" in group["Diagnostic-Code"]
    assert "gone@contoso.com" in notice.text
    assert notice.message["Auto-Submitted"] == "auto-replied"
    assert notice.message["To"].addresses[0].addr_spec == BOB
    assert world.junction.queued("gone@contoso.com") == []


@pytest.mark.counterpart("postfix")
def test_john_is_told_in_his_own_mailbox(world: World) -> None:
    """The notice goes out through the connector like any other mail for John."""
    content = message(JOHN, "nobody@nosuch.example", b"hello?\r\n")
    hand_in(world.own, content, JOHN, "nobody@nosuch.example")
    notice = notice_about(world.own.mailbox("john", "contoso.com"), id_of(content))
    (group,) = notice.recipients
    assert group["Status"] == "5.1.2"
    assert "nosuch.example" in notice.text


def test_unknown_recipients_are_refused_while_the_sender_is_there(world: World) -> None:
    with world.junction.client(world.place.stranger) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail(SUN, ["nobody@contoso.com"], message(SUN, "nobody@contoso.com"))
    code, text = refused.value.recipients["nobody@contoso.com"]
    assert code == 550
    assert text.startswith(b"5.4.1 Recipient address rejected: Access denied")
