"""A token against issuer and settings, from end to end: the Verdict."""

from __future__ import annotations

from mailwye.admin.openid.claims import judge_claims, judge_roles, person_of
from mailwye.admin.openid.keys import is_signed_by
from mailwye.admin.openid.provider import KeysUnknown, Provider
from mailwye.admin.openid.provider_status import ProviderStatus
from mailwye.admin.openid.token import TokenError, UnprovedToken, read_token
from mailwye.admin.openid.verdict import Result, Step, Verdict
from mailwye.config.installation import OidcSettings
from mailwye.config.problem import shown
from mailwye.runtime.clock import Clock


class OpenIdGate:
    """Judges tokens of the issuer of [oidc]."""

    def __init__(self, settings: OidcSettings, provider: Provider, clock: Clock) -> None:
        self._settings = settings
        self._provider = provider
        self._clock = clock

    async def judge(self, text: str, *, may_ask: bool = True, thorough: bool = False) -> Verdict:
        """What to think of a token. Where what it says of itself rules it out, its signature is not looked at, and nobody is asked for
        keys, unless `thorough`. `may_ask`: see Provider.key.
        """
        try:
            token = read_token(text)
        except TokenError as error:
            return Verdict((Step("form", Result.BAD, str(error)),))
        form = Step("form", Result.GOOD, f"a token of {len(text)} characters")
        said = judge_claims(token, self._settings, self._clock.now())
        is_allowed = said[0].result is Result.GOOD  # the algorithm
        is_good = all(step.result is Result.GOOD for step in said)
        proof: tuple[Step, ...] = ()
        if is_good or (thorough and is_allowed):
            proof = await self._proof(token, may_ask=may_ask)
        role, roles = judge_roles(token.claims, self._settings)
        steps = (form, *said, *proof, role)
        is_proved = is_good and all(step.result is Result.GOOD for step in proof)
        person = person_of(token.claims, self._settings)
        return Verdict(steps, person, roles, float(token.claims["exp"])) if is_proved else Verdict(steps, person)

    @property
    def roles_claim(self) -> str:
        """The claim that gives roles."""
        return ".".join(self._settings.roles_claim)

    async def warm_up(self) -> None:
        """Fetch the keys before somebody needs them."""
        await self._provider.ask()

    def status(self) -> ProviderStatus:
        """See Provider.status."""
        return self._provider.status()

    async def close(self) -> None:
        """Ask nobody any more."""
        await self._provider.close()

    async def _proof(self, token: UnprovedToken, *, may_ask: bool) -> tuple[Step, ...]:
        named = shown(token.key_name)
        try:
            key = await self._provider.key(token, may_ask=may_ask)
        except KeysUnknown as error:
            return (Step("key", Result.UNKNOWN, f"{named}: {error}"),)
        if key is None:
            return (Step("key", Result.BAD, f"the issuer has no key {named} for {token.algorithm}"),)
        step = Step("key", Result.GOOD, f"{named}, {token.algorithm}")
        if not is_signed_by(token, key):
            return step, Step("signature", Result.BAD, "the signature is not the issuer's")
        return step, Step("signature", Result.GOOD, "the issuer's")
