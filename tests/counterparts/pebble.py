"""pebble, an ACME authority for tests by the makers of Let's Encrypt's own, with a name server that knows every name at one address."""

from __future__ import annotations

import json
from pathlib import Path

from mailwye.testing.authority import Authority
from tests.counterparts.process import Process, free_port, program


class Pebble:
    """Validates HTTP-01 at `address`, port `http_port`."""

    def __init__(self, directory: Path, *, address: str, http_port: int, now: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.address = address
        self._directory = directory
        self.port, self._management, self._dns, self._dns_management = (free_port(address) for _ in range(4))
        authority = Authority(directory, now=now)
        pair = authority.issue("pebble", [address])
        self.authority = authority.certificate
        self._processes: list[Process] = []
        settings = {
            "listenAddress": f"{address}:{self.port}",
            "managementListenAddress": f"{address}:{self._management}",
            "certificate": str(pair.certificate),
            "privateKey": str(pair.private_key),
            "httpPort": http_port,
            "tlsPort": free_port(address),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        (directory / "pebble.json").write_text(json.dumps({"pebble": settings}))

    @property
    def url(self) -> str:
        """Its ACME directory."""
        return f"https://{self.address}:{self.port}/dir"

    def start(self) -> None:
        """Start both."""
        names = self._directory / "names"
        names.mkdir(exist_ok=True)
        dns = [program("pebble-challtestsrv"), "-defaultIPv4", self.address, "-defaultIPv6", "", "-dns01", f"{self.address}:{self._dns}"]
        dns += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{self.address}:{self._dns_management}"]
        acme = [program("pebble"), "-config", str(self._directory / "pebble.json"), "-dnsserver", f"{self.address}:{self._dns}"]
        self._processes.append(Process(dns, directory=names))
        self._processes[0].wait_ready(self.address, self._dns_management)
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        self._processes.append(Process(acme, directory=self._directory, environment=environment))
        self._processes[1].wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.stop()
