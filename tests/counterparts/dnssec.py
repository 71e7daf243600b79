"""Signs zones for NSD, with keys made for one run, and says what a resolver must trust."""

from __future__ import annotations

import time

import dns.dnssec
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

DAY_SECONDS = 86_400


def sign(name: str, text: str) -> tuple[str, str]:
    """The zone `name` with the lines `text` → (the signed zone file, the trust anchor as unbound wants it)."""
    zone = dns.zone.from_text(text, origin=f"{name}.", relativize=False)
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    now = int(time.time())
    with zone.writer() as changes:
        dns.dnssec.sign_zone(
            zone, changes, [(key, dnskey)], inception=now - DAY_SECONDS, expiration=now + DAY_SECONDS, dnskey_ttl=60, add_dnskey=True
        )
    digest = dns.dnssec.make_ds(f"{name}.", dnskey, "SHA256")
    return zone.to_text(relativize=False), f"{name}. DS {digest.to_text()}"
