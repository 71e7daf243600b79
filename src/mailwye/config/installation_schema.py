"""The checking models of mailwye.toml: types, bounds and the form of addresses.

The dataclasses of installation.py give names and defaults; the pydantic models that check the values are made from them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, StrictBool, StrictFloat, StrictInt, create_model

from mailwye.config.installation import (
    DEFAULT_WORKERS,
    DeliverySettings,
    DnsSettings,
    InboundLimits,
    ListenerSettings,
    QueueSettings,
    ReplaySettings,
    SecretsSettings,
    TraceSettings,
    TransportSettings,
)
from mailwye.config.problem import did_you_mean, shown
from mailwye.config.schema.config_object import fault
from mailwye.config.schema.values import Name, Text, as_list, read_networks
from mailwye.smtp.address import AddressError, parse_address, parse_domain

LISTENER_KINDS = ("mx", "submission", "submissions", "admin", "https", "http")
CERTIFICATES_LIMIT = 100  # in [[tls.certificates]]: each costs a worker about a megabyte (the trusted authorities again)
REPLAY_REQUIREMENTS = ("no", "clean", "acknowledged")
TLS_REPORTS = ("off", "https", "all")
BARE_LINE_ENDS = ("reject", "normalise")
WORKERS_LIMIT = 52  # one letter of a queue id names the worker (message/ids.py)
AUTHORITIES_LIMIT = 50  # entries of [tls.authorities]
NUMBER_LIMIT = 2**53
DNS_PORT = 53


def _domain(value: object) -> str:
    try:
        return parse_domain(_string(value))
    except AddressError as error:
        raise fault(str(error), "Write a fully qualified domain name, such as mx.contoso.com") from error


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise fault("must be text", "Put it in quotes")
    if not value.isprintable():
        raise fault("holds a control character", "Remove it")
    return value


def _optional_domain(value: object) -> str:
    return _domain(value) if value != "" else ""


def _optional_address(value: object) -> str:
    text = _string(value)
    try:
        return str(parse_address(text)) if text else ""
    except AddressError as error:
        raise fault(str(error), "Write an address, such as postmaster@contoso.com") from error


def _ip_address(value: object) -> str:
    text = _string(value)
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise fault(f"{shown(text)} is no IP address", "Write an address; 0.0.0.0 and :: stand for all of the machine") from error


def _optional_ip_address(value: object) -> str:
    return _ip_address(value) if value != "" else ""


def _network(value: object) -> str:
    networks = read_networks(_string(value))
    if len(networks) != 1:
        raise fault(f"{shown(_string(value))} is no single network", "Write it as CIDRs, such as 192.0.2.0/24")
    return networks[0]


def _name_server(value: object) -> str:
    """`192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53` → with port."""
    text = _string(value)
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
        raise fault(f"{shown(text)} is no address with port", "Write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53") from error
    return f"[{parsed}]:{int(port)}" if parsed.version == 6 else f"{parsed}:{int(port)}"


def _one_of(words: tuple[str, ...]) -> Any:
    def read(value: object) -> str:
        text = _string(value)
        if text not in words:
            raise fault(f"{shown(text)} is none of its values", did_you_mean(text, words, otherwise=f"Use one of: {', '.join(words)}"))
        return text

    return Annotated[str, PlainValidator(read)]


def _lmtp(value: object) -> str:
    text = _string(value)
    host, colon, port = text.rpartition(":")
    if text and "/" not in text and not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise fault(f"{shown(text)} is neither address:port nor the path of a socket", 'Write "127.0.0.1:24" or "/run/dovecot/lmtp"')
    return text


def _not_empty(value: object) -> object:
    if value in ("", []):
        raise fault("is empty", "Give it a value")
    return value


def _count(low: int = 1, high: int = NUMBER_LIMIT) -> Any:
    return Annotated[StrictInt, Field(ge=low, le=high)]


def _seconds(low: float = 0.001, high: float = 315_360_000.0) -> Any:
    return Annotated[StrictFloat, Field(ge=low, le=high, allow_inf_nan=False)]


_Domain = Annotated[str, PlainValidator(_domain)]
_OptionalDomain = Annotated[str, PlainValidator(_optional_domain)]
_OptionalIpAddress = Annotated[str, PlainValidator(_optional_ip_address)]
_Network = Annotated[str, PlainValidator(_network)]
_NameServer = Annotated[str, PlainValidator(_name_server)]
_FilePath = Annotated[str, BeforeValidator(_string), BeforeValidator(_not_empty)]
_FilePaths = Annotated[tuple[_FilePath, ...], BeforeValidator(as_list), BeforeValidator(_not_empty)]
_Port = _count(1, 65_535)
_Delay: Any = _seconds()

_BY_TYPE: dict[Any, Any] = {bool: StrictBool, int: _count(), float: _seconds(), str: Text}
_STRICT = ConfigDict(extra="forbid", frozen=True)


def _model(cls: type[Any], **special: Any) -> type[BaseModel]:
    """A checking model with the fields and defaults of the dataclass `cls`; `special` replaces the rule of a field's type."""
    hints = get_type_hints(cls)
    fields: dict[str, Any] = {}
    for entry in dataclasses.fields(cls):
        rule = special[entry.name] if entry.name in special else _BY_TYPE[hints[entry.name]]
        default = ... if entry.default is dataclasses.MISSING else entry.default
        fields[entry.name] = (rule, default)
    return create_model(cls.__name__, __config__=_STRICT, **fields)


