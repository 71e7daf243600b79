"""smtp_tls_security_level and smtp_tls_policy_maps → TlsSettings, TlsDomain and SmtpDaneMode; never weaker than asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailwye.importing.postfix.main_cf import MainCf
from mailwye.importing.postfix.routing import parents
from mailwye.importing.postfix.tables import Row

_LEVELS = ("none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure")
_MATCHES = {"verify": "hostname", "secure": "nexthop, dot-nexthop"}
_IGNORED = {
    "ciphers": "the cipher list is the same for all",
    "exclude": "the cipher list is the same for all",
    "protocols": "TLS 1.2 and 1.3 are offered to all",
    "servername": "the name that is asked for (SNI) is always the host's own",
    "tafile": "what is trusted is said in mailwye.toml ([tls] trusted_authorities)",
    "connection_reuse": "connections are always reused",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """A change of meaning by TLS."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connector gets. `remarks` do not make two of them different."""

    settings: str | None = None
    domain: str = ""
    dane: str = "Opportunistic"
    remarks: tuple[Remark, ...] = field(default=(), compare=False)

    @property
    def is_plain(self) -> bool:
        """True where no connector is needed for it."""
        return self.settings is None and self.dane == "Opportunistic"


class TlsPolicies:
    """Answers for a next hop what is asked of its TLS."""

    def __init__(self, main: MainCf, rows: Iterable[Row]) -> None:
        self.rows = {row.key: row for row in rows}
        self._main = main
        level = main.get("smtp_tls_security_level").strip().lower()
        if not level and main.get("smtp_enforce_tls").lower() == "yes":
            level = "verify" if main.get("smtp_tls_enforce_peername", "yes").lower() == "yes" else "encrypt"
        self.level = level or ("may" if main.get("smtp_use_tls").lower() == "yes" else "none")

    def of(self, text: str, host: str, *, bracketed: bool, mx: bool = False, level: str = "") -> Tls:
        """`text`: the next hop as written, in lower case. `mx`: it is the recipient's domain. `level`: of the transport itself (-o in
        master.cf), "" for main.cf's.
        """
        row = self._row(text, plain=not bracketed and ":" not in text)
        if row is None:
            return self._tls(level or self.level, {}, host, bracketed=bracketed, mx=mx)
        words = row.value.replace(",", " ").split() or ["(none)"]
        attributes: dict[str, str] = {}
        for word in words[1:]:
            name, _, value = word.partition("=")
            attributes[name.lower()] = f"{attributes[name.lower()]}:{value}" if name.lower() in attributes else value
        return self._tls(words[0].lower(), attributes, host, bracketed=bracketed, mx=mx)

    def _row(self, text: str, *, plain: bool) -> Row | None:
        found = self.rows.get(text)
        if found is None and plain:
            found = next((row for row in map(self.rows.get, (f".{parent}" for parent in parents(text))) if row is not None), None)
        return found

    def _tls(self, level: str, attributes: dict[str, str], host: str, *, bracketed: bool, mx: bool) -> Tls:
        remarks = [
            Remark(f"{name}={value}: {_IGNORED[name]}", "Nothing is to be done") for name, value in attributes.items() if name in _IGNORED
        ]
        match level:
            case "may" | "none" | "":
                if level == "none" and self.level != "none":
                    remarks.append(
                        Remark("level none: TLS is never switched off here; it is used where it is offered", "Nothing is to be done")
                    )
                return Tls(remarks=tuple(remarks))
            case "encrypt":
                return Tls("EncryptionOnly", remarks=tuple(remarks))
            case "dane" | "dane-only":
                return _dane(level, remarks, mx=mx)
            case "verify" | "secure":
                match = attributes.get("match") or self._main.get(f"smtp_tls_{level}_cert_match", _MATCHES[level])
                return _named(level, match, host, remarks, bracketed=bracketed, mx=mx)
            case _:
                name = f"*.{host}" if mx else host
                what = "pins of servers do not exist here" if level == "fingerprint" else f"the level {level} is not known here"
                reason = f"{what}; it becomes DomainValidation with TlsDomain {name}: mail waits where no trusted authority vouches for it"
                remarks.append(Remark(reason, "Give the server such a certificate, or set TlsSettings EncryptionOnly if that is enough"))
                return Tls("DomainValidation", name, remarks=tuple(remarks))


def _dane(level: str, remarks: list[Remark], *, mx: bool) -> Tls:
    if not mx:
        settings = "CertificateValidation" if level == "dane-only" else "EncryptionOnly"
        reason = f"level {level}: TLSA records count for MX deliveries only, not for smart hosts; it becomes {settings}"
        remarks.append(Remark(reason, "Set TlsSettings DomainValidation and TlsDomain where the server has a certificate of an authority"))
        return Tls(settings, remarks=tuple(remarks))
    remarks.append(Remark(f"level {level} needs a resolver that validates", "Set `validating = true` in [dns] of mailwye.toml"))
    return Tls(None, "", "Mandatory" if level == "dane-only" else "Opportunistic", tuple(remarks))


def _named(level: str, match: str, host: str, remarks: list[Remark], *, bracketed: bool, mx: bool) -> Tls:
    """The one name that TlsDomain takes, out of several that Postfix would accept."""
    names = []
    for word in match.replace(",", " ").replace(":", " ").split():
        match word:
            case "hostname":
                names += [host] if bracketed else []
            case "nexthop":
                names.append(host)
            case "dot-nexthop":
                names.append(f"*.{host}")
            case _:
                names.append(f"*{word}" if word.startswith(".") else word)
    if not names:
        reason = f"level {level} compares the certificate with the name of the MX host, which is not known beforehand: any name passes here"
        remarks.append(Remark(reason, "Set TlsSettings DomainValidation and TlsDomain, such as the domain of its MX hosts"))
        return Tls("CertificateValidation", remarks=tuple(remarks))
    names = list(dict.fromkeys(names))
    wildcard = f"*.{host}"
    chosen = wildcard if mx and wildcard in names else names[0]
    others = [name for name in names if name != chosen]
    if others:
        reason = f"TlsDomain takes one name: {chosen}; Postfix would take {', '.join(others)} too"
        remarks.append(Remark(reason, "Change TlsDomain where the certificate bears another of them"))
    return Tls("DomainValidation", chosen, remarks=tuple(remarks))
