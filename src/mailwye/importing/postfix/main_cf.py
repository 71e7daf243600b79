"""main.cf (or what `postconf -n` prints) → parameters with their lines, `$name` put in (postconf(5)). Nothing outside the text is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailwye.config.problem import Problem, shown
from mailwye.importing.source import ImportRefused, Source

DEPTH_LIMIT = 32
"""Parameters that name one another in a row."""
EXPANDED_LIMIT = 1_048_576
"""Characters of one value with everything put in."""

# What Postfix takes where main.cf does not say (postconf -d), of the parameters that are read here.
DEFAULTS = {
    "mydestination": "$myhostname, localhost.$mydomain, localhost",
    "myorigin": "$myhostname",
    "relay_domains": "",
    "virtual_alias_maps": "$virtual_maps",
    "virtual_maps": "",
    "virtual_alias_domains": "$virtual_alias_maps",
    "virtual_mailbox_domains": "$virtual_mailbox_maps",
    "virtual_mailbox_maps": "",
    "parent_domain_matches_subdomains": (
        "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps"
    ),
    "default_transport": "smtp",
    "relay_transport": "relay",
    "local_transport": "local:$myhostname",
    "virtual_transport": "virtual",
    "recipient_delimiter": "",
    "append_dot_mydomain": "no",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    "smtpd_recipient_restrictions": "",
}

# Names of transports, which may hold any character of a word, begin names of parameters: smtp-amavis_destination_recipient_limit.
_SETTING = re.compile(r"([A-Za-z0-9][^\s=:/{}]*+)\s*+=\s*+(.*)", re.DOTALL).fullmatch
_REFERENCE = re.compile(r"\$(?:\$|([A-Za-z0-9_]++)|\{([A-Za-z0-9_]++)\}|\(([A-Za-z0-9_]++)\)|[{(])")


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter as main.cf has it."""

    name: str
    value: str
    line: int


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines as Postfix joins them: a line that begins with white space goes on with the one before; comments and empty lines do not
    count, not even between the two. → (number of the first line, text).
    """
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if line[0].isspace() and parts:
            parts.append(bare)
            continue
        if parts:
            yield begun, " ".join(parts)
        begun, parts = number, [bare]
    if parts:
        yield begun, " ".join(parts)


class MainCf:
    """The parameters of one main.cf."""

    def __init__(self, source: Source, *, directory: str = "/etc/postfix") -> None:
        """`directory`: $config_directory where the text does not set it. :raises ImportRefused: a line that is no setting."""
        self.file = source.name
        self._directory = directory
        self.settings: dict[str, Setting] = {}
        for line, text in logical_lines(source.text):
            found = _SETTING(text)
            if found is None:
                remedy = "Give main.cf, or the output of `postconf -n`"
                raise ImportRefused(Problem(f"{shown(text)} is no line of main.cf: name = value is missing", remedy, source.name, line))
            self.settings[found[1]] = Setting(found[1], found[2].strip(), line)  # the last one counts, as in Postfix
        self._known: dict[str, tuple[str, str]] = {}
        self.asked: set[str] = set()
        """Names that somebody asked for, by `get`."""
        self.unresolved: dict[str, str] = {}
        """Name that was asked for → what of its value is not known, and why."""

    def line(self, name: str) -> int:
        """Where `name` is set, 0 where it is not."""
        setting = self.settings.get(name)
        return setting.line if setting is not None else 0

    def get(self, name: str, default: str = "") -> str:
        """The value with everything put in. What the text does not say stays as it is written (`$myhostname`), and is in `unresolved`."""
        self.asked.add(name)
        if name not in self.settings and name not in DEFAULTS and name not in ("config_directory", "mydomain"):
            return default
        value, reason = self._value(name, ())
        if reason:
            self.unresolved.setdefault(name, reason)
        return value

    def _value(self, name: str, within: tuple[str, ...]) -> tuple[str, str]:
        """→ the value, and why not all of it is known ("": it is). Each parameter is worked out once."""
        if name in within or len(within) >= DEPTH_LIMIT:
            return f"${name}", f"${name} leads back to itself"
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._put_in(name, (*within, name))
        return known

    def _put_in(self, name: str, within: tuple[str, ...]) -> tuple[str, str]:
        setting = self.settings.get(name)
        raw = setting.value if setting is not None else DEFAULTS.get(name, self._directory if name == "config_directory" else None)
        if raw is None and name == "mydomain" and "myhostname" in self.settings:
            hostname, why = self._value("myhostname", within)
            return hostname.partition(".")[2] or "localdomain", why  # postconf(5): the default of mydomain
        if raw is None:
            return f"${name}", f"${name} is not in the file"
        self.asked.add(name)
        parts: list[str] = []
        end, size, reason = 0, 0, ""
        for found in _REFERENCE.finditer(raw):
            inner = found[1] or found[2] or found[3]
            if inner is not None:
                value, why = self._value(inner, within)
            else:
                value, why = ("$", "") if found[0] == "$$" else (found[0], f"{found[0]} is an expression, which is not read")
            parts += (raw[end : found.start()], value)
            end = found.end()
            reason = reason or why
            size += len(value)
            if size > EXPANDED_LIMIT:
                return f"${name}", f"${name} becomes longer than {EXPANDED_LIMIT} characters"
        parts.append(raw[end:])
        return "".join(parts), reason
