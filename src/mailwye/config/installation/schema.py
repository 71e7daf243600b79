"""What mailwye.toml may hold: the tables, their keys, bounds and the form of addresses.

The dataclasses of settings.py give names and defaults.
"""

from __future__ import annotations

import ipaddress

from mailwye.config.installation import (
    DeliverySettings,
    DnsSettings,
    InboundLimits,
    Installation,
    ListenerSettings,
    QueueSettings,
    ReplaySettings,
    SecretsSettings,
    TlsFileSettings,
    TraceSettings,
    TransportSettings,
)
from mailwye.config.installation.oidc import OIDC
from mailwye.config.installation.tables import Table, count, items, named, one_of, plain_text, seconds, table_of
from mailwye.config.problem import Fault, shown
from mailwye.config.reading import scalar
from mailwye.config.scalars import NAME_LIMIT, TEXT_LIMIT, limited_text, read_networks
from mailwye.smtp.address import AddressError, parse_address, parse_domain

LISTENER_KINDS = ("mx", "submission", "submissions", "admin", "https", "http")
CERTIFICATES_LIMIT = 100  # in [[tls.certificates]]: each costs a worker about a megabyte (the trusted authorities again)
REPLAY_REQUIREMENTS = ("no", "clean", "acknowledged")
TLS_REPORTS = ("off", "https", "all")
BARE_LINE_ENDS = ("reject", "normalise")
WORKERS_LIMIT = 52  # one letter of a queue id names the worker (message/ids.py)
AUTHORITIES_LIMIT = 50  # entries of [tls.authorities]
DNS_PORT = 53


def _domain(value: object) -> str:
    try:
        return parse_domain(plain_text(value))
    except AddressError as error:
        raise Fault(str(error), "Write a fully qualified domain name, such as mx.contoso.com") from error


def _optional_domain(value: object) -> str:
    return _domain(value) if value != "" else ""


def _optional_address(value: object) -> str:
    text = plain_text(value)
    try:
        return str(parse_address(text)) if text else ""
    except AddressError as error:
        raise Fault(str(error), "Write an address, such as postmaster@contoso.com") from error


def _ip_address(value: object) -> str:
    text = plain_text(value)
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise Fault(f"{shown(text)} is no IP address", "Write an address; 0.0.0.0 and :: stand for all of the machine") from error


def _optional_ip_address(value: object) -> str:
    return _ip_address(value) if value != "" else ""


def _network(value: object) -> str:
    networks = read_networks(plain_text(value))
    if len(networks) != 1:
        raise Fault(f"{shown(value)} is no single network", "Write it as CIDRs, such as 192.0.2.0/24")
    return networks[0]


def _name_server(value: object) -> str:
    """`192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53` → with port."""
    text = plain_text(value)
    address, port = text, str(DNS_PORT)
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        parsed = ipaddress.ip_address(address)
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError(port)
    except ValueError as error:
        raise Fault(f"{shown(text)} is no address with port", "Write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53") from error
    return f"[{parsed}]:{int(port)}" if parsed.version == 6 else f"{parsed}:{int(port)}"


def _lmtp(value: object) -> str:
    text = plain_text(value)
    host, colon, port = text.rpartition(":")
    if text and "/" not in text and not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise Fault(f"{shown(text)} is neither address:port nor the path of a socket", 'Write "127.0.0.1:24" or "/run/dovecot/lmtp"')
    return text


def _file_path(value: object) -> str:
    path = plain_text(value)
    if not path:
        raise Fault("is empty", "Give it a value")
    return path


_PATH = scalar(_file_path)
_NAME = scalar(limited_text(NAME_LIMIT, required=True))
_NETWORKS = items(scalar(_network))

KEY_PAIR = Table(
    lambda certificate, private_key: (certificate, private_key),
    {"certificate": _PATH, "private_key": _PATH},
    required=("certificate", "private_key"),
)
"""[tls.client_certificates.NAME]: what an outbound connector presents; [[tls.certificates]]: a further certificate of the listeners."""

