"""The composition root of TLS: an installation's certificates as the contexts of its listeners and of its outbound connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mailwye.config.certificate_files import certificate_files
from mailwye.config.installation import KINDS_WITHOUT_TLS, Installation, ListenerSettings
from mailwye.config.own_certificates import read_own_certificates
from mailwye.connectors.own_certificates import choose, is_choice, is_strict
from mailwye.runtime.tls import ClientTlsContext, ServerTlsContext, TlsError

KINDS_FOR_STRANGERS = ("https",)
"""Listeners that ask for no client certificate: nobody is recognized there."""


def server_tls(installation: Installation) -> dict[str, ServerTlsContext]:
    """Listener name → its context; a listener without a certificate is left out. Each listener has a context of its own, so that no TLS
    session could be carried from one to another; the contexts that SNI may lead to are shared, they hold certificates only.

    :raises TlsError: names the file and the remedy.
    """
    listeners = [one for one in installation.listeners if one.kind not in KINDS_WITHOUT_TLS and _pair_of(installation, one) is not None]
    made: dict[tuple[Path, Path, bool], ServerTlsContext] = {}
    contexts: dict[str, ServerTlsContext] = {}
    for listener in listeners:
        own = _pair_of(installation, listener)
        assert own is not None
        contexts[listener.name] = _listener_context(installation, listener, own, made)
    return contexts


def _listener_context(
    installation: Installation, listener: ListenerSettings, own: tuple[Path, Path], made: dict[tuple[Path, Path, bool], ServerTlsContext]
) -> ServerTlsContext:
    """With the pair `own` for clients that ask for no name, and the shared ones of all listeners, which are kept in `made`."""
    asks = listener.kind not in KINDS_FOR_STRANGERS
    others = []
    for pair in dict.fromkeys(_shared_pairs(installation)):
        if pair != own:
            key = (*pair, asks)
            if key not in made:
                made[key] = _context(installation, pair, asks=asks)
            others.append(made[key])
    return _context(installation, own, asks=asks, others=tuple(others), for_connectors=asks)


class ChosenServerTls:
    """Contexts of listeners with the certificate that a ReceiveConnector chooses, made when first needed. Reading the files takes some
    milliseconds, once for each choice.
    """

    def __init__(self, installation: Installation, alert: Callable[[str], None]) -> None:
        """`alert` hears once of a choice that fits nothing, or of bad files: the listener's own certificate is presented then."""
        self._installation = installation
        self._alert = alert
        self._contexts: dict[tuple[str, str], ServerTlsContext | None] = {}
        self._shared: dict[tuple[Path, Path, bool], ServerTlsContext] = {}

    def __call__(self, listener: str, choice: str) -> ServerTlsContext | None:
        """For the listener of that name; None where no certificate fits."""
        key = (listener, choice)
        if key not in self._contexts:
            self._contexts[key] = self._make(listener, choice)
        return self._contexts[key]

    def _make(self, name: str, choice: str) -> ServerTlsContext | None:
        listener = next(one for one in self._installation.listeners if one.name == name)
        try:
            known = read_own_certificates(self._installation)
            chosen = choose(choice, [certificate for certificate, _ in known])
            if chosen.number is not None:
                return _listener_context(self._installation, listener, known[chosen.number][1], self._shared)
            problem = chosen.reason
        except TlsError as error:
            problem = str(error)
        if is_strict(choice):
            self._alert(f"listener {name} presents its own certificate, not the one of TlsCertificateName: {problem}")
        return None

    def forget(self) -> None:
        """Read the files again when next needed."""
        self._contexts.clear()
        self._shared.clear()


def _pair_of(installation: Installation, listener: ListenerSettings) -> tuple[Path, Path] | None:
    """What the listener presents to a client that asks for no name."""
    tls = installation.tls
    if listener.certificate is not None and listener.private_key is not None:
        return listener.certificate, listener.private_key
    return (tls.certificate, tls.private_key) if tls.certificate is not None and tls.private_key is not None else None


