from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mailwye.config.installation import (
    DEFAULT_WORKERS,
    DeliverySettings,
    DnsSettings,
    InboundLimits,
    Installation,
    ListenerSettings,
    OidcSettings,
    QueueSettings,
    TlsFileSettings,
    TraceSettings,
)
from mailwye.config.installation.file import read_installation
from mailwye.config.installation.schema import FILE, TABLES
from mailwye.config.parsed import Parsed

MINIMUM = """\
hostname = "mx.contoso.com"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "0.0.0.0"
port = 25
"""


def read(tmp_path: Path, text: str) -> Parsed[Installation]:
    path = tmp_path / "mailwye.toml"
    path.write_text(text)
    return read_installation(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    folder = f"{tmp_path}/"
    return [str(problem).replace(folder, "") for problem in read(tmp_path, text).problems]


def test_the_smallest_file_is_enough_and_gives_the_dataclass_defaults(tmp_path: Path) -> None:
    parsed = read(tmp_path, MINIMUM)
    assert parsed.problems == ()
    installation = parsed.value
    assert installation is not None
    assert installation.source == tmp_path / "mailwye.toml"
    assert installation == Installation(
        "mx.contoso.com", tmp_path / "data", installation.listeners, workers=DEFAULT_WORKERS, source=installation.source
    )


def test_every_error_at_once(tmp_path: Path) -> None:
    text = """\
hostnam = "x"
workers = "two"
[[listener]]
name = "mx"
kind = "mxx"
address = "foo"
port = 70000
[[listener]]
nam = 1
proxies = ["10.0.0.0/33"]
[limits]
message_size = 1.5
header_octets = -1
command_timeout = "5s"
[tls.client_certificates.partner]
certificat = "a"
[queue]
retry_delays = []
[dns]
nameservers = ["localhost"]
validating = 1
[deliver]
"""
    assert problems(tmp_path, text) == [
        'mailwye.toml:1: hostname: is missing. Add a line such as hostname = "mx.contoso.com".',
        'mailwye.toml:1: data_directory: is missing. Add a line such as data_directory = "/var/lib/mailwye".',
        "mailwye.toml:1: hostnam: is no key that Mailwye knows. Did you mean hostname?",
        "mailwye.toml:2: workers: must be a whole number. Write digits without quotes.",
        'mailwye.toml:5: listener "mx": kind: "mxx" is none of its values. Did you mean mx?',
        'mailwye.toml:6: listener "mx": address: "foo" is no IP address. Write an address; 0.0.0.0 and :: stand for all of the machine.',
        'mailwye.toml:7: listener "mx": port: must be at most 65535. Lower it.',
        "mailwye.toml:8: listener 2: name: is missing. Add it.",
        "mailwye.toml:8: listener 2: kind: is missing. Use one of: mx, submission, submissions, admin, https, http.",
        "mailwye.toml:8: listener 2: address: is missing. Add it.",
        "mailwye.toml:8: listener 2: port: is missing. Add it.",
        "mailwye.toml:9: listener 2: nam: is no key that Mailwye knows. Did you mean name?",
        (
            'mailwye.toml:10: listener 2: proxies: "10.0.0.0/33" is neither an IP address nor an address range. '
            "Write 192.0.2.1, 192.0.2.0/24, 2001:db8::/32 or first-last."
        ),
        "mailwye.toml:12: [limits]: message_size: must be a whole number. Write digits without quotes.",
        "mailwye.toml:13: [limits]: header_octets: must be at least 1000. Raise it.",
        "mailwye.toml:14: [limits]: command_timeout: must be a number (of seconds). Write digits without quotes.",
        "mailwye.toml:15: [tls.client_certificates.partner]: certificate: is missing. Add it.",
        "mailwye.toml:15: [tls.client_certificates.partner]: private_key: is missing. Add it.",
        "mailwye.toml:16: [tls.client_certificates.partner]: certificat: is no key that Mailwye knows. Did you mean certificate?",
        "mailwye.toml:18: [queue]: retry_delays: is empty. Give it a value.",
        'mailwye.toml:20: [dns]: nameservers: "localhost" is no address with port. Write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53.',
        "mailwye.toml:21: [dns]: validating: must be true or false. Write true or false without quotes.",
        "mailwye.toml:22: deliver: is no key that Mailwye knows. Did you mean delivery?",
    ]


def test_tables_and_lists_in_the_wrong_place(tmp_path: Path) -> None:
    text = 'hostname = "a.b"\ndata_directory = "d"\ntls = 5\n[listener]\nname = "mx"\n'
    assert problems(tmp_path, text) == [
        "mailwye.toml:3: tls: must be a table. Write [tls] and its keys below it.",
        'mailwye.toml:4: listener: must be a list. Write it as ["…"], tables of a list as [[…]].',
    ]
    assert problems(tmp_path, 'hostname = "a.b"\ndata_directory = "d"\nlistener = []\n') == [
        "mailwye.toml:3: listener: is empty. Give it a value.",
    ]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('[tls]\ncertificate = "c"\n', "mailwye.toml:8: [tls]: private_key: [tls] has no private_key."),
        ('[tls]\nprivate_key = "c"\n', "mailwye.toml:8: [tls]: certificate: [tls] has no certificate."),
        (
            '[[listener]]\nname = "MX"\nkind = "admin"\naddress = "127.0.0.1"\nport = 26\n',
            'mailwye.toml:9: listener "MX": name: another listener has this name.',
        ),
        (
            '[[listener]]\nname = "b"\nkind = "mx"\naddress = "127.0.0.1"\nport = 25\n',
            'mailwye.toml:12: listener "b": port: 127.0.0.1 port 25 is taken by listener "mx".',
        ),
        (
            '[[listener]]\nname = "b"\nkind = "submissions"\naddress = "::"\nport = 465\n',
            "mailwye.toml:1: [tls]: tls: a submissions listener needs a certificate.",
        ),
        ("[limits]\nmessage_size = 65536\n", "mailwye.toml:8: [limits]: header_octets: is larger than message_size."),
        (
            '[replay]\nrequire = "clean"\nretention_days = 0\n',
            "mailwye.toml:9: [replay]: require: asks for replays, but retention_days is 0",
        ),
        ("[limits]\nconnections = 500\n", "mailwye.toml:8: [limits]: connections_reserved_for_connectors: leaves no connection"),
        ("[queue]\nexpire_after = 60\n", "mailwye.toml:8: [queue]: delay_notice_after: a delay notice would never be sent."),
        ("[limits]\nrecipients_per_message = 50\n", "mailwye.toml:9: [limits]: recipients_per_message: is below the 100 recipients"),
        ("[delivery]\nlmtp = 'localhost'\n", 'mailwye.toml:9: [delivery]: lmtp: "localhost" is neither address:port'),
        ("[limits]\nbare_line_end = 'accept'\n", 'mailwye.toml:9: [limits]: bare_line_end: "accept" is none of its values.'),
        ('[tls]\ntrusted_authorities = ["a\\u0000b"]\n', "mailwye.toml:9: [tls]: trusted_authorities: holds a control character."),
        ("[dns]\ntimeout = nan\n", "mailwye.toml:9: [dns]: timeout: must be"),
        ("[queue]\nretry_delays = [60, 0]\n", "mailwye.toml:9: [queue]: retry_delays: must be at least"),
    ],
)
def test_what_keys_do_together(tmp_path: Path, more: str, expected: str) -> None:
    found = problems(tmp_path, MINIMUM + more)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_warning_leaves_the_value(tmp_path: Path) -> None:
    parsed = read(tmp_path, MINIMUM + "[queue]\nexpire_after = 60\n")
    assert parsed.errors == ()
    assert parsed.value is not None
    assert parsed.value.queue.expire_after == 60.0


