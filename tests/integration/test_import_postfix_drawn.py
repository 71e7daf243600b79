"""Drawn configurations: whatever a main.cf and its tables say, the real Postfix and the imported organization choose the same next hop."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.counterparts.place import make_place, remove_place
from tests.integration.test_import_postfix import Pair

DOMAINS = ("a.example", "b.example", "c.a.example", "d.c.a.example", "e.b.example", "f.example")
HOPS = (
    "smtp:[h1.example]",
    "relay:[h2.example]:26",
    ":[192.0.2.3]",
    ":",
    "smtp:",
    "slow:",
    "smtp:h4.example",
    "slow:[h5.example], [h6.example]",
)
LOCALS = ("u", "v", "w")
IP = "192.0.2.77"


def draw(directory: Path, seed: int) -> list[str]:
    """Write a configuration, → the addresses to ask about: those that Postfix would accept."""
    rng = random.Random(seed)
    names = list(DOMAINS)
    rng.shuffle(names)
    relay, virtual = names[: rng.randrange(3)], names[3 : 3 + rng.randrange(3)]
    everybody = [f"{local}@{domain}" for domain in (*DOMAINS, "x.f.example", "y.a.example", "z.example") for local in LOCALS]
    listed = [one for one in everybody if rng.random() < 0.5]
    in_virtual = [one for one in listed if one.rpartition("@")[2] in virtual]
    recipients = rng.random() < 0.5
    keys = [*rng.sample(DOMAINS, 3), *(f".{one}" for one in rng.sample(DOMAINS, 3)), *rng.sample(everybody, 2)]
    if rng.random() < 0.4:
        keys.append("*")
    (directory / "transport").write_text("".join(f"{key} {rng.choice(HOPS)}\n" for key in keys))
    (directory / "vmailbox").write_text("".join(f"{one} x/\n" for one in in_virtual))
    (directory / "relay_recipients").write_text("".join(f"{one} x\n" for one in listed))
    # Aliases of other domains are left out, and the report says so.
    own = [one for one in everybody if one.rpartition("@")[2] in (*relay, *virtual)]
    aliases: dict[str, str] = {}
    for one in rng.sample(own, min(4, len(own))):
        target = rng.choice(everybody)
        aliases[one] = target
        while target in aliases and target != one:
            target = aliases[target]
        if target == one:  # a circle: the report says that it is left out
            del aliases[one]
    (directory / "virtual").write_text("".join(f"{one} {target}\n" for one, target in aliases.items()))
    styles = ["relay_domains"] * (rng.random() < 0.7) + ["transport_maps"] * (rng.random() < 0.3)
    lines = [
        "compatibility_level = 3.6",
        "myhostname = mx.contoso.com",
        "mydestination = contoso.com",
        "mynetworks = 192.0.2.0/24",
        f"relay_domains = {' '.join(relay)}",
        f"virtual_mailbox_domains = {' '.join(virtual)}",
        "virtual_mailbox_maps = texthash:/etc/postfix/vmailbox",
        "virtual_alias_maps = texthash:/etc/postfix/virtual",
        "virtual_alias_domains =",
        "transport_maps = texthash:/etc/postfix/transport",
        f"parent_domain_matches_subdomains = {' '.join(styles)}",
        *(["relay_recipient_maps = texthash:/etc/postfix/relay_recipients"] if recipients else []),
        *(["relayhost = [relayhost.example]:2525"] if rng.random() < 0.5 else []),
        *(["relay_transport = relay:[inside.example]"] if rng.random() < 0.3 else []),
        f"smtp_tls_security_level = {rng.choice(('may', 'encrypt'))}",
    ]
    (directory / "main.cf").write_text("".join(f"{line}\n" for line in lines))
    return everybody


@pytest.mark.counterpart("postfix")
@pytest.mark.parametrize("seed", [*range(8), 37, 45, 50, 81])
def test_drawn_configurations(seed: int, tmp_path: Path) -> None:
    probes = draw(tmp_path, seed)
    place = make_place()
    try:
        pair = Pair(place.directory, tmp_path)
        pair.postfix.start()
        try:
            for address in probes:
                (final,) = pair.expanded(address)
                if pair.postfix.resolve(final).transport == "virtual" and not pair.postfix.lookup("vmailbox", final):
                    continue  # Postfix takes it and returns it: the report leaves such aliases out
                ours = pair.mailwye_says(address, IP)
                if ours == {(address, "none")} and pair.is_refused(address, IP):
                    # The directory knows no such recipient: then no table of Postfix lists him.
                    assert final == address
                    assert not pair.postfix.lookup("vmailbox", address)
                    continue
                assert ours == pair.postfix_says(address), address
        finally:
            pair.postfix.stop()
    finally:
        remove_place(place)
