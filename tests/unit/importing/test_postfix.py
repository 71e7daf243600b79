"""main.cf and its tables, one matter at a time; tests/integration/test_import_postfix.py asks the real Postfix about whole files."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.config.export import to_plain
from mailwye.importing.collect import Collector, Imported, Place
from mailwye.importing.postfix.files import import_postfix, wanted_files
from mailwye.importing.postfix.main_cf import MainCf, logical_lines
from mailwye.importing.postfix.recipients import Recipients
from mailwye.importing.postfix.tables import Row, words
from mailwye.importing.source import ImportRefused, Source

BASE = "myhostname = mx.contoso.com\nmydestination =\nsmtpd_relay_restrictions = reject_unauth_destination\n"


def imported(main: str, master: str = "", **tables: str) -> Imported:
    files: dict[str, Source | str] = {f"/t/{name}": Source(name, text) for name, text in tables.items()}
    return import_postfix(Source("main.cf", BASE + main), files, master=Source("master.cf", master) if master else None)


def connectors(result: Imported) -> list[dict[str, Any]]:
    return [to_plain(one) for one in result.organization.outbound_connectors]


def said(result: Imported) -> str:
    return "\n".join(str(entry) for entry in result.entries)


def test_lines_go_on_over_comments() -> None:
    text = "a = 1\n# x\n  2\n\n\t3\n\n  # y\nb = 4\r\n"
    assert list(logical_lines(text)) == [(1, "a = 1 2 3"), (8, "b = 4")]


def test_words_keep_braces_together() -> None:
    assert list(words("a, b  inline:{ x=1, {y = 2 3} },c")) == ["a", "b", "inline:{ x=1, {y = 2 3} }", "c"]
    assert list(words("a inline:{x=1, hash:/t/m ")) == ["a", "inline:", "{x=1, hash:/t/m"]


@pytest.mark.parametrize(
    ("main", "line"),
    [
        (
            "transport_maps = inline:{a.example=smtp:[b.example]",
            "transport_maps inline:: its { … } is missing or has no end. Close it with }.",
        ),
        ("transport_maps = inline:{a.example}", "transport_maps inline:{a.example}: a.example: is no entry of the form key=value"),
        ("smtp_tls_policy_maps = inline:{a.example}", "smtp_tls_policy_maps inline:{a.example}: a.example: is no entry"),
        ("mydestination = mx, x.example", "mydestination mx: is no domain of the Internet"),
        ("mydestination = .x.example", "mydestination .x.example: Postfix never finds it"),
        ("smtp_tls_policy_maps = hash:/t/m", "the level (none) is not known here; it becomes DomainValidation"),
        ("smtp-amavis_destination_recipient_limit = 1", "smtp-amavis_destination_recipient_limit: are not about domains"),
        (f"transport_maps = {'proxy:' * 20_000}pcre:/t/m", "transport_maps pcre:/t/m: patterns (pcre:) have no list"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_goes_on(main: str, line: str) -> None:
    found = imported(f"relay_domains = c.example\n{main}", m="c.example ,\n")
    assert line in said(found)
    assert [one.domain_name for one in found.organization.accepted_domains if one.domain_name == "c.example"] == ["c.example"]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("a = x $b ${c} $(d) $$e\nb=1\nc=2\nd=$b", "a", "x 1 2 1 $e"),
        ("a = 1\na = 2", "a", "2"),
        ("myhostname = mx.contoso.com", "mydestination", "mx.contoso.com, localhost.contoso.com, localhost"),
        ("", "config_directory", "/etc/postfix"),
        ("", "nothing", ""),
    ],
)
def test_values(text: str, name: str, value: str) -> None:
    assert MainCf(Source("f", text)).get(name) == value


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("a = x $b\nb = y $a", "x y $a", "$a leads back to itself"),
        ("a = $nowhere, c", "$nowhere, c", "$nowhere is not in the file"),
        ("a = ${b?c} d", "${b?c} d", "${ is an expression, which is not read"),
        ("a = $mydomain", "$mydomain", "$mydomain is not in the file"),
    ],
)
def test_values_that_the_text_does_not_say(text: str, value: str, reason: str) -> None:
    main = MainCf(Source("f", text))
    assert main.get("a") == value
    assert main.unresolved == {"a": reason}


def test_what_is_not_known_of_a_list_does_not_take_the_rest_of_it() -> None:
    main = "mydestination = $myhostname, local.example\nrelayhost = $mydomain\nmynetworks = $x 10.0.0.0/8\na = inline:{r=a@b.c}"
    found = import_postfix(Source("main.cf", main), {})
    assert [one.domain_name for one in found.organization.accepted_domains] == ["local.example"]
    assert found.organization.inbound_connectors[0].sender_ip_addresses == ("10.0.0.0/8",)
    for sentence in (
        "mydestination: of its value, $myhostname is not in the file. Give the output of `postconf -x`",
        "relayhost: $mydomain names what the file does not say",
        "mynetworks: of its value, $x is not in the file",
    ):
        assert sentence in said(found)


def test_values_do_not_grow_without_end() -> None:
    text = "a0 = 0123456789\n" + "".join(f"a{n + 1} = $a{n} $a{n} $a{n} $a{n} $a{n} $a{n} $a{n} $a{n}\n" for n in range(20))
    main = MainCf(Source("f", text))
    main.get("a20")
    assert "longer than 1048576 characters" in main.unresolved["a20"]


def test_a_file_that_is_no_main_cf() -> None:
    with pytest.raises(ImportRefused, match="is no line of main"):
        MainCf(Source("f", "{\n}"))


def test_the_files_that_are_wanted() -> None:
    main = Source(
        "f", "transport_maps = hash:/t/a, proxy:lmdb:/t/b ldap:/t/c pcre:/t/d inline:{a=b}\nrelay_domains = x.com !/t/e $config_directory/f"
    )
    assert wanted_files(main) == ("/t/a", "/t/b", "/t/e", "/etc/postfix/f")


@pytest.mark.parametrize(
    ("result", "hosts"),
    [
        ("smtp:[mail.contoso.com]", ["[mail.contoso.com]"]),
        ("smtp:mail.contoso.com", ["mail.contoso.com"]),
        ("relay:[mail.contoso.com]:2525", ["mail.contoso.com:2525"]),
        (":[192.0.2.1]", ["192.0.2.1"]),
        ("smtp:[2001:db8::1]:26", ["[2001:db8::1]:26"]),
        ("smtp:[ipv6:2001:db8::1]", ["[2001:db8::1]"]),
        ("smtp:mail.contoso.com:25", ["mail.contoso.com"]),
        ("smtp:[mail.contoso.com]:submission", ["mail.contoso.com:587"]),
        ("smtp:[a.com], [b.com]:26", ["[a.com]", {"Host": "b.com", "Port": 26, "Priority": 20}]),
    ],
)
def test_next_hops(result: str, hosts: list[Any]) -> None:
    (connector,) = connectors(imported("transport_maps = hash:/t/m", m=f"partner.example {result}"))
    assert connector["RecipientDomains"] == ["partner.example"]
    assert connector["SmartHosts"] == hosts
    assert connector["UseMXRecord"] is False


@pytest.mark.parametrize("option", ["-o{A}", "-o {A}", "-o { smtp_tls_security_level = encrypt }", "-o syslog_name=x -o {A}", "-v -o A"])
def test_settings_of_a_transport(option: str) -> None:
    master = f"strong unix - - n - - smtp {option.replace('A', 'smtp_tls_security_level=encrypt')} -o smtp_bind_address=192.0.2.1\n"
    (connector,) = connectors(imported("transport_maps = hash:/t/m", master, m="a.example strong:[b.example]"))
    assert connector["TlsSettings"] == "EncryptionOnly"


def test_other_settings_of_a_transport_are_told_once() -> None:
    master = (
        "s unix - - n - - smtp\n  -o smtp_tls_wrappermode=yes -o { smtp_helo_name = x.example } -o syslog_name=postfix/s\n"
        "q unix - - n - - smtp -o a=b\n"
    )
    found = said(imported("transport_maps = hash:/t/m", master, m="a.example s:[b.example]:465\nc.example s:[d.example]"))
    assert found.count("transport s: of its settings (-o), smtp_helo_name, smtp_tls_wrappermode are not carried over") == 1
    assert "changed in meaning: master.cf:1: transport s" in found
    assert "transport q" not in found
    assert "smtp_tls_wrappermode: TLS from the first octet" in said(imported("smtp_tls_wrappermode = yes"))
    assert "smtp_tls_wrappermode" not in said(imported("smtp_tls_wrappermode = no"))


def test_many_aliases_of_foreign_domains_beside_many_accepted_domains() -> None:
    """No assertion about time: where it grows with the product of both, it runs into the timeout of the test."""
    collector = Collector()
    recipients = Recipients(collector, ((f"d{number}.example", True) for number in range(20_000)), lambda _: False)
    recipients.add_aliases((Row(f"a@sub.e{number}.example", "x@y.example", Place("f", number)) for number in range(20_000)), (), "")
    assert len(collector.entries) == 20_000


def test_a_port_without_brackets_changes_its_meaning() -> None:
    assert "with a port its addresses are taken here" in said(imported("transport_maps = hash:/t/m", m="a.example smtp:b.example:2525"))


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("error:5.1.1 gone", "error: refuses mail with an error"),
        ("discard:", "discard: throws mail away"),
        ("virtual:", "virtual: delivers to mailboxes on this machine"),
        ("lmtp:unix:x", "lmtp: delivers by LMTP"),
        ("maildrop:", "maildrop: runs a program"),
        ("uucp:gw", "its transport is not in master.cf"),
        ("smtp:[a.com]:nowhere", "has no port that is known here"),
        ("smtp:[a.com", "is no host"),
    ],
)
def test_results_without_a_counterpart(result: str, sentence: str) -> None:
    found = imported("transport_maps = hash:/t/m", "maildrop unix - n n - - pipe flags=x argv=/bin/x\n", m=f"a.example {result}")
    assert connectors(found) == []
    assert sentence in said(found)
    assert "left out: m:1: transport_maps a.example" in said(found)


def test_patterns_of_subdomains() -> None:
    table = "a.example smtp:[x]\n.b.example smtp:[x.example]\n"
    assert connectors(imported("transport_maps = hash:/t/m", m=table.replace("[x]", "[x.example]")))[0]["RecipientDomains"] == [
        "a.example",
        "*.b.example",
    ]
    found = imported(
        "transport_maps = hash:/t/m\nparent_domain_matches_subdomains = transport_maps", m="a.example smtp:[x.example]\n.b.c :"
    )
    assert connectors(found)[0]["RecipientDomains"] == ["a.example", "*.a.example"]
    assert "Postfix never looks it up" in said(found)


def test_a_null_result_makes_an_exception_only_where_something_wider_is() -> None:
    assert connectors(imported("transport_maps = hash:/t/m", m="a.example :")) == []
    wider = connectors(imported("transport_maps = hash:/t/m", m="a.example :\n* smtp:[gw.example]"))
    assert [one["RecipientDomains"] for one in wider] == [["a.example"], ["*"]]


def test_own_transports_with_a_level_of_their_own() -> None:
    master = "strong unix - - n - - smtp -o smtp_tls_security_level=secure\n"
    (connector,) = connectors(imported("transport_maps = hash:/t/m", master, m="a.example strong:[b.example]"))
    assert (connector["TlsSettings"], connector["TlsDomain"]) == ("DomainValidation", "b.example")


def test_addresses_get_a_rule() -> None:
    found = imported("transport_maps = hash:/t/m", m="boss@a.example smtp:[b.example]\nchief@a.example smtp:[b.example]")
    (connector,) = connectors(found)
    assert connector["IsTransportRuleScoped"] is True
    (rule,) = found.organization.transport_rules
    assert to_plain(rule) == {
        "Name": "Postfix to [b.example], addresses",
        "SentTo": ["boss@a.example", "chief@a.example"],
        "RouteMessageOutboundConnector": "Postfix to [b.example], addresses",
    }


def test_relay_domains_and_their_subdomains() -> None:
    found = imported("relay_domains = a.example .b.example !x.a.example")
    assert [to_plain(one) for one in found.organization.accepted_domains] == [
        {"DomainName": "a.example", "DomainType": "InternalRelay", "MatchSubDomains": True}
    ]
    assert connectors(found)[0]["RecipientDomains"] == ["a.example", "*.a.example"]
    assert connectors(found)[0]["ConnectorType"] == "OnPremises"
    assert "exceptions do not exist here" in said(found)
    exact = imported("relay_domains = a.example .b.example\nparent_domain_matches_subdomains =")
    assert [to_plain(one) for one in exact.organization.accepted_domains] == [
        {"DomainName": "a.example", "DomainType": "InternalRelay"},
        {"DomainName": "b.example", "DomainType": "InternalRelay", "MatchSubDomains": True},
    ]


def test_listed_recipients_make_a_relay_domain_authoritative() -> None:
    found = imported("relay_domains = a.example\nrelay_recipient_maps = hash:/t/r", r="j@a.example x\nk@s.a.example x\nz@b.example x")
    assert [one.domain_name for one in found.organization.accepted_domains] == ["a.example", "s.a.example"]
    assert all(one.domain_type.value == "Authoritative" for one in found.organization.accepted_domains)
    assert [str(one.primary_smtp_address) for one in found.organization.mail_users] == ["j@a.example", "k@s.a.example"]
    assert "b.example is not in relay_domains" in said(found)


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("none", {}),
        ("may", {}),
        ("encrypt", {"TlsSettings": "EncryptionOnly"}),
        ("encrypt ciphers=high", {"TlsSettings": "EncryptionOnly"}),
        ("verify", {"TlsSettings": "DomainValidation", "TlsDomain": "gw.example"}),
        ("secure", {"TlsSettings": "DomainValidation", "TlsDomain": "gw.example"}),
        ("secure match=.b.example", {"TlsSettings": "DomainValidation", "TlsDomain": "*.b.example"}),
        ("secure match=a.example:b.example", {"TlsSettings": "DomainValidation", "TlsDomain": "a.example"}),
        ("fingerprint match=AB:CD", {"TlsSettings": "DomainValidation", "TlsDomain": "gw.example"}),
        ("dane", {"TlsSettings": "EncryptionOnly"}),
        ("dane-only", {"TlsSettings": "CertificateValidation"}),
        ("half-dane", {"TlsSettings": "DomainValidation", "TlsDomain": "gw.example"}),
    ],
)
def test_tls_of_a_smart_host(policy: str, settings: dict[str, Any]) -> None:
    main = "relayhost = [gw.example]\nsmtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/t/p"
    (connector,) = connectors(imported(main, p=f"[gw.example] {policy}"))
    assert {key: value for key, value in connector.items() if key.startswith("Tls")} == settings


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("bank.example encrypt", {"RecipientDomains": ["bank.example"], "TlsSettings": "EncryptionOnly"}),
        (".bank.example encrypt", {"RecipientDomains": ["*.bank.example"], "TlsSettings": "EncryptionOnly"}),
        ("bank.example secure", {"RecipientDomains": ["bank.example"], "TlsSettings": "DomainValidation", "TlsDomain": "*.bank.example"}),
        (
            ".bank.example secure",
            {"RecipientDomains": ["*.bank.example"], "TlsSettings": "DomainValidation", "TlsDomain": "*.bank.example"},
        ),
        ("bank.example verify", {"RecipientDomains": ["bank.example"], "TlsSettings": "CertificateValidation"}),
        ("bank.example dane-only", {"RecipientDomains": ["bank.example"], "SmtpDaneMode": "Mandatory"}),
    ],
)
def test_tls_of_deliveries_by_mx(policy: str, settings: dict[str, Any]) -> None:
    (connector,) = connectors(imported("smtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/t/p", p=policy))
    connector.pop("Name")
    assert connector == settings


def test_a_level_for_everybody() -> None:
    (connector,) = connectors(imported("smtp_tls_security_level = secure"))
    assert (connector["RecipientDomains"], connector["TlsSettings"]) == (["*"], "CertificateValidation")
    assert "a certificate for the name of each domain cannot be asked for" in said(imported("smtp_tls_security_level = secure"))


def test_what_tls_changes_is_said_even_where_no_connector_is_made() -> None:
    assert "smtp_tls_security_level: level dane needs a resolver that validates" in said(imported("smtp_tls_security_level = dane"))
    assert "Postfix sends without TLS; here TLS is used where it is offered" in said(imported(""))
    rows = said(imported("smtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/t/p", p="a.example none\nb.example may ciphers=high"))
    assert "changed in meaning: p:1: smtp_tls_policy_maps: level none: TLS is never switched off here" in rows
    assert "changed in meaning: p:2: smtp_tls_policy_maps: ciphers=high: the cipher list is the same for all" in rows


def test_a_policy_that_postfix_never_asks() -> None:
    found = imported("relayhost = [gw.example]\nsmtp_tls_policy_maps = hash:/t/p", p="bank.example encrypt")
    assert "it has no effect in Postfix: the next hop for bank.example is [gw.example]" in said(found)


def test_aliases() -> None:
    main = "virtual_mailbox_domains = h.example\nvirtual_mailbox_maps = hash:/t/b\nvirtual_alias_maps = hash:/t/v\nmyorigin = h.example"
    aliases = (
        "v.example x\na@v.example bob\nb@v.example a@v.example\nc@h.example sun@out.example\nd@h.example bob@h.example, sun@out.example\n"
        "e@h.example d@h.example\nf@v.example @h.example\npostmaster bob@h.example\njim@h.example bob@h.example\ng@v.example |/bin/x\n"
        "l1@h.example l2@h.example\nl2@h.example l1@h.example\n@v.example bob@h.example\nq@elsewhere.example bob@h.example\n"
        "ann@h.example ann@h.example sun@out.example\n"
    )
    found = imported(main, b="bob@h.example x\njim@h.example x\nann@h.example x", v=aliases)
    organization = found.organization
    assert {one.domain_name for one in organization.accepted_domains} == {"h.example", "v.example"}
    assert [to_plain(one) for one in organization.mailboxes] == [
        {"PrimarySmtpAddress": "bob@h.example", "EmailAddresses": ["a@v.example", "b@v.example", "jim@h.example", "postmaster@h.example"]},
        {"PrimarySmtpAddress": "ann@h.example"},
    ]
    assert [to_plain(one) for one in organization.distribution_groups] == [
        {
            "PrimarySmtpAddress": "d@h.example",
            "EmailAddresses": ["e@h.example"],
            "Members": ["bob@h.example", "sun@out.example"],
        }
    ]
    assert [(str(one.primary_smtp_address), str(one.external_email_address)) for one in organization.mail_contacts] == [
        ("c@h.example", "sun@out.example"),
    ]
    for sentence in (
        "changed in meaning: b:2: Mailbox jim@h.example: virtual_alias_maps comes first in Postfix",
        "virtual_alias_maps g@v.example: its target |/bin/x is no address",
        "virtual_alias_maps f@v.example: its target f@h.example is not in virtual_mailbox_maps: Postfix returns mail to it",
        "virtual_alias_maps l1@h.example: it leads back to itself",
        "virtual_alias_maps @v.example: an address for everybody of a domain (catch-all) does not exist here",
        "virtual_alias_maps q@elsewhere.example: elsewhere.example is not among the domains that are accepted",
        "virtual_alias_maps ann@h.example: copies to sun@out.example are not sent",
    ):
        assert sentence in said(found)


def test_networks() -> None:
    main = "mynetworks = 127.0.0.0/8 10.0.0.0/8 [2001:db8::]/32 !10.1.0.0/16\nsmtpd_relay_restrictions = permit_mynetworks"
    found = imported(main)
    (connector,) = found.organization.inbound_connectors
    assert connector.sender_ip_addresses == ("10.0.0.0/8", "2001:db8::/32")
    assert "MAIL FROM must be in an accepted domain" in said(found)
    assert "mynetworks !10.1.0.0/16" in said(found)
    assert imported("mynetworks = 10.0.0.0/8").organization.inbound_connectors == ()


@pytest.mark.parametrize(
    ("restrictions", "is_relaying"),
    [
        ("smtpd_relay_restrictions = permit_mynetworks, reject", True),
        ("smtpd_relay_restrictions =\nsmtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination", True),
        ("smtpd_relay_restrictions = permit_mynetworks, reject\nsmtpd_recipient_restrictions = reject_unknown_sender_domain, permit", True),
        ("smtpd_relay_restrictions = reject_unauth_destination, permit_mynetworks", False),
        ("smtpd_relay_restrictions = permit_sasl_authenticated, reject\nsmtpd_recipient_restrictions = permit_mynetworks", False),
        ("smtpd_relay_restrictions = permit_mynetworks\nsmtpd_recipient_restrictions = reject_unauth_destination", False),
    ],
)
def test_networks_for_which_postfix_does_not_relay_get_no_connector(restrictions: str, is_relaying: bool) -> None:
    found = imported(f"mynetworks = 10.0.0.0/8\n{restrictions}")
    assert bool(found.organization.inbound_connectors) is is_relaying
    assert ("refuses what they send to other domains" in said(found)) is not is_relaying
    main = f"relay_clientcerts = hash:/t/c\n{restrictions}".replace("permit_mynetworks", "permit_tls_clientcerts")
    assert ("refuses what they send to other domains" in said(imported(main, c="xyz none"))) is not is_relaying


def test_fingerprints() -> None:
    main = "relay_clientcerts = hash:/t/c\nsmtpd_relay_restrictions = permit_tls_clientcerts"
    found = said(imported(main, c=f"{'AB:' * 15}AB md5\n{'AB:' * 31}AB sha256\nxyz none"))
    assert "which can be forged" in found
    assert "may be the fingerprint of a certificate or of a key" in found
    assert "is no fingerprint" in found


def test_tables_that_cannot_be_read() -> None:
    main = "transport_maps = ldap:/t/x, pcre:/t/y, hash:/t/nowhere, static:a, inline:{ b.example=smtp:[c.example] }"
    found = imported(main)
    assert [one["RecipientDomains"] for one in connectors(found)] == [["b.example"]]
    for sentence in (
        "a ldap: table lives outside",
        "patterns (pcre:) have no list",
        "`postmap -s hash:/t/nowhere > table`",
        "a static: table",
    ):
        assert sentence in said(found)


def test_entries_that_postmap_passes_over() -> None:
    found = imported("transport_maps = hash:/t/m", m="a.example\nb.example smtp:[x.example]\nB.example smtp:[y.example]")
    assert [one["SmartHosts"] for one in connectors(found)] == [["[x.example]"]]
    assert "has no value" in said(found)
    assert "is given twice, first in line 2" in said(found)


def test_parameters_that_are_not_read_are_named() -> None:
    found = said(imported("smtpd_milters = inet:x\nqueue_run_delay = 300s\ncanonical_maps =\n"))
    assert "smtpd_milters: messages are not handed to filters yet" in found
    assert "queue_run_delay: are not about domains, recipients or ways" in found
    assert "canonical_maps" not in found
