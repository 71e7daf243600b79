"""Answers against the document: status, headers and body as the route declares them, and no field that it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema_rs import Draft202012Validator

NO_BODY = (204, 304)


class Declared:
    """`document`: OpenAPI 3.1, as /api/v1/openapi.json answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        routes = [(path, method.upper(), one) for path, methods in document["paths"].items() for method, one in methods.items()]
        routes.sort(key=lambda route: route[0].count("{"))  # /queue/counts before /queue/{message_id}
        self._routes = [(re.compile(re.sub(r"{[^}]*}", "[^/]+", path)), method, one) for path, method, one in routes]
        self._validator = cache(self._made)

    def check(self, method: str, url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """:raises AssertionError: the answer is not what the document says."""
        path = urlsplit(url).path
        operation = next((one for form, verb, one in self._routes if verb == method and form.fullmatch(path)), None)
        if operation is None or status == 500:  # no route, or a test that wanted it so
            return
        where = f"{method} {path} {status}"
        assert str(status) in operation["responses"], f"{where}: not declared"
        response = operation["responses"][str(status)]
        for name, header in response.get("headers", {}).items():
            assert name in headers or not header.get("required"), f"{where}: no {name}"
        for name in ("ETag", "Location", "Retry-After"):
            assert name not in headers or name in response.get("headers", {}) or status == 304, f"{where}: {name} is not declared"
        if status in NO_BODY:
            assert not body, where
            return
        media = headers["Content-Type"].partition(";")[0]
        assert media in response["content"], f"{where}: {media} is not declared"
        if media.endswith("json"):
            self._validator(json.dumps(response["content"][media]["schema"])).validate(json.loads(body))

    def _made(self, schema: str) -> Draft202012Validator:
        return Draft202012Validator({**json.loads(schema), "components": self._components})
