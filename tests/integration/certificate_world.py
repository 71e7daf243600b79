"""Postfix, Exim and Mailwye among certificates of each kind, good and bad, in both directions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes

from mailwye.testing.authority import Authority, KeyPair
from tests.counterparts.attacker import Attacker, hide_starttls, inject_replies
from tests.counterparts.exim import Exim, EximPort
from tests.counterparts.place import Place
from tests.counterparts.postfix import Postfix, SmartHostOfPostfix
from tests.counterparts.process import free_port
from tests.counterparts.stapler import Stapler
from tests.integration.junction import HOSTNAME, USER, Certificates, Junction, free_ports

NAME = "mail.contoso.com"
LEVELS = ("null", "EncryptionOnly", "CertificateValidation", "DomainValidation")
OUTSIDE = "outside.example"

PRESENTED = ("valid", "own", "cn-only", "self-signed", "expired", "wrong-name", "no-intermediate", "revoked", "foreign", "none")
"""What an own server shows as a client. "own": by an authority that one connector trusts; "none": nothing."""

SERVED = ("valid", "cn-only", "self-signed", "expired", "wrong-name", "no-intermediate", "revoked", "none")
"""What a server shows towards which Mailwye is the client. "none": no STARTTLS."""

STAPLED = ("staple-good", "must-staple", "must-staple-none")
"""By Exim alone, which can staple."""

BADLY_STAPLED = ("staple-revoked", "staple-old", "must-staple-old")
"""By OpenSSL's own server, which staples whatever it is given."""

ATTACKED = ("stripped", "injected")
"""Postfix's "valid" with an attacker before it."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """`pairs`: by kind. `trusted`: the public authority with its revocation list; `own`: the one of one connector. `spare`: certificates of
    ours to be taken into use, by kind. `staples`: files of responses, by kind.
    """

    pairs: Mapping[str, KeyPair]
    trusted: Path
    own: Path
    spare: Mapping[str, KeyPair]
    staples: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class CertificateWorld:
    """Everything that runs. The tests of one way out send to john@`domain_of`(…)."""

    place: Place
    kinds: Kinds
    postfix: Postfix
    exim: Exim
    staplers: Mapping[str, Stapler]
    junction: Junction

    def server(self, name: str) -> Postfix | Exim:
        """ "postfix" or "exim"."""
        return self.postfix if name == "postfix" else self.exim


def domain_of(server: str, kind: str, level: str) -> str:
    """Mail to it goes to this server's port of this kind, by a connector of this level."""
    return f"{server}-{kind}-{level.lower()}.example"


def issue_kinds(directory: Path, *, now: float, service: tuple[str, ...]) -> Kinds:
    """All certificates, below `directory`, readable for the users of the servers. `service`: names and addresses of Mailwye's own."""
    public = Authority(directory / "public", now=now, name="Public authority")
    between = Authority(directory / "between", now=now, name="Public intermediate", issuer=public)
    own = Authority(directory / "own", now=now, name="Authority of contoso")
    foreign = Authority(directory / "foreign", now=now, name="Authority of nobody")
    past: dict[str, Any] = {"starts_in_days": -20.0, "ends_in_days": -2.0}
    pairs = {
        "valid": between.issue("valid", [NAME]),
        "own": own.issue("own", [NAME]),
        "cn-only": public.issue("cn-only", [], common_name=NAME),
        "self-signed": public.issue("self-signed", [NAME], self_signed=True),
        "expired": public.issue("expired", [NAME], **past),
        "wrong-name": public.issue("wrong-name", ["mail.fabrikam.example"]),
        "no-intermediate": between.issue("no-intermediate", [NAME], with_issuers=False),
        "revoked": public.issue("revoked", [NAME]),
        "foreign": foreign.issue("foreign", [NAME]),
        **{kind: public.issue(kind, [NAME], must_staple=kind.startswith("must")) for kind in (*STAPLED, *BADLY_STAPLED)},
        "service": between.issue("service", service),
    }
    spare = {
        "good": between.issue("spare-good", service),
        "expired": public.issue("spare-expired", service, **past),
        "wrong-name": public.issue("spare-wrong-name", ["mx.fabrikam.example"]),
        "client": own.issue("client", [HOSTNAME]),
    }
    public.certificate.write_bytes(public.certificate.read_bytes() + public.revocation_list(pairs["revoked"]))
    responses = {
        "staple-good": public.ocsp_response(pairs["staple-good"]),
        "staple-revoked": public.ocsp_response(pairs["staple-revoked"], revoked=True),
        **{kind: public.ocsp_response(pairs[kind], begins_in_days=-9, ends_in_days=-2) for kind in ("staple-old", "must-staple-old")},
        "must-staple": public.ocsp_response(pairs["must-staple"]),
    }
    staples = {kind: directory / f"{kind}.ocsp" for kind in responses}
    for kind, response in responses.items():
        staples[kind].write_bytes(response)
    for folder in (directory, *(one for one in directory.iterdir() if one.is_dir())):
        folder.chmod(0o755)
    for pair in (*pairs.values(), *spare.values()):
        shutil.chown(pair.private_key, USER, USER)
    return Kinds(pairs, public.certificate, own.certificate, spare, staples)