def test_canonical_forms(tmp_path: Path) -> None:
    more = """
[dns]
nameservers = ["192.0.2.1", "192.0.2.2:5353", "2001:db8::1", "[2001:db8:0::2]:54"]
[delivery]
lmtp = "run/lmtp"
hello_name = "OUT.Contoso.COM"
source_address = "::ffff:0:1"
[tls.client_certificates.partner]
certificate = "p.pem"
private_key = "/etc/p.key"
[tls.authorities]
own = "own.pem"
partners = ["a.pem", "/etc/b.pem"]
"""
    parsed = read(tmp_path, MINIMUM.replace("port = 25", 'port = 25\nproxies = ["10.0.0.1/8", "::1"]\nxclient = ["10.0.0.9"]') + more)
    assert parsed.problems == ()
    assert parsed.value is not None
    assert parsed.value.dns.nameservers == ("192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53", "[2001:db8::2]:54")
    assert parsed.value.delivery.lmtp == str(tmp_path / "run/lmtp")
    assert parsed.value.delivery.hello_name == "out.contoso.com"
    assert parsed.value.listeners[0].proxies == ("10.0.0.0/8", "::1/128")
    assert parsed.value.listeners[0].xclient == ("10.0.0.9/32",)
    assert parsed.value.tls.authorities == {"own": (tmp_path / "own.pem",), "partners": (tmp_path / "a.pem", Path("/etc/b.pem"))}
    assert parsed.value.tls.client_certificates == {"partner": (tmp_path / "p.pem", Path("/etc/p.key"))}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[tls.authorities]\nown = []\n", "[tls.authorities]: own: is empty"),
        ("[tls.authorities]\nown = 1\n", "[tls.authorities]: own: must be text"),
        ("[tls.authorities]\n" + "".join(f'a{n} = "a.pem"\n' for n in range(51)), "[tls]: authorities: has 51 entries"),
    ],
)
def test_authorities_that_are_refused(tmp_path: Path, more: str, expected: str) -> None:
    found = problems(tmp_path, MINIMUM + more)
    assert len(found) == 1
    assert expected in found[0]


