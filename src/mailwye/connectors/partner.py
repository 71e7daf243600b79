"""Partner connectors: they grant nothing, they only restrict (SEMANTICS section 3, rule 3)."""

from __future__ import annotations

from mailwye.connectors.matching import longest_prefix, sender_certificate_matches
from mailwye.connectors.model import InboundConnector
from mailwye.connectors.table import CERTIFICATE_NAMES
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
        return _refusal(
            f"{name} takes mail from its SenderDomains from its SenderIPAddresses only, and {facts.peer_address} is not among them"
        )
    if facts.tls is None and connector.require_tls:
        return _TLS_MISSING, f"{name} requires TLS (RequireTls), and the session has none"
    if connector.restrict_domains_to_certificate:
        missing = certificate_missing(connector.tls_sender_certificate_name, facts)
        if missing:
            return _refusal(f"{name} takes mail from its SenderDomains with a certificate only (RestrictDomainsToCertificate): {missing}")
    return None, f"{name} matches the sender's domain, and its conditions are met"


def certificate_missing(pattern: str, facts: SessionFacts) -> str:
    """What is missing for a trusted certificate with a name that matches TlsSenderCertificateName `pattern`; "" where nothing is."""
    if facts.tls is None:
        return f"the session has no TLS, so the client presented no certificate for TlsSenderCertificateName {pattern}"
    certificate = facts.tls.certificate
    if certificate is None:
        return f"the client presented no certificate for TlsSenderCertificateName {pattern}"
    if not any(sender_certificate_matches(presented, pattern) for presented in certificate.names[:CERTIFICATE_NAMES]):
        return f"the certificate's names {shown_names(certificate.names)} do not match TlsSenderCertificateName {pattern}"
    if not certificate.trusted:
        reason = certificate.trust_reason or "no reason given"
        return f"the certificate for {shown_names(certificate.names)} is not trusted ({reason})"
    return ""


def shown_names(names: tuple[str, ...], limit: int = 3) -> str:
    """Names of a certificate for a sentence. They are foreign text: printable ASCII only, cut, and not all of many."""
    if not names:
        return "(none)"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(ascii(name)[1:-1][:80] for name in names[:limit]) + more


def _refusal(reason: str) -> tuple[Reply, str]:
    return Reply(550, "5.7.51", f"TenantInboundAttribution; {reason}"), reason
