"""One AUTH on one connection: from what the peer offers to its 235, or to the reason why nothing is sent here.

Every failure defers: it is the operator's to mend, not the sender's. What the peer says is told without what it was given: a server that
echoes a password must not bring it into the queue, the trace or a notice.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

from mailwye.config.secrets import SecretError
from mailwye.outbound.courier import Stage
from mailwye.outbound.outcomes import LOGIN_REFUSED, NO_MECHANISM, NO_PASSWORD
from mailwye.outbound.session.account import Account
from mailwye.outbound.ticket import HostFailed
from mailwye.runtime.clock import Clock
from mailwye.runtime.entropy import secret_octets
from mailwye.smtp.authentication.exchanges import MECHANISMS, Exchange, choose_mechanism, exchange_for
from mailwye.smtp.authentication.saslprep import Unpreparable
from mailwye.smtp.authentication.scram import Salting, SaslError, salt
from mailwye.smtp.client import ClientConnection
from mailwye.smtp.reply import Reply

NONCE_OCTETS = 18  # 24 characters of base64, which has no comma
OFFERS_SHOWN = 10
MASK = "***"


class Login:
    """`host` for people. `flush` sends what the client wants to say. `text`: "authenticated as USER by MECHANISM", once it is so."""

    def __init__(self, account: Account, client: ClientConnection, host: str, clock: Clock, flush: Callable[[], None]) -> None:
        self.text = ""
        self._account = account
        self._client = client
        self._host = host
        self._clock = clock
        self._flush = flush
        self._exchange: Exchange | None = None
        self._broken: SaslError | None = None
        self._secrets: list[str] = []

    def begin(self) -> HostFailed | None:
        """Choose a mechanism and say AUTH. The caller has TLS, and EHLO was said within it."""
        offered = self._client.extensions.auth
        mechanism = choose_mechanism(offered)
        if mechanism is None:
            return self._impossible(offered)
        nonce = base64.b64encode(secret_octets(NONCE_OCTETS)).decode("ascii")
        try:
            password = self._account.password()
            self._exchange = exchange = exchange_for(mechanism, self._account.user_name, password, nonce)
        except (SecretError, Unpreparable) as error:
            return HostFailed(Stage.AUTH, unusable_password(self._account.connector, error))
        self._secrets.append(password)
        initial = exchange.initial()
        self._said(initial)
        self._client.start_auth(mechanism, initial, self._clock.monotonic())
        return None

    def challenged(self, challenge: bytes) -> None:
        """The peer asks for more."""
        assert self._exchange is not None
        try:
            answer = self._exchange.respond(challenge)
        except SaslError as error:
            self._broken = error
            self._client.continue_auth(None, self._clock.monotonic())
            return
        if isinstance(answer, bytes):
            self._say(answer)
        elif (known := self._account.salted(answer)) is not None:
            self._say(self._exchange.salted(known))
        else:
            self._salt(self._exchange, answer)

    def _salt(self, exchange: Exchange, work: Salting) -> None:
        """In a thread: the loop has other mail to carry."""

        def done(future: asyncio.Future[bytes]) -> None:
            if future.cancelled() or future.exception() is not None:
                self._broken = SaslError("the salted password could not be computed")
                self._client.continue_auth(None, self._clock.monotonic())
            else:
                self._account.remember(work, future.result())
                self._say(exchange.salted(future.result()))
            self._flush()

        asyncio.get_running_loop().run_in_executor(None, salt, work).add_done_callback(done)

    def ended(self, reply: Reply) -> HostFailed | None:
        """AUTH was answered for good."""
        assert self._exchange is not None
        mechanism = self._exchange.mechanism
        if self._broken is None and reply.is_success and not self._exchange.proven:
            self._broken = SaslError("it let us in without proving that it knows the password")
        if self._broken is not None:
            return self._failed(LOGIN_REFUSED, f"{mechanism} with {self._host} failed: {self._broken}")
        if not reply.is_success:
            offers = _listed(self._client.extensions.auth)
            told = f"{self._host} refused {self._account.user_name} by {mechanism} (it offers {offers}): {self.masked(reply)}"
            return self._failed(LOGIN_REFUSED if reply.is_permanent else "4.7.0", told)
        self._secrets.clear()
        self.text = f"authenticated as {self._account.user_name} by {mechanism}"
        return None

    def masked(self, reply: Reply) -> Reply:
        """`reply` without the password, and without the responses that hold it."""
        text = reply.text
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return reply if text == reply.text else Reply(reply.code, reply.enhanced, text)

    def _impossible(self, offered: frozenset[str]) -> HostFailed:
        account = self._account
        if offered:
            cause = f"{self._host} offers {_listed(offered)} for AUTH, and Mailwye knows {', '.join(MECHANISMS)}"
            remedy = "Let the server offer one of them"
        else:
            cause = f"{self._host} offers no AUTH"
            remedy = "Name its port for clients (mostly 587) in SmartHosts"
        login = f'connector "{account.connector}" logs in as {account.user_name}'
        return HostFailed(Stage.AUTH, Reply(450, NO_MECHANISM, f"Authentication is not possible: {login}, but {cause}. {remedy}"))

    def _failed(self, enhanced: str, cause: str) -> HostFailed:
        remedy = f'Correct AuthenticationCredential of connector "{self._account.connector}", or the account there'
        return HostFailed(Stage.AUTH, Reply(450, enhanced, f"Authentication failed: {cause}. {remedy}"))

    def _say(self, response: bytes) -> None:
        self._said(response)
        self._client.continue_auth(response, self._clock.monotonic())

    def _said(self, response: bytes | None) -> None:
        if response:
            self._secrets.append(base64.b64encode(response).decode("ascii"))


def unusable_password(connector: str, error: Exception) -> Reply:
    """The deferring reply where the password cannot even be had."""
    return Reply(450, NO_PASSWORD, f'The password of connector "{connector}" cannot be used: {error}')


def _listed(offered: frozenset[str]) -> str:
    names = sorted(offered)
    return " ".join(names[:OFFERS_SHOWN]) + (f" and {len(names) - OFFERS_SHOWN} more" if len(names) > OFFERS_SHOWN else "")
