"""What a token says, judged against [oidc]: everything but its signature (RFC 7519 section 4.1, RFC 8725, RFC 9068 section 4). Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mailwye.access.roles import Role
from mailwye.admin.openid.token import UnprovedToken
from mailwye.admin.openid.verdict import EXPIRY, ROLES, Person, Result, Step
from mailwye.config.installation import OidcSettings
from mailwye.config.problem import shown

SUBJECT_LIMIT = 255  # OpenID Connect Core section 2: ASCII characters of a sub
DISPLAY_LIMIT = 100  # characters
LIST_LIMIT = 1_000  # entries of a claim that is looked through

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - RFC 9068 section 2.1
ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash", "events")  # OpenID Connect Core sections 2 and 3.3.2.11; RFC 8417
ACCESS_TOKEN_CLAIMS = ("scope", "scp", "client_id", "azpacr", "appid")  # RFC 9068 section 2.2; Entra ID's
CLIENT_CLAIMS = ("azp", "client_id", "appid")


def judge_claims(token: UnprovedToken, settings: OidcSettings, now: float) -> tuple[Step, ...]:
    """A step for everything but key, signature and roles. `now`: Unix seconds."""
    claims = token.claims
    times = [_step("time", *_time(claims, settings, now))]
    if times[0].result is Result.GOOD:
        times.append(_step(EXPIRY, *_expiry(claims, settings, now)))
    return (
        _step("algorithm", *_algorithm(token, settings)),
        _step("issuer", *_issuer(claims, settings)),
        _step("audience", *_audience(claims, settings)),
        _step("kind", *_kind(token)),
        *times,
        _step("client", *_client(claims, settings)),
        *(_step(f"claim {name}", *_required(claims, name, wanted)) for name, wanted in settings.required_claims.items()),
        _step("person", *_subject(claims)),
    )


def person_of(claims: Mapping[str, Any], settings: OidcSettings) -> Person | None:
    """Whom the claims name; None where the step "person" is bad."""
    good, _ = _subject(claims)
    return Person(settings.issuer, claims["sub"], _display(claims, settings)) if good else None


def judge_roles(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[Step, tuple[Role, ...]]:
    """The roles that the claims give. Each value counts exactly as it is written; what is no text, or is in a claim that is no list of
    texts, counts for nothing.
    """
    path = settings.roles_claim
    name = ".".join(path)
    value: Any = claims
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if path == ("email",) and claims.get("email_verified") is not True:
        return _step(ROLES, False, "the claim email is not verified (email_verified)"), ()
    if value is None:
        return _step(ROLES, False, _missing(claims, path)), ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > LIST_LIMIT or not all(isinstance(one, str) for one in values):
        return _step(ROLES, False, f"the claim {name} is neither text nor a list of at most {LIST_LIMIT} texts"), ()
    roles = tuple(dict.fromkeys(role for one in values for role in settings.roles.get(one, ())))
    if not roles:
        said = ", ".join(map(shown, values[:5])) + (" …" if len(values) > 5 else "") or "nothing"
        return _step(ROLES, False, f"the claim {name} holds {said}: none of it stands in [oidc.roles]"), ()
    counted = ", ".join(shown(one) for one in values if one in settings.roles)
    return _step(ROLES, True, f"{', '.join(role.value for role in roles)}: the claim {name} holds {counted}"), roles


def _missing(claims: Mapping[str, Any], path: tuple[str, ...]) -> str:
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and path[0] in elsewhere:
        return f"the claim {path[0]} was left out by the issuer, because it is too long; let it send roles of the application"
    return f"there is no claim {'.'.join(path)}"


def _algorithm(token: UnprovedToken, settings: OidcSettings) -> tuple[bool, str]:
    """RFC 8725 section 3.1: never what the token would like, but what is allowed here."""
    if token.algorithm in settings.algorithms:
        return True, token.algorithm
    return False, f"{shown(token.algorithm)} is none of those allowed: {', '.join(settings.algorithms)}"


def _issuer(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[bool, str]:
    """Character by character (OpenID Connect Core section 3.1.3.7)."""
    found = claims.get("iss")
    if found == settings.issuer:
        return True, settings.issuer
    return False, f"iss is {_told(found)}, [oidc] issuer is {shown(settings.issuer)}"


def _audience(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[bool, str]:
    """RFC 7519 section 4.1.3, RFC 8725 section 3.9."""
    found = claims.get("aud")
    values = found if isinstance(found, list) else [found]
    if len(values) <= LIST_LIMIT and all(isinstance(one, str) for one in values) and settings.audience in values:
        return True, settings.audience
    return False, f"aud is {_told(found)}, [oidc] audience is {shown(settings.audience)}"


def _kind(token: UnprovedToken) -> tuple[bool, str]:
    """Access tokens only (RFC 9068 section 5): what says who logged in at a client is no key to anything else."""
    if "cnf" in token.claims:  # RFC 7800: without the proof it would be worth more to a thief than its issuer meant
        return False, "it is bound to a key of its client (cnf), of which there is no proof; let the client ask for a bearer token"
    if token.kind == ACCESS_TOKEN:
        return True, "an access token (typ at+jwt)"
    if token.kind not in ("", "jwt"):
        return False, f"the typ {shown(token.kind)} is not that of an access token"
    claimed = token.claims.get("typ")  # Keycloak's; its older access tokens have a nonce too
    if claimed == "Bearer":
        return True, "an access token (claim typ Bearer)"
    if claimed is not None:
        return False, f"{_told(claimed)} (claim typ) is no access token"
    for name in ID_TOKEN_CLAIMS:
        if name in token.claims:
            return False, f"an ID token has a claim {name}, an access token has none; let the client send its access token"
    signs = [name for name in ACCESS_TOKEN_CLAIMS if name in token.claims]
    if signs:
        return True, f"an access token (claim {signs[0]})"
    return False, f"nothing says that this is an access token: no typ {ACCESS_TOKEN}, no claim {', '.join(ACCESS_TOKEN_CLAIMS)}"


def _time(claims: Mapping[str, Any], settings: OidcSettings, now: float) -> tuple[bool, str]:
    """RFC 7519 sections 4.1.4 to 4.1.6. exp and iat have to be there (RFC 9068 section 2.2)."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            return False, f"the claim {name} is missing" if value is None else f"the claim {name} is no time"
        if name != "exp" and now < value - settings.leeway:
            return False, f"not valid before {value - now:.0f} s from now ({name}); look at the clocks of both"
    return True, f"issued {now - claims['iat']:.0f} s ago"


