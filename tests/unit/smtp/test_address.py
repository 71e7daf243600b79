"""Addresses: rows A1 to A8 of the bad-input catalogue, and the grammar of RFC 5321 section 4.1.2."""

from __future__ import annotations

import pytest

from mailwye.smtp.address import ADDRESS_LIMIT, Address, AddressError, parse_address, parse_domain, parse_path


def canonical(text: str) -> str:
    return str(parse_address(text))


def refused(text: str) -> tuple[int, str]:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    return caught.value.code, caught.value.enhanced


RELAY_TRICKS = [
    "<user%example.org@[192.0.2.1]>",
    "<user%example.org@mx.test>",
    '<"user@example.org">',
    '<"user%example.org">',
    "<user@example.org@[192.0.2.1]>",
    '<"user@example.org"@[192.0.2.1]>',
    "<user@example.org@mx.test>",
    "<@[192.0.2.1]:user@example.org>",
    "<@mx.test:user@example.org>",
    "<example.org!user>",
    "<example.org!user@[192.0.2.1]>",
    "<example.org!user@mx.test>",
]


@pytest.mark.parametrize("path", RELAY_TRICKS)
def test_a01_relay_tricks_never_change_the_domain_that_counts(path: str) -> None:
    """Either refused by the grammar, or the domain is what stands behind the last unquoted @: relay rules judge that one."""
    try:
        address, _ = parse_path(path)
    except AddressError:
        assert path in {
            '<"user@example.org">',
            '<"user%example.org">',
            "<user@example.org@[192.0.2.1]>",
            "<user@example.org@mx.test>",
            "<@[192.0.2.1]:user@example.org>",
            "<example.org!user>",
        }
    else:
        assert address is not None
        assert address.domain == path[:-1].rpartition("@")[2].lower()


def test_a02_source_route_is_stripped() -> None:
    assert parse_path("<@a.test,@b.test:u@local.test> SIZE=1") == (Address("u", "local.test"), "SIZE=1")
    for bad in ("<@a.test:>", "<@a.test>", "<@:u@b>", "<@a.test,b.test:u@c>", "<@a.test,@-:u@c>"):
        with pytest.raises(AddressError):
            parse_path(bad)


@pytest.mark.parametrize("local", ["u%evil", "evil!u", "u+tag", "!#$%&'*+/=?^_`{|}~-"])
def test_a03_local_part_is_opaque(local: str) -> None:
    assert parse_address(f"{local}@local.test") == Address(local, "local.test")


@pytest.mark.parametrize("local", ['"a b"', r'"a\"b"', '""', '"a@evil"', r'"\\"', '"a..b"', '"<>"', '".a"'])
def test_a04_quoted_local_parts_round_trip(local: str) -> None:
    address = parse_address(f"{local}@d.test")
    assert (address.local, address.domain) == (local, "d.test")
    assert parse_path(f"<{address}>") == (address, "")


@pytest.mark.parametrize(
    "text", ["a..b@d", ".a@d", "a.@d", "a b@d", 'a"b"@d', '"a@d', r'"a\"@d', '"a"b@d', "@d", "a@", "a", "", "a@b@c", "<a@b>"]
)
def test_a04_bad_local_parts_are_refused(text: str) -> None:
    assert refused(text) == (501, "5.1.3")


def test_a04_quoting_does_not_make_another_mailbox() -> None:
    assert parse_address('"John"@d').key == parse_address("john@D").key == "john@d"
    assert parse_address(r'"\j\o\h\n"@d').key == "john@d"
    assert parse_address(r'"a\\\"b"@d').key == r"a\"b@d"


def test_a05_lengths() -> None:
    assert canonical(f"{'a' * 64}@d") == f"{'a' * 64}@d"
    assert refused(f"{'a' * 65}@d") == (501, "5.1.3")
    assert canonical(f"u@{'a' * 63}.d") == f"u@{'a' * 63}.d"
    assert refused(f"u@{'a' * 64}.d") == (501, "5.1.3")
    longest = ".".join(["a" * 63] * 4)
    assert len(longest) == 255
    assert parse_domain(longest) == longest
    with pytest.raises(AddressError):
        parse_domain("b" + longest)
    path_256 = f"u@{'b' * 60}.{longest[: ADDRESS_LIMIT - 63]}"
    assert len(f"<{path_256}>") == 256
    assert canonical(path_256) == path_256
    assert refused("u" + path_256) == (501, "5.1.3")


