"""Policies over real HTTPS on loopback: what is believed, and everything that is not (RFC 8461 section 3.3)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailwye.config.installation import TransportSettings
from mailwye.runtime.dns_answer import Resolver
from mailwye.runtime.network import SystemNetwork
from mailwye.runtime.tls import ClientTlsContext, TlsError
from mailwye.testing.authority import Authority, KeyPair
from mailwye.testing.resolver import StaticResolver
from mailwye.transport.failures import FailureType
from mailwye.transport.policy_fetch import HttpsPolicyFetcher, PolicyFetchError
from tests.unit.transport.https_server import HttpsServer, https_server, text

POLICY = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"
HOST = "mta-sts.example.com"
TO_LOOPBACK: Resolver = StaticResolver({HOST: {"A": ["127.0.0.1"]}})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), now=time.time())  # noqa: TID251 - certificates are judged by the real clock


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("web", [HOST])


def fetcher(
    authority: Authority, port: int, *, resolver: Resolver = TO_LOOPBACK, private_allowed: bool = True, timeout: float = 5.0
) -> HttpsPolicyFetcher:
    context = ClientTlsContext(trusted_authorities=(str(authority.certificate),))
    return HttpsPolicyFetcher(
        network=SystemNetwork(),
        resolver=resolver,
        context=lambda: context,
        settings=TransportSettings(policy_port=port, policy_timeout=timeout),
        private_allowed=private_allowed,
    )


async def refused(authority: Authority, server: HttpsServer, timeout: float = 5.0) -> tuple[FailureType, str]:
    with pytest.raises(PolicyFetchError) as caught:
        await fetcher(authority, server.port, timeout=timeout).fetch("example.com")
    return caught.value.failure.type, caught.value.failure.cause


async def test_a_policy_is_fetched(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, text(POLICY)) as server:
        assert await fetcher(authority, server.port).fetch("example.com") == POLICY
    (request,) = server.requests
    assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
    assert b"Host: mta-sts.example.com\r\n" in request


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nve\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Type: Text/Plain\r\n\r\nve",  # ends with close_notify
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + text(b"ve"),
    ],
    ids=["chunked", "until the end", "informational"],
)
async def test_forms_of_an_answer(authority: Authority, pair: KeyPair, answer: bytes) -> None:
    async with https_server(pair, answer) as server:
        assert await fetcher(authority, server.port).fetch("example.com") == b"ve"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (
            text(b"", "301 Moved", more="Location: https://evil.example/\r\n"),
            FailureType.STS_POLICY_FETCH_ERROR,
            "redirect is not followed",
        ),
        (text(b"gone", "404 Not Found"), FailureType.STS_POLICY_FETCH_ERROR, "status 404"),
        (text(POLICY, kind="text/html"), FailureType.STS_POLICY_INVALID, "text/plain, not text/html"),
        (text(POLICY, more="Content-Encoding: gzip\r\n"), FailureType.STS_POLICY_INVALID, "content coding"),
        (text(b"x" * 65_537), FailureType.STS_POLICY_FETCH_ERROR, "more than 65536 octets"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000, FailureType.STS_POLICY_FETCH_ERROR, "no HTTP"),
        (b"220 smtp\r\n", FailureType.STS_POLICY_FETCH_ERROR, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", FailureType.STS_POLICY_FETCH_ERROR, ""),
        (b"", FailureType.STS_POLICY_FETCH_ERROR, ""),
    ],
    ids=["redirect", "404", "html", "gzip", "too large", "large head", "smtp", "half", "nothing"],
)
async def test_answers_that_do_not_count(authority: Authority, pair: KeyPair, answer: bytes, kind: FailureType, says: str) -> None:
    async with https_server(pair, answer) as server:
        found, cause = await refused(authority, server)
    assert found is kind
    assert says in cause
    assert server.connections == 1


async def test_an_answer_that_is_cut_is_not_believed(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: ST", cut=True) as server:
        assert (await refused(authority, server))[0] is FailureType.STS_POLICY_FETCH_ERROR


async def test_a_silent_server_has_its_time(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, b"", silent=True) as server:
        _, cause = await refused(authority, server, timeout=0.2)
    assert "within 0.2 s" in cause


@pytest.mark.parametrize(
    ("options", "names", "says"),
    [
        ({}, ["example.com"], "presented example.com"),
        ({"self_signed": True}, [HOST], "self-signed"),
        ({"starts_in_days": -9, "ends_in_days": -2}, [HOST], "expired"),
        ({"common_name": HOST}, [], "no name at all"),  # the subject's CN counts for nothing
    ],
    ids=["name", "self-signed", "expired", "common name"],
)
async def test_certificates_that_do_not_count(authority: Authority, options: dict[str, object], names: list[str], says: str) -> None:
    pair = authority.issue("bad", names, **options)  # type: ignore[arg-type]  # the options are Authority's own
    async with https_server(pair, text(POLICY)) as server:
        kind, cause = await refused(authority, server)
    assert kind is FailureType.STS_WEBPKI_INVALID
    assert says in cause
    assert server.requests == []  # nothing was asked of a stranger


async def test_nobody_listens(authority: Authority, pair: KeyPair) -> None:
    async with https_server(pair, b"") as server:
        port = server.port
    server.port = port
    kind, cause = await refused(authority, server)
    assert kind is FailureType.STS_POLICY_FETCH_ERROR
    assert "cannot connect" in cause


@pytest.mark.parametrize(
    ("zone", "unknown", "says"),
    [
        ({HOST: {"A": ["127.0.0.1"], "AAAA": ["::1"]}}, {}, "private or special"),
        ({HOST: {"A": ["169.254.169.254"]}}, {}, "private or special"),
        ({HOST: {"CNAME": ["inside.example"]}, "inside.example": {"A": ["10.0.0.1"]}}, {}, "private or special"),
        ({HOST: {"AAAA": ["::ffff:127.0.0.1"]}}, {}, "private or special"),
        ({}, {}, "no such domain"),
        ({}, {HOST: "SERVFAIL"}, "DNS query failed"),
    ],
)
async def test_policy_hosts_that_are_never_dialled(
    authority: Authority, pair: KeyPair, zone: dict[str, dict[str, list[object]]], unknown: dict[str, str], says: str
) -> None:
    async with https_server(pair, text(POLICY)) as server:
        resolver = StaticResolver(zone, unknown=unknown)
        with pytest.raises(PolicyFetchError, match=says):
            await fetcher(authority, server.port, resolver=resolver, private_allowed=False).fetch("example.com")
    assert server.connections == 0


async def test_bad_authorities_are_a_failure_like_others() -> None:
    def context() -> ClientTlsContext:
        return ClientTlsContext(trusted_authorities=(str(Path("/nonexistent/ca.pem")),))

    fetching = HttpsPolicyFetcher(
        network=SystemNetwork(), resolver=TO_LOOPBACK, context=context, settings=TransportSettings(), private_allowed=True
    )
    with pytest.raises(TlsError):
        context()
    with pytest.raises(PolicyFetchError, match=r"ca\.pem"):
        await fetching.fetch("example.com")
