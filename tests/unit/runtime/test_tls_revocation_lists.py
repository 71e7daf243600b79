"""Revocation lists in the files of authorities count in both directions, and for whoever trusts the authority."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailwye.runtime.clock import SystemClock
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext, TlsError, TlsLayer
from mailwye.testing.authority import Authority, KeyPair
from tests.unit.runtime.test_tls import shake


def verdicts(authority: Authority, pair: KeyPair, lists: bytes, *, beside: bool) -> list[tuple[bool, str]]:
    """What a client and a server think of `pair` with these lists: in the authority's own file, or in another one."""
    trusted, other = authority.directory / "trusted.pem", authority.directory / "lists.pem"
    trusted.write_bytes(authority.certificate.read_bytes() + (lists if beside else b""))
    other.write_bytes(authority.certificate.read_bytes() + (b"" if beside else lists))
    files, more = (str(trusted),), (str(other),)
    mine: dict[str, Any] = {"certificate": str(pair.certificate), "private_key": str(pair.private_key)}
    client = TlsLayer(ClientTlsContext(trusted_authorities=files, revocation_lists=more, **mine))
    server = TlsLayer(ServerTlsContext(trusted_authorities=files, authorities={"own": more}, **mine))
    shake(client, server)
    found = []
    for one in (client.peer_certificate, server.peer_certificate):
        assert one is not None
        assert bool(one.path) is one.trusted
        found.append((one.trusted, one.trust_reason))
    return found


@pytest.mark.parametrize("beside", [True, False], ids=["in the authority's file", "in [tls.authorities]"])
def test_what_a_list_revokes_is_trusted_by_nobody(tmp_path: Path, beside: bool) -> None:
    now = SystemClock().now()
    authority, stranger = Authority(tmp_path, now=now), Authority(tmp_path / "stranger", now=now)
    good, bad = authority.issue("good", ["good.example"]), authority.issue("bad", ["bad.example"])
    lists = authority.revocation_list(bad)
    assert verdicts(authority, bad, lists, beside=beside) == [(False, "revoked")] * 2
    assert all(trusted for trusted, _ in verdicts(authority, good, lists, beside=beside))
    forged = stranger.revocation_list(bad)  # in the name of the authority, by another key
    assert all(trusted for trusted, _ in verdicts(authority, bad, forged, beside=beside))


def test_a_revoked_intermediate_is_named(tmp_path: Path) -> None:
    now = SystemClock().now()
    root = Authority(tmp_path, now=now)
    between = Authority(tmp_path / "between", now=now, name="Between", issuer=root)
    pair = between.issue("mail", ["mail.example"])
    assert all(trusted for trusted, _ in verdicts(root, pair, b"", beside=True))
    revoked = KeyPair(between.certificate, pair.private_key)
    assert verdicts(root, pair, root.revocation_list(revoked), beside=True) == [(False, "authority CN=Between: revoked")] * 2


def test_a_list_that_is_none_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    with pytest.raises(TlsError, match=r"bad\.pem: it holds a revocation list"):
        ClientTlsContext(revocation_lists=(str(bad),))
