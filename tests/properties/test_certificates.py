"""Trust by connector agrees with its definition, and what the trace keeps of a certificate decides as the certificate did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailwye.connectors.certificates import trust_in
from mailwye.connectors.model import ConnectorType, InboundConnector
from mailwye.message.facts import AuthorityVerdict, ChainCertificate, PeerCertificate
from mailwye.trace.presented import recorded_certificate, stored_certificate

KEYS = st.sampled_from([digit * 64 for digit in "12345"])
SETS = st.sampled_from(["a", "b", "c"])
TIMES = st.floats(0, 4e9)


def words(size: int = 40) -> st.SearchStrategy[str]:
    return st.text(st.characters(codec="utf-8"), max_size=size)


@st.composite
def certificates(draw: st.DrawFn) -> PeerCertificate:
    def path(trusted: bool) -> tuple[str, ...]:
        return tuple(draw(st.lists(KEYS, min_size=1, max_size=3))) if trusted else ()

    trusted = draw(st.booleans())
    verdicts = []
    for name in draw(st.lists(SETS, unique=True)):
        led = draw(st.booleans())
        verdicts.append(AuthorityVerdict(name, led, draw(words()), path(led)))
    issuers = draw(st.lists(st.builds(ChainCertificate, words(), words(), TIMES, TIMES, KEYS), max_size=2))
    return PeerCertificate(
        draw(words()),
        draw(words()),
        tuple(draw(st.lists(st.from_regex(r"[a-z]{1,20}\.example", fullmatch=True), max_size=5))),
        draw(TIMES),
        draw(TIMES),
        draw(KEYS),
        trusted,
        draw(words()),
        draw(KEYS),
        path(trusted),
        tuple(issuers),
        tuple(verdicts),
    )


@st.composite
def connectors(draw: st.DrawFn) -> InboundConnector:
    return InboundConnector(
        "C",
        connector_type=ConnectorType.ON_PREMISES,
        tls_sender_certificate_name="*.example",
        trusted_authorities=tuple(draw(st.lists(SETS, unique=True, max_size=2))),
        tls_sender_certificate_pins=tuple(draw(st.lists(KEYS, unique=True, max_size=2))),
    )


@given(connectors(), certificates())
def test_trust_is_what_the_definition_says(connector: InboundConnector, certificate: PeerCertificate) -> None:
    paths = [certificate.path] if certificate.trusted else []
    paths += [one.path for one in certificate.verdicts if one.trusted and one.name in connector.trusted_authorities]
    pins = set(connector.tls_sender_certificate_pins)
    assert trust_in(connector, certificate).trusted is any(not pins or pins & set(path) for path in paths)


@given(connectors(), certificates())
def test_the_trace_keeps_what_decides(connector: InboundConnector, certificate: PeerCertificate) -> None:
    kept = recorded_certificate(stored_certificate(certificate))
    assert kept == certificate
    assert trust_in(connector, kept) == trust_in(connector, certificate)
