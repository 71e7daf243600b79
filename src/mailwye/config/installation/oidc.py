"""The table [oidc]: its keys, and what they do together."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mailwye.access.roles import Role
from mailwye.config.installation.settings import Installation, OidcSettings
from mailwye.config.installation.tables import Table, items, named, one_of, plain_text, seconds, table_of
from mailwye.config.problem import Fault, Path, Severity, shown
from mailwye.config.reading import scalar
from mailwye.config.scalars import TEXT_LIMIT, limited_text
from mailwye.smtp.address import AddressError, parse_domain

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")  # RFC 7518 section 3.1; never none or HS*
ROLES_LIMIT = 1_000
CLAIMS_LIMIT = 50
DAY = 86_400.0

CHOSEN_BY_PERSONS = ("preferred_username", "username", "upn", "unique_name", "name", "nickname", "given_name", "family_name", "profile")
"""Claims that a person may set, or that go to somebody else when he leaves (OpenID Connect Core section 5.7): they give no roles."""


def _issuer(value: object) -> str:
    """As it is written: tokens are compared with it character by character (OpenID Connect Core section 3.1.3.7)."""
    text = plain_text(value)
    remedy = "Write the issuer as its discovery document has it, such as https://id.contoso.com/realms/contoso"
    try:
        parts = urlsplit(text)
        _ = parts.port
        parse_domain(parts.hostname or "")
    except (ValueError, AddressError) as error:
        raise Fault(f"{shown(text)} is no URL with a domain name", remedy) from error
    if parts.scheme != "https":
        raise Fault(f"{shown(text)} is no https URL", remedy)
    if "?" in text or "#" in text or "@" in parts.netloc or " " in text or not text.isascii():
        raise Fault(f"{shown(text)} has more than host, port and path", remedy)  # OpenID Connect Discovery section 3
    return text


def _value(value: object) -> str | bool:
    return value if isinstance(value, bool) else _TEXT(value)


_TEXT = limited_text(TEXT_LIMIT, required=True)
_WORD = scalar(_TEXT)
_ROLE = one_of(role.value for role in Role)


def _settings(**values: object) -> OidcSettings:
    roles = values.pop("roles")
    assert isinstance(roles, dict)
    given = {value: tuple(map(Role, dict.fromkeys(names))) for value, names in roles.items()}
    return OidcSettings(roles=given, **values)  # type: ignore[arg-type]  # each was read by the reader of its key


_TABLE = table_of(
    OidcSettings,
    {
        "issuer": 'Add a line such as issuer = "https://id.contoso.com/realms/contoso"',
        "audience": 'Add a line such as audience = "mailwye": whom its tokens are for (aud)',
        "roles": 'Write [oidc.roles] and below it lines such as "mail-admins" = "Organization Management"',
    },
    issuer=scalar(_issuer),
    audience=_WORD,
    roles=named(_WORD, items(_ROLE, required=True, lone=True), limit=ROLES_LIMIT, why="let the issuer make groups of them"),
    roles_claim=items(_WORD, required=True, limit=5, lone=True),
    name_claim=_WORD,
    clients=items(_WORD, lone=True),
    required_claims=named(_WORD, items(scalar(_value), required=True, lone=True), limit=CLAIMS_LIMIT, why="each token is asked for them"),
    algorithms=items(one_of(ALGORITHMS), required=True, lone=True),
    authorities=items(_WORD, lone=True),
    leeway=seconds(0.0, 300.0),
    keys_refresh=seconds(60.0, DAY),
    keys_keep=seconds(60.0, 30 * DAY),
    timeout=seconds(0.1, 60.0),
)

OIDC = Table(_settings, _TABLE.keys, _TABLE.required, _TABLE.examples)
"""The table. Paths are still as written."""


def faults_together(installation: Installation) -> Iterator[tuple[Path, Fault, Severity]]:
    """What several keys do together, with the place of each."""
    oidc = installation.oidc
    if oidc is None:
        return
    if not oidc.roles:
        remedy = 'Write lines such as "mail-admins" = "Organization Management" below [oidc.roles]'
        yield ("oidc", "roles"), Fault("gives nobody a role: all would be turned away", remedy), Severity.ERROR
    if oidc.roles_claim[0] in CHOSEN_BY_PERSONS and len(oidc.roles_claim) == 1:
        message = f"{shown(oidc.roles_claim[0])} is a name that a person may choose, or that another one gets later: it gives no roles"
        yield ("oidc", "roles_claim"), Fault(message, "Use a claim with groups or roles, or sub"), Severity.ERROR
    if oidc.keys_keep < oidc.keys_refresh:
        yield ("oidc", "keys_keep"), Fault("is shorter than keys_refresh", "Raise it"), Severity.ERROR
    if not any(listener.kind == "admin" for listener in installation.listeners):
        remedy = 'Add a [[listener]] of kind "admin", or remove [oidc]'
        yield ("oidc",), Fault("is for the API, and no listener serves it", remedy), Severity.WARNING
