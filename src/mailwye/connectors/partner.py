"""Partner connectors: they grant nothing, they only restrict (SEMANTICS section 3, rule 3)."""

from __future__ import annotations

from mailwye.connectors.certificates import certificate_missing
from mailwye.connectors.matching import longest_prefix
from mailwye.connectors.model import InboundConnector
from mailwye.message.facts import SessionFacts
from mailwye.smtp.reply import Reply

_TLS_MISSING = Reply(451, "5.7.3", "STARTTLS is required to send mail")


def restrict(connector: InboundConnector, facts: SessionFacts) -> tuple[Reply | None, str]:
    """What an enabled Partner connector whose SenderDomains match says to this session: the refusal or None, and the reason.

    SenderIPAddresses count with RestrictDomainsToIPAddresses only, TlsSenderCertificateName with RestrictDomainsToCertificate only.
    A missing STARTTLS is a 451, so that the partner may come again with TLS; everything else is final.
    """
    name = f'Partner connector "{connector.name}"'
    if connector.restrict_domains_to_ip_addresses and longest_prefix(connector.sender_ip_addresses, facts.peer_address) < 0:
        peer = facts.peer_address or "the peer"
        return _refusal(f"{name} takes mail from its SenderDomains from its SenderIPAddresses only, and {peer} is not among them")
    if facts.tls is None and connector.require_tls:
        return _TLS_MISSING, f"{name} requires TLS (RequireTls), and the session has none"
    if connector.restrict_domains_to_certificate:
        missing = certificate_missing(connector, facts)
        if missing:
            return _refusal(f"{name} takes mail from its SenderDomains with a certificate only (RestrictDomainsToCertificate): {missing}")
    return None, f"{name} matches the sender's domain, and its conditions are met"


def _refusal(reason: str) -> tuple[Reply, str]:
    return Reply(550, "5.7.51", f"TenantInboundAttribution; {reason}"), reason
