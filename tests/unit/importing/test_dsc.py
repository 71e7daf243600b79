"""The part of PowerShell that Microsoft365DSC needs: strings, lists, variables; what only PowerShell could tell is named."""

from __future__ import annotations

from typing import Any

import pytest

from mailwye.config.export import to_plain
from mailwye.importing.collect import Imported
from mailwye.importing.dsc import reader
from mailwye.importing.dsc.files import import_dsc
from mailwye.importing.dsc.reader import Block, Unknown, read_blocks
from mailwye.importing.source import ImportRefused, Source


def blocks(text: str, **variables: str) -> list[Block]:
    return list(read_blocks(Source("f.ps1", text), variables))


def value(text: str, before: str = "") -> Any:
    (block,) = blocks(f"{before}\nThing 'x' {{\n  Key = {text}\n  Next = 1\n}}")
    assert block.properties.pop("next") == 1
    return block.properties["key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a''b'", "a'b"),
        ('"a""b`"c`n"', 'a"b"c\n'),
        ("$True", True),
        ("$false;", False),
        ("$null", None),
        ("12", 12),
        ("Partner", "Partner"),
        ("@()", []),
        ('@("a","b")', ["a", "b"]),
        ("@('a'\n   'b',\n'c'; 'd')", ["a", "b", "c", "d"]),
        ('"a", "b"', ["a", "b"]),
        ('"a",\n "b"', ["a", "b"]),
        ("@('a', @('b', 'c'))", ["a", "b", "c"]),
        ("@'\nline 1\nline '2'\n'@", "line 1\nline '2'"),
        ('@"\n$v and "$w"\n"@', 'vv and "ww"'),
        ('"$v.x ${w} `$v"', "vv.x ww $v"),
        ("$v", "vv"),
        ("$V <# a remark #> # another", "vv"),
        ("`\n  'next line'", "next line"),
        ("@($v, 'x')", ["vv", "x"]),
        ("$list", ["1", "2"]),
        ("“a ”” b”", "a ” b"),
        ("‘it‘’s’", "it‘s"),
        ("‹OnPremises›", "‹OnPremises›"),
        ("“OnPremises”", "OnPremises"),
        ("@('a', “b”)", ["a", "b"]),
        ("@“\n“”$v\n”@", "“”vv"),
        ('@"\na ""b""\n"@', 'a ""b""'),
        ('"a`u{2014}b"', "a—b"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert value(text, '$v = "vv"; $w = \'ww\'\n$list = "1","2"') == expected


@pytest.mark.parametrize(
    "text",
    [
        "$ConfigurationData.NonNodeData.Name",
        "$nowhere",
        '"a$nowhere"',
        '"a$(Get-Date)"',
        '"a" + "b"',
        "(Get-Thing 'x')",
        "@{a = 1; b = @{c = 2}}",
        "MSFT_Part{ a = 1; b = 'x' }",
        "@(MSFT_Part{ a = 1 }\n MSFT_Part{ b = 2 })",
        "[string]'a'",
        "$itself",
        "$sometimes",
        "@('a' + 'b')",
        "@('a', (Get-Thing) -join ',')",
        '"`u{d800}"',
    ],
)
def test_what_only_powershell_knows(text: str) -> None:
    assert isinstance(value(text, "$itself = $other; $other = $itself; $sometimes = 1; if ($x) { $sometimes = 2 }"), Unknown)


def test_blocks_within_other_things() -> None:
    found = blocks(
        "Configuration X {\n param([Parameter(Mandatory = $true)] [string] $A = 'y')\n Node $AllNodes.NodeName {\n"
        "  EXOx 'a' { K = 1 }\n  if ($true)\n {\n EXOy \"b $A\"\n {\n }\n }\n Import-DscResource -ModuleName 'M'\n EXOz c {K=2;L=3} } }"
    )
    assert [(one.resource, one.title, one.properties) for one in found] == [
        ("EXOx", "a", {"k": 1}),
        ("EXOy", "b y", {}),
        ("EXOz", "c", {"k": 2, "l": 3}),
    ]
    assert [one.line for one in found] == [4, 7, 12]
    assert [one.within for one in found] == ["", "if", ""]


@pytest.mark.parametrize(
    "word", ["if ($a)", "if ($a) { $b = 1 }\nelse", "foreach ($a in ($b))", "function a", "$b | ForEach-Object", "switch (1) { 1"]
)
def test_a_block_that_may_not_count_is_left_out(word: str) -> None:
    block = "EXOOutboundConnector 'a' {\n Identity = 'a'\n RecipientDomains = 'a.com'\n}"
    closing = "}" * (1 + word.count("switch"))
    result = imported(f"{word}\n{{\n{block}\n{closing}\n{block.replace(chr(39) + 'a' + chr(39), chr(39) + 'b' + chr(39))}")
    assert [one.name for one in result.organization.outbound_connectors] == ["b"]
    left = [str(entry) for entry in result.entries if "only PowerShell knows whether that counts" in str(entry)]
    assert len(left) == 1


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("\n<# no end", "a comment <# begins here that does not end", 2),
        ("EXOx a {\n K = 'no end\n}", "a text begins here that does not end", 2),
        ('EXOx a {\n K = "no end\n}', "a text begins here that does not end", 2),
        ("EXOx a {\n K = @'\nno end", "a text @' begins here that does not end", 2),
        ("EXOx a {\n K = 1\n", "the block of EXOx that begins here does not end", 1),
        ("EXOx a {\n K = @('a'\n", "the list that begins here does not end", 2),
        ("EXOx a {\n K = @{\n", "@{ begins something here that does not end", 2),
        ("Configuration a {\n Node b\n {\n EXOx a {\n }\n", "{ begins something here that does not end", 3),
        ("EXOx a {\n K 1\n}", '"K" stands where a line such as Name = value should', 2),
        ("EXOx a {\n K = 1\n k = 2\n}", "k is given twice, first in line 2", 3),
        ("EXOx a { K = " + "@(" * 100_000, "lists are nested deeper than 16 levels", 1),
    ],
)
def test_faults_name_their_place(text: str, said: str, line: int) -> None:
    with pytest.raises(ImportRefused) as caught:
        blocks(text)
    assert caught.value.problem.message == said
    assert caught.value.problem.line == line
    assert caught.value.problem.remedy


