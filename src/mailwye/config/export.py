"""Organization → plain values, YAML and JSON: fixed order and spelling, defaults left out. Reading them back gives an equal organization.

Passwords of mailboxes are not part of an organization. Those with which connectors log in are written as a placeholder; only the store gets
them, sealed (versions/stored_form.py).
"""

from __future__ import annotations

import json
from typing import Any

from mailwye.config.rule_order import with_priorities
from mailwye.config.schema import KINDS, ConfigObject, Organization, OrganizationSettings


def to_plain(thing: ConfigObject) -> dict[str, Any]:
    """One object with Exchange's keys in the schema's order, without what is default: only str, int, bool, list and dict."""
    return thing.plain(defaults=False)


def in_order(organization: Organization) -> Organization:
    """The same organization with the objects of each kind in the order of their identity, however they were written. Rules say their order
    themselves, by their Priority.
    """
    organization = with_priorities(organization, {})
    ordered: dict[str, Any] = {}
    for kind, entry in KINDS.items():
        ordered[entry.attribute] = tuple(sorted(organization.objects(kind), key=lambda thing: thing.identity))
    return organization.changed(**ordered)


def organization_to_plain(organization: Organization) -> dict[str, Any]:
    """The whole organization: kinds in the schema's order, objects in the order of their identity, empty kinds left out."""
    ordered = in_order(organization)
    plain: dict[str, Any] = {"Organization": {"Name": organization.name, **to_plain(organization.organization)}}
    for kind in KINDS:
        if objects := ordered.objects(kind):
            plain[kind] = [to_plain(thing) for thing in objects]
    return plain


def to_yaml(organization: Organization) -> str:
    """What `mailwye export` prints."""
    return _yaml(organization_to_plain(organization))


def object_yaml(thing: ConfigObject) -> str:
    """One object, as a file that `mailwye apply` takes."""
    return _yaml({thing.kind: to_plain(thing) if thing.kind == OrganizationSettings.kind else [to_plain(thing)]})


def objects_to_yaml(organization: Organization) -> str:
    """The objects alone, in their order, for `mailwye apply`: the settings of the organization stay as they are there, and rules without
    a Priority get one there.
    """
    return _yaml({kind: [to_plain(thing) for thing in organization.objects(kind)] for kind in KINDS if organization.objects(kind)})


def _yaml(plain: dict[str, Any]) -> str:
    import yaml  # here, since most commands that come by this file write none

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**20)
    return text


def to_json(organization: Organization) -> str:
    """The canonical text: organizations that differ in no more than a saved password have equal texts."""
    return json.dumps(organization_to_plain(organization), ensure_ascii=False, separators=(",", ":"))


def from_json(text: str) -> Organization:
    """The reverse of `to_json`. :raises ValueError: not JSON, or not an organization (schema.Unreadable)."""
    return Organization.of(json.loads(text))
