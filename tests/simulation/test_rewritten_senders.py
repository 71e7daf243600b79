"""Forwarded mail leaves with a rewritten sender, and its bounce finds the way back; nobody else gets through there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.smtp.reply import Reply
from mailwye.testing.sender import Mail
from mailwye.testing.world import GATEWAY, MOON, OWN, SUN, World
from mailwye.trace.event import EventKind

FORWARDING = f"""\
Organization: {{{{Name: contoso, SenderRewritingEnabled: {{direct}}}}}}
AcceptedDomain:
  - {{{{DomainName: contoso.com, Default: true}}}}
MailContact:
  - {{{{PrimarySmtpAddress: sun@contoso.com, ExternalEmailAddress: {SUN}}}}}
InboundConnector:
  - {{{{Name: From our servers, ConnectorType: OnPremises, SenderIPAddresses: ["{OWN}"]}}}}
"""
THROUGH_OWN = f"""\
OutboundConnector:
  - {{{{Name: Internet, ConnectorType: OnPremises, RouteAllMessagesViaOnPremises: true, SenderRewritingEnabled: true, UseMXRecord: false,
     SmartHosts: ["{OWN}"]}}}}
"""


async def send(world: World, sender: str, recipient: str) -> str:
    """The server of Moon's friends sends something; the reply."""
    mail = Mail("bounce", sender, (recipient,))
    (reply,) = await world.sender("mail.example.net", "192.0.2.99").attempt(mail, mail.recipients, "b", GATEWAY, 25)
    return str(reply)


@pytest.mark.parametrize("way", ["connector", "direct"])
def test_a_bounce_of_forwarded_mail_comes_back(tmp_path: Path, way: str) -> None:
    async def story(world: World) -> None:
        text = FORWARDING + (THROUGH_OWN if way == "connector" else "")
        gateway = await world.begin(organization=text.format(direct=str(way == "direct").lower()))
        world.mail(MOON, ("sun@contoso.com",))
        await world.settle()
        (forwarded,) = (world.own if way == "connector" else world.sun).messages
        assert forwarded.recipients == (SUN,)
        assert forwarded.sender.startswith("SRS0=")
        assert forwarded.sender.endswith("=example.org=moon@contoso.com")
        (sent,) = [event for event in gateway.trace.recorded if event.kind is EventKind.SEND]
        assert any(f"{MOON} is rewritten to {forwarded.sender}" in reason for reason in sent.reasons)

        assert (await send(world, "", forwarded.sender.lower())).startswith("250")  # a host that folds case on the way
        await world.settle()
        if way == "direct":
            (bounce,) = world.moon.messages
            assert (bounce.sender, bounce.recipients) == ("", (MOON,))
        else:  # centralized transport takes it to the own servers first, as everything for outside
            assert (world.own.messages[-1].sender, world.own.messages[-1].recipients) == ("", (MOON,))

        for sender, recipient, reply in (
            ("spammer@example.net", forwarded.sender, "550 5.7.1"),
            ("", forwarded.sender.replace("moon", "sun"), "550 5.7.1"),
        ):
            assert (await send(world, sender, recipient)).startswith(reply)
        await world.sleep(23 * 86_400.0)
        assert (await send(world, "", forwarded.sender)).startswith("550 5.1.1")

    World.run(30, tmp_path, story)


def test_a_failure_here_is_told_to_the_real_sender(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.begin(organization=FORWARDING.format(direct="true"))
        world.sun.script.rcpt = lambda _recipient: Reply(550, "5.1.1", "No such user")
        world.mail(MOON, ("sun@contoso.com",))
        await world.settle()
        (notice,) = world.moon.messages
        assert (notice.sender, notice.recipients) == ("", (MOON,))
        assert b"5.1.1" in notice.content

    World.run(31, tmp_path, story)
