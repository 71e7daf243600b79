"""The OpenAPI document is valid, and the API keeps to it whatever is sent: no answer 5xx, none that the document does not have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from jsonschema_rs import ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mailwye.admin.api.description import describe
from mailwye.admin.api.guarded import PREFIX
from mailwye.admin.api.permissions import ROUTES, path_of
from mailwye.admin.api.problems import MEDIA_TYPE, PROBLEM_REFERENCE
from mailwye.config.schema import KINDS
from tests.unit.admin.api.office import Office

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
EXAMPLES = 4
PARTS = (
    *(f"/objects/{path_of(kind)}" for kind in KINDS),
    *("/objects/organization", "/versions", "/export", "/apply", "/import", "/cmdlets", "/drafts", "/explain", "/replay"),
    *("/secrets", "/queue", "/trace", "/tls-reports", "/dns-records", "/check"),
    *("/mailboxes", "/certificates", "/status", "/reload", "/events", "/me", "/tokens", "/users", "/audit", "/openapi.json"),
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One office for all examples; they change its settings as they like."""
    office = Office(Path(tmp_path_factory.mktemp("office")))
    office.feed.close()  # so that /events ends
    token = office.token()
    loaded = schemathesis.openapi.from_dict(describe(office.app))
    loaded.app = office.app
    credentials = {"Authorization": f"Bearer {token}"}
    yield loaded, credentials
    office.close()


def test_the_document_is_openapi_3_1(office: Office) -> None:
    document = describe(office.app)
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()
    assert all(operation["x-permissions"] for methods in document["paths"].values() for operation in methods.values())


def test_every_route_says_what_it_answers_with(office: Office) -> None:
    """A client that is made from the document gives typed answers: every success has a body of a known form, or none."""
    document = describe(office.app)
    vague = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            responses = operation["responses"]
            assert {"400", "401", "403", "422"} <= responses.keys()
            problems = [one for status, one in responses.items() if status >= "400"]
            assert all(one["content"] == {MEDIA_TYPE: {"schema": PROBLEM_REFERENCE}} for one in problems)
            successes = {status: one for status, one in responses.items() if status < "300" and status != "204"}
            assert successes or "204" in responses
            for status, one in successes.items():
                told = [is_told(media, each["schema"], document) for media, each in one["content"].items()]
                vague += [] if all(told) else [f"{method} {path} {status}"]
    assert vague == ["get /api/v1/export 200", "get /api/v1/openapi.json 200"]  # a file of another system's form; OpenAPI's own


def is_told(media: str, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether it says which fields there are, and that there are no others."""
    if media in ("text/plain", "message/rfc822"):
        return schema == {"type": "string"}
    if "anyOf" in schema:
        return all(is_told(media, one, document) for one in schema["anyOf"])
    if "$ref" in schema:
        return is_told(media, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    return bool(schema.get("properties")) and schema["additionalProperties"] is False


def test_no_object_of_the_document_is_open_by_oversight(office: Office) -> None:
    schemas = describe(office.app)["components"]["schemas"]
    assert [name for name, one in schemas.items() if "properties" in one and one.get("additionalProperties") is not False] == []


def test_an_answer_with_a_field_that_is_not_declared_is_found(office: Office) -> None:
    me = office.ask("GET", "/me").json()
    for wrong in ({**me, "more": 1}, {"name": "ann"}, {**me, "token": None}):
        with pytest.raises(ValidationError):
            office.declared.check("GET", "/api/v1/me", 200, {"Content-Type": "application/json"}, json.dumps(wrong).encode())
    with pytest.raises(AssertionError):
        office.declared.check("GET", "/api/v1/me", 202, {"Content-Type": "application/json"}, json.dumps(me).encode())
    with pytest.raises(AssertionError):
        office.declared.check("GET", "/api/v1/objects/mailboxes", 200, {"Content-Type": "application/json"}, b'{"items": [], "next": null}')


def of_part(schema: Any, part: str) -> list[Any]:
    """The operations below one path."""
    operations = [result.ok() for result in schema.get_all_operations()]
    return [one for one in operations if one.path.removeprefix(PREFIX).startswith(part)]


def test_parts_are_all_there_is(drawn: Any) -> None:
    known = [part for part in PARTS for _ in of_part(drawn[0], part)]
    assert len(known) == len(ROUTES)


@pytest.mark.parametrize("part", PARTS)
def test_answers_keep_to_the_document(drawn: Any, part: str) -> None:
    for operation in of_part(drawn[0], part):

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        def keeps(case: schemathesis.Case[Any]) -> None:
            if case.method.upper() != "GET" and "If-None-Match" not in case.headers:
                case.headers["If-Match"] = "*"
            case.call_and_validate(checks=list(CHECKS), headers=drawn[1])

        keeps()
