"""AuthenticationCredential: a user name and a password that is read, and then never written again but sealed (config/secrets)."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from mailwye.config.problem import Fault, did_you_mean, shown
from mailwye.config.scalars import read_text
from mailwye.config.schema.value import choice, choice_of, optional, value_of
from mailwye.connectors.model import SmartHostAuthMechanism
from mailwye.smtp.authentication.saslprep import Unpreparable, saslprep
from mailwye.value import dataclass

SAVED = "(saved)"
"""What stands for a password in every output. Read again, it means the one that is saved."""

USER_NAME_LIMIT = 320  # characters: 64 + "@" + 255
PASSWORD_LIMIT = 1_024  # characters
_KEYS = ("UserName", "Password")
_SEALED = "Sealed"


@dataclass(frozen=True, slots=True)
class Password:
    """`given`: as somebody just wrote it. `sealed`: encrypted. Both empty: the one that is saved. Neither is in a repr."""

    given: str = field(default="", repr=False)
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationCredential:
    """Who logs in, and with what."""

    user_name: str
    password: Password


def read_credential(value: object) -> AuthenticationCredential:
    """A mapping of UserName and Password. No message repeats what stands there: it could be a password."""
    if isinstance(value, AuthenticationCredential):
        return value
    if not isinstance(value, dict):
        raise Fault("must be a mapping", "Write {UserName: …, Password: …}")
    known = {key.lower(): key for key in _KEYS}
    read: dict[str, Any] = {}
    for key, entry in value.items():
        name = known.get(str(key).lower())
        if name is None:
            remedy = did_you_mean(str(key), _KEYS, otherwise="Use UserName and Password")
            raise Fault(f"{shown(str(key))} is no key of a credential", remedy)
        if name in read:
            raise Fault(f"{name} is given twice", "Keep one of them")
        read[name] = entry
    for name in _KEYS:
        if read.get(name) in (None, ""):
            remedy = f"Write the password, or {SAVED} to keep the one that is saved" if name == "Password" else "Write the account's name"
            raise Fault(f"has no {name}", remedy)
    return AuthenticationCredential(_read_user_name(read["UserName"]), _read_password(read["Password"]))


def _read_user_name(value: object) -> str:
    name = read_text(value)
    if len(name) > USER_NAME_LIMIT:
        raise Fault(f"UserName is longer than {USER_NAME_LIMIT} characters", "Shorten it")
    _check("UserName", name)
    return name


def _read_password(value: object) -> Password:
    if isinstance(value, dict) and list(value) == [_SEALED] and isinstance(value[_SEALED], str):
        return Password(sealed=value[_SEALED])  # as the store keeps it
    if not isinstance(value, str):
        raise Fault("Password must be text", "Put it in quotes")  # 0123 unquoted is the number 83 for YAML
    if value == SAVED:
        return Password()
    if len(value) > PASSWORD_LIMIT:
        raise Fault(f"Password is longer than {PASSWORD_LIMIT} characters", "Shorten it")
    _check("Password", value)
    return Password(given=value)


def _check(what: str, text: str) -> None:
    try:
        prepared = saslprep(text)
    except Unpreparable as error:
        raise Fault(f"{what} {error}", "Change it, there and here") from None
    if not prepared:
        raise Fault(f"{what} holds nothing but characters that do not count (RFC 4013)", "Change it, there and here")


def _write(credential: AuthenticationCredential) -> dict[str, Any]:
    return {"UserName": credential.user_name, "Password": SAVED}


def _store(credential: AuthenticationCredential) -> dict[str, Any]:
    if not credential.password.sealed:
        raise ValueError("a password that is not sealed is not stored")
    return {"UserName": credential.user_name, "Password": {_SEALED: credential.password.sealed}}


CREDENTIAL = optional(
    value_of(
        AuthenticationCredential,
        read_credential,
        {
            "type": "object",
            "properties": {"UserName": {"type": "string"}, "Password": {"type": "string", "writeOnly": True}},
            "required": list(_KEYS),
            "additionalProperties": False,
        },
        write=_write,
        store=_store,
    )
)

_choose_mechanism = choice(SmartHostAuthMechanism)
# Exchange's other values, and why they are none here.
_OTHERS = {
    "basicauth": "would send the password over plain text too",
    "exchangeserver": "is for Exchange servers of one organization (Kerberos)",
    "externalauthoritative": "says that something else, such as IPsec, protects the connection, which cannot be checked",
}


def _read_mechanism(value: object) -> SmartHostAuthMechanism:
    other = _OTHERS.get(value.lower()) if isinstance(value, str) else None
    if other is not None:
        raise Fault(f"{value} {other}", "Use BasicAuthRequireTLS, or None")
    return _choose_mechanism(value)


MECHANISM = choice_of(SmartHostAuthMechanism, _read_mechanism)
