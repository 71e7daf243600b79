"""Which page answers a request."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from mailwye.config.snapshot import Snapshot
from mailwye.directory.mta_sts import POLICY_HOST, POLICY_PATH, policy_text
from mailwye.web.http_exchange import Request, Response

CHALLENGE_PATH = "/.well-known/acme-challenge/"
CHALLENGE_LIMIT = 1_024  # octets of an answer; RFC 8555 section 8.3 makes some 90 of them
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")  # RFC 8555 section 8.3: base64url

NOT_FOUND = Response(HTTPStatus.NOT_FOUND, "there is nothing here\n")
NOT_ALLOWED = Response(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only\n", (("Allow", "GET, HEAD"),))
MISDIRECTED = Response(HTTPStatus.MISDIRECTED_REQUEST, "the name of the TLS session is another one\n")


class Pages:
    """`snapshot`: the settings in force. `challenges`: the folder in which an ACME client puts its answers, each named by its token."""

    def __init__(self, hostname: str, snapshot: Callable[[], Snapshot], challenges: Path) -> None:
        self._hostname = hostname
        self._snapshot = snapshot
        self._challenges = challenges

    def answer(self, request: Request, *, encrypted: bool, server_name: str = "") -> Response:
        """`server_name`: what the client asked for in its TLS hello (SNI), "" for nothing. Policies are served over TLS only (RFC 8461
        section 3.3), challenges either way (RFC 8555 section 8.3: a redirect to HTTPS may be followed).
        """
        if request.method not in ("GET", "HEAD"):
            return NOT_ALLOWED
        if server_name and request.host and server_name != request.host:
            return MISDIRECTED  # RFC 9110 section 15.5.20
        if request.path == POLICY_PATH and encrypted:
            return self._policy(request.host or server_name)
        if request.path.startswith(CHALLENGE_PATH):
            return self._challenge(request.path.removeprefix(CHALLENGE_PATH))
        return NOT_FOUND

    def _policy(self, host: str) -> Response:
        if not host.startswith(POLICY_HOST):
            return NOT_FOUND
        name = host.removeprefix(POLICY_HOST)
        domain = self._snapshot().directory.accepted_domain(name)
        if domain is None or domain.domain_name != name:  # MatchSubDomains: a policy is for the domain itself (RFC 8461 section 3.4)
            return NOT_FOUND
        text = policy_text(domain, self._hostname)
        return NOT_FOUND if text is None else Response(HTTPStatus.OK, text, (("Content-Type", "text/plain"),))

    def _challenge(self, token: str) -> Response:
        if _TOKEN.fullmatch(token) is None:
            return NOT_FOUND
        try:
            with (self._challenges / token).open("rb") as file:
                text = file.read(CHALLENGE_LIMIT + 1).decode("ascii")
        except (OSError, UnicodeDecodeError):
            return NOT_FOUND
        if len(text) > CHALLENGE_LIMIT:
            return NOT_FOUND
        return Response(HTTPStatus.OK, text, (("Content-Type", "application/octet-stream"),))
