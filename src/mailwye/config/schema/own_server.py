"""SendConnector and ReceiveConnector as files, the API and the store hold them: fields and defaults of Exchange Server."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from mailwye.config.problem import Fault, did_you_mean, shown
from mailwye.config.scalars import as_list, read_text
from mailwye.config.schema.config_object import ConfigObject, exchange_name
from mailwye.config.schema.credential import Credential, Mechanism
from mailwye.config.schema.quantities import TimeSpan, count, size
from mailwye.config.schema.smart_host import SmartHosts
from mailwye.config.schema.values import (
    CertificateName,
    Flag,
    Name,
    Networks,
    Text,
    choice,
    each_once,
    read_certificate_name,
    read_domain_text,
    read_pattern,
)
from mailwye.connectors.model import SmartHostAuthMechanism, TlsSettings
from mailwye.connectors.own_certificates import read_issuer_and_subject
from mailwye.connectors.own_server import EVERYWHERE, MEGABYTE, AddressSpace, AuthMechanism, Binding, PermissionGroup

COST_LIMIT = 100
CAPABILITY = "AcceptCloudServicesMail"

_SPELLINGS = {"require_tls": "RequireTLS", "dns_routing_enabled": "DNSRoutingEnabled"}
_COUNT_LIMIT = 2_147_483_647
_DIGITS = 9  # of a cost that are looked at
_E = TypeVar("_E", bound=Enum)


def _spelling(field: str) -> str:
    """Exchange Server writes TLS and DNS in capitals where Exchange Online does not."""
    return _SPELLINGS.get(field) or exchange_name(field)


def read_address_space(value: object) -> AddressSpace:
    """`*`, `contoso.com`, `*.contoso.com`, `SMTP:contoso.com;5`."""
    if isinstance(value, AddressSpace):
        return value
    text = read_text(value)
    if text == "--":
        raise Fault('"--" (all accepted domains) is no address space here', "Name the accepted domains one by one, or use *")
    kind, colon, rest = text.partition(":")
    if colon:
        if kind.strip().lower() != "smtp":
            raise Fault(f"{shown(text)} is of the type {kind}: only SMTP is known", "Write a domain, such as contoso.com")
        text = rest
    domain, semicolon, cost = text.partition(";")
    cost = cost.strip()
    if semicolon and not (cost.isascii() and cost.isdigit() and 1 <= int(cost[:_DIGITS]) <= COST_LIMIT):
        raise Fault(
            f"{shown(text)} has no usable cost", f"Write a number from 1 to {COST_LIMIT} after the semicolon, such as contoso.com;5"
        )
    return AddressSpace(read_pattern(domain.strip()), int(cost) if semicolon else 1)


def _spaces_in_order(spaces: tuple[AddressSpace, ...]) -> tuple[AddressSpace, ...]:
    costs: dict[str, int] = {}
    for space in spaces:
        if costs.setdefault(space.domain, space.cost) != space.cost:
            raise Fault(f"{space.domain} is given with the costs {costs[space.domain]} and {space.cost}", "Keep one of them")
    return each_once(spaces, lambda space: tuple(reversed(space.domain.split("."))))


def read_binding(value: object) -> Binding:
    """`192.0.2.1:25`, `0.0.0.0:25`, `[::]:25`."""
    if isinstance(value, Binding):
        return value
    text = read_text(value)
    if re.fullmatch(r"[0-9A-Fa-f:]*::?[0-9A-Fa-f:]*", text) and text.count(":") > 1:  # as New-ReceiveConnector's page has it: :::25
        address, _, port = text.rpartition(":")
        text = f"[{address}]:{port}"
    try:
        binding = Binding.of(text)
        if not binding.port:
            raise ValueError(text)
    except ValueError as error:
        raise Fault(f"{shown(text)} is no address with a port", "Write 0.0.0.0:25, 192.0.2.1:25 or [::]:25") from error
    return binding


def read_capability(value: object) -> str:
    """`mail.protection.outlook.com:AcceptCloudServicesMail`."""
    text = read_text(value)
    domain, colon, capabilities = text.partition(":")
    if domain.strip().upper() == "NO-TLS":
        raise Fault("NO-TLS trusts anybody", "Name the domain in the other side's certificate, such as mail.protection.outlook.com")
    if not colon:
        raise Fault(f"{shown(text)} names no capability", f"Write {domain}:{CAPABILITY}")
    for one in capabilities.split(","):
        if one.strip().lower() != CAPABILITY.lower():
            raise Fault(
                f"{shown(one.strip())} is a capability that does not exist here",
                did_you_mean(one.strip(), (CAPABILITY,), otherwise=f"Use {CAPABILITY}"),
            )
    name = read_certificate_name(domain.strip())
    if not name:
        raise Fault(f"{shown(text)} names no domain", f"Write mail.protection.outlook.com:{CAPABILITY}")
    return f"{name}:{CAPABILITY}"


def read_certificate_identifier(value: object) -> str:
    """`<I>issuer<S>subject`."""
    text = read_text(value)
    if not text:
        return ""
    found = read_issuer_and_subject(text)
    if found is None:
        raise Fault(
            f"{shown(text)} is not <I>issuer<S>subject",
            "Write both as `openssl x509 -noout -issuer -subject -nameopt RFC2253` prints them; to choose by name use Fqdn",
        )
    return f"<I>{found[0]}<S>{found[1]}"


def _read_fqdn(value: object) -> str:
    text = read_text(value)
    return read_domain_text(text) if text else ""


def _split(value: object) -> object:
    """`AnonymousUsers, ExchangeServers` in one text, as Exchange prints it, is a list; within a list too, as PowerShell takes it."""
    listed = as_list(value)
    if not isinstance(listed, list | tuple):
        return listed
    return [part for one in listed for part in (_words_of(one) if isinstance(one, str) and "," in one else (one,))]


def _words_of(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _without_none(value: object) -> object:
    """`None` stands alone, for no value at all."""
    listed = _split(value)
    if not isinstance(listed, list | tuple):
        return listed
    others = [one for one in listed if not (isinstance(one, str) and one.lower() == "none")]
    if len(others) < len(listed) and others:
        raise Fault("None stands beside other values", "Keep None, or the others")
    return others


_REFUSED = {
    "custom": (
        "Custom stands for rights of single accounts, which do not exist here",
        "Use AnonymousUsers, ExchangeUsers, ExchangeServers",
    ),
    "externalauthoritative": (
        "ExternalAuthoritative would take everybody in RemoteIPRanges for an own server",
        "Add an InboundConnector of type OnPremises with the SenderIPAddresses of the own servers instead",
    ),
}


def _members(enum: type[_E]) -> Any:
    """Values of `enum`, each once, in the order of the enum."""
    read_one = choice(enum)

    def read(value: object) -> _E:
        refused = _REFUSED.get(value.lower()) if isinstance(value, str) else None
        if refused is not None:
            raise Fault(*refused)
        return read_one(value)

    def in_order(values: tuple[_E, ...]) -> tuple[_E, ...]:
        return tuple(member for member in enum if member in values)

    schema = WithJsonSchema({"type": "string", "enum": [member.value for member in enum]})
    written = PlainSerializer(lambda one: one.value, return_type=str)
    member = Annotated[enum, PlainValidator(read), written, schema]  # type: ignore[valid-type]  # a type that is made here
    return Annotated[tuple[member, ...], BeforeValidator(_without_none), AfterValidator(in_order)]


_choose_level = choice(TlsSettings)


def _read_level(value: object) -> TlsSettings:
    return TlsSettings.OPPORTUNISTIC if value is None else _choose_level(value)


_TlsAuthLevel = Annotated[
    TlsSettings,
    PlainValidator(_read_level),
    PlainSerializer(lambda value: value.value),
    WithJsonSchema({"enum": [None, "EncryptionOnly", "CertificateValidation", "DomainValidation"]}),
]


def _written(value: object) -> str:
    return str(value)


_TEXT = WithJsonSchema({"type": "string"})
_Space = Annotated[AddressSpace, PlainValidator(read_address_space), PlainSerializer(_written, return_type=str), _TEXT]
_Spaces = Annotated[tuple[_Space, ...], BeforeValidator(_split), AfterValidator(_spaces_in_order), Field(min_length=1)]
_Binding = Annotated[Binding, PlainValidator(read_binding), PlainSerializer(_written, return_type=str), _TEXT]
_Bindings = Annotated[
    tuple[_Binding, ...], BeforeValidator(_split), AfterValidator(lambda values: each_once(values, str)), Field(min_length=1)
]
_Capability = Annotated[str, PlainValidator(read_capability), _TEXT]
_Capabilities = Annotated[tuple[_Capability, ...], BeforeValidator(as_list), AfterValidator(lambda values: each_once(values, str))]
_Identifier = Annotated[str, PlainValidator(read_certificate_identifier), _TEXT]
_Fqdn = Annotated[str, PlainValidator(_read_fqdn), WithJsonSchema({"type": "string", "format": "hostname"})]


class _OwnServerConnector(ConfigObject):
    """What both have."""

    model_config = ConfigDict(alias_generator=_spelling)

    name: Name
    enabled: Flag = True
    comment: Text = ""

    @property
    def identity(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def label(self) -> str:
        """The kind and the name as written."""
        return f'{self.kind} "{self.name}"'


class SendConnector(_OwnServerConnector):
    """A way out of an own server: to the service or to the Internet. `tls_auth_level` null and `require_tls`: any certificate will do."""

    kind: ClassVar[str] = "SendConnector"

    address_spaces: _Spaces
    dns_routing_enabled: Flag = True
    smart_hosts: SmartHosts = ()
    port: count(1, 65_535) = 25  # type: ignore[valid-type]  # made by a function
    require_tls: Flag = False
    tls_auth_level: _TlsAuthLevel = TlsSettings.OPPORTUNISTIC
    tls_domain: CertificateName = ""
    tls_certificate_name: _Identifier = ""
    fqdn: _Fqdn = ""
    cloud_services_mail_enabled: Flag = False
    max_message_size: size(1, unlimited=True) = 35 * MEGABYTE  # type: ignore[valid-type]
    smart_host_auth_mechanism: Mechanism = SmartHostAuthMechanism.NONE
    authentication_credential: Credential | None = None


class ReceiveConnector(_OwnServerConnector):
    """Who may talk to which listener of an own server, and with what limits."""

    kind: ClassVar[str] = "ReceiveConnector"

    bindings: _Bindings
    remote_ip_ranges: Annotated[Networks, Field(min_length=1)] = EVERYWHERE
    fqdn: _Fqdn = ""
    tls_certificate_name: _Identifier = ""
    tls_domain_capabilities: _Capabilities = ()
    permission_groups: _members(PermissionGroup) = ()  # type: ignore[valid-type]
    auth_mechanism: _members(AuthMechanism) = (AuthMechanism.TLS,)  # type: ignore[valid-type]
    require_tls: Flag = False
    max_hop_count: count(1, 500) = 30  # type: ignore[valid-type]
    max_message_size: size(65_536, unlimited=False) = 36 * MEGABYTE  # type: ignore[valid-type]
    max_recipients_per_message: count(1, 512_000) = 200  # type: ignore[valid-type]
    max_protocol_errors: count(0, _COUNT_LIMIT, unlimited=True) = 5  # type: ignore[valid-type]
    max_inbound_connection: count(1, _COUNT_LIMIT, unlimited=True) = 5_000  # type: ignore[valid-type]
    max_inbound_connection_per_source: count(1, 10_000, unlimited=True) = 20  # type: ignore[valid-type]
    connection_timeout: TimeSpan = 600.0
    connection_inactivity_timeout: TimeSpan = 300.0