def test_a05_octets_count_not_characters() -> None:
    assert parse_address("é" * 32 + "@d").local == "é" * 32
    assert refused("é" * 33 + "@d") == (501, "5.1.3")


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("u@d.test.", "d.test"),
        ("u@D.TEST", "d.test"),
        ("u@bücher.test", "xn--bcher-kva.test"),
        ("u@BÜCHER.test", "xn--bcher-kva.test"),
        ("u@XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        ("u@d．test", "d.test"),  # fullwidth full stop
        ("u@d。test", "d.test"),  # ideographic full stop
        ("u@ｄ.test", "d.test"),  # fullwidth letter
        ("u@faß.test", "xn--fa-hia.test"),
        ("u@3com", "3com"),
        ("u@1.2.3.4.test", "1.2.3.4.test"),
        ("u@ab--cd.test", "ab--cd.test"),
    ],
)
def test_a06_one_canonical_domain(text: str, domain: str) -> None:
    address = parse_address(text)
    assert address.domain == domain
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "u@d..",
        "u@.d",
        "u@a..b",
        "u@-a.d",
        "u@a-.d",
        "u@a_b.d",
        "u@xn--zzzzzz-.d",
        "u@xn--.d",
        "u@ex\u200dample.d",
        "u＠d",
        "u＠x@d",
        "u@x＠d",
        "u@a b",
    ],
)
def test_a06_what_is_no_domain_is_refused(text: str) -> None:
    assert refused(text) == (501, "5.1.3")


def test_a06_confusables_are_never_equal() -> None:
    latin, cyrillic = parse_address("u@apple.test"), parse_address("u@аpple.test")
    assert latin.domain != cyrillic.domain
    assert cyrillic.domain.startswith("xn--")


def test_a06_composed_and_decomposed_local_parts_are_one_mailbox() -> None:
    composed, decomposed = parse_address("é@d"), parse_address("e\u0301@d")
    assert composed.local != decomposed.local
    assert composed.key == decomposed.key


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("u@[127.0.0.1]", "[127.0.0.1]"),
        ("u@[IPv6:::1]", "[IPv6:::1]"),
        ("u@[ipv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]"),
        ("u@[IPv6:::ffff:10.0.0.1]", "[10.0.0.1]"),
    ],
)
def test_a07_literals_are_canonical(text: str, domain: str) -> None:
    address = parse_address(text)
    assert (address.domain, address.is_literal) == (domain, True)
    assert not parse_address("u@d").is_literal


@pytest.mark.parametrize(
    "domain",
    [
        "127.0.0.1",
        "１２７.0.0.1",
        "[::ffff:10.0.0.1]",
        "[0177.0.0.1]",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "a.0x7f",
        "[127.1]",
        "[1.2.3.4]x",
        "[1.2.3.4",
        "1.2.3.4]",
        "[IPv6:fe80::1%eth0]",
        "[IPv6:]",
        "[x:y]",
        "[]",
    ],
)
def test_a07_other_ways_to_write_an_ip_address_are_refused(domain: str) -> None:
    assert refused(f"u@{domain}") == (501, "5.1.3")


@pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"])
def test_a08_control_characters_get_nowhere(evil: str) -> None:
    for text in (f"u@d>{evil}RCPT TO:<x@y", f"u{evil}@d", f'"u{evil}"@d', f"u@d{evil}", f"{evil}u@d", f"u@ü{evil}.d", f"u@[1.2.3.4{evil}]"):
        assert refused(text)[0] == 501
    with pytest.raises(AddressError):
        parse_domain(f"d{evil}")


@pytest.mark.parametrize("text", ["u@d", "<u@d", "u@d>", "<u@d>x", "", "<", ">", '<"u@d>', "<u@d>\tSIZE=1"])
def test_path_needs_angle_brackets_and_a_blank(text: str) -> None:
    with pytest.raises(AddressError):
        parse_path(text)


def test_null_path_and_quoted_bracket() -> None:
    assert parse_path("<>") == (None, "")
    assert parse_path("<> BODY=7BIT") == (None, "BODY=7BIT")
    assert parse_path('<"a>b"@c> X') == (Address('"a>b"', "c"), "X")


def test_is_ascii_tells_who_needs_smtputf8() -> None:
    assert parse_address("u@bücher.test").is_ascii
    assert not parse_address("ü@d").is_ascii
