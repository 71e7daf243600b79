"""The OpenAPI document is valid, and the API keeps to it whatever is sent: no answer 5xx, none that the document does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
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
