"""A tiny OpenID provider for tests: keys, documents, tokens that are good and tokens that lie."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from mailwye.access.roles import Role
from mailwye.admin.openid.documents import DISCOVERY_PATH, DocumentError
from mailwye.config.installation import OidcSettings
from mailwye.testing.authority import KeyPair

ISSUER = "https://id.contoso.com/realms/contoso"
AUDIENCE = "mailwye"
KEYS_PATH = "/realms/contoso/keys"
GROUPS = {role: role.name.lower() for role in Role}  # role → value of the claim
RSA = RSAKey.generate_key(2048)
OTHER_RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")


def settings(**more: Any) -> OidcSettings:
    roles = {group: (role,) for role, group in GROUPS.items()}
    return OidcSettings(**{"issuer": ISSUER, "audience": AUDIENCE, "roles": roles, **more})


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def parts_of(*parts: Any) -> str:
    """A token of these parts: octets and text as they are, other things as JSON."""
    octets = [part if isinstance(part, bytes) else (part if isinstance(part, str) else json.dumps(part)).encode() for part in parts]
    return ".".join(map(base64url, octets))


def claims_at(now: float, role: Role | None = Role.ORGANIZATION_MANAGEMENT, **more: Any) -> dict[str, Any]:
    """Those of a good access token; None as a value takes a claim out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "f3b1",
        "iat": now - 10,
        "exp": now + 300,
        "scope": "openid",
        "azp": "console",
        "preferred_username": "ann@contoso.com",
        "roles": [GROUPS[role]] if role is not None else [],
        **more,
    }
    return {name: value for name, value in claims.items() if value is not None}


class Issuer:
    """`keys`: kid → key, those that it publishes. Implements documents.Documents: `down` where it does not answer, `asked`: URLs."""

    def __init__(self, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.keys: dict[str, Any] = {"k1": RSA, "e1": EC}
        self.more_keys: list[Any] = []
        self.down = ""
        self.asked: list[str] = []

    @property
    def origin(self) -> str:
        return "/".join(self.issuer.split("/")[:3])

    def document(self, path: str) -> bytes:
        if path.endswith(DISCOVERY_PATH):
            return json.dumps({"issuer": self.issuer, "jwks_uri": self.origin + KEYS_PATH}).encode()
        keys = [{**key.as_dict(private=False), "kid": name, "use": "sig"} for name, key in self.keys.items()]
        return json.dumps({"keys": [*keys, *self.more_keys]}).encode()

    async def read(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise DocumentError(self.down)
        return self.document(url)

    def sign(self, claims: Any, *, key: str = "k1", by: Any = None, **header: Any) -> str:
        """By the key that it names, or by another one; None in the header takes a field out."""
        signing = by or self.keys[key]
        algorithm = "ES256" if isinstance(signing, ECKey) else "RS256"
        whole = {"alg": algorithm, "kid": key, "typ": "JWT", **header}
        whole = {name: value for name, value in whole.items() if value is not None}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        body = parts_of(whole) + "." + base64url(payload)
        model = jws.JWSRegistry.algorithms[whole["alg"]]
        return body + "." + base64url(model.sign(body.encode(), signing))


def signed_with_the_public_key(claims: Any, key: RSAKey = RSA) -> str:
    """HS256, with the octets of the public key as its secret: what an old library would take (RFC 8725 section 2.1)."""
    body = parts_of({"alg": "HS256", "kid": "k1", "typ": "JWT"}, claims)
    return body + "." + base64url(hmac.digest(key.as_pem(private=False), body.encode(), hashlib.sha256))


@contextlib.asynccontextmanager
async def serving_issuer(pair: KeyPair, host: str = "id.contoso.com") -> AsyncIterator[Issuer]:
    """An Issuer on 127.0.0.1, by HTTPS with the certificate `pair`. It answers nothing while it is `down`."""
    issuer = Issuer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            issuer.asked.append(path)
            if not issuer.down:
                body = issuer.document(path)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.private_key)
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    issuer.issuer = f"https://{host}:{listening.sockets[0].getsockname()[1]}/realms/contoso"
    try:
        yield issuer
    finally:
        listening.close()