class KeyPairModel(BaseModel):
    """[tls.client_certificates.NAME]: what an outbound connector presents; [[tls.certificates]]: a further certificate of the listeners."""

    model_config = _STRICT
    certificate: _FilePath
    private_key: _FilePath


def _few_authorities(value: object) -> object:
    if isinstance(value, dict) and len(value) > AUTHORITIES_LIMIT:
        raise fault(f"has {len(value)} entries", f"Keep it to {AUTHORITIES_LIMIT}: each is asked about every certificate")
    return value


class TlsModel(BaseModel):
    """[tls]."""

    model_config = _STRICT
    certificate: _FilePath | None = None
    private_key: _FilePath | None = None
    certificates: Annotated[tuple[KeyPairModel, ...], Field(max_length=CERTIFICATES_LIMIT)] = ()
    trusted_authorities: tuple[_FilePath, ...] = ()
    client_certificates: dict[Name, KeyPairModel] = {}
    authorities: Annotated[dict[Name, _FilePaths], BeforeValidator(_few_authorities)] = {}


ListenerModel = _model(
    ListenerSettings,
    name=Name,
    kind=_one_of(LISTENER_KINDS),
    address=Annotated[str, PlainValidator(_ip_address)],
    port=_count(0, 65_535),  # 0: a free one, for tests
    proxies=tuple[_Network, ...],
    xclient=tuple[_Network, ...],
    certificate=_FilePath | None,
    private_key=_FilePath | None,
)
DnsModel = _model(
    DnsSettings,
    nameservers=tuple[_NameServer, ...],
    cache_entries=_count(0),
    cache_ttl_max=_seconds(0.0),
    cache_ttl_negative_max=_seconds(0.0),
)
LimitsModel = _model(
    InboundLimits,
    message_size=_count(65_536),  # RFC 5321 section 4.5.3.1.7
    header_octets=_count(1_000),
    header_fields=_count(20),
    received_headers=_count(2, 1_000),
    command_line=_count(512, 1_048_576),  # section 4.5.3.1.4
    connections_reserved_for_connectors=_count(0),
    minimum_rate=_count(0),
    rewritten_sender_days=_count(1, 1_000),  # message/sender_rewriting.DAYS
    bare_line_end=_one_of(BARE_LINE_ENDS),
)
DeliveryModel = _model(
    DeliverySettings,
    mx_port=_Port,
    smart_host_port=_Port,
    hello_name=_OptionalDomain,
    source_address=_OptionalIpAddress,
    connection_idle=_seconds(0.0),
    lmtp=Annotated[str, PlainValidator(_lmtp)],
)
TransportModel = _model(
    TransportSettings,
    policy_port=_Port,
    policy_octets=_count(1_024, 65_536),
    tls_reports=_one_of(TLS_REPORTS),
    tls_report_contact=Annotated[str, PlainValidator(_optional_address)],
    tls_report_days=_count(2, 366),
)
QueueModel = _model(
    QueueSettings,
    retry_delays=Annotated[tuple[_Delay, ...], BeforeValidator(_not_empty)],
    inline_octets=_count(0),
    memory_octets=_count(0),
    free_space_minimum=_count(0),
    free_inodes_minimum=_count(0),
    dsn_return_octets=_count(0),
)
TraceModel = _model(TraceSettings)
SecretsModel = _model(SecretsSettings, key_file=Annotated[str, PlainValidator(_string)])
ReplayModel = _model(
    ReplaySettings,
    retention_days=_count(0, 366),
    octets=_count(16_777_216),
    require=_one_of(REPLAY_REQUIREMENTS),
)


class FileModel(BaseModel):
    """The whole file."""

    model_config = _STRICT
    hostname: _Domain
    data_directory: _FilePath
    listener: Annotated[tuple[ListenerModel, ...], BeforeValidator(_not_empty)]  # type: ignore[valid-type]  # made by create_model
    workers: Annotated[StrictInt, Field(ge=0, le=WORKERS_LIMIT)] = DEFAULT_WORKERS
    user: Text = ""
    shutdown_timeout: Annotated[StrictFloat, Field(ge=0.0, le=86_400.0)] = 30.0
    tls: TlsModel = TlsModel()
    dns: DnsModel = DnsModel()  # type: ignore[valid-type]
    limits: LimitsModel = LimitsModel()  # type: ignore[valid-type]
    delivery: DeliveryModel = DeliveryModel()  # type: ignore[valid-type]
    transport: TransportModel = TransportModel()  # type: ignore[valid-type]
    queue: QueueModel = QueueModel()  # type: ignore[valid-type]
    trace: TraceModel = TraceModel()  # type: ignore[valid-type]
    secrets: SecretsModel = SecretsModel()  # type: ignore[valid-type]
    replay: ReplayModel = ReplayModel()  # type: ignore[valid-type]


TABLES: dict[str, type[BaseModel]] = {
    "listener": ListenerModel,
    "tls": TlsModel,
    "dns": DnsModel,
    "limits": LimitsModel,
    "delivery": DeliveryModel,
    "transport": TransportModel,
    "queue": QueueModel,
    "trace": TraceModel,
    "secrets": SecretsModel,
    "replay": ReplayModel,
}
