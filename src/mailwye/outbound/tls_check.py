"""What an outbound connector asks of TLS, and the sentence that says what is missing (SEMANTICS section 8). Pure.

Every refusal here defers: a requirement that cannot be met today (an expired certificate, STARTTLS switched off by a firewall) is mended
by somebody tomorrow, and the mail never leaves in a weaker way than was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailwye.connectors.matching import certificate_name_matches, is_presentable, pattern_matches
from mailwye.connectors.model import TlsSettings
from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.envelope import TlsWish
from mailwye.runtime.tls import PresentedCertificate
from mailwye.smtp.reply import Reply
from mailwye.transport.failures import Failure, FailureType
from mailwye.transport.host_policy import NO_POLICY, Demand, HostPolicy, judge_certificate, without_tls
from mailwye.transport.staples import trust_at

NAMES_SHOWN = 10
REQUIRETLS = "REQUIRETLS of the message (RFC 8689)"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What is asked for and by whom. `tls_domain` as in OutboundConnector; `connector` "" for routes without one; `policy`: what the
    recipient's domain asks of the one host; `require_tls`: the message asks for REQUIRETLS at every hop (RFC 8689). `logs_in`:
    a password is sent, which is what asks for EncryptionOnly where TlsSettings does not. `field`: the connector's setting, for people.
    """

    settings: TlsSettings = TlsSettings.OPPORTUNISTIC
    tls_domain: str = ""
    connector: str = ""
    policy: HostPolicy = NO_POLICY
    require_tls: bool = False
    logs_in: bool = False
    field: str = "TlsSettings"

    @property
    def required(self) -> bool:
        """True where mail must not leave in plaintext."""
        return self.settings is not TlsSettings.OPPORTUNISTIC or self.policy.required or self.require_tls

    def of(self, policy: HostPolicy) -> TlsDemand:
        """The demand on a host that `policy` speaks of: the connector's stays, the domain's is added."""
        return self if policy is self.policy else replace(self, policy=policy)

    @property
    def asked_by(self) -> str:
        """Which setting asked, for people."""
        if self.require_tls and not self.policy.required:
            return REQUIRETLS
        if self.settings is TlsSettings.OPPORTUNISTIC and self.policy.required:
            return self.policy.asked_by
        if self.logs_in and self.settings is TlsSettings.ENCRYPTION_ONLY:
            return f'connector "{self.connector}" (SmartHostAuthMechanism BasicAuthRequireTLS)'
        domain = f", TlsDomain {self.tls_domain}" if self.tls_domain and self.settings is TlsSettings.DOMAIN_VALIDATION else ""
        return f'connector "{self.connector}" ({self.field} {self.settings.value or "null"}{domain})'


def demand_of(route: Route) -> TlsDemand:
    """What the connector of `route` asks for. A message with REQUIRETLS asks smart hosts for what it asks of MX hosts: a certificate for
    their name (RFC 8689 section 4.2.1). A mailbox is no further hop: the way to it stays on the own machines.
    """
    require_tls = route.tls_wish is TlsWish.REQUIRED and route.kind is not RouteKind.MAILBOX
    settings = TlsSettings.DOMAIN_VALIDATION if require_tls and route.smart_hosts else route.tls_settings
    logs_in = route.credential is not None
    if logs_in and settings is TlsSettings.OPPORTUNISTIC:
        settings = TlsSettings.ENCRYPTION_ONLY  # a password never goes over plaintext
    return TlsDemand(settings, route.tls_domain, route.connector, require_tls=require_tls, logs_in=logs_in, field=route.tls_field)


def is_watched(route: Route) -> bool:
    """Whether somebody is told before the certificate of its host expires: of one that the connector names, or whose certificate it judges.
    What the hosts of all other domains present is their business, and more than anybody wants to read of.
    """
    return bool(route.smart_hosts) or route.tls_settings in (TlsSettings.CERTIFICATE_VALIDATION, TlsSettings.DOMAIN_VALIDATION)


def unprotected(demand: TlsDemand, host: str, *, offered: bool) -> Reply | None:
    """The refusal where the message asks for REQUIRETLS and the peer, which was heard within TLS, does not offer it."""
    if not demand.require_tls or offered:
        return None
    return Reply(550, "5.7.30", f"REQUIRETLS support required: the message asks for it, and {host} does not offer it")


def not_offered(demand: TlsDemand, host: str) -> Reply:
    """The peer hides STARTTLS (W7)."""
    return _cannot_connect(demand, f"STARTTLS is required by {demand.asked_by}, but {host} does not offer it")


def refused(demand: TlsDemand, host: str, reply: Reply) -> Reply:
    """The peer offers STARTTLS and then refuses it (W7)."""
    return _cannot_connect(demand, f"STARTTLS is required by {demand.asked_by}, but {host} refused it: {reply}")


def handshake_failed(demand: TlsDemand, host: str, cause: str) -> Reply:
    """The handshake broke."""
    wanted = f"; TLS is required by {demand.asked_by}" if demand.required else ""
    return _cannot_connect(demand, f"TLS with {host} failed: {cause}{wanted}")


