"""docs/connectors.md: its settings can be saved, its questions are answered as it says, and what it names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from mailwye.admin.explain import explain
from mailwye.admin.explain_text import render
from mailwye.admin.question import Question
from mailwye.config.checks import check_organization
from mailwye.config.compile import compile_snapshot
from mailwye.config.installation.file import read_installation
from mailwye.config.parse import read_organization
from mailwye.config.problem import Severity
from mailwye.config.schema import Organization

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
WAY_OUT = PAGE.split("\n## The way out\n")[1].split("\n## ")[0]
SECTIONS = {section.partition("\n")[0]: section for section in WAY_OUT.split("\n### ")[1:]}
STORIES = {name: section for name, section in SECTIONS.items() if "```yaml" in section}
BASE = """\
AcceptedDomain: [{DomainName: contoso.com, Default: true}]
Mailbox: [{PrimarySmtpAddress: bob@contoso.com}]
MailUser: [{PrimarySmtpAddress: john@contoso.com}]
InboundConnector: [{Name: From our servers, ConnectorType: OnPremises, TlsSenderCertificateName: "*.contoso.com", RequireTls: true}]
"""
INSTALLATION = """\
hostname = "mx.mailwye.example"
data_directory = "data"
[[listener]]
name = "mx"
kind = "mx"
address = "127.0.0.1"
port = 2525
[tls]
certificate = "mx.pem"
private_key = "mx.key"
[tls.client_certificates.contoso]
certificate = "contoso.pem"
private_key = "contoso.key"
"""
OPTIONS = {"--from": "sender", "--to": "recipient", "--auth": "auth", "--certificate-name": "certificate_name", "--header": "header"}


def block(section: str, kind: str) -> str:
    """The one code block of its kind."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)
    return str(found)


def organization(folder: Path, section: str) -> Organization:
    """The section's settings beside the story's, checked as `mailwye apply` checks them."""
    (folder / "mailwye.toml").write_text(INSTALLATION)
    (folder / "organization.yaml").write_text(BASE + block(section, "yaml"))
    installation, parsed = read_installation(folder / "mailwye.toml"), read_organization(folder / "organization.yaml")
    assert installation.value is not None, [*map(str, installation.problems)]
    assert parsed.value is not None, [*map(str, parsed.problems)]
    found = check_organization(parsed.value, installation=installation.value, source=parsed)
    assert [str(one) for one in (*parsed.problems, *found) if one.severity is Severity.ERROR] == []
    return parsed.value


def answered(value: Organization, line: str) -> str:
    """What a line `mailwye explain …` prints."""
    program, command, *words = shlex.split(line)
    assert (program, command) == ("mailwye", "explain")
    asked: dict[str, Any] = {OPTIONS[option]: answer for option, answer in zip(words[::2], words[1::2], strict=True)}
    header = (asked.pop("header"),) if "header" in asked else ()
    return render(explain(compile_snapshot(value, 1), Question(**asked, header=header)))


@pytest.mark.parametrize("name", STORIES)
def test_a_story_can_be_saved_and_answers_as_the_page_says(tmp_path: Path, name: str) -> None:
    value = organization(tmp_path, STORIES[name])
    told = "".join(answered(value, line) for line in block(STORIES[name], "sh").splitlines())
    for expected in block(STORIES[name], "text").splitlines():
        assert expected in told


def test_there_is_a_story_for_each_kind_of_way() -> None:
    settings = "".join(block(section, "yaml") for section in STORIES.values())
    for field in ("ConnectorType: OnPremises", "UseMXRecord: true", "SmartHosts", "IsTransportRuleScoped", "RouteAllMessagesViaOnPremises"):
        assert field in settings
    assert "MTA-STS" in "".join(SECTIONS)


def test_settings_of_postfix_and_exim_are_those_that_the_tests_run() -> None:
    tests = "".join((ROOT / "tests" / path).read_text(encoding="utf-8") for path in ("counterparts/postfix.py", "counterparts/exim.py"))
    tests += (ROOT / "tests" / "integration" / "certificate_world.py").read_text(encoding="utf-8")
    named = re.findall(r"\b(?:smtpd?_tls_\w+|relay_clientcerts|permit_tls_\w+|tls_(?!reports|settings)\w+)\b", WAY_OUT)
    assert len(set(named)) > 10
    assert [name for name in dict.fromkeys(named) if name not in tests] == []


def test_each_code_of_the_table_is_one_that_we_give() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "mailwye").rglob("*.py"))
    rows = re.findall(r"^\| `\d{3} (\d\.\d+\.\d+)` \|(.*)$", SECTIONS["What a deferral or a refusal means"], re.MULTILINE)
    assert len(rows) > 15
    for code, words in rows:
        assert f'"{code}"' in source or "(theirs)" in words, code
