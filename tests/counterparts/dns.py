"""NSD, authoritative for the story's zones, and Unbound in front of it as the resolver that Mailwye asks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from tests.counterparts.dnssec import sign
from tests.counterparts.process import Process, free_port, program

NSD_CONFIGURATION = """\
server:
  ip-address: {address}
  port: {port}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  database: ""
  pidfile: ""
  xfrdfile: "{directory}/xfrd.state"
  zonelistfile: "{directory}/zone.list"
  xfrdir: "{directory}"
  logfile: ""
  verbosity: 1
  server-count: 1
remote-control:
  control-enable: no
"""
ZONE = 'zone:\n  name: "{zone}"\n  zonefile: "{zone}.zone"\n'
ZONE_HEAD = """\
$TTL 60
@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A 127.0.0.53
"""
UNBOUND_CONFIGURATION = """\
server:
  interface: {address}
  port: {port}
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  verbosity: 1
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  num-threads: 1
  cache-max-negative-ttl: 1
  log-queries: no
remote-control:
  control-enable: no
stub-zone:
  name: "."
  stub-addr: {nsd_address}@{nsd_port}
"""


class Nsd:
    """An authoritative server. `zones`: name → lines of the zone file below SOA and NS. `signed`: those of them that are signed; `anchors`:
    what a resolver must trust for that. `tamper`: changes a signed zone file afterwards, as nobody who has no key could.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        zones: dict[str, str],
        signed: Collection[str] = (),
        tamper: Callable[[str], str] = lambda text: text,
    ) -> None:
        program("nsd")
        directory.mkdir(parents=True)
        self.address = address
        self.port = free_port(address)
        self.directory = directory
        self.anchors: list[str] = []
        text = NSD_CONFIGURATION.format(address=address, port=self.port, directory=directory)
        for zone, records in zones.items():
            lines = f"$ORIGIN {zone}.\n" + ZONE_HEAD.format(zone=zone) + records + "\n"
            if zone in signed:
                lines, anchor = sign(zone, lines)
                lines = tamper(lines)
                self.anchors.append(anchor)
            (directory / f"{zone}.zone").write_text(lines)
            text += ZONE.format(zone=zone)
        self.configuration = directory / "nsd.conf"
        self.configuration.write_text(text)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground."""
        self._process = Process([program("nsd"), "-d", "-c", str(self.configuration)], directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()


class Unbound:
    """A resolver that asks only `nsd`, and validates what `nsd` signs."""

    def __init__(self, directory: Path, *, address: str, nsd: Nsd) -> None:
        program("unbound")
        directory.mkdir(parents=True)
        self.address = address
        self.port = free_port(address)
        self.directory = directory
        self.configuration = directory / "unbound.conf"
        text = UNBOUND_CONFIGURATION.format(
            address=address, port=self.port, directory=directory, nsd_address=nsd.address, nsd_port=nsd.port
        )
        # A stub for the root would need a root zone at NSD: name each zone instead.
        head, _, _ = text.partition("stub-zone:")
        for zone_file in sorted(nsd.directory.glob("*.zone")):
            head += f'stub-zone:\n  name: "{zone_file.stem}"\n  stub-addr: {nsd.address}@{nsd.port}\n'
        if nsd.anchors:
            trusted = "".join(f'  trust-anchor: "{anchor}"\n' for anchor in nsd.anchors)
            head = head.replace('  module-config: "iterator"\n', f'  module-config: "validator iterator"\n{trusted}')
        self.configuration.write_text(head)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground."""
        self._process = Process([program("unbound"), "-d", "-c", str(self.configuration)], directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()
