"""AcceptedDomain: the domains for which the organization takes mail (SEMANTICS section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mailwye.config.problem import Fault
from mailwye.config.schema.config_object import ConfigObject, field
from mailwye.config.schema.value import choice, choice_of, each, optional, text_of, value_of
from mailwye.config.schema.values import DOMAIN_NAME, FLAG, TEXT, read_pattern
from mailwye.directory.model import DomainType, MtaStsMode

_choose = choice(DomainType)


def _read_domain_type(value: object) -> DomainType:
    if isinstance(value, str) and value.lower() == "externalrelay":
        raise Fault("ExternalRelay does not exist here", "Use InternalRelay and an outbound connector for the domain")
    return _choose(value)


MAX_AGE_MINIMUM = 86_400
MAX_AGE_LIMIT = 31_557_600  # RFC 8461 section 3.2


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


# Hosts in the order of the file, as the policy lists them.
_MX_HOSTS = each(text_of(_read_mx_host), lambda hosts: tuple(dict.fromkeys(hosts)))
_MAX_AGE = value_of(int, _read_max_age, {"type": "integer", "minimum": MAX_AGE_MINIMUM, "maximum": MAX_AGE_LIMIT})


class AcceptedDomain(ConfigObject):
    """A domain of the organization. `name` is a title only, "" where it is the domain again; the identity is the domain itself."""

    kind: ClassVar[str] = "AcceptedDomain"

    domain_name: str = field(DOMAIN_NAME)
    domain_type: DomainType = field(choice_of(DomainType, _read_domain_type), default=DomainType.AUTHORITATIVE)
    match_sub_domains: bool = field(FLAG, default=False)
    default: bool = field(FLAG, default=False)
    name: str = field(TEXT, default="")
    mta_sts_mode: MtaStsMode | None = field(optional(choice_of(MtaStsMode)), default=None)
    mta_sts_mx_hosts: tuple[str, ...] = field(_MX_HOSTS, default=())
    mta_sts_max_age: int = field(_MAX_AGE, default=604_800)

    @classmethod
    def _completed(cls, plain: Mapping[Any, Any]) -> Mapping[Any, Any]:
        """Exchange names most domains after themselves; that says nothing, and no name means the same."""
        by_lower = {str(key).lower().replace("_", ""): (key, value) for key, value in plain.items()}
        key, name = by_lower.get("name", ("", None))
        _, domain = by_lower.get("domainname", ("", None))
        if isinstance(name, str) and isinstance(domain, str) and name.strip().lower() == domain.strip().lower():
            return {other: value for other, value in plain.items() if other != key}
        return plain

    @property
    def identity(self) -> str:
        """The canonical domain."""
        return self.domain_name
