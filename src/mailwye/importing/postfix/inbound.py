"""mynetworks and relay_clientcerts → InboundConnectors: who may send to everywhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from mailwye.importing.collect import Collector, Note, Place
from mailwye.importing.postfix.main_cf import MainCf
from mailwye.importing.postfix.routing import words_of
from mailwye.importing.postfix.tables import Tables, file_of, table_name, words

NAME = "Postfix mynetworks"

_FINGERPRINT = re.compile(r"(?:[0-9a-f]{2}:)*[0-9a-f]{2}").fullmatch
_RELAYING = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions")
_REFUSING = frozenset(("reject", "defer", "reject_unauth_destination", "defer_unauth_destination"))
_DIGESTS = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}
_REMEDY = (
    "Write an InboundConnector of type OnPremises with TlsSenderCertificateName and TlsSenderCertificatePins, from its certificate: "
    "`openssl x509 -in client.pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum`"
)


def read_networks(main: MainCf, tables: Tables, collector: Collector) -> None:
    """Own networks, but for loopback addresses: a program on this machine logs in or uses a listener of its own."""
    place = Place(main.file, main.line("mynetworks"))
    if not _is_asked(main, "permit_mynetworks"):
        return
    refusing = _refusing(main, "permit_mynetworks")
    if refusing:
        collector.left_out("mynetworks", f"{refusing} refuses what they send to other domains", "Nothing is to be done", place)
        return
    if "mynetworks" not in main.settings:
        reason = "main.cf does not set it, so Postfix takes the networks of its machine (mynetworks_style)"
        collector.left_out("mynetworks", reason, "Write an InboundConnector of type OnPremises with SenderIPAddresses", Place(main.file))
        return
    networks = []
    for word, where in _networks(main, tables, place):
        network = _network(word)
        if network is None:
            reason = "is no address or network" if not word.startswith("!") else "exceptions do not exist in SenderIPAddresses"
            collector.left_out(f"mynetworks {word}", reason, "Write the networks without it", where)
        elif not network.is_loopback:
            networks.append(str(network))
    if not networks:
        return
    reason = (
        "Postfix relays everything from these networks; here MAIL FROM must be in an accepted domain, or the server shows a certificate "
        "(550 5.7.64 otherwise)"
    )
    remedy = "Add accepted domains for what these servers send as, or let them show a certificate (TlsSenderCertificateName)"
    data = {"Name": NAME, "ConnectorType": "OnPremises", "SenderIPAddresses": networks}
    collector.add("InboundConnector", data, place, notes=[Note("SenderIPAddresses", reason, remedy)])


def read_client_certificates(main: MainCf, tables: Tables, collector: Collector) -> None:
    """A fingerprint cannot become a pin: it says neither which name the certificate bears nor whether it is of the key."""
    place = Place(main.file, main.line("relay_clientcerts"))
    value = main.get("relay_clientcerts")
    refusing = _refusing(main, "permit_tls_clientcerts")
    if value and (refusing or not _is_asked(main, "permit_tls_clientcerts")):
        reason = (
            f"{refusing} refuses what they send to other domains" if refusing else "no restriction asks for it (permit_tls_clientcerts)"
        )
        collector.left_out("relay_clientcerts", reason, "Nothing is to be done", place)
        return
    for row in tables.rows(value, "relay_clientcerts", place):
        digest = _DIGESTS.get(len(row.key.replace(":", ""))) if _FINGERPRINT(row.key) else None
        if digest is None:
            reason = "is no fingerprint of MD5, SHA-1 or SHA-256"
        elif digest == "SHA-256":
            reason = (
                "may be the fingerprint of a certificate or of a key, and does not say which name the certificate bears; a pin needs both"
            )
        else:
            reason = f"is a fingerprint of {digest}, which can be forged; a pin is SHA-256 of the public key"
        collector.left_out(f"relay_clientcerts {row.value}: {row.key}", reason, _REMEDY, row.place)


def _is_asked(main: MainCf, permission: str) -> bool:
    return any(permission in words_of(main, name) for name in _RELAYING)


def _refusing(main: MainCf, permission: str) -> str:
    """The list of restrictions that refuses mail for other domains before it comes to `permission`, "" where none does. Both lists are
    asked one after the other, each up to the first word that decides (SMTPD_ACCESS_README): one refusal is enough.
    """
    for name in _RELAYING:
        decided = next((word for word in words_of(main, name) if word in _REFUSING or word in (permission, "permit")), permission)
        if decided in _REFUSING:
            return name
    return ""


def _networks(main: MainCf, tables: Tables, place: Place) -> Iterator[tuple[str, Place]]:
    for word in words(main.get("mynetworks")):
        if "$" in word:
            continue  # of a name that the text does not say: that is reported with the parameter
        name = table_name(word) if not word.startswith("[") and word.count(":") < 2 else None
        if name is not None and not name.type and file_of(name):
            for here, text in tables.lines(name, "mynetworks", place):
                for inner in words(text):
                    yield inner, here
        elif name is not None and name.type:
            for row in tables.rows(word, "mynetworks", place):
                yield row.key, row.place
        else:
            yield word, place


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """`10.0.0.0/8`, `[2001:db8::]/32`, `192.0.2.1`."""
    try:
        return ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None
