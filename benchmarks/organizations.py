"""Organizations of any size, saved through the store of settings itself: a file of a million domains would first have to be parsed.

Usage: python -m benchmarks.organizations MAILWYE.TOML DOMAINS CONNECTORS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load import SINK
from mailwye.config.installation.file import read_installation
from mailwye.config.schema import Organization
from mailwye.stores import open_config_store
from mailwye.testing.versions import save_whole

BACKLOG_DOMAIN = "later.example"
"""An accepted domain whose mail takes the same way as the load; for messages that wait (backlog.py)."""


def organization(domains: int, connectors: int) -> Organization:
    """`domains` accepted domains (at least 3), `connectors` each way; the benchmark's own domain and way are among them.

    Every outbound connector but one has a domain of its own, every inbound one an address of its own, which no client of the benchmark has.
    """
    smart_host = f"{SINK[0]}:{SINK[1]}"
    way: dict[str, Any] = {"ConnectorType": "OnPremises", "UseMXRecord": False, "SmartHosts": [smart_host]}
    return Organization.of(
        {
            "Organization": {"Name": "bench"},
            "AcceptedDomain": [
                {"DomainName": "example.com", "Default": True},
                {"DomainName": BACKLOG_DOMAIN, "DomainType": "InternalRelay"},
                *({"DomainName": f"d{number}.example", "DomainType": "InternalRelay"} for number in range(domains - 2)),
            ],
            "MailUser": [{"PrimarySmtpAddress": "foo@example.com"}],
            "OutboundConnector": [
                {"Name": "To the sink", "AllAcceptedDomains": True, **way},
                *({"Name": f"Out {number}", "RecipientDomains": [f"d{number}.example"], **way} for number in range(connectors - 1)),
            ],
            "InboundConnector": [
                {"Name": f"In {number}", "ConnectorType": "OnPremises", "SenderIPAddresses": [_address(number)]}
                for number in range(connectors)
            ],
        }
    )


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def save(config: Path, domains: int, connectors: int) -> None:
    """Make it the first version of the installation. Raises SystemExit when the installation's file has errors."""
    parsed = read_installation(config)
    if parsed.value is None:
        raise SystemExit("\n".join(str(problem) for problem in parsed.problems))
    store = open_config_store(parsed.value)
    save_whole(store, organization(domains, connectors), expected_version=0, author="benchmark", at=time.time())
    store.close()


if __name__ == "__main__":
    save(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