@contextmanager
def certificate_world(place: Place, *, now: float) -> Iterator[CertificateWorld]:
    """Start all of it below `place`, on addresses that the story does not use."""
    service, own, sales = place.address(40), place.address(41), place.address(42)
    directory = place.directory / "certificates"
    kinds = issue_kinds(directory, now=now, service=(HOSTNAME, service))
    ports = free_ports(service)
    at_postfix = {kind: free_port(own) for kind in (*SERVED, *ATTACKED, *CLIENT_CHECKS)}
    at_openssl = {kind: free_port(own) for kind in BADLY_STAPLED}
    at_exim = {kind: free_port(sales) for kind in (*SERVED, *STAPLED, *EXIM_CHECKS)}
    with ExitStack() as running:
        postfix = _postfix(directory / "postfix", own, SmartHostOfPostfix(service, ports.mx, HOSTNAME), kinds, at_postfix)
        postfix.start()
        running.callback(postfix.stop)
        exim = _exim(directory / "exim", sales, (service, ports.mx), kinds, at_exim)
        exim.start()
        running.callback(exim.stop)
        for kind, change in (("stripped", hide_starttls), ("injected", inject_replies)):
            attacker = Attacker(own, at_postfix[kind], (own, at_postfix["valid"]), change)
            attacker.start()
            running.callback(attacker.stop)
        staplers = {kind: Stapler(own, port, kinds.pairs[kind], kinds.staples[kind]) for kind, port in at_openssl.items()}
        for stapler in staplers.values():
            stapler.start()
            running.callback(stapler.stop)
        pair = kinds.pairs["service"]
        client = kinds.spare["client"]
        junction = Junction(
            place,
            directory / "junction",
            service,
            ports,
            Certificates(kinds.trusted, pair, pair, pair, pair, pair, pair, pair, kinds.own, pair),
            f"{place.dns}:53",  # nothing here is looked up
            _organization(
                {"postfix": own, "exim": sales, "openssl": own},
                {"postfix": at_postfix, "exim": at_exim, "openssl": at_openssl},
                postfix.port,
            ),
            "connection_idle = 1",
            queue="retry_delays = [600]\ndelay_notice_after = 0.01",
            tables=f'[tls.client_certificates.other]\ncertificate = "{client.certificate}"\nprivate_key = "{client.private_key}"',
        )
        junction.set_up()
        junction.start()
        running.callback(junction.stop)
        yield CertificateWorld(place, kinds, postfix, exim, staplers, junction)


CLIENT_CHECKS = ("by-fingerprint", "by-access-map", "by-authority", "by-other-authority")
"""Ports of Postfix that ask for our certificate, each with its own condition."""

EXIM_CHECKS = ("by-authority", "by-other-authority")
"""The same for ports of Exim."""

