"""All certificates with their dates, and the warnings in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mailwye.admin.certificates import ExpiryWatch, KnownCertificate, known_certificates, warn, warning_words
from mailwye.config.installation import Installation, ListenerSettings, TlsFileSettings
from mailwye.testing.authority import Authority
from mailwye.trace.sightings import DAY, MemorySightings, Sighting

NOW = 1_780_000_000.0
SEEN = Sighting("A", "mail.a.example", "CN=a", "CN=ca", "chain", NOW - 50 * DAY, NOW + 6 * DAY, "f1", "k1", NOW - 9 * DAY, NOW - DAY)


def installation(directory: Path) -> Installation:
    authority = Authority(directory, now=NOW)  # good for 30 days; what it issues for 20
    own, client = authority.issue("own", ["mx.example"]), authority.issue("client", ["client.example"])
    tls = TlsFileSettings(
        certificate=own.certificate,
        private_key=own.private_key,
        trusted_authorities=(authority.certificate,),
        client_certificates={"partner": (client.certificate, client.private_key)},
        authorities={"own": (authority.certificate, directory / "missing.pem")},
    )
    return Installation("mx.example", directory, (ListenerSettings("mx", "mx", "127.0.0.1", 0),), tls=tls)


def test_every_certificate_is_listed(tmp_path: Path) -> None:
    renewed = replace(SEEN, fingerprint="f2", not_after=NOW + 90 * DAY, first_seen=NOW, last_seen=NOW)
    found = known_certificates(installation(tmp_path), [SEEN, renewed])
    assert [(one.used_by, one.days_left(NOW) if not one.problem else None) for one in found] == [
        ("[tls] certificate", 20),
        ("[tls.client_certificates] partner", 20),
        ("[tls] trusted_authorities", 30),
        ("[tls.authorities] own", 30),
        ("[tls.authorities] own", None),
        ('connector "A"', 6),
        ('connector "A"', 90),
    ]
    assert found[0].names == ("mx.example",)
    assert len(found[0].public_key) == len(found[0].fingerprint) == 64
    assert "does not exist" in found[4].problem
    assert [one.replaced for one in found[5:]] == [True, False]
    assert found[0].to_dict(NOW)["days_left"] == 20
    assert found[4].to_dict(NOW)["days_left"] is None


def test_warnings_come_at_30_14_7_and_1_days_once_each() -> None:
    store, alerts = MemorySightings(), list[str]()
    one = KnownCertificate('connector "A"', "CN=a", not_after=NOW, fingerprint="f1")
    for quarter in range(40 * 4, -2 * 4, -1):
        warn([one], store, NOW - quarter * DAY / 4, alerts.append)
    assert [alert.partition(") ")[2].partition(".")[0] for alert in alerts] == [
        "expires in 30 days",
        "expires in 14 days",
        "expires in 7 days",
        "expires in 1 day",
        "expires today",
    ]
    warn([one], store, NOW + DAY, alerts.append)
    assert len(alerts) == 5


def test_what_was_replaced_or_cannot_be_read_is_not_warned_of() -> None:
    alerts: list[str] = []
    replaced = KnownCertificate('connector "A"', "CN=a", not_after=NOW, fingerprint="f1", replaced=True)
    unseen = KnownCertificate('connector "A"', "CN=a", not_after=NOW, fingerprint="f2", last_seen=NOW - 50 * DAY)
    warn([replaced, unseen, KnownCertificate("[tls]", problem="missing")], MemorySightings(), NOW, alerts.append)
    assert alerts == []


def test_the_words_say_whose_it_is_and_what_to_do() -> None:
    ours = KnownCertificate("[tls] certificate", "CN=mx", not_after=NOW + 1.5 * DAY, file="mx.pem")
    theirs = KnownCertificate('connector "A"', "CN=a", not_after=NOW - 1)
    assert warning_words(ours, NOW) == "the certificate CN=mx (the file mx.pem) expires in 1 day. Renew it, then `mailwye reload`"
    assert 'seen on connector "A") has expired. Ask whoever runs that server' in warning_words(theirs, NOW)


async def test_the_watch_looks_at_once_and_survives_what_it_reads() -> None:
    alerts: list[str] = []

    def read() -> list[KnownCertificate]:
        raise OSError("disk gone")

    watch = ExpiryWatch(read, MemorySightings(), lambda: NOW, alerts.append)
    running = asyncio.ensure_future(watch.run())
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert alerts == ["certificates could not be looked at for their dates: disk gone"]