def _shared_pairs(installation: Installation) -> Iterator[tuple[Path, Path]]:
    """What every listener may present to a client that asks for its name. A listener's own pair is for that listener only."""
    tls = installation.tls
    if tls.certificate is not None and tls.private_key is not None:
        yield tls.certificate, tls.private_key
    yield from tls.certificates


def _context(
    installation: Installation,
    pair: tuple[Path, Path],
    *,
    asks: bool,
    others: tuple[ServerTlsContext, ...] = (),
    for_connectors: bool = False,
) -> ServerTlsContext:
    """`for_connectors`: with the authorities that only connectors trust. A connection keeps those of the context that it begins with."""
    authorities = installation.tls.authorities if for_connectors else {}
    return ServerTlsContext(
        certificate=str(pair[0]),
        private_key=str(pair[1]),
        trusted_authorities=tuple(map(str, installation.tls.trusted_authorities)),
        authorities={name: tuple(map(str, files)) for name, files in authorities.items()},
        request_client_certificate=asks,
        others=others,
    )


class ClientTls:
    """Contexts for outbound connections, one per client certificate, made when first needed."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._tls = installation.tls
        self._contexts: dict[str, ClientTlsContext] = {}
        self._anonymous: ClientTlsContext | None = None

    def __call__(self, name: str) -> ClientTlsContext:
        """The context that presents the client certificate `name` of [tls.client_certificates]; "" presents the installation's own
        certificate where it has one, so that a partner can recognize us by it. `name` may be a choice of connectors/own_certificates.py.

        :raises TlsError: no such name, no certificate with that issuer and subject, or bad files.
        """
        context = self._contexts.get(name)
        if context is None:
            context = self._contexts[name] = self._make(name)
        return context

    def _make(self, name: str) -> ClientTlsContext:
        tls = self._tls
        if is_choice(name):
            return self._context(self._chosen(name))
        if name and name not in tls.client_certificates:
            raise TlsError(f"client certificate {name!r} is not in [tls.client_certificates]; add it there or correct the connector")
        return self._context(tls.client_certificates[name] if name else (tls.certificate, tls.private_key))

    def _chosen(self, choice: str) -> tuple[Path | None, Path | None]:
        """The installation's own pair where none is for the host name; none at all would let nobody recognize us."""
        known = read_own_certificates(self._installation)
        chosen = choose(choice, [certificate for certificate, _ in known])
        if chosen.number is not None:
            return known[chosen.number][1]
        if is_strict(choice):
            raise TlsError(f"{chosen.reason}; correct TlsCertificateName, or add the certificate to [tls.client_certificates]")
        return self._tls.certificate, self._tls.private_key

    def anonymous(self) -> ClientTlsContext:
        """A context that presents no certificate, for web servers. :raises TlsError: bad files."""
        if self._anonymous is None:
            self._anonymous = self._context((None, None))
        return self._anonymous

    def _context(self, pair: tuple[Path | None, Path | None]) -> ClientTlsContext:
        """The authorities of connectors are trusted for nothing here, but what they have revoked is revoked."""
        tls = self._tls
        certificate, key = (str(path) if path is not None else "" for path in pair)
        return ClientTlsContext(
            certificate=certificate,
            private_key=key,
            trusted_authorities=tuple(map(str, tls.trusted_authorities)),
            revocation_lists=tuple(str(file) for files in tls.authorities.values() for file in files),
        )

    def forget(self) -> None:
        """Read the files again when next needed."""
        self._contexts.clear()
        self._anonymous = None


def check_tls(installation: Installation) -> None:
    """Read all certificates as a worker will. :raises TlsError: names the file and the remedy."""
    server_tls(installation)
    contexts = ClientTls(installation)
    for name in ("", *installation.tls.client_certificates):
        contexts(name)


def watched_files(installation: Installation) -> tuple[Path, ...]:
    """The files whose change means that certificates have to be read again, each once."""
    return tuple(dict.fromkeys(path for one in certificate_files(installation) for path in one.paths))
