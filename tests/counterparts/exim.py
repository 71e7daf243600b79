"""Exim as a second own server: sales.contoso.com, identified by its address, or by a certificate of its own authority too."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailwye.testing.authority import KeyPair
from tests.counterparts.process import Process, free_port, need_root, program

CONFIGURATION = """\
exim_path = {program}
primary_hostname = mail.sales.contoso.com
spool_directory = {directory}/spool
log_file_path = {directory}/log-%slog
pid_file_path = {directory}/exim.pid
local_interfaces = <; {interfaces}
daemon_smtp_ports = {port}
never_users =
exim_user = mail
exim_group = mail
trusted_users = root
{tls}
smtputf8_advertise_hosts = *
prdr_enable = false
chunking_advertise_hosts = *
domainlist local_domains = {domains}
hostlist relay_from_hosts = {address}
acl_smtp_rcpt = acl_check_rcpt
acl_smtp_data = acl_check_data
message_size_limit = 100M
queue_run_max = 5
ignore_bounce_errors_after = 1h
keep_environment =

begin acl
acl_check_rcpt:
  {known}
  accept hosts = +relay_from_hosts
  accept domains = +local_domains
  deny message = relay not permitted
acl_check_data:
  accept

begin routers
mailboxes:
  driver = accept
  domains = +local_domains
  transport = maildir_delivery
{routers}smarthost:
  driver = manualroute
  domains = ! +local_domains
  transport = to_mailwye
  route_list = * {smart_host}::{smart_host_port} byname
  self = send
  no_more

begin transports
to_mailwye:
  driver = smtp
  interface = {address}
  hosts_try_fastopen = :
  tls_tempfail_tryclear = true
maildir_delivery:
  driver = appendfile
  maildir_format
  directory = {directory}/mailboxes/$domain_data/${{sg{{$local_part}}{{/}}{{_}}}}
  create_directory
  user = mail
  group = mail
  mode = 0644
  directory_mode = 0755

{transports}
begin retry
* * F,1h,5s
"""


SERVING_TLS = """\
smtp_accept_max = 200
tls_advertise_hosts = ${{lookup{{$received_port}}lsearch{{{directory}/certificates}}{{*}}}}
tls_certificate = ${{lookup{{$received_port}}lsearch{{{directory}/certificates}}}}
tls_privatekey = ${{lookup{{$received_port}}lsearch{{{directory}/keys}}}}
tls_ocsp_file = ${{lookup{{$received_port}}lsearch{{{directory}/staples}}}}
tls_verify_certificates = ${{lookup{{$received_port}}lsearch{{{directory}/known}}{{$value}}{{/dev/null}}}}
tls_try_verify_hosts = ${{lookup{{$received_port}}lsearch{{{directory}/known}}{{*}}}}
"""
ROUTER = """\
to_mailwye_{number}:
  driver = manualroute
  domains = {domain}
  local_parts = {local}
  transport = to_mailwye_{number}
  route_list = * {smart_host}::{smart_host_port} byname
  self = send
  no_more
"""
TRANSPORT = """\
to_mailwye_{number}:
  driver = smtp
  interface = {address}
  hosts_require_tls = *
{settings}
"""


KNOWN = """deny condition = ${{lookup{{$received_port}}lsearch{{{directory}/known}}{{yes}}{{no}}}}
       !verify = certificate
       message = no certificate that we know"""


@dataclass(frozen=True, slots=True)
class EximPort:
    """A further port where it takes mail. `pair` None: without TLS. `staple`: a file with an OCSP response. `clients`: the authorities of
    those who may send there.
    """

    pair: KeyPair | None
    staple: Path | None = None
    clients: Path | None = None


class Exim:
    """One running instance. `serving`: further ports, each with a certificate of its own; `clients`: further ways to the smart host, by
    recipient, each with settings of its own for its smtp transport.
    """

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        smart_host: tuple[str, int],
        domains: tuple[str, ...] = ("sales.contoso.com",),
        port: int = 0,
        pair: KeyPair | None = None,
        serving: Mapping[int, EximPort] | None = None,
        clients: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`pair`: the certificate that it presents as a client."""
        need_root()
        program("exim4")
        self.address = address
        self.port = port or free_port(address)
        self.directory = directory
        for name in ("spool", "mailboxes"):
            (directory / name).mkdir(parents=True)
        self.configuration = directory / "exim.conf"
        ways = [(number, way.partition("@"), settings) for number, (way, settings) in enumerate((clients or {}).items())]
        text = CONFIGURATION.format(
            interfaces=" ; ".join(f"[{address}]:{one}" for one in (self.port, *(serving or {}))),
            known=KNOWN.format(directory=directory) if serving else "",
            tls=_serving(directory, serving) if serving else "tls_advertise_hosts =",
            routers="".join(
                ROUTER.format(number=number, local=local, domain=domain, smart_host=smart_host[0], smart_host_port=smart_host[1])
                for number, (local, _, domain), _ in ways
            ),
            transports="".join(
                TRANSPORT.format(
                    number=number, address=address, settings="\n".join(f"  {key} = {value}" for key, value in settings.items())
                )
                for number, _, settings in ways
            ),
            directory=directory,
            program=program("exim4"),
            address=address,
            port=self.port,
            domains=" : ".join(domains),
            smart_host=smart_host[0],
            smart_host_port=smart_host[1],
        )
        # $local_part is tainted data; sg{} of it stays tainted, a lookup of a fixed list does not.
        text = text.replace("${sg{$local_part}{/}{_}}", "${lookup{$local_part}lsearch*{" + str(directory / "users") + "}}")
        (directory / "users").write_text("".join(f"{user}: {user}\n" for user in ("john", "jane")) + "*: other\n")
        if pair is not None:
            shutil.chown(pair.private_key, "mail", "mail")
            presents = f"  tls_certificate = {pair.certificate}\n  tls_privatekey = {pair.private_key}\n"
            text = text.replace("  driver = smtp\n", f"  driver = smtp\n{presents}")
        self.configuration.write_text(text)
        directory.chmod(0o755)
        for name in ("spool", "mailboxes"):
            shutil.chown(directory / name, "mail", "mail")
        directory.chmod(0o777)  # it writes its logs there, as another user
        self.configuration.chmod(0o644)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it in the foreground with a queue run every 5 seconds."""
        self._process = Process([program("exim4"), "-C", str(self.configuration), "-bdf", "-q5s"], directory=self.directory)
        self._process.wait_ready(self.address, self.port)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    def log(self) -> str:
        """Its main and panic logs."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("log*")))

    def mailbox(self, local: str, domain: str) -> Path:
        """The Maildir of one of its users."""
        return self.directory / "mailboxes" / domain / local


def _serving(directory: Path, ports: Mapping[int, EximPort]) -> str:
    """Write what it looks up by port; the settings that do."""
    found: dict[str, list[str]] = {"certificates": [], "keys": [], "staples": [], "known": []}
    for number, port in ports.items():
        if port.pair is not None:
            found["certificates"].append(f"{number}: {port.pair.certificate}\n")
            found["keys"].append(f"{number}: {port.pair.private_key}\n")
        if port.staple is not None:
            found["staples"].append(f"{number}: {port.staple}\n")
        if port.clients is not None:
            found["known"].append(f"{number}: {port.clients}\n")
    for name, lines in found.items():
        (directory / name).write_text("".join(lines))
    return SERVING_TLS.format(directory=directory)