TABLES = {
    "listener": table_of(
        ListenerSettings,
        {"kind": f"Use one of: {', '.join(LISTENER_KINDS)}"},
        name=_NAME,
        kind=one_of(LISTENER_KINDS),
        address=scalar(_ip_address),
        port=count(0, 65_535),  # 0: a free one, for tests
        proxies=_NETWORKS,
        xclient=_NETWORKS,
        certificate=_PATH,
        private_key=_PATH,
    ),
    "tls": table_of(
        TlsFileSettings,
        certificate=_PATH,
        private_key=_PATH,
        certificates=items(KEY_PAIR.read, limit=CERTIFICATES_LIMIT),
        trusted_authorities=items(_PATH),
        client_certificates=named(_NAME, KEY_PAIR.read),
        authorities=named(
            _NAME,
            items(_PATH, required=True, lone=True),
            limit=AUTHORITIES_LIMIT,
            why="each is asked about every certificate",
        ),
    ),
    "dns": table_of(
        DnsSettings,
        nameservers=items(scalar(_name_server)),
        cache_entries=count(0),
        cache_ttl_max=seconds(0.0),
        cache_ttl_negative_max=seconds(0.0),
    ),
    "limits": table_of(
        InboundLimits,
        message_size=count(65_536),  # RFC 5321 section 4.5.3.1.7
        header_octets=count(1_000),
        header_fields=count(20),
        received_headers=count(2, 1_000),
        command_line=count(512, 1_048_576),  # section 4.5.3.1.4
        connections_reserved_for_connectors=count(0),
        minimum_rate=count(0),
        rewritten_sender_days=count(1, 1_000),  # message/sender_rewriting.DAYS
        bare_line_end=one_of(BARE_LINE_ENDS),
    ),
    "delivery": table_of(
        DeliverySettings,
        mx_port=count(1, 65_535),
        smart_host_port=count(1, 65_535),
        hello_name=scalar(_optional_domain),
        source_address=scalar(_optional_ip_address),
        connection_idle=seconds(0.0),
        lmtp=scalar(_lmtp),
    ),
    "transport": table_of(
        TransportSettings,
        policy_port=count(1, 65_535),
        policy_octets=count(1_024, 65_536),
        tls_reports=one_of(TLS_REPORTS),
        tls_report_contact=scalar(_optional_address),
        tls_report_days=count(2, 366),
    ),
    "queue": table_of(
        QueueSettings,
        retry_delays=items(seconds(), required=True),
        inline_octets=count(0),
        memory_octets=count(0),
        free_space_minimum=count(0),
        free_inodes_minimum=count(0),
        dsn_return_octets=count(0),
    ),
    "trace": table_of(TraceSettings),
    "secrets": table_of(SecretsSettings, key_file=scalar(plain_text)),
    "replay": table_of(
        ReplaySettings,
        retention_days=count(0, 366),
        octets=count(16_777_216),
        require=one_of(REPLAY_REQUIREMENTS),
    ),
    "oidc": OIDC,
}


def _installation(*, listener: tuple[ListenerSettings, ...], **values: object) -> Installation:
    return Installation(listeners=listener, **values)  # type: ignore[arg-type]  # each was read by the reader of its key


FILE = Table(
    _installation,
    {
        "hostname": scalar(_domain),
        "data_directory": _PATH,
        "listener": items(TABLES["listener"].read, required=True),
        "workers": count(0, WORKERS_LIMIT),
        "user": scalar(limited_text(TEXT_LIMIT)),
        "shutdown_timeout": seconds(0.0, 86_400.0),
        **{name: table.read for name, table in TABLES.items() if name != "listener"},
    },
    ("hostname", "data_directory", "listener"),
    {
        "hostname": 'Add a line such as hostname = "mx.contoso.com"',
        "data_directory": 'Add a line such as data_directory = "/var/lib/mailwye"',
        "listener": 'Add [[listener]] with name = "mx", kind = "mx", address = "0.0.0.0" and port = 25',
    },
)
"""The whole file. Paths are still as written."""
