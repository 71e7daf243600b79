"""SendConnector and ReceiveConnector as files, the API and the store hold them: fields and defaults of Exchange Server."""

from __future__ import annotations

import re
from enum import Enum
from typing import ClassVar, TypeVar

from mailwye.config.problem import Fault, did_you_mean, shown
from mailwye.config.scalars import as_list, read_text
from mailwye.config.schema.config_object import ConfigObject, exchange_name, field
from mailwye.config.schema.credential import CREDENTIAL, MECHANISM, AuthenticationCredential
from mailwye.config.schema.quantities import TIME_SPAN, count, size
from mailwye.config.schema.smart_host import SMART_HOSTS
from mailwye.config.schema.value import Value, choice, choice_of, each, text_of, value_of
from mailwye.config.schema.values import (
    CERTIFICATE_NAME,
    FLAG,
    NAME,
    TEXT,
    TLS_SETTINGS,
    each_once,
    networks,
    read_certificate_name,
    read_domain_text,
    read_pattern,
    sorted_texts,
)
from mailwye.connectors.model import SmartHost, SmartHostAuthMechanism, TlsSettings
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


def _members(enum: type[_E]) -> Value[tuple[_E, ...]]:
    """Values of `enum`, each once, in the order of the enum."""
    read_one = choice(enum)

    def read(value: object) -> _E:
        refused = _REFUSED.get(value.lower()) if isinstance(value, str) else None
        if refused is not None:
            raise Fault(*refused)
        return read_one(value)

    def in_order(values: tuple[_E, ...]) -> tuple[_E, ...]:
        return tuple(member for member in enum if member in values)

    return each(choice_of(enum, read), in_order, listed=_without_none)


_TEXT = {"type": "string"}
_SPACES = each(
    value_of(AddressSpace, read_address_space, _TEXT, write=str, kept=read_address_space), _spaces_in_order, listed=_split, required=True
)
_BINDINGS = each(
    value_of(Binding, read_binding, _TEXT, write=str, kept=read_binding), lambda all_: each_once(all_, str), listed=_split, required=True
)
_CAPABILITIES = each(text_of(read_capability), sorted_texts)
_IDENTIFIER = text_of(read_certificate_identifier)
_FQDN = text_of(_read_fqdn, format="hostname")


class _OwnServerConnector(ConfigObject, spelling=_spelling):
    """What both have."""

    name: str = field(NAME)
    enabled: bool = field(FLAG, default=True)
    comment: str = field(TEXT, default="")

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

    address_spaces: tuple[AddressSpace, ...] = field(_SPACES)
    dns_routing_enabled: bool = field(FLAG, default=True)
    smart_hosts: tuple[SmartHost, ...] = field(SMART_HOSTS, default=())
    port: int = field(count(1, 65_535), default=25)
    require_tls: bool = field(FLAG, default=False)
    tls_auth_level: TlsSettings = field(TLS_SETTINGS, default=TlsSettings.OPPORTUNISTIC)
    tls_domain: str = field(CERTIFICATE_NAME, default="")
    tls_certificate_name: str = field(_IDENTIFIER, default="")
    fqdn: str = field(_FQDN, default="")
    cloud_services_mail_enabled: bool = field(FLAG, default=False)
    max_message_size: int = field(size(1, unlimited=True), default=35 * MEGABYTE)
    smart_host_auth_mechanism: SmartHostAuthMechanism = field(MECHANISM, default=SmartHostAuthMechanism.NONE)
    authentication_credential: AuthenticationCredential | None = field(CREDENTIAL, default=None)


class ReceiveConnector(_OwnServerConnector):
    """Who may talk to which listener of an own server, and with what limits."""

    kind: ClassVar[str] = "ReceiveConnector"

    bindings: tuple[Binding, ...] = field(_BINDINGS)
    remote_ip_ranges: tuple[str, ...] = field(networks(required=True), default=EVERYWHERE)
    fqdn: str = field(_FQDN, default="")
    tls_certificate_name: str = field(_IDENTIFIER, default="")
    tls_domain_capabilities: tuple[str, ...] = field(_CAPABILITIES, default=())
    permission_groups: tuple[PermissionGroup, ...] = field(_members(PermissionGroup), default=())
    auth_mechanism: tuple[AuthMechanism, ...] = field(_members(AuthMechanism), default=(AuthMechanism.TLS,))
    require_tls: bool = field(FLAG, default=False)
    max_hop_count: int = field(count(1, 500), default=30)
    max_message_size: int = field(size(65_536, unlimited=False), default=36 * MEGABYTE)
    max_recipients_per_message: int = field(count(1, 512_000), default=200)
    max_protocol_errors: int = field(count(0, _COUNT_LIMIT, unlimited=True), default=5)
    max_inbound_connection: int = field(count(1, _COUNT_LIMIT, unlimited=True), default=5_000)
    max_inbound_connection_per_source: int = field(count(1, 10_000, unlimited=True), default=20)
    connection_timeout: float = field(TIME_SPAN, default=600.0)
    connection_inactivity_timeout: float = field(TIME_SPAN, default=300.0)
