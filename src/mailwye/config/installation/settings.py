"""The installation: what mailwye.toml holds. Every limit of the software has its name and default here.

config/parse.py reads it from TOML with all errors at once; docs/configuration.md explains every key.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from mailwye.value import dataclass

if TYPE_CHECKING:
    from mailwye.access.roles import Role
    from mailwye.connectors.own_server import Binding

DEFAULT_WORKERS = 0
"""Where mailwye.toml does not say: everything in one process. How many serve best is measured, not assumed."""


KINDS_WITHOUT_TLS = ("admin", "http")
KINDS_OF_IMPLICIT_TLS = ("submissions", "https")
"""Kinds of listeners: those that never offer TLS, and those that are nothing without it."""


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """[[listener]]. `kind`: "mx" | "submission" | "submissions" | "admin" | "https" | "http". `proxies`: CIDRs whose PROXY
    protocol header is believed, `xclient`: CIDRs whose XCLIENT command is; where mail is taken.
    `certificate` and `private_key`: what it presents instead of those of [tls].
    """

    name: str
    kind: str
    address: str
    port: int
    proxies: tuple[str, ...] = ()
    xclient: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def binding(self) -> Binding:
        """Address and port together, as ReceiveConnectors name them."""
        from mailwye.connectors.own_server import Binding  # commands read this file and know nothing of connectors

        return Binding(self.address, self.port)


@dataclass(frozen=True, slots=True)
class TlsFileSettings:
    """[tls]. Paths are absolute after reading (relative ones are relative to the file). `certificates`: further pairs, chosen by the name
    that the client asks for.
    """

    certificate: Path | None = None
    private_key: Path | None = None
    certificates: tuple[tuple[Path, Path], ...] = ()  # (certificate, key)
    trusted_authorities: tuple[Path, ...] = ()
    client_certificates: dict[str, tuple[Path, Path]] = field(default_factory=dict)  # name → (certificate, key)
    authorities: dict[str, tuple[Path, ...]] = field(default_factory=dict)  # name → files; for connectors that name it


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """[dns]. Empty nameservers: the system's. Times in seconds."""

    nameservers: tuple[str, ...] = ()  # "127.0.0.1:5353", "[::1]:53"
    validating: bool = False
    timeout: float = 5.0
    cache_entries: int = 100_000
    cache_ttl_max: float = 86_400.0
    cache_ttl_negative_max: float = 900.0


@dataclass(frozen=True, slots=True)
class InboundLimits:
    """[limits]: what one listener process lets its peers do. Octets, seconds, counts."""

    message_size: int = 36_700_160
    recipients_per_message: int = 500
    header_octets: int = 262_144
    header_fields: int = 1_000
    received_headers: int = 30
    command_line: int = 2_048
    connections: int = 10_000  # in all, per worker
    connections_per_address: int = 100  # per worker
    connections_reserved_for_connectors: int = 500
    errors_per_session: int = 20
    idle_commands_per_session: int = 100
    command_timeout: float = 300.0
    content_timeout: float = 180.0
    handshake_timeout: float = 30.0
    minimum_rate: int = 64  # octets a second within content
    failed_logins_per_address: int = 20  # in `failed_logins_window`
    failed_logins_window: float = 600.0
    rewritten_sender_days: int = 21
    bare_line_end: str = "reject"  # "reject" | "normalise"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """[delivery]. Seconds, counts."""

    mx_port: int = 25
    smart_host_port: int = 25
    allow_private_mx: bool = False
    hello_name: str = ""  # default: hostname
    source_address: str = ""
    connections_per_destination: int = 10
    messages_per_connection: int = 100_000
    connection_idle: float = 10.0
    connection_lifetime: float = 3_600.0  # then policies of the domain are looked up again
    addresses_per_destination: int = 5
    connect_timeout: float = 30.0
    command_timeout: float = 300.0
    content_timeout: float = 600.0  # RFC 5321 section 4.5.3.2.6: ten minutes after the final dot
    concurrency: int = 2_000  # leases under way in one worker
    concurrency_per_destination: int = 200
    lmtp: str = ""  # "127.0.0.1:24" or a socket path: mailbox delivery by LMTP instead of Maildir


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """[transport]: MTA-STS and TLS reports. Seconds, octets, counts."""

    policy_port: int = 443
    policy_timeout: float = 60.0  # RFC 8461 section 3.3 suggests both limits
    policy_octets: int = 65_536
    policy_refresh: float = 86_400.0
    policy_retry: float = 300.0
    policies: int = 100_000
    tls_reports: str = "https"  # "off" | "https" | "all"
    tls_report_contact: str = ""
    tls_report_days: int = 30
    tls_report_failures: int = 1_000


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """[queue]. Seconds, octets."""

    retry_delays: tuple[float, ...] = (60, 120, 240, 480, 900, 1800, 3600)  # the last one repeats
    delay_notice_after: float = 14_400.0
    expire_after: float = 86_400.0
    inline_octets: int = 262_144  # content up to this stays in memory until it is delivered the first time
    memory_octets: int = 268_435_456  # all such content together
    free_space_minimum: int = 67_108_864  # below it: 452 4.3.1
    free_inodes_minimum: int = 1_000  # and files that the file system can still hold
    messages: int = 5_000_000
    dsn_return_octets: int = 65_536  # how much of the original a full DSN returns


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """[trace]."""

    retention_days: int = 30
    buffer_events: int = 100_000


@dataclass(frozen=True, slots=True)
class SecretsSettings:
    """[secrets]: with what saved passwords are encrypted."""

    key_file: str = ""  # default: credentials.key in the data directory, made when it is first needed


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """[replay]. `retention_days` 0: no traffic is recorded. `require`: "no" | "clean" | "acknowledged", for each change of the settings."""

    retention_days: int = 7
    octets: int = 1_073_741_824  # of all recorded traffic; the oldest days go first
    require: str = "no"


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """[oidc]: whose access tokens open the API, and what they open. `roles`: value of the claim → roles. Seconds."""

    issuer: str  # as its tokens have it, character by character
    audience: str
    roles: dict[str, tuple[Role, ...]]
    roles_claim: tuple[str, ...] = ("roles",)  # the way into the claims: a name, and names within
    name_claim: str = "preferred_username"  # shown, decides nothing
    clients: tuple[str, ...] = ()  # that may bring tokens; empty: any of the issuer's
    required_claims: dict[str, tuple[str | bool, ...]] = field(default_factory=dict)  # claim → values, of which one has to be there
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    authorities: tuple[Path, ...] = ()
    leeway: float = 60.0
    keys_refresh: float = 3_600.0
    keys_keep: float = 86_400.0
    timeout: float = 10.0  # for each of the issuer's documents


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation. `source` is the file it was read from."""

    hostname: str
    data_directory: Path
    listeners: tuple[ListenerSettings, ...]
    workers: int = DEFAULT_WORKERS
    user: str = ""  # run as this user after binding, where started as root
    tls: TlsFileSettings = field(default_factory=TlsFileSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    limits: InboundLimits = field(default_factory=InboundLimits)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    transport: TransportSettings = field(default_factory=TransportSettings)
    queue: QueueSettings = field(default_factory=QueueSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
    secrets: SecretsSettings = field(default_factory=SecretsSettings)
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    oidc: OidcSettings | None = None
    shutdown_timeout: float = 30.0
    source: Path | None = None
