"""AcceptedDomain: the domains for which the organization takes mail (SEMANTICS section 5)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from mailwye.config.problem import Fault
from mailwye.config.scalars import as_list
from mailwye.config.schema.config_object import ConfigObject
from mailwye.config.schema.values import DomainName, Flag, Text, choice, read_pattern
from mailwye.directory.model import DomainType, MtaStsMode

_choose = choice(DomainType)


def _read_domain_type(value: object) -> DomainType:
    if isinstance(value, str) and value.lower() == "externalrelay":
        raise Fault("ExternalRelay does not exist here", "Use InternalRelay and an outbound connector for the domain")
    return _choose(value)


_DomainType = Annotated[
    DomainType,
    PlainValidator(_read_domain_type),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["Authoritative", "InternalRelay"]}),
]


MAX_AGE_MINIMUM = 86_400
MAX_AGE_LIMIT = 31_557_600  # RFC 8461 section 3.2

_choose_mode = choice(MtaStsMode)
_MtaStsMode = Annotated[
    MtaStsMode,
    PlainValidator(_choose_mode),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": [mode.value for mode in MtaStsMode]}),
]


def _read_mx_host(value: object) -> str:
    pattern = read_pattern(value)
    if pattern == "*":
        raise Fault("* would be any server", "Name the MX hosts, such as mx.contoso.com or *.contoso.com")
    return pattern


def _read_max_age(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault("must be a whole number of seconds", "Write digits without quotes")
    if not MAX_AGE_MINIMUM <= value <= MAX_AGE_LIMIT:
        raise Fault(f"must be from {MAX_AGE_MINIMUM} to {MAX_AGE_LIMIT} seconds", "604800 is a week")
    return value


_MxHosts = Annotated[
    tuple[Annotated[str, PlainValidator(_read_mx_host), WithJsonSchema({"type": "string"})], ...],
    BeforeValidator(as_list),
    AfterValidator(lambda values: tuple(dict.fromkeys(values))),  # in the order of the file, as the policy lists them
]
_MaxAge = Annotated[
    int, PlainValidator(_read_max_age), WithJsonSchema({"type": "integer", "minimum": MAX_AGE_MINIMUM, "maximum": MAX_AGE_LIMIT})
]


class AcceptedDomain(ConfigObject):
    """A domain of the organization. `name` is a title only, "" where it is the domain again; the identity is the domain itself."""

    kind: ClassVar[str] = "AcceptedDomain"

    domain_name: DomainName
    domain_type: _DomainType = DomainType.AUTHORITATIVE
    match_sub_domains: Flag = False
    default: Flag = False
    name: Text = ""
    mta_sts_mode: _MtaStsMode | None = None
    mta_sts_mx_hosts: _MxHosts = ()
    mta_sts_max_age: _MaxAge = 604_800

    @model_validator(mode="before")
    @classmethod
    def _title_only(cls, data: Any) -> Any:
        """Exchange names most domains after themselves; that says nothing, and no name means the same."""
        if not isinstance(data, dict):
            return data
        by_lower = {str(key).lower().replace("_", ""): (key, value) for key, value in data.items()}
        key, name = by_lower.get("name", ("", None))
        _, domain = by_lower.get("domainname", ("", None))
        if isinstance(name, str) and isinstance(domain, str) and name.strip().lower() == domain.strip().lower():
            return {other: value for other, value in data.items() if other != key}
        return data

    @property
    def identity(self) -> str:
        """The canonical domain."""
        return self.domain_name
