"""The MTA-STS policy of an accepted domain (RFC 8461): what senders are told about the servers that take its mail. Pure.

Fetching and obeying other domains' policies is `outbound/`.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from mailwye.directory.model import MtaStsMode

POLICY_PATH = "/.well-known/mta-sts.txt"
POLICY_HOST = "mta-sts."
"""What stands before the domain in the name of the host that serves its policy (RFC 8461 section 3.3)."""


class PublishedDomain(Protocol):
    """What counts of an accepted domain: model.AcceptedDomain, and the object of the same name in the settings."""

    @property
    def domain_name(self) -> str:
        """Canonical."""
        ...

    @property
    def mta_sts_mode(self) -> MtaStsMode | None:
        """None: no policy."""
        ...

    @property
    def mta_sts_mx_hosts(self) -> tuple[str, ...]:
        """Names or `*.domain`."""
        ...

    @property
    def mta_sts_max_age(self) -> int:
        """Seconds."""
        ...


def policy_text(domain: PublishedDomain, hostname: str) -> str | None:
    """The policy of `domain` as it is served (section 3.2), None where it has none. `hostname`: the installation's, which is the MX host
    where the domain names no other.
    """
    if domain.mta_sts_mode is None:
        return None
    hosts = domain.mta_sts_mx_hosts or (hostname,)
    lines = ["version: STSv1", f"mode: {domain.mta_sts_mode.value}"]
    lines += [*(f"mx: {host}" for host in hosts), f"max_age: {domain.mta_sts_max_age}"]
    return "".join(f"{line}\r\n" for line in lines)


def policy_id(text: str) -> str:
    """The id to publish: another one for every other policy (section 3.1: up to 32 letters and digits)."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def dns_records(domain: PublishedDomain, hostname: str) -> tuple[str, ...]:
    """What the domain's zone must say for its policy to be found, as lines of a zone file; nothing where it has no policy."""
    text = policy_text(domain, hostname)
    if text is None:
        return ()
    name = domain.domain_name
    return (f'_mta-sts.{name}. IN TXT "v=STSv1; id={policy_id(text)};"', f"{POLICY_HOST}{name}. IN CNAME {hostname}.")
