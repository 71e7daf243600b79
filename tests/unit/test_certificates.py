"""Which listener presents which certificate to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwye.certificates import ChosenServerTls, ClientTls, check_tls, server_tls, watched_files
from mailwye.config.installation import Installation, ListenerSettings, TlsFileSettings
from mailwye.connectors.own_certificates import by_fqdn
from mailwye.runtime.clock import SystemClock
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext, TlsError, TlsLayer
from mailwye.testing.authority import Authority


class World:
    """An authority, and an installation with three certificates."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory, now=SystemClock().now())
        self.trusted = (authority.certificate,)
        self.pairs = {}
        for name, names in (("own", ["submit.contoso.com"]), ("tls", ["mx.contoso.com"]), ("more", ["mx.fabrikam.com", "*.fabrikam.com"])):
            pair = authority.issue(name, names)
            self.pairs[name] = (pair.certificate, pair.private_key)
        self.installation = Installation(
            "mx.contoso.com",
            directory / "data",
            (
                ListenerSettings("mx", "mx", "127.0.0.1", 0),
                ListenerSettings("in", "submission", "127.0.0.1", 0, (), (), *self.pairs["own"]),
                ListenerSettings("admin", "admin", "127.0.0.1", 0),
                ListenerSettings("pages", "https", "127.0.0.1", 0),
            ),
            tls=TlsFileSettings(*self.pairs["tls"], (self.pairs["more"],), self.trusted, {"partner": self.pairs["own"]}),
        )

    def shown(self, context: ServerTlsContext, name: str) -> str:
        """The first name of the certificate that a client sees who asks for `name`."""
        client = TlsLayer(ClientTlsContext(trusted_authorities=tuple(map(str, self.trusted))), server_name=name)
        server = TlsLayer(context)
        client.start()
        for _ in range(3):
            server.receive_data(client.data_to_send())
            client.receive_data(server.data_to_send())
        assert client.peer_certificate is not None
        return client.peer_certificate.names[0]


def test_each_listener_has_its_own_certificate_then_those_of_all(tmp_path: Path) -> None:
    world = World(tmp_path)
    contexts = server_tls(world.installation)
    assert set(contexts) == {"mx", "in", "pages"}
    assert world.shown(contexts["mx"], "") == "mx.contoso.com"
    assert world.shown(contexts["mx"], "submit.contoso.com") == "mx.contoso.com"  # another listener's own
    assert world.shown(contexts["mx"], "a.fabrikam.com") == "mx.fabrikam.com"
    assert world.shown(contexts["pages"], "any.fabrikam.com") == "mx.fabrikam.com"
    assert world.shown(contexts["in"], "") == "submit.contoso.com"
    assert world.shown(contexts["in"], "mx.contoso.com") == "mx.contoso.com"
    assert world.shown(contexts["in"], "mx.fabrikam.com") == "mx.fabrikam.com"


def test_all_files_are_watched_and_checked(tmp_path: Path) -> None:
    world = World(tmp_path)
    files = {path for pair in world.pairs.values() for path in pair} | set(world.trusted)
    assert set(watched_files(world.installation)) == files
    check_tls(world.installation)
    for path in files:
        before = path.read_bytes()
        path.write_bytes(b"rubbish")
        with pytest.raises(TlsError, match=str(path)):
            check_tls(world.installation)
        path.write_bytes(before)


def issuer_and_subject(name: str) -> str:
    return f"<I>CN=Mailwye demo authority<S>CN={name}"


def test_a_receive_connector_chooses_the_certificate(tmp_path: Path) -> None:
    world = World(tmp_path)
    alerts: list[str] = []
    chosen = ChosenServerTls(world.installation, alerts.append)
    by_name = chosen("mx", by_fqdn("submit.contoso.com"))
    assert by_name is not None
    assert world.shown(by_name, "") == "submit.contoso.com"
    assert world.shown(by_name, "mx.fabrikam.com") == "mx.fabrikam.com"  # SNI still counts
    by_issuer = chosen("mx", issuer_and_subject("mx.fabrikam.com"))
    assert by_issuer is not None
    assert world.shown(by_issuer, "") == "mx.fabrikam.com"
    assert chosen("mx", by_fqdn("submit.contoso.com")) is by_name
    chosen.forget()
    assert chosen("mx", by_fqdn("submit.contoso.com")) is not by_name
    assert alerts == []


def test_what_fits_nothing_leaves_the_listener_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    alerts: list[str] = []
    chosen = ChosenServerTls(world.installation, alerts.append)
    assert chosen("mx", by_fqdn("other.contoso.com")) is None
    assert alerts == []
    for _ in range(2):
        assert chosen("mx", issuer_and_subject("old.contoso.com")) is None
    (alert,) = alerts
    assert "listener mx presents its own certificate" in alert
    assert "the subject CN=old.contoso.com" in alert


def test_a_send_connector_chooses_the_certificate(tmp_path: Path) -> None:
    world = World(tmp_path)
    contexts = ClientTls(world.installation)
    for choice, shown in (
        (by_fqdn("mx.fabrikam.com"), "mx.fabrikam.com"),
        (by_fqdn("nobody.example"), "mx.contoso.com"),  # the installation's own
        (issuer_and_subject("submit.contoso.com"), "submit.contoso.com"),
        ("partner", "submit.contoso.com"),
        ("", "mx.contoso.com"),
    ):
        assert presented(world, contexts(choice)) == shown
    with pytest.raises(TlsError, match="no certificate of the installation has the issuer"):
        contexts(issuer_and_subject("old.contoso.com"))


def presented(world: World, context: ClientTlsContext) -> str:
    """The first name of the certificate that a client shows."""
    client, server = TlsLayer(context), TlsLayer(server_tls(world.installation)["mx"])
    client.start()
    for _ in range(3):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    assert server.peer_certificate is not None
    return server.peer_certificate.names[0]
