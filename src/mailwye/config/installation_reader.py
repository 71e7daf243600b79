"""Values of mailwye.toml → Installation, with every error and its place."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mailwye.config.installation import (
    KINDS_OF_IMPLICIT_TLS,
    DeliverySettings,
    DnsSettings,
    InboundLimits,
    Installation,
    ListenerSettings,
    QueueSettings,
    ReplaySettings,
    SecretsSettings,
    TlsFileSettings,
    TraceSettings,
    TransportSettings,
)
from mailwye.config.installation_schema import LISTENER_KINDS, TABLES, FileModel, KeyPairModel, TlsModel
from mailwye.config.problem import Places, Problem, Severity, cut, did_you_mean, shown


class InstallationReader:
    """Reads the values of one file. Relative paths are taken from the folder of `source`."""

    def __init__(self, source: Path, places: Places) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._places = places

    def read(self, data: dict[str, Any]) -> Installation | None:
        """The Installation, or None with the `problems`."""
        try:
            checked = FileModel.model_validate(data)
        except ValidationError as error:
            self.problems += [self._problem(dict(found), data) for found in error.errors(include_url=False)]
            return None
        installation = self._build(checked)
        self._check(installation)
        return installation

    def _build(self, checked: Any) -> Installation:
        return Installation(
            hostname=checked.hostname,
            data_directory=self._path(checked.data_directory),
            listeners=tuple(self._listener(_as(ListenerSettings, listener)) for listener in checked.listener),
            workers=checked.workers,
            user=checked.user,
            tls=self._tls(checked.tls),
            dns=_as(DnsSettings, checked.dns),
            limits=_as(InboundLimits, checked.limits),
            delivery=self._delivery(_as(DeliverySettings, checked.delivery)),
            transport=_as(TransportSettings, checked.transport),
            queue=_as(QueueSettings, checked.queue),
            trace=_as(TraceSettings, checked.trace),
            secrets=SecretsSettings(str(self._path(checked.secrets.key_file)) if checked.secrets.key_file else ""),
            replay=_as(ReplaySettings, checked.replay),
            shutdown_timeout=checked.shutdown_timeout,
            source=self._source,
        )

    def _path(self, text: str) -> Path:
        return self._source.parent / text

    def _tls(self, checked: TlsModel) -> TlsFileSettings:
        return TlsFileSettings(
            certificate=self._path(checked.certificate) if checked.certificate else None,
            private_key=self._path(checked.private_key) if checked.private_key else None,
            certificates=tuple((self._path(pair.certificate), self._path(pair.private_key)) for pair in checked.certificates),
            trusted_authorities=tuple(self._path(path) for path in checked.trusted_authorities),
            client_certificates={
                name: (self._path(pair.certificate), self._path(pair.private_key)) for name, pair in checked.client_certificates.items()
            },
            authorities={name: tuple(map(self._path, files)) for name, files in checked.authorities.items()},
        )

    def _listener(self, settings: ListenerSettings) -> ListenerSettings:
        certificate, key = settings.certificate, settings.private_key
        return dataclasses.replace(
            settings,
            certificate=self._path(str(certificate)) if certificate else None,
            private_key=self._path(str(key)) if key else None,
        )

    def _delivery(self, settings: DeliverySettings) -> DeliverySettings:
        if "/" not in settings.lmtp:
            return settings
        return dataclasses.replace(settings, lmtp=str(self._path(settings.lmtp)))

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

    def _problem(self, found: dict[str, Any], data: dict[str, Any]) -> Problem:
        location: tuple[str | int, ...] = tuple(found["loc"])
        label, field = _object_and_field(location, data)
        message, remedy = _words(found, location)
        line, column = self._places.find(location)
        return Problem(message, remedy, self._places.file, line, column, label, field)

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


def _as(cls: type[Any], checked: BaseModel) -> Any:
    return cls(**{entry.name: getattr(checked, entry.name) for entry in dataclasses.fields(cls)})


def _table(path: tuple[str | int, ...]) -> str:
    return f"[{path[0]}]" if path else ""


def _object_and_field(location: tuple[str | int, ...], data: dict[str, Any]) -> tuple[str, str]:
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
        case ("tls", "authorities", name, *_):
            return "[tls.authorities]", cut(str(name))
        case (table, field, *_) if isinstance(field, str):
            return f"[{table}]", cut(field)
        case (field, *_):
            return "", cut(str(field))
        case _:
            return "", ""


def _words(found: dict[str, Any], location: tuple[str | int, ...]) -> tuple[str, str]:
    """(message, remedy) in our words."""
    context = found.get("ctx") or {}
    match found["type"]:
        case "mailwye":
            return str(context["message"]), str(context["remedy"])
        case "missing":
            return "is missing", _EXAMPLES.get(str(location[-1]), "Add it")
        case "extra_forbidden":
            known = _known_keys(location)
            return "is no key that Mailwye knows", did_you_mean(str(location[-1]), known, otherwise=f"Known here: {', '.join(known)}")
        case "bool_type":
            return "must be true or false", "Write true or false without quotes"
        case "int_type":
            return "must be a whole number", "Write digits without quotes"
        case "float_type":
            return "must be a number (of seconds)", "Write digits without quotes"
        case "greater_than_equal":
            return f"must be at least {context['ge']}", "Raise it"
        case "less_than_equal":
            return f"must be at most {context['le']}", "Lower it"
        case "finite_number":
            return "must be a finite number", "Write a number of seconds"
        case "too_short":
            return "is empty", _EXAMPLES.get(str(location[-1]), "Give at least one entry")
        case "too_long":
            return f"has more than {context['max_length']} entries", "Remove some"
        case "tuple_type":
            return "must be a list", 'Write it as ["…"], tables of a list as [[…]]'
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a table", f"Write [{location[-1]}] and its keys below it"
        case other:
            return f"{found['msg']} ({other})", "Correct it"


_EXAMPLES = {
    "hostname": 'Add a line such as hostname = "mx.contoso.com"',
    "data_directory": 'Add a line such as data_directory = "/var/lib/mailwye"',
    "listener": 'Add [[listener]] with name = "mx", kind = "mx", address = "0.0.0.0" and port = 25',
    "kind": f"Use one of: {', '.join(LISTENER_KINDS)}",
}


def _known_keys(location: tuple[str | int, ...]) -> tuple[str, ...]:
    model: type[BaseModel] = FileModel
    for part in location[:-1]:
        model = TABLES.get(str(part), KeyPairModel if model is TlsModel and part != "client_certificates" else model)
    return tuple(model.model_fields)