def test_variables_cannot_make_gigabytes() -> None:
    doubling = "$a = 'x'\n" + '$a = "$a$a"\n' * 60
    with pytest.raises(ImportRefused, match="longer than 65536 characters"):
        blocks(doubling)
    with pytest.raises(ImportRefused, match="the variables of this file make more than"):
        blocks("$a = 'x'\n" + "$a = @($a, $a)\n" * 60)


def test_many_long_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "COPIED_LIMIT", 1000)
    with pytest.raises(ImportRefused, match="more than 1000 values"):
        blocks(f"$a = '{'x' * 100}'\n" + '$b = "$a"\n' * 20)


def imported(text: str, **variables: str) -> Imported:
    return import_dsc([Source("f.ps1", text)], variables)


DOMAIN = "EXOAcceptedDomain 'd'\n{\n Identity = $OrganizationName\n DomainType = 'InternalRelay'\n Credential = $c\n}"


def test_a_variable_from_outside() -> None:
    result = imported(DOMAIN)
    (entry,) = result.entries
    assert str(entry) == (
        'left out: f.ps1:3: AcceptedDomain "d": Identity is $OrganizationName, which only PowerShell knows. '
        "Write the value into the file, or give `--variable OrganizationName=…`."
    )
    (domain,) = imported(f"$OrganizationName = Get-It\n{DOMAIN}", OrganizationName="contoso.com").organization.accepted_domains
    assert to_plain(domain) == {"DomainName": "contoso.com", "DomainType": "InternalRelay"}


def test_recipients() -> None:
    result = imported(
        "EXODistributionGroup 'g' { Identity = 'west'; PrimarySmtpAddress = 'west@contoso.com'; Members = @('john@contoso.com') }\n"
        "EXOSharedMailbox 's' { Identity = 'info'; PrimarySMTPAddress = 'info@contoso.com'; EmailAddresses = @('hello@contoso.com') }\n"
        "EXOMailContact 'c' { Name = 'Sun'; ExternalEmailAddress = 'SMTP:sun@example.net' }"
    )
    assert [entry.outcome.name for entry in result.entries] == ["CARRIED_OVER"] * 3
    assert to_plain(result.organization.mail_contacts[0])["PrimarySmtpAddress"] == "sun@example.net"


def test_one_report_line_for_all_that_is_not_about_mail_flow() -> None:
    result = imported("AADUser a { X = 1 }\nAADUser b { X = 1 }\nEXORemoteDomain r { Identity = 'Default' }")
    assert [str(entry) for entry in result.entries] == [
        'left out: f.ps1:3: EXORemoteDomain "r": this resource has no counterpart here. See whether you need it.',
        "left out: f.ps1: blocks of AADUser (2): they do not concern mail flow. Nothing is to be done.",
    ]


@pytest.mark.parametrize("text", ["", "@{AllNodes = @()}", '[{"Name": "a"}]'])
def test_a_file_without_blocks_is_told(text: str) -> None:
    (entry,) = imported(text).entries
    assert str(entry).startswith("left out: f.ps1: the file: it holds no block of a resource.")
