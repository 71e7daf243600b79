"""Which way out? SEMANTICS section 6: pure, with the reason for every candidate."""

from __future__ import annotations

from enum import Enum

from mailwye.connectors.matching import pattern_matches, specificity
from mailwye.connectors.model import ConnectorType, Credential, MtaStsMode, OutboundConnector, SmartHost, SmtpDaneMode, TlsSettings
from mailwye.connectors.own_server import SendConnector
from mailwye.connectors.table import ConnectorTable, is_centralized, scope_of
from mailwye.message.envelope import TlsWish
from mailwye.smtp.address import Address
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass


class RouteKind(Enum):
    """The three ways out, and none."""

    CONNECTOR = "connector"
    MAILBOX = "mailbox"
    MX = "mx"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One connector that was considered, whether it was chosen, and why or why not."""

    connector: str
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one recipient's copy. `recipient` is the envelope recipient at the next hop (an external address may have
    replaced the one that was asked for). `smart_hosts` is empty for MX: then `domain` is looked up. `mailbox` is the
    PrimarySmtpAddress for mailbox delivery. `failure_enhanced` ("5.4.4") and `failure` (the text alone) say why there is none;
    `reply` makes the 550 of them. `tls_wish`: of the message that goes this way, put in when it is carried. `credential`: with what to log
    in at the smart hosts.

    What changes on this way: `cloud_services_mail_enabled` lets the organization's headers cross, `remove_internal_received_headers` hides
    the own network, `rewrites_sender` wraps foreign senders (the way has SenderRewritingEnabled, and leaves the organization).

    Of a SendConnector: `hello_name` for EHLO ("": the usual one), `max_message_size` in octets (0: no limit of its own). `tls_field`: the
    setting that `tls_settings` came from, for people.

    `kept_as`: of a way that is kept as it was decided then (connectors/pins.py), what tells it from all others.
    """

    kind: RouteKind
    recipient: Address
    connector: str = ""
    smart_hosts: tuple[SmartHost, ...] = ()
    domain: str = ""
    tls_settings: TlsSettings = TlsSettings.OPPORTUNISTIC
    tls_domain: str = ""
    client_certificate: str = ""
    cloud_services_mail_enabled: bool = False
    mailbox: str = ""
    failure_enhanced: str = ""
    failure: str = ""
    reasons: tuple[str, ...] = ()
    considered: tuple[Candidate, ...] = ()
    remove_internal_received_headers: bool = False
    rewrites_sender: bool = False
    mta_sts_mode: MtaStsMode = MtaStsMode.OPPORTUNISTIC
    smtp_dane_mode: SmtpDaneMode = SmtpDaneMode.OPPORTUNISTIC
    tls_wish: TlsWish = TlsWish.DEFAULT
    credential: Credential | None = None
    hello_name: str = ""
    max_message_size: int = 0
    tls_field: str = "TlsSettings"
    kept_as: str = ""

    @property
    def next_hop(self) -> str:
        """The key by which the queue groups work: "mailbox", "connector:NAME", "mx:DOMAIN", "none".

        A connector with UseMXRecord gives "connector:NAME:DOMAIN", since each domain is another host. A name may hold a colon and end like
        a domain: with smart hosts it is "connector:NAME:" then, as no domain is empty. A way that is kept gives "kept:KEY:NAME", or
        "kept:KEY:NAME:DOMAIN": its hosts are not those that the connector has now.
        """
        kind = self.kind
        if kind is RouteKind.CONNECTOR:
            name = self.connector
            if self.kept_as:
                return f"kept:{self.kept_as}:{name}" if self.smart_hosts else f"kept:{self.kept_as}:{name}:{self.domain}"
            if not self.smart_hosts:
                return f"connector:{name}:{self.domain}"
            return f"connector:{name}:" if ":" in name else f"connector:{name}"
        if kind is RouteKind.MX:
            return f"mx:{self.domain}"
        return "mailbox" if kind is RouteKind.MAILBOX else "none"

    def dials_like(self, other: Route) -> bool:
        """True where two routes of one `next_hop` may use the same connections: same hosts, same demands, same login. Recipients, reasons
        and what is done to the message may differ.
        """
        return (
            (self.smart_hosts is other.smart_hosts or self.smart_hosts == other.smart_hosts)
            and self.tls_settings is other.tls_settings
            and self.tls_domain == other.tls_domain
            and self.mta_sts_mode is other.mta_sts_mode
            and self.smtp_dane_mode is other.smtp_dane_mode
            and self.client_certificate == other.client_certificate
            and self.credential == other.credential
            and self.hello_name == other.hello_name
        )

    @property
    def reply(self) -> Reply:
        """The failure of NONE as a reply. :raises ValueError: for the other kinds."""
        if self.kind is not RouteKind.NONE:
            raise ValueError("only a route of kind NONE has a failure")
        return Reply(550, self.failure_enhanced, self.failure)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which connector takes a domain, by which of its patterns, and the reason as a sentence. `connector` None: no one."""

    connector: OutboundConnector | None
    pattern: str
    reason: str


def select_inside(table: ConnectorTable, domain: str) -> Selection:
    """For a mailbox elsewhere in an accepted domain (rule 3): OnPremises connectors only."""
    found = table.inside.find(domain)
    if found is not None:
        connector, pattern = found
        return Selection(connector, pattern, f"{connector.title} is the most specific one for {domain} ({pattern})")
    return Selection(None, "", f"No OnPremises connector or SendConnector leads to {domain}")


def select_outside(table: ConnectorTable, domain: str, *, from_on_premises: bool) -> Selection:
    """For a recipient outside (rule 4): connectors of either type, Partner first at the same rank. What came from the own servers is
    not sent back to them by RouteAllMessagesViaOnPremises.
    """
    found = (table.outside_from_on_premises if from_on_premises else table.outside).find(domain)
    if found is not None:
        connector, pattern = found
        return Selection(connector, pattern, f"{connector.title} is the most specific one for {domain} ({pattern})")
    return Selection(None, "", f"No connector is for {domain}: its MX records lead the way")


def select_centralized(table: ConnectorTable, domain: str) -> Selection | None:
    """For a hosted mailbox (section 7): the connector with RouteAllMessagesViaOnPremises, None where no one has it."""
    found = table.centralized.find(domain)
    if found is None:
        return None
    name = found[0].name
    return Selection(found[0], found[1], f'Centralized transport: connector "{name}" takes it to the own servers first')


def missing_connector(table: ConnectorTable, domain: str) -> str:
    """What to create so that mail for `domain`, which is accepted but not hosted here, has a way: the text of the 550 5.4.4."""
    remedy = (
        f"Create an enabled outbound connector of type OnPremises with RecipientDomains {domain} (or AllAcceptedDomains) "
        "and SmartHosts that name the own mail server"
    )
    if any(isinstance(connector, SendConnector) for connector in table.outbound):
        remedy = f"Name {domain} in the AddressSpaces of an enabled SendConnector whose SmartHosts lead to the other side"
    text = f"No outbound connector leads to {domain}, whose mailbox is not hosted here. {remedy}"
    nearly = table.unusable_inside.find(domain)
    if nearly is None:
        return f"{text}."
    return f'{text}. Connector "{nearly[0].name}" nearly matched: {_unusable(nearly[0], inside=True)}.'


def consider(table: ConnectorTable, domain: str, *, inside: bool, from_on_premises: bool, selection: Selection) -> tuple[Candidate, ...]:
    """Every outbound connector, whether it was chosen for `domain`, and why or why not."""
    found = []
    for connector in table.outbound:
        chosen = connector is selection.connector
        reason = selection.reason if chosen else _against(connector, domain, inside, from_on_premises, selection)
        found.append(Candidate(connector.name, chosen, reason))
    return tuple(found)


# Microsoft's page lists another order; its own example has this one (SEMANTICS section 6, rule 3).
_ORDER = "exact domain > longest *.suffix > AllAcceptedDomains > *, as Exchange's own example has it"


def _against(connector: OutboundConnector, domain: str, inside: bool, from_on_premises: bool, selection: Selection) -> str:
    unusable = _unusable(connector, inside=inside)
    if unusable:
        return f"{unusable[:1].upper()}{unusable[1:]}"
    if is_centralized(connector) and from_on_premises and not inside:
        return "RouteAllMessagesViaOnPremises: what came from the own servers is not sent back to them"
    pattern = _best_pattern(connector, domain, inside)
    if not pattern:
        if connector.all_accepted_domains and not inside:
            return f"AllAcceptedDomains never catches a recipient outside, and RecipientDomains do not hold {domain}"
        scope = ", ".join(connector.recipient_domains) or "(none)"
        return f"{connector.scope_field} {scope} do not hold {domain}"
    winner = selection.connector
    if winner is None:
        return f"{pattern} matches, but no connector was asked"
    if pattern != selection.pattern:
        return f'{pattern} matches, but {selection.pattern} of "{winner.name}" is more specific ({_ORDER})'
    cost, winning = connector.costs.get(pattern, 1), winner.costs.get(pattern, 1)
    if cost != winning:
        return f'{pattern} matches, but "{winner.name}" has the lower cost ({winning} against {cost})'
    if connector.connector_type is not winner.connector_type:
        return f'{pattern} matches, but "{winner.name}" is a Partner connector, which comes first at the same rank'
    return f'{pattern} matches, but "{winner.name}" comes first in alphabetical order'


def _unusable(connector: OutboundConnector, *, inside: bool) -> str:
    """Why a connector is not chosen by domain at all, "" where it may be."""
    if not connector.enabled:
        return "it is disabled"
    if connector.is_transport_rule_scoped:
        return "it is scoped to mail flow rules (IsTransportRuleScoped): only a rule's action uses it"
    if connector.test_mode:
        return "it is in TestMode: only validation uses it"
    if inside and connector.connector_type is not ConnectorType.ON_PREMISES:
        return "it is a Partner connector: only OnPremises connectors lead to mailboxes of accepted domains"
    return ""


def _best_pattern(connector: OutboundConnector, domain: str, inside: bool) -> str:
    """The most specific of the connector's patterns that holds `domain`; "" where none does."""
    matching = [pattern for pattern in scope_of(connector) if pattern_matches(pattern, domain, subdomains_only=True)]
    best = max(matching, key=specificity, default="")
    if inside and connector.all_accepted_domains and best in ("", "*"):
        return "AllAcceptedDomains"
    return best
