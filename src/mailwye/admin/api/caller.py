"""Who makes a request: a user by HTTP Basic (RFC 7617), a token of ours or an OpenID provider's (RFC 6750). Nobody else gets further than
this file.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from mailwye.access.accounts import TOKEN_PREFIX, AccountError, token_digest, user_name
from mailwye.access.audit import AuditError, Event
from mailwye.access.roles import Permission, permissions_of, to_read
from mailwye.access.second_factor import owner_of, step_of
from mailwye.admin.api.attempts import Attempts
from mailwye.admin.api.problems import ApiError
from mailwye.admin.api.services import Services
from mailwye.admin.openid.token import is_shaped_like_one
from mailwye.admin.openid.verdict import EXPIRY, Person, Result
from mailwye.config.secrets import SecretError
from mailwye.runtime.passwords import PasswordCheckFailed

if TYPE_CHECKING:
    from mailwye.admin.openid.gate import OpenIdGate  # needs an extra that not everybody has

CHALLENGE = {"WWW-Authenticate": 'Basic realm="mailwye", charset="UTF-8", Bearer realm="mailwye"'}
CODE_HEADER = "Mailwye-OTP"  # where the code of a second factor is; a password's place is the Authorization field
CHECKS = 2  # passwords that are checked at once: each takes 64 MiB


@dataclass(frozen=True, slots=True)
class Caller:
    """`name`: the user, or the Person's; `token`: the id of his token, "" where he gave his password. `permissions`: what he may do now.
    `ends`: when the token does. `proof`: the token's digest, or the hash that the password has. `person`: where an OpenID provider says
    who he is.
    """

    name: str
    token: str
    origin: str
    permissions: frozenset[Permission]
    ends: float = math.inf
    proof: str = field(default="", repr=False)
    person: Person | None = None

    @property
    def who(self) -> str:
        """As audit log and versions name him."""
        if self.person is not None:
            return self.person.who
        return f"{self.name} (token {self.token})" if self.token else self.name

    def may(self, permission: Permission) -> bool:
        """Whether he may."""
        return permission in self.permissions

    def sees(self, kind: str) -> bool:
        """Whether he may read objects of `kind`."""
        return self.may(to_read(kind))

    def need(self, permission: Permission, what: str = "this") -> None:
        """:raises ApiError: 403."""
        if permission not in self.permissions:
            raise ApiError(403, f"{self.name} may not do {what}: it needs the permission {permission.value}")


class Gatekeeper:
    """Authenticates requests."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._attempts = Attempts(services.clock)
        self._checks = asyncio.Semaphore(CHECKS)

    async def caller(self, request: Request) -> Caller:
        """:raises ApiError: 401, 429."""
        origin = request.client.host if request.client else ""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "basic":
                return await self._by_password(rest.strip(), request.headers.get(CODE_HEADER, ""), origin)
            case "bearer":
                secret = rest.strip()
                if self._services.openid is not None and is_shaped_like_one(secret):
                    return await self._by_openid(self._services.openid, secret, origin)
                return self._by_token(secret, origin)
            case _:
                raise ApiError(401, "say who you are: HTTP Basic with a user's password, or Bearer with a token", headers=CHALLENGE)

    async def _by_password(self, encoded: str, code: str, origin: str) -> Caller:
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
            name = user_name(name)
        except (binascii.Error, UnicodeDecodeError, AccountError) as error:
            raise ApiError(401, "the credentials are not in the form of HTTP Basic", headers=CHALLENGE) from error
        self._check_attempts(origin, name)
        self._attempts.begin(origin, name)
        accounts = self._services.accounts
        try:
            async with self._checks:
                hashed = accounts.password_hash(name)
                right = await asyncio.to_thread(self._services.verify_password, hashed, password)
        except PasswordCheckFailed as error:
            self._attempts.taken_back(origin, name)
            raise ApiError(503, f"the password could not be checked: {error}") from error
        user = accounts.user(name) if right else None
        if user is None:
            self._refused(name, origin)
            raise ApiError(401, "no such user, or another password", headers=CHALLENGE)
        if user.totp:
            self._check_code(name, code, origin)
        self._attempts.taken_back(origin, name)
        self._attempts.known(origin, name)
        return Caller(user.name, "", origin, user.permissions, proof=hashed or "")

    def _check_code(self, name: str, code: str, origin: str) -> None:
        """After the password: who has not that hears nothing of the code, and takes none away. :raises ApiError: 401, 503."""
        factor = self._services.accounts.second_factor(name)
        try:
            secret = self._services.vault.open(factor.sealed, owner_of(name)) if factor is not None else ""
        except SecretError as error:
            self._attempts.taken_back(origin, name)
            raise ApiError(503, f"the code could not be checked: {error}") from error
        step = step_of(secret, code, self._services.clock.now()) if secret and code else 0
        if factor is None or not step or not self._services.accounts.take_step(name, factor, step):
            cause = "code used before" if step else "wrong code" if code else "no code"
            self._refused(name, origin, cause)
            words = f"{name} has a second factor: send a code that was not used yet in {CODE_HEADER}; a token needs none"
            raise ApiError(401, words, headers=CHALLENGE)

    def _by_token(self, secret: str, origin: str) -> Caller:
        found = self._services.accounts.token(token_digest(secret)) if secret.startswith(TOKEN_PREFIX) else None
        user = self._services.accounts.user(found.user) if found is not None else None
        if found is None or user is None or found.expires <= self._services.clock.now():
            self._check_attempts(origin, "")  # only now: what strangers do from the same address locks no token out
            self._attempts.begin(origin, "")
            self._refused(f"token {found.id}" if found is not None else "a token", origin)
            raise ApiError(401, "no such token, or it has expired", headers=CHALLENGE)
        return Caller(user.name, found.id, origin, user.permissions & found.scopes, found.expires, token_digest(secret))

    def may_still(self, caller: Caller, permission: Permission) -> bool:
        """Whether he would be let in again, for what takes long: he is not gone, nor is his token, his password or his role another one."""
        if caller.person is not None:  # who he is, and what he may, is said by his token alone
            return permission in caller.permissions and self._services.clock.now() < caller.ends
        accounts = self._services.accounts
        user = accounts.user(caller.name)
        if user is None or permission not in user.permissions:
            return False
        if not caller.token:
            return accounts.password_hash(caller.name) == caller.proof
        token = accounts.token(caller.proof)
        return token is not None and token.expires > self._services.clock.now()

    async def _by_openid(self, gate: OpenIdGate, text: str, origin: str) -> Caller:
        """As with tokens of ours, what strangers do from the same address locks no good token out. :raises ApiError: 401, 403, 429, 503."""
        verdict = await gate.judge(text, may_ask=not self._attempts.wait(origin, ""))
        person, fault = verdict.person, verdict.fault
        if person is not None and fault is None:
            return Caller(person.name, "", origin, permissions_of(verdict.roles), verdict.ends, person=person)
        assert fault is not None  # without a person a step is bad
        self._check_attempts(origin, "")
        if fault.result is Result.UNKNOWN:
            raise ApiError(503, "the token cannot be checked now: the keys of its issuer are not to be had", headers={"Retry-After": "30"})
        self._attempts.begin(origin, "")
        cause = f"{fault.name}: {fault.words}"
        if person is not None and verdict.is_proved:
            self._refused(person.who, origin, cause)
            raise ApiError(403, f"{person.name} has no role here: the claim {gate.roles_claim} of the token gives none")
        self._refused("a token of an issuer", origin, cause)
        words = "the token has expired" if fault.name == EXPIRY else "the token is not accepted; the audit log says why"
        raise ApiError(401, words, headers={"WWW-Authenticate": CHALLENGE["WWW-Authenticate"] + ', error="invalid_token"'})

    def _check_attempts(self, origin: str, name: str) -> None:
        wait = self._attempts.wait(origin, name)
        if wait:
            raise ApiError(429, "too many failed logins; wait", headers={"Retry-After": str(int(wait) + 1)})

    def _refused(self, name: str, origin: str, cause: str = "") -> None:
        result = f"refused: {cause}" if cause else "refused"
        try:
            self._services.audit.record(Event(self._services.clock.now(), name, origin, "login", name, result))
        except AuditError as error:
            self._services.log.error("audit log cannot be written", error=str(error))
