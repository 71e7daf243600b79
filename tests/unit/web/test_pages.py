from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest

from mailwye.config.snapshot import Snapshot
from mailwye.connectors.table import ConnectorTable
from mailwye.directory.lookup import Directory
from mailwye.directory.model import AcceptedDomain, DomainType, MtaStsMode
from mailwye.web.http_exchange import Request, Response
from mailwye.web.pages import CHALLENGE_LIMIT, Pages

POLICY = "/.well-known/mta-sts.txt"
CHALLENGE = "/.well-known/acme-challenge/"
DOMAINS = (
    AcceptedDomain("contoso.com", mta_sts_mode=MtaStsMode.ENFORCE),
    AcceptedDomain("fabrikam.com"),
    AcceptedDomain("wide.example", DomainType.INTERNAL_RELAY, match_sub_domains=True, mta_sts_mode=MtaStsMode.TESTING),
)


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    snapshot = Snapshot(1, "contoso", Directory(DOMAINS), ConnectorTable())
    return Pages("mx.mailwye.example", lambda: snapshot, tmp_path)


def get(
    pages: Pages, path: str, host: str = "mta-sts.contoso.com", *, method: str = "GET", encrypted: bool = True, name: str = ""
) -> Response:
    return pages.answer(Request(method, path, host), encrypted=encrypted, server_name=name)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_policy_is_served_to_who_asks_for_its_host(pages: Pages, method: str) -> None:
    answer = get(pages, POLICY, method=method, name="mta-sts.contoso.com")
    assert answer.status == HTTPStatus.OK
    assert "mode: enforce\r\nmx: mx.mailwye.example\r\n" in answer.text
    assert dict(answer.fields)["Content-Type"] == "text/plain"  # RFC 8461 section 3.3
    assert get(pages, POLICY, "", name="mta-sts.contoso.com").status == HTTPStatus.OK
    assert "mode: testing" in get(pages, POLICY, "mta-sts.wide.example").text


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/", "mta-sts.contoso.com"),
        (f"{POLICY}/", "mta-sts.contoso.com"),
        ("/.well-known/../.well-known/mta-sts.txt", "mta-sts.contoso.com"),
        (POLICY, "contoso.com"),
        (POLICY, "mta-sts.mta-sts.contoso.com"),
        (POLICY, "mta-sts.fabrikam.com"),
        (POLICY, "mta-sts.unknown.example"),
        (POLICY, "mta-sts.sub.wide.example"),  # RFC 8461 section 3.4: of the domain itself only
        (POLICY, "mta-sts."),
        (POLICY, ""),
    ],
)
def test_nothing_else_is_there(pages: Pages, path: str, host: str) -> None:
    assert get(pages, path, host).status == HTTPStatus.NOT_FOUND


def test_no_policy_in_the_clear(pages: Pages) -> None:
    assert get(pages, POLICY, encrypted=False).status == HTTPStatus.NOT_FOUND


def test_host_and_server_name_have_to_agree(pages: Pages) -> None:
    assert get(pages, POLICY, name="mta-sts.fabrikam.com").status == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(pages: Pages, method: str) -> None:
    answer = get(pages, POLICY, method=method)
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert ("Allow", "GET, HEAD") in answer.fields


def test_answers_for_a_certificate_authority(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "tok_en-1").write_text("tok_en-1.thumbprint")
    for encrypted in (True, False):
        assert get(pages, f"{CHALLENGE}tok_en-1", "mx.contoso.com", encrypted=encrypted).text == "tok_en-1.thumbprint"


@pytest.mark.parametrize("token", ["", "missing", "../secret", "..", "a/b", "a%2fb", ".hidden", "folder", "large", "binary"])
def test_no_other_file_is_readable(pages: Pages, tmp_path: Path, token: str) -> None:
    (tmp_path.parent / "secret").write_text("secret")
    (tmp_path / ".hidden").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_text("x" * (CHALLENGE_LIMIT + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert get(pages, f"{CHALLENGE}{token}").status == HTTPStatus.NOT_FOUND
