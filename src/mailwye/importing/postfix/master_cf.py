"""master.cf: which transports are SMTP clients, and with which settings of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from mailwye.importing.postfix.main_cf import logical_lines
from mailwye.importing.source import Source


@dataclass(frozen=True, slots=True)
class Service:
    """One transport: its program, and the settings after -o."""

    command: str
    options: dict[str, str] = field(default_factory=dict)


STANDARD = {name: Service(name if name != "relay" else "smtp") for name in ("smtp", "lmtp", "local", "virtual", "error", "discard")}
STANDARD |= {"relay": Service("smtp"), "retry": Service("error")}


def read_services(source: Source | None) -> dict[str, Service]:
    """Name → transport, the standard ones where there is no master.cf. Lines that are none are passed over: Postfix would not start."""
    services = dict(STANDARD)
    for _, text in logical_lines(source.text) if source is not None else ():
        parts = text.split()
        if len(parts) < 8 or parts[1] not in ("unix", "inet", "fifo", "unix-dgram"):
            continue
        if parts[1] == "unix":
            services[parts[0]] = Service(parts[7], _options(parts[8:]))
    return services


def _options(arguments: list[str]) -> dict[str, str]:
    options = {}
    for flag, argument in pairwise(arguments):
        if flag == "-o" and "=" in argument:
            name, _, value = argument.partition("=")
            options[name] = value
    return options