VERIFYING = {
    "verify": {"smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": HOSTNAME},
    "secure": {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": HOSTNAME},
    "secure-other-name": {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "mx.contoso.com"},
    "fingerprint": {"smtp_tls_security_level": "fingerprint", "smtp_tls_fingerprint_digest": "sha256"},
    "fingerprint-other": {"smtp_tls_security_level": "fingerprint", "smtp_tls_fingerprint_digest": "sha256"},
}
"""How Postfix as a client looks at our certificate: by recipient, as bob+KIND@contoso.com."""


def fingerprint(pair: KeyPair) -> str:
    """SHA-256 of a certificate as Postfix writes it."""
    return pair.leaf.fingerprint(hashes.SHA256()).hex(":").upper()


def _serves(kinds: Kinds, kind: str) -> dict[str, str]:
    """smtpd's settings for a port of this kind."""
    if kind == "none":
        return {"smtpd_tls_security_level": "none"}
    if kind in CLIENT_CHECKS:
        return _checks(kinds, kind)
    pair = kinds.pairs[kind]
    level = {"smtpd_tls_security_level": "may"}  # whether there is TLS is Mailwye's choice
    return {**level, "smtpd_tls_cert_file": str(pair.certificate), "smtpd_tls_key_file": str(pair.private_key)}


def _checks(kinds: Kinds, kind: str) -> dict[str, str]:
    listed = kinds.trusted.with_name(f"{kind}.map")
    listed.write_text(f"{fingerprint(kinds.pairs['service'])} OK\n")
    by_list = {"smtpd_tls_fingerprint_digest": "sha256", "relay_clientcerts": f"texthash:{listed}"}
    by_authority = {"smtpd_tls_req_ccert": "yes", "smtpd_tls_security_level": "encrypt"}  # it counts with encrypt only
    match kind:
        case "by-fingerprint":
            condition, settings = "permit_tls_clientcerts", by_list
        case "by-access-map":
            condition, settings = f"check_ccert_access,texthash:{listed}", by_list
        case "by-authority":
            condition, settings = "permit_tls_all_clientcerts", by_authority
        case _:
            condition, settings = "permit_tls_all_clientcerts", {**by_authority, "smtpd_tls_CAfile": str(kinds.own)}
    restrictions = {f"smtpd_{one}_restrictions": f"{condition},reject" for one in ("relay", "recipient")}
    return {**_serves(kinds, "valid"), **settings, **restrictions}


def _shows(kinds: Kinds, kind: str) -> dict[str, str]:
    """smtp's settings for a client that shows this kind."""
    pair = None if kind == "none" else kinds.pairs[kind]
    certificate, key = (str(pair.certificate), str(pair.private_key)) if pair is not None else ("", "")
    return {"smtp_tls_security_level": "encrypt", "smtp_tls_cert_file": certificate, "smtp_tls_key_file": key}


def _postfix(directory: Path, address: str, smart_host: SmartHostOfPostfix, kinds: Kinds, ports: Mapping[str, int]) -> Postfix:
    matches = {"fingerprint": kinds.pairs["service"], "fingerprint-other": kinds.pairs["own"]}
    looks = {
        kind: {**settings, **({"smtp_tls_fingerprint_cert_match": fingerprint(matches[kind])} if kind in matches else {})}
        for kind, settings in VERIFYING.items()
    }
    return Postfix(
        directory,
        address=address,
        smart_host=smart_host,
        pair=kinds.pairs["valid"],
        authority=kinds.trusted,
        domains=(
            "contoso.com",
            *(domain_of("postfix", kind, level) for kind in (*SERVED, *ATTACKED) for level in LEVELS),
            *(domain_of("postfix", kind, shown) for kind in CLIENT_CHECKS for shown in ("service", "other")),
        ),
        mailboxes=("john",),
        more_listeners={port: _serves(kinds, kind) for kind, port in ports.items() if kind not in ATTACKED},
        clients={
            **{f"{kind}@{OUTSIDE}": _shows(kinds, kind) for kind in PRESENTED},
            **{f"{kind}@fabrikam.com": settings for kind, settings in looks.items()},
        },
    )


def _exim(directory: Path, address: str, smart_host: tuple[str, int], kinds: Kinds, ports: Mapping[str, int]) -> Exim:
    shown = {
        f"{kind}@{OUTSIDE}": {"tls_certificate": str(kinds.pairs[kind].certificate), "tls_privatekey": str(kinds.pairs[kind].private_key)}
        for kind in PRESENTED
        if kind != "none"
    }
    looks = {
        f"exim-{name}@fabrikam.com": {"tls_verify_certificates": str(file), "tls_verify_hosts": "*", "tls_verify_cert_hostnames": "*"}
        for name, file in (("verify", kinds.trusted), ("verify-other", kinds.own))
    }
    return Exim(
        directory,
        address=address,
        smart_host=smart_host,
        domains=(
            "sales.contoso.com",
            *(domain_of("exim", kind, level) for kind in (*SERVED, *STAPLED) for level in LEVELS),
            *(domain_of("exim", kind, shown) for kind in EXIM_CHECKS for shown in ("service", "other")),
        ),
        serving={
            port: EximPort(
                kinds.pairs["valid"] if kind in EXIM_CHECKS else kinds.pairs.get(kind),
                kinds.staples.get(kind),
                {"by-authority": kinds.trusted, "by-other-authority": kinds.own}.get(kind),
            )
            for kind, port in ports.items()
        },
        clients={**shown, f"none@{OUTSIDE}": {}, **looks},
    )


def _organization(addresses: Mapping[str, str], ports: Mapping[str, Mapping[str, int]], own_port: int) -> str:
    """YAML: who our servers are, and a connector for each server, kind and level."""
    connectors = []

    def connector(domain: str, host: str, *settings: str) -> None:
        lines = [f"Name: To {domain}", f"RecipientDomains: [{domain}]", "UseMXRecord: false", f'SmartHosts: ["{host}"]', *settings]
        connectors.append("  - " + "\n    ".join(lines))

    for server, by_kind in ports.items():
        for kind, port in by_kind.items():
            host = f"{addresses[server]}:{port}"
            if kind in CLIENT_CHECKS:
                connector(domain_of(server, kind, "service"), host, "TlsSettings: EncryptionOnly")
                connector(domain_of(server, kind, "other"), host, "TlsSettings: EncryptionOnly", "ClientCertificate: other")
                continue
            for level in LEVELS:
                name = (f"TlsDomain: {NAME}",) if level == "DomainValidation" else ()
                connector(domain_of(server, kind, level), host, f"TlsSettings: {level}", *name)
    connector(OUTSIDE, f"{addresses['postfix']}:{free_port(addresses['postfix'])}")  # nobody is there: that it was taken is enough
    connector("contoso.com", f"{addresses['postfix']}:{own_port}", "ConnectorType: OnPremises")
    connector("sales.contoso.com", f"{addresses['postfix']}:{own_port}", "ConnectorType: OnPremises")
    aliases = [f"{kind}@fabrikam.com" for kind in (*VERIFYING, "exim-verify", "exim-verify-other")]
    return f"""\
AcceptedDomain: [{{DomainName: contoso.com, Default: true}}, {{DomainName: sales.contoso.com}}, {{DomainName: fabrikam.com}}]
Mailbox: [{{PrimarySmtpAddress: bob@contoso.com, EmailAddresses: [{", ".join(aliases)}]}}]
MailUser: [{{PrimarySmtpAddress: john@contoso.com}}, {{PrimarySmtpAddress: john@sales.contoso.com}}]
InboundConnector:
  - Name: From our servers
    ConnectorType: OnPremises
    TlsSenderCertificateName: "*.contoso.com"
    TrustedAuthorities: [sales]
    RequireTls: true
OutboundConnector:
""" + "\n".join(connectors)
