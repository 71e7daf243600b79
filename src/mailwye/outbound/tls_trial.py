"""The TLS of one connection: asked of tls_check.py step by step, and what TLS reports must hear of it. No I/O."""

from __future__ import annotations

from mailwye.outbound import tls_check
from mailwye.outbound.courier import Host
from mailwye.outbound.tls_check import TlsDemand
from mailwye.runtime.tls import PresentedCertificate
from mailwye.smtp.reply import Reply
from mailwye.transport.failures import Failure, FailureType


class TlsTrial:
    """Starts with the demand on `host`. A Reply that a method returns means: nothing may be sent over this connection.

    `reason`: how the connection is protected, for people. `known`: there is a result; `failure` says why it is none to be glad of, also
    where the mail may go all the same.
    """

    def __init__(self, demand: TlsDemand, host: Host) -> None:
        self.demand = demand
        self.reason = ""
        self.known = False
        self.failure: Failure | None = None
        self._host = host

    def not_offered(self) -> Reply | None:
        """The peer does not offer STARTTLS."""
        reply = tls_check.not_offered(self.demand, str(self._host))
        return self._without(reply, "STARTTLS is not offered")

    def refused(self, answer: Reply) -> Reply | None:
        """The peer offers STARTTLS and refuses it."""
        reply = tls_check.refused(self.demand, str(self._host), answer)
        return self._without(reply, f"STARTTLS was refused ({answer})")

    def broken(self, cause: str) -> Reply:
        """The handshake failed. Whether plaintext is worth another connection is the caller's decision."""
        self._met(Failure(FailureType.VALIDATION_FAILURE, cause))
        return tls_check.handshake_failed(self.demand, str(self._host), cause)

    def lost(self, reply: Reply) -> tuple[Reply, bool]:
        """The connection ended between STARTTLS and the end of its handshake, with the peer's last word or our own about it: the reply to
        fail with, and whether the handshake broke as in `broken`. Octets injected behind the 220 (our own 450 4.7.0, W5) are an attack, and
        no reason to go on in plaintext.
        """
        told = self.broken(reply.text if reply.code == 450 else str(reply))
        injected = (reply.code, reply.enhanced) == (450, "4.7.0")
        return (reply, False) if injected else (told, True)

    def certificate(self, certificate: PresentedCertificate | None, now: float) -> Reply | None:
        """The handshake is done. `now`: Unix seconds."""
        verdict, failure = tls_check.check_certificate(self.demand, self._host.name, str(self._host), certificate, now)
        self._met(failure)
        if isinstance(verdict, Reply):
            return verdict
        self.reason = verdict
        return None

    def unprotected(self, *, offered: bool) -> Reply | None:
        """What follows from whether REQUIRETLS is offered."""
        return tls_check.unprotected(self.demand, str(self._host), offered=offered)

    def needs_tls(self) -> Reply:
        """A password may not be sent over this connection."""
        return tls_check.not_offered(self.demand, str(self._host))

    def _without(self, reply: Reply, cause: str) -> Reply | None:
        self._met(Failure(FailureType.STARTTLS_NOT_SUPPORTED, cause))
        if self.demand.required:
            return reply
        self.reason = tls_check.without(self.demand, cause)
        return None

    def _met(self, failure: Failure | None) -> None:
        self.known, self.failure = True, failure
