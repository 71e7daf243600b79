"""master.cf: which transports are SMTP clients, and with which settings of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailwye.importing.collect import Place
from mailwye.importing.postfix.main_cf import logical_lines
from mailwye.importing.source import Source


@dataclass(frozen=True, slots=True)
class Service:
    """One transport: its program, and the settings after -o. `place` None: it is a standard one, and no file says so."""

    command: str
    options: dict[str, str] = field(default_factory=dict)
    place: Place | None = None


_OPTION = re.compile(r"(?<!\S)-o\s*+(?:\{([^{}]*+)\}|([^\s{]\S*+))").finditer

STANDARD = {name: Service(name if name != "relay" else "smtp") for name in ("smtp", "lmtp", "local", "virtual", "error", "discard")}
STANDARD |= {"relay": Service("smtp"), "retry": Service("error")}


def read_services(source: Source | None) -> dict[str, Service]:
    """Name → transport, the standard ones where there is no master.cf. Lines that are none are passed over: Postfix would not start."""
    services = dict(STANDARD)
    if source is None:
        return services
    for line, text in logical_lines(source.text):
        parts = text.split(None, 8)
        if len(parts) < 8 or parts[1] not in ("unix", "inet", "fifo", "unix-dgram"):
            continue
        if parts[1] == "unix":
            services[parts[0]] = Service(parts[7], _options(parts[8] if len(parts) > 8 else ""), Place(source.name, line))
    return services


def _options(arguments: str) -> dict[str, str]:
    """What follows each -o: `name=value`, or `{ name = value }` (master(5))."""
    options = {}
    for found in _OPTION(arguments):
        name, equals, value = (found[1] if found[1] is not None else found[2]).partition("=")
        if equals:
            options[name.strip()] = value.strip()
    return options