def test_every_dataclass_field_can_be_set_in_the_file() -> None:
    fields = {field.name for field in dataclasses.fields(Installation)}
    assert set(FILE.keys) == fields - {"source", "listeners"} | {"listener"}
    tables = (
        (TABLES["listener"], ListenerSettings),
        (TABLES["tls"], TlsFileSettings),
        (TABLES["dns"], DnsSettings),
        (TABLES["limits"], InboundLimits),
        (TABLES["delivery"], DeliverySettings),
        (TABLES["queue"], QueueSettings),
        (TABLES["trace"], TraceSettings),
        (TABLES["oidc"], OidcSettings),
    )
    for table, cls in tables:
        assert set(table.keys) == {field.name for field in dataclasses.fields(cls)}


def test_certificates_of_listeners_and_by_name(tmp_path: Path) -> None:
    text = (
        MINIMUM
        + 'certificate = "a.pem"\nprivate_key = "a.key"\n'
        + '[tls]\ncertificate = "b.pem"\nprivate_key = "b.key"\n'
        + '[[tls.certificates]]\ncertificate = "c.pem"\nprivate_key = "/c.key"\n'
    )
    installation = read(tmp_path, text).value
    assert installation is not None
    (listener,) = installation.listeners
    assert (listener.certificate, listener.private_key) == (tmp_path / "a.pem", tmp_path / "a.key")
    assert installation.tls.certificates == ((tmp_path / "c.pem", Path("/c.key")),)


def test_halves_of_pairs_and_certificates_without_a_default(tmp_path: Path) -> None:
    admin = '[[listener]]\nname = "admin"\nkind = "http"\naddress = "127.0.0.1"\nport = 8443\ncertificate = "x"\nprivate_key = "y"\n'
    more = '[[tls.certificates]]\ncertificate = "c.pem"\nprivate_key = "c.key"\n'
    assert problems(tmp_path, MINIMUM + 'certificate = "a.pem"\n' + admin + more) == [
        'mailwye.toml:3: listener "mx": private_key: has no private_key. Give both, certificate and private_key, or neither.',
        'mailwye.toml:9: listener "admin": certificate: kind http speaks plain HTTP. Remove certificate and private_key.',
        (
            "mailwye.toml:16: [tls]: certificates: [[tls.certificates]] needs a default. "
            "Give certificate and private_key in [tls]: they are for clients that ask for no name, or for another one."
        ),
    ]
    assert problems(tmp_path, MINIMUM + '[[tls.certificates]]\ncertificate = "c.pem"\nkey = "c.key"\n') == [
        "mailwye.toml:8: [[tls.certificates]] 1: private_key: is missing. Add it.",
        "mailwye.toml:10: [[tls.certificates]] 1: key: is no key that Mailwye knows. Known here: certificate, private_key.",
    ]
    many = "".join(f'[[tls.certificates]]\ncertificate = "{n}"\nprivate_key = "{n}"\n' for n in range(101))
    assert problems(tmp_path, MINIMUM + many) == ["mailwye.toml:1: [tls]: certificates: has more than 100 entries. Remove some."]
