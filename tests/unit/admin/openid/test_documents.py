"""The issuer's documents over real HTTPS on loopback: what is read, and everything that is not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailwye.admin.openid.documents import DOCUMENT_OCTETS, DocumentError, HttpsDocuments, HttpsPlace, discovery_url, https_place
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.resolver import StaticResolver
from tests.unit.transport.https_server import HttpsServer, https_server, text

HOST = "id.contoso.com"
JSON = "application/json"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("web", [HOST])


def documents(authority: Authority | None, *, timeout: float = 5.0, **resolver: object) -> HttpsDocuments:
    trusted = (str(authority.certificate),) if authority is not None else ()
    return HttpsDocuments(
        network=SystemNetwork(),
        resolver=StaticResolver({HOST: {"A": ["127.0.0.1"]}}, **resolver),  # type: ignore[arg-type]  # its own options
        context=lambda: ClientTlsContext(trusted_authorities=trusted),
        timeout=timeout,
    )


def url_at(server: HttpsServer) -> str:
    return f"https://{HOST}:{server.port}/keys?x=1"


async def test_a_document_is_read_from_a_private_address(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, text(b'{"keys": []}', kind="application/jwk-set+json; charset=utf-8")) as server:
        assert await documents(authority).read(url_at(server)) == b'{"keys": []}'
    (request,) = server.requests
    assert request.startswith(b"GET /keys?x=1 HTTP/1.1\r\n")
    assert f"Host: {HOST}:{server.port}\r\n".encode() in request


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (text(b"", "302 Found", more="Location: https://evil.example/\r\n"), "status 302; a redirect is not followed"),
        (text(b"{}", "404 Not Found", JSON), "status 404"),
        (text(b"{}", kind="text/html"), 'must be JSON, not "text/html"'),
        (text(b"{}", kind=JSON, more="Content-Encoding: gzip\r\n"), "content coding"),
        (text(b"x" * 10_000_000, kind=JSON), f"more than {DOCUMENT_OCTETS} octets"),
        (b"220 smtp\r\n", "no HTTP"),
    ],
    ids=["redirect", "404", "html", "gzip", "10 MB", "smtp"],
)
async def test_answers_that_do_not_count(authority: Authority, pair: KeyPair, answer: bytes, says: str) -> None:
    async with https_server(pair, answer) as server:
        with pytest.raises(DocumentError) as caught:
            await documents(authority).read(url_at(server))
    assert says in str(caught.value)
    assert server.connections == 1


async def test_another_address_is_tried_in_the_same_time(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, text(b"{}", kind=JSON)) as server:
        reading = HttpsDocuments(
            network=SystemNetwork(),
            resolver=StaticResolver({HOST: {"A": ["127.0.0.7", "127.0.0.1"]}}),  # nobody listens at the first
            context=lambda: ClientTlsContext(trusted_authorities=(str(authority.certificate),)),
            timeout=5.0,
        )
        assert await reading.read(url_at(server)) == b"{}"


async def test_a_slow_issuer_has_its_time(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, b"", silent=True) as server:
        with pytest.raises(DocumentError, match=r"within 0\.2 s"):
            await documents(authority, timeout=0.2).read(url_at(server))


async def test_an_issuer_whose_certificate_nobody_vouches_for_is_asked_nothing(pair: KeyPair) -> None:
    async with https_server(pair, text(b"{}", kind=JSON)) as server:
        with pytest.raises(DocumentError, match="not trusted"):
            await documents(None).read(url_at(server))
    assert server.requests == []


async def test_another_name_in_the_certificate(authority: Authority) -> None:
    async with https_server(authority.issue("other", ["evil.example"]), text(b"{}", kind=JSON)) as server:
        with pytest.raises(DocumentError, match=r"expected a certificate for id\.contoso\.com"):
            await documents(authority).read(url_at(server))
    assert server.requests == []


async def test_names_without_addresses(authority: Authority) -> None:
    with pytest.raises(DocumentError, match=r"nowhere\.example has no address"):
        await documents(authority).read("https://nowhere.example/keys")
    with pytest.raises(DocumentError, match=r"cannot be looked up: .*SERVFAIL"):
        await documents(authority, unknown={HOST: "SERVFAIL"}).read(f"https://{HOST}/")


async def test_a_bad_file_of_authorities_is_a_failure_like_others() -> None:
    reading = HttpsDocuments(
        network=SystemNetwork(),
        resolver=StaticResolver({HOST: {"A": ["127.0.0.1"]}}),
        context=lambda: ClientTlsContext(trusted_authorities=(str(Path("/nonexistent/ca.pem")),)),
        timeout=1.0,
    )
    with pytest.raises(DocumentError, match=r"ca\.pem"):
        await reading.read(f"https://{HOST}/")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://ID.contoso.com", HttpsPlace("id.contoso.com", 443, "/")),
        ("https://id.contoso.com:8443/a/b?c=d", HttpsPlace("id.contoso.com", 8443, "/a/b?c=d")),
    ],
)
def test_places(url: str, place: HttpsPlace) -> None:
    assert https_place(url) == place


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.b/", "file:///etc/passwd", "https://", "https:///x", "https://127.0.0.1/", "https://[::1]/", "https://a.b:x/"),
        *("https://a.b:0x50/", "https://u@a.b/", "https://a.b/#x", "https://a.b/\r\nX: y", "https://a.b/ x", "https://a.b/ä", "//a.b/", ""),
    ],
)
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(DocumentError, match="no https URL with a domain name"):
        https_place(url)


@pytest.mark.parametrize("issuer", ["https://a.b/r", "https://a.b/r/"])
def test_where_the_discovery_document_is(issuer: str) -> None:
    assert discovery_url(issuer) == "https://a.b/r/.well-known/openid-configuration"
