"""Values of mailwye.toml → Installation, with every error and its place."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Any

from mailwye.config.installation import (
    KINDS_OF_IMPLICIT_TLS,
    Installation,
    ListenerSettings,
    OidcSettings,
    SecretsSettings,
    TlsFileSettings,
)
from mailwye.config.installation.oidc import faults_together
from mailwye.config.installation.schema import FILE
from mailwye.config.problem import Fault, Places, Problem, Severity, cut, shown
from mailwye.config.problem import Path as Location
from mailwye.config.reading import Found


class InstallationReader:
    """Reads the values of one file. Relative paths are taken from the folder of `source`."""

    def __init__(self, source: Path, places: Places) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._places = places

    def read(self, data: dict[str, Any]) -> Installation | None:
        """The Installation, or None with the `problems`."""
        found: Found = []
        written: Installation | None = FILE.read(data, (), found)
        self.problems += [self._problem(at, fault, data) for at, fault in found]
        if written is None:
            return None
        installation = self._placed(written)
        self._check(installation)
        return installation

    def _placed(self, written: Installation) -> Installation:
        """With paths from the folder of the file."""
        delivery, key_file = written.delivery, written.secrets.key_file
        return dataclasses.replace(
            written,
            data_directory=self._path(written.data_directory),
            listeners=tuple(map(self._listener, written.listeners)),
            tls=self._tls(written.tls),
            delivery=dataclasses.replace(delivery, lmtp=str(self._path(delivery.lmtp))) if "/" in delivery.lmtp else delivery,
            oidc=self._oidc(written.oidc),
            secrets=SecretsSettings(str(self._path(key_file)) if key_file else ""),
            source=self._source,
        )

    def _path(self, text: str | Path) -> Path:
        return self._source.parent / text

    def _pair(self, pair: tuple[Path, Path]) -> tuple[Path, Path]:
        return self._path(pair[0]), self._path(pair[1])

    def _tls(self, written: TlsFileSettings) -> TlsFileSettings:
        return TlsFileSettings(
            certificate=self._path(written.certificate) if written.certificate else None,
            private_key=self._path(written.private_key) if written.private_key else None,
            certificates=tuple(map(self._pair, written.certificates)),
            trusted_authorities=tuple(map(self._path, written.trusted_authorities)),
            client_certificates={name: self._pair(pair) for name, pair in written.client_certificates.items()},
            authorities={name: tuple(map(self._path, files)) for name, files in written.authorities.items()},
        )

    def _oidc(self, written: OidcSettings | None) -> OidcSettings | None:
        return written and dataclasses.replace(written, authorities=tuple(map(self._path, written.authorities)))

    def _listener(self, written: ListenerSettings) -> ListenerSettings:
        certificate, key = written.certificate, written.private_key
        return dataclasses.replace(
            written, certificate=self._path(certificate) if certificate else None, private_key=self._path(key) if key else None
        )

    def _check(self, installation: Installation) -> None:
        """What several keys do together."""
        tls = installation.tls
        if (tls.certificate is None) != (tls.private_key is None):
            missing = "private_key" if tls.private_key is None else "certificate"
            self._add(("tls",), f"[tls] has no {missing}", "Give both, certificate and private_key, or neither", field=missing)
        if tls.certificates and tls.certificate is None:
            remedy = "Give certificate and private_key in [tls]: they are for clients that ask for no name, or for another one"
            self._add(("tls", "certificates", 0), "[[tls.certificates]] needs a default", remedy, field="certificates")
        self._check_listener_certificates(installation)
        self._check_listeners(installation)
        for at, fault, severity in faults_together(installation):
            field = str(at[-1]) if len(at) > 1 else ""
            self._add(at, fault.message, fault.remedy, field=field, severity=severity)
        if installation.replay.require != "no" and not installation.replay.retention_days:
            remedy = 'Set retention_days to a week or so, or require to "no"'
            self._add(("replay", "require"), "asks for replays, but retention_days is 0: no traffic is recorded", remedy, field="require")
        limits, queue = installation.limits, installation.queue
        if limits.header_octets > limits.message_size:
            self._add(("limits", "header_octets"), "is larger than message_size", "Lower it", field="header_octets")
        if limits.connections_reserved_for_connectors >= limits.connections:
            remedy = "Keep it below connections"
            name = "connections_reserved_for_connectors"
            self._add(("limits", name), "leaves no connection for anybody else", remedy, field=name)
        if queue.delay_notice_after >= queue.expire_after:
            remedy = "Keep delay_notice_after below expire_after"
            self._add(("queue",), "a delay notice would never be sent", remedy, field="delay_notice_after", severity=Severity.WARNING)
        if limits.recipients_per_message < 100:  # RFC 5321 section 4.5.3.1.8
            self._add(
                ("limits", "recipients_per_message"),
                "is below the 100 recipients that RFC 5321 promises to every sender",
                "Use 100 or more",
                field="recipients_per_message",
                severity=Severity.WARNING,
            )

    def _check_listener_certificates(self, installation: Installation) -> None:
        for index, listener in enumerate(installation.listeners):
            label = f'listener "{listener.name}"'
            own = listener.certificate is not None
            if listener.proxies and listener.kind in ("https", "http"):
                remedy = "Remove proxies: nobody is recognized by his address here"
                self._add(("listener", index), f"kind {listener.kind} reads no PROXY protocol header", remedy, label, "proxies")
            if own != (listener.private_key is not None):
                missing = "private_key" if own else "certificate"
                self._add(("listener", index), f"has no {missing}", "Give both, certificate and private_key, or neither", label, missing)
            elif own and listener.kind == "http":
                remedy = "Remove certificate and private_key"
                self._add(("listener", index), f"kind {listener.kind} speaks plain HTTP", remedy, label, "certificate")
            elif not own and listener.kind == "admin" and not ipaddress.ip_address(listener.address).is_loopback:
                remedy = "Give it certificate and private_key, or an address such as 127.0.0.1, to serve the API there"
                message = "tells health and numbers only: without TLS the API is for loopback addresses"
                self._add(("listener", index), message, remedy, label, "certificate", severity=Severity.WARNING)
            elif not own and listener.kind in KINDS_OF_IMPLICIT_TLS and installation.tls.certificate is None:
                remedy = "Give certificate and private_key in [tls]"
                article = "an" if listener.kind == "https" else "a"
                self._add(("tls",), f"{article} {listener.kind} listener needs a certificate", remedy, field="tls")

    def _check_listeners(self, installation: Installation) -> None:
        names: dict[str, int] = {}
        sockets: dict[tuple[str, int], str] = {}
        for index, listener in enumerate(installation.listeners):
            label = f'listener "{listener.name}"'
            if names.setdefault(listener.name.lower(), index) != index:
                self._add(("listener", index, "name"), "another listener has this name", "Rename one of them", label, "name")
            for address in (listener.address, *_ANY_ADDRESS[":" in listener.address]):
                other = sockets.get((address, listener.port))
                if other is not None and listener.port:
                    self._add(
                        ("listener", index, "port"),
                        f"{listener.address} port {listener.port} is taken by {other}",
                        "Give each listener its own address or port",
                        label,
                        "port",
                    )
                    break
            sockets.setdefault((listener.address, listener.port), label)

    def _problem(self, at: Location, fault: Fault, data: dict[str, Any]) -> Problem:
        label, field = _object_and_field(at, data)
        line, column = self._places.find(at)
        return Problem(fault.message, fault.remedy, self._places.file, line, column, label, field)

    def _add(
        self,
        path: tuple[str | int, ...],
        message: str,
        remedy: str,
        label: str = "",
        field: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        line, column = self._places.find(path)
        self.problems.append(Problem(message, remedy, self._places.file, line, column, label or _table(path), field, severity))


# Binding all addresses of the machine takes the port on each of them.
_ANY_ADDRESS = {False: ("0.0.0.0",), True: ("::",)}


def _table(path: tuple[str | int, ...]) -> str:
    return f"[{path[0]}]" if path else ""


def _object_and_field(location: Location, data: dict[str, Any]) -> tuple[str, str]:
    """`("listener", 0, "port")` → (`listener "mx"`, `port`)."""
    match location:
        case ("listener", int(index), *rest):
            entries = data["listener"]
            name = entries[index].get("name") if isinstance(entries, list) and isinstance(entries[index], dict) else None
            label = f"listener {shown(name)}" if isinstance(name, str) else f"listener {index + 1}"
            return label, str(rest[0]) if rest else ""
        case ("tls", "certificates", int(index), *rest):
            return f"[[tls.certificates]] {index + 1}", str(rest[0]) if rest else ""
        case ("tls", "client_certificates", name, *rest):
            return f"[tls.client_certificates.{name}]", str(rest[0]) if rest else ""
        case ("oidc", ("roles" | "required_claims") as table, name, *_):
            return f"[oidc.{table}]", cut(str(name))
        case ("tls", "authorities", name, *_):
            return "[tls.authorities]", cut(str(name))
        case (table, field, *_) if isinstance(field, str):
            return f"[{table}]", cut(field)
        case (field, *_):
            return "", cut(str(field))
        case _:
            return "", ""