def _expiry(claims: Mapping[str, Any], settings: OidcSettings, now: float) -> tuple[bool, str]:
    """exp, where the step before found it to be a time."""
    left = claims["exp"] - now
    if left <= -settings.leeway:
        return False, f"expired {-left:.0f} s ago"
    return True, f"expires in {left:.0f} s"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _client(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[bool, str]:
    named = {claims[name] for name in CLIENT_CLAIMS if isinstance(claims.get(name), str)}
    told = ", ".join(sorted(map(shown, named))) or "a client that is not named"
    if not settings.clients:
        return True, f"{told}; any client of the issuer may bring tokens"
    if named and named <= set(settings.clients):
        return True, told
    return False, f"{told}: not among [oidc] clients"


def _required(claims: Mapping[str, Any], name: str, wanted: tuple[str | bool, ...]) -> tuple[bool, str]:
    """One of the values, as it is or in a list."""
    found = claims.get(name)
    values = found if isinstance(found, list) else [found]
    if any(type(one) is type(value) and one == value for one in values[:LIST_LIMIT] for value in wanted):
        return True, _told(found)
    return False, f"is {_told(found)}, [oidc.required_claims] asks for {' or '.join(map(_told, wanted))}"


def _subject(claims: Mapping[str, Any]) -> tuple[bool, str]:
    found = claims.get("sub")
    if not isinstance(found, str) or not 0 < len(found) <= SUBJECT_LIMIT or not found.isascii() or not found.isprintable():
        return False, f"the claim sub is {_told(found)}: no name of 1 to {SUBJECT_LIMIT} ASCII characters"
    return True, f"sub {shown(found)}"


def _display(claims: Mapping[str, Any], settings: OidcSettings) -> str:
    """How he is called. An address only where the issuer has verified it: anybody may claim one."""
    found = claims.get(settings.name_claim)
    if settings.name_claim == "email" and claims.get("email_verified") is not True:
        return ""
    return found if isinstance(found, str) and found.isprintable() and len(found) <= DISPLAY_LIMIT else ""


def _told(value: object) -> str:
    """A claim's value in a few words; nothing deep is walked through."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(shown(one) if isinstance(one, str) else "…" for one in value[:5]) or "an empty list"
        case dict():
            return "an object"
        case _:
            return shown(value)


def _step(name: str, good: bool, words: str) -> Step:
    return Step(name, Result.GOOD if good else Result.BAD, words)