def _cannot_connect(demand: TlsDemand, cause: str) -> Reply:
    if demand.policy.by_dane:
        return Reply(450, "4.7.321", f"Cannot connect to remote server: starttls-not-supported: {cause}")
    if demand.policy.required:
        return Reply(450, "4.7.5", f"Cannot connect to remote server: {cause}")
    return Reply(450, "4.4.317", f"Cannot connect to remote server: {cause}")


def without(demand: TlsDemand, cause: str) -> str:
    """The reason of a session that goes on in plaintext, which nothing forbids: `cause` as "STARTTLS is not offered"."""
    if demand.policy.demand is Demand.STS_TESTING:
        return f"plaintext: {without_tls(demand.policy, cause).reason}, but only for testing"
    return f"plaintext: {cause}"


def check_certificate(
    demand: TlsDemand, host_name: str, host: str, certificate: PresentedCertificate | None, now: float = 0.0
) -> tuple[Reply | str, Failure | None]:
    """The verdict on the handshake's certificate: the deferring reply, or the reason why it is good enough; and the failure that TLS
    reports tell of, also where it is overlooked.

    `host_name` is what DomainValidation expects where TlsDomain is empty, and what a policy expects; `host` names the peer for people.
    `now`: Unix seconds.
    """
    by_connector = _check_for_connector(demand, host_name, host, certificate, now)
    if isinstance(by_connector, Reply) or demand.policy.demand is Demand.NOTHING:
        return by_connector, Failure(FailureType.VALIDATION_FAILURE, by_connector.text) if isinstance(by_connector, Reply) else None
    verdict = judge_certificate(demand.policy, host_name, certificate, now)
    if verdict.failure is not None and demand.policy.required:
        return _refusal(demand.policy, host, verdict.failure, verdict.reason), verdict.failure
    by_policy = f"{verdict.reason}, but only for testing" if verdict.failure is not None else verdict.reason
    return by_policy if demand.settings is TlsSettings.OPPORTUNISTIC else f"{by_connector}; {by_policy}", verdict.failure


_DANE_CODES = {
    FailureType.CERTIFICATE_EXPIRED: "4.7.322",
    FailureType.DNSSEC_INVALID: "4.7.324",
    FailureType.CERTIFICATE_HOST_MISMATCH: "4.7.325",
}


def _refusal(policy: HostPolicy, host: str, failure: Failure, reason: str) -> Reply:
    if not policy.by_dane:
        return Reply(450, "4.7.320", f"Certificate validation failed: {host}: {reason}")
    return Reply(450, _DANE_CODES.get(failure.type, "4.7.323"), f"{failure.type.value}: DANE validation of {host} failed: {reason}")


def _check_for_connector(demand: TlsDemand, host_name: str, host: str, certificate: PresentedCertificate | None, now: float) -> Reply | str:
    match demand.settings:
        case TlsSettings.OPPORTUNISTIC:
            return "TLS is used because it was offered; the certificate was not judged (TlsSettings null)"
        case TlsSettings.ENCRYPTION_ONLY:
            return f"TLS as {demand.asked_by} asks; any certificate is good"
    if certificate is None:
        return _invalid(demand, f"{host} presented no certificate")
    trusted, why = trust_at(certificate, now)
    if not trusted:
        told = f"{why}; subject {certificate.subject}, issuer {certificate.issuer}, SHA-256 {certificate.fingerprint}"
        return _invalid(demand, f"the certificate of {host} is not trusted: {told}")
    if demand.settings is TlsSettings.CERTIFICATE_VALIDATION:
        return f"TLS with a trusted certificate as {demand.asked_by} asks: {why}"
    expected = demand.tls_domain or host_name
    for presented in certificate.names:
        if name_satisfies(presented, expected):
            return f"TLS with a trusted certificate for {presented}, which matches {expected}, as {demand.asked_by} asks: {why}"
    names = ", ".join(certificate.names[:NAMES_SHOWN]) or "no name at all"
    more = f" and {len(certificate.names) - NAMES_SHOWN} more" if len(certificate.names) > NAMES_SHOWN else ""
    return _invalid(demand, f"{host}: expected name {expected}, presented {names}{more}")


def name_satisfies(presented: str, expected: str) -> bool:
    """TlsDomain: a plain name by RFC 9525 section 6.3; `*.contoso.com` is met by a certificate for any subdomain, or for
    `*.contoso.com`, but not by one for contoso.com (SEMANTICS section 2).
    """
    if not expected.startswith("*."):
        return certificate_name_matches(presented, expected)
    presented, expected = presented.lower(), expected.lower()
    if not is_presentable(expected) or not is_presentable(presented):
        return False
    return presented == expected or pattern_matches(expected, presented.removeprefix("*."), subdomains_only=True)


def _invalid(demand: TlsDemand, cause: str) -> Reply:
    return Reply(450, "4.7.320", f"Certificate validation failed: {cause}; asked for by {demand.asked_by}")
