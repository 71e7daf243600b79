"""AcceptedDomain: the domains for which the organization takes mail (SEMANTICS section 5)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from mailwye.config.schema.config_object import ConfigObject, fault
from mailwye.config.schema.values import DomainName, Flag, Text, choice
from mailwye.directory.model import DomainType

_choose = choice(DomainType)


def _read_domain_type(value: object) -> DomainType:
    if isinstance(value, str) and value.lower() == "externalrelay":
        raise fault("ExternalRelay does not exist here", "Use InternalRelay and an outbound connector for the domain")
    return _choose(value)


_DomainType = Annotated[
    DomainType,
    PlainValidator(_read_domain_type),
    PlainSerializer(lambda value: value.value, return_type=str),
    WithJsonSchema({"type": "string", "enum": ["Authoritative", "InternalRelay"]}),
]


class AcceptedDomain(ConfigObject):
    """A domain of the organization. `name` is a title only; the identity is the domain itself."""

    kind: ClassVar[str] = "AcceptedDomain"

    domain_name: DomainName
    domain_type: _DomainType = DomainType.AUTHORITATIVE
    match_sub_domains: Flag = False
    default: Flag = False
    name: Text = ""

    @property
    def identity(self) -> str:
        """The canonical domain."""
        return self.domain_name
