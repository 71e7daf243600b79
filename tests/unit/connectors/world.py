"""Contoso, the organization of SEMANTICS section 1 and 6, and short ways to ask about it."""

from __future__ import annotations

from dataclasses import dataclass

from mailwye.connectors.attribution import Caller
from mailwye.connectors.mailflow import RecipientDecision, decide_recipient, decide_sender
from mailwye.connectors.model import ConnectorType, InboundConnector, OutboundConnector, SmartHost
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DirectoryRecipient, RecipientKind
from mailwye.message.facts import PeerCertificate, SessionFacts, TlsFacts
from mailwye.smtp.address import Address, parse_address
from mailwye.smtp.reply import Reply

ON_PREMISES = ConnectorType.ON_PREMISES
PARTNER = ConnectorType.PARTNER
OWN_HOST = SmartHost("127.0.0.10", 2510, look_up_mx=False)


def recipient(kind: RecipientKind, primary: str, *aliases: str, external: str = "", members: tuple[str, ...] = ()) -> DirectoryRecipient:
    return DirectoryRecipient(
        kind,
        parse_address(primary),
        tuple(parse_address(alias) for alias in aliases),
        parse_address(external) if external else None,
        tuple(parse_address(member) for member in members),
    )


def mailbox(primary: str, *aliases: str) -> DirectoryRecipient:
    return recipient(RecipientKind.MAILBOX, primary, *aliases)


def mail_user(primary: str, *aliases: str, external: str = "") -> DirectoryRecipient:
    return recipient(RecipientKind.MAIL_USER, primary, *aliases, external=external)


def group(primary: str, *members: str) -> DirectoryRecipient:
    return recipient(RecipientKind.DISTRIBUTION_GROUP, primary, members=members)


CONTOSO = Directory(
    [AcceptedDomain(name) for name in ("contoso.com", "sales.contoso.com", "fabrikam.com", "contoso.onmicrosoft.com")],
    [
        mailbox("bob@contoso.com", "robert@contoso.com"),
        mail_user("john@contoso.com"),
        mail_user("john@sales.contoso.com"),
        mail_user("john@fabrikam.com"),
    ],
)


def outbound(name: str, *domains: str, **settings: object) -> OutboundConnector:
    """An OnPremises connector with one smart host unless said otherwise."""
    values: dict[str, object] = {"connector_type": ON_PREMISES, "use_mx_record": False, "smart_hosts": (OWN_HOST,), **settings}
    return OutboundConnector(name, recipient_domains=domains, **values)  # type: ignore[arg-type]  # keyword table


def inbound(name: str, **settings: object) -> InboundConnector:
    """An OnPremises connector unless said otherwise."""
    return InboundConnector(name, **{"connector_type": ON_PREMISES, **settings})  # type: ignore[arg-type]  # keyword table


FROM_OUR_SERVERS = inbound("From our servers", require_tls=True, tls_sender_certificate_name="*.contoso.com")
CONNECTOR_1 = outbound("Connector 1", all_accepted_domains=True)
CONNECTOR_2 = outbound("Connector 2", "contoso.com")
CONNECTOR_3 = outbound("Connector 3", "*.contoso.com")
EXAMPLE = ConnectorTable([FROM_OUR_SERVERS], [CONNECTOR_1, CONNECTOR_2, CONNECTOR_3])


def session(
    *names: str, ip: str = "203.0.113.5", trusted: bool = True, tls: bool = False, auth: str = "", listener: str = "mx"
) -> SessionFacts:
    """A peer; `names` are those of its certificate (which implies TLS)."""
    certificate = None
    if names:
        certificate = PeerCertificate(
            "CN=x", "CN=ca", names, 0.0, 2e9, "00", trusted, "signed by the test CA" if trusted else "self-signed"
        )
    secure = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, certificate) if names or tls else None
    return SessionFacts("s1", "mx", listener, ip, 40000, "mail.contoso.com", True, secure, auth)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one transaction with one recipient comes to."""

    reply: Reply
    caller: Caller
    decision: RecipientDecision

    @property
    def hops(self) -> list[str]:
        return [route.next_hop for route in self.decision.routes]


def address(text: str) -> Address | None:
    return None if text == "<>" else parse_address(text)


def ask(facts: SessionFacts, sender: str, to: str, table: ConnectorTable = EXAMPLE, directory: Directory = CONTOSO) -> Answer:
    """MAIL FROM and RCPT TO, as the live path asks them."""
    at_mail = decide_sender(directory, table, facts, address(sender))
    at_rcpt = decide_recipient(directory, table, facts, at_mail.caller, address(sender), parse_address(to))
    return Answer(at_rcpt.reply if at_mail.reply.is_success else at_mail.reply, at_mail.caller, at_rcpt)
