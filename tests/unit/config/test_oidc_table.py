"""The table [oidc] of mailwye.toml: what it means, and every error with its place and remedy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from mailwye.access.roles import Role
from mailwye.config.certificate_files import certificate_files
from mailwye.config.check_files import check_files
from mailwye.config.installation import OidcSettings
from tests.unit.config.test_installation_reader import MINIMUM, problems, read

ADMIN = '[[listener]]\nname = "admin"\nkind = "admin"\naddress = "127.0.0.1"\nport = 8443\n'
OIDC = '[oidc]\nissuer = "https://id.contoso.com/r"\naudience = "mailwye"\n'
ROLES = '[oidc.roles]\n"admins" = "Organization Management"\n'


def test_off_by_default(tmp_path: Path) -> None:
    installation = read(tmp_path, MINIMUM).value
    assert installation is not None
    assert installation.oidc is None


def test_the_smallest_table_gives_the_dataclass_defaults(tmp_path: Path) -> None:
    parsed = read(tmp_path, MINIMUM + ADMIN + OIDC + ROLES)
    assert parsed.problems == ()
    assert parsed.value is not None
    assert parsed.value.oidc == OidcSettings("https://id.contoso.com/r", "mailwye", {"admins": (Role.ORGANIZATION_MANAGEMENT,)})


def test_every_key(tmp_path: Path) -> None:
    text = OIDC + (
        'roles_claim = ["resource_access", "mailwye", "roles"]\nname_claim = "email"\nclients = "console"\nalgorithms = ["ES256"]\n'
        'authorities = ["ca.pem", "/etc/ca.pem"]\nleeway = 0\nkeys_refresh = 60\nkeys_keep = 60\ntimeout = 1\n'
        '[oidc.roles]\n"/Mail Admins" = ["Help Desk", "Hygiene Management", "Help Desk"]\n'
        '[oidc.required_claims]\nacr = "gold"\nemail_verified = true\namr = ["mfa", "hwk"]\n'
    )
    parsed = read(tmp_path, MINIMUM + ADMIN + text)
    assert parsed.problems == ()
    assert parsed.value is not None
    assert parsed.value.oidc == OidcSettings(
        "https://id.contoso.com/r",
        "mailwye",
        {"/Mail Admins": (Role.HELP_DESK, Role.HYGIENE_MANAGEMENT)},
        ("resource_access", "mailwye", "roles"),
        "email",
        ("console",),
        {"acr": ("gold",), "email_verified": (True,), "amr": ("mfa", "hwk")},
        ("ES256",),
        (tmp_path / "ca.pem", Path("/etc/ca.pem")),
        0.0,
        60.0,
        60.0,
        1.0,
    )
    files = [one.certificate for one in certificate_files(parsed.value) if one.use == "authority of [oidc]"]
    assert files == [tmp_path / "ca.pem", Path("/etc/ca.pem")]  # so they are checked, watched, and their dates are told


def test_every_error_at_once(tmp_path: Path) -> None:
    text = """\
[oidc]
isuer = "https://id.contoso.com"
audience = ""
roles_claim = []
algorithms = ["none", "HS256"]
leeway = 301
keys_keep = 59
[oidc.roles]
"/Mail Admins" = "Organization Managment"
b = []
c = 5
[oidc.required_claims]
acr = ["gold", 1.5]
"""
    remedy = "Use one of: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512."
    assert problems(tmp_path, MINIMUM + text) == [
        ('mailwye.toml:8: [oidc]: issuer: is missing. Add a line such as issuer = "https://id.contoso.com/realms/contoso".'),
        "mailwye.toml:9: [oidc]: isuer: is no key that Mailwye knows. Did you mean issuer?",
        "mailwye.toml:10: [oidc]: audience: is empty. Give it a value.",
        "mailwye.toml:11: [oidc]: roles_claim: is empty. Give it a value.",
        f'mailwye.toml:12: [oidc]: algorithms: "none" is none of its values. {remedy}',
        'mailwye.toml:12: [oidc]: algorithms: "HS256" is none of its values. Did you mean RS256?',
        "mailwye.toml:13: [oidc]: leeway: must be at most 300.0. Lower it.",
        "mailwye.toml:14: [oidc]: keys_keep: must be at least 60.0. Raise it.",
        (
            'mailwye.toml:16: [oidc.roles]: /Mail Admins: "Organization Managment" is none of its values. '
            "Did you mean Organization Management?"
        ),
        "mailwye.toml:17: [oidc.roles]: b: is empty. Give it a value.",
        "mailwye.toml:18: [oidc.roles]: c: must be text. Put it in quotes.",
        "mailwye.toml:20: [oidc.required_claims]: acr: must be text. Write one piece of text here.",
    ]


@pytest.mark.parametrize(
    ("issuer", "says"),
    [
        ("http://id.contoso.com", "is no https URL"),
        ("id.contoso.com", "is no URL with a domain name"),
        ("https://", "is no URL with a domain name"),
        ("https://192.0.2.1/r", "is no URL with a domain name"),
        ("https://id.contoso.com:x/", "is no URL with a domain name"),
        ("https://id.contoso.com/?tenant=1", "has more than host, port and path"),
        ("https://id.contoso.com/#x", "has more than host, port and path"),
        ("https://ann@id.contoso.com/", "has more than host, port and path"),
        ("https://id.contoso.com/a b", "has more than host, port and path"),
    ],
)
def test_issuers_that_are_none(tmp_path: Path, issuer: str, says: str) -> None:
    (found,) = problems(tmp_path, MINIMUM + ADMIN + OIDC.replace("https://id.contoso.com/r", issuer) + ROLES)
    assert found.startswith("mailwye.toml:14: [oidc]: issuer: ")
    assert says in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADMIN + OIDC, "mailwye.toml:13: [oidc]: roles: is missing. Write [oidc.roles] and below it lines such as"),
        (ADMIN + OIDC + "[oidc.roles]\n", "mailwye.toml:16: [oidc]: roles: gives nobody a role: all would be turned away."),
        (ADMIN + OIDC + 'roles_claim = "upn"\n' + ROLES, 'mailwye.toml:16: [oidc]: roles_claim: "upn" is a name that a person may choose'),
        (ADMIN + OIDC + "keys_keep = 600\n" + ROLES, "mailwye.toml:16: [oidc]: keys_keep: is shorter than keys_refresh."),
        (OIDC + ROLES, "mailwye.toml:8: [oidc]: is for the API, and no listener serves it."),
    ],
)
def test_what_keys_do_together(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = problems(tmp_path, MINIMUM + text)
    assert found.startswith(expected)


def test_check_tells_of_missing_files_and_of_the_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mailwye.toml"
    path.write_text(MINIMUM + ADMIN + OIDC + 'authorities = "ca.pem"\n' + ROLES)
    missing = f"{tmp_path}/mailwye.toml:16: oidc.authorities: 0"
    found = [str(problem) for problem in check_files(path)]
    assert len(found) == 1, missing
    assert "ca.pem is not on this machine" in found[0]
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("mailwye.config.check_files.find_spec", lambda name: None if name == "joserfc" else find_spec(name))
    found = [str(problem) for problem in check_files(path)]
    assert found[1].endswith("mailwye.toml:13: oidc: needs joserfc, which is not installed. `pip install 'mailwye[oidc]'`.")
