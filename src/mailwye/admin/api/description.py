"""The OpenAPI 3.1 document: FastAPI's, with the classes of the schema as the objects' descriptions, and how to say who one is."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mailwye import __version__
from mailwye.admin.api.answers import NO_CONTENT, Declared, schemas_of
from mailwye.admin.api.guarded import PREFIX
from mailwye.admin.api.permissions import ROUTES, path_of
from mailwye.admin.api.problems import ProblemDocument
from mailwye.config.schema import KINDS, ConfigObject, OrganizationSettings
from mailwye.config.schema.json_schema import json_schema

_REFERENCE = "#/components/schemas/{model}"
_BASIC, _BEARER = "user", "token"
_CONDITIONS = ("If-Match", "If-None-Match")
_CONDITIONAL = ("/activate", "/rollback", "/apply", "/cmdlets")


def describe(app: FastAPI) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = get_openapi(title="Mailwye", version=__version__, openapi_version="3.1.0", routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    kinds: dict[str, type[ConfigObject]] = {OrganizationSettings.kind: OrganizationSettings}
    kinds |= {kind: entry.model for kind, entry in KINDS.items()}
    for kind, model in kinds.items():
        _add(schemas, kind, _object_schema(model))
        _add(schemas, f"{kind}Patch", _patch_schema(schemas[kind]))
    bodies = _bodies(app, schemas)
    components["securitySchemes"] = {_BASIC: {"type": "http", "scheme": "basic"}, _BEARER: {"type": "http", "scheme": "bearer"}}
    document["security"] = [{_BASIC: []}, {_BEARER: []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            route = f"{method.upper()} {path.removeprefix(PREFIX)}"
            _answers(operation, app.state.declared.get(route, Declared()), bodies.get(route, []))
            _operation(path, method, operation)
    return document


def _bodies(app: FastAPI, schemas: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The schemas of what each route answers with, and those of problems; what they refer to is in `schemas` then."""
    each = [(route, body) for route, declared in app.state.declared.items() for body in declared.bodies]
    found, named = schemas_of([ProblemDocument, *(body for _, body in each)], _REFERENCE.format(model="{name}"))
    for name, schema in named.items():
        assert name not in schemas, f"two schemas are called {name}: give one of the types another name"
        schemas[name] = schema
    bodies: dict[str, list[dict[str, Any]]] = {}
    for (route, _), schema in zip(each, found[1:], strict=True):
        bodies.setdefault(route, []).append(schema)
    return bodies


def _answers(operation: dict[str, Any], declared: Declared, bodies: list[dict[str, Any]]) -> None:
    """What comes where the route does what it was asked for."""
    for status, response in operation["responses"].items():
        if not status.startswith("2") or status == str(NO_CONTENT):
            continue
        if bodies:
            schema = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
            response["content"] = {"application/json": {"schema": schema}}
        if declared.etag is not None:
            response.setdefault("headers", {})["ETag"] = {
                "schema": {"type": "string"},
                "required": declared.etag,
                "description": "The version of the settings, or the revision of the draft, for If-Match.",
            }
        if declared.location:
            response.setdefault("headers", {})["Location"] = {
                "schema": {"type": "string", "format": "uri-reference"},
                "required": True,
                "description": "Where it is from now on.",
            }


def _operation(path: str, method: str, operation: dict[str, Any]) -> None:
    wanted = ROUTES.get(f"{method.upper()} {path.removeprefix(PREFIX)}", frozenset())
    operation["x-permissions"] = sorted(permission.value for permission in wanted)
    kind = _kind_of(path)
    if kind:
        _object_operation(kind, path, method, operation)
    if (method in ("put", "patch", "delete") and kind) or path.endswith(_CONDITIONAL) or "/import/" in path:
        for name in _CONDITIONS if method == "put" and kind and path.endswith("{identity}") else _CONDITIONS[:1]:
            operation.setdefault("parameters", []).append(
                {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": "The ETag; or *."}
            )


def _kind_of(path: str) -> str:
    rest = path.removeprefix(f"{PREFIX}/objects/")
    if rest == path:
        return ""
    name = rest.partition("/")[0]
    return next((kind for kind in KINDS if path_of(kind) == name), OrganizationSettings.kind)


def _object_operation(kind: str, path: str, method: str, operation: dict[str, Any]) -> None:
    """Objects of a kind are described by its class of the settings' schema."""
    reference = {"$ref": _REFERENCE.format(model=kind)}
    if method == "get" and path.endswith(("{identity}", "/organization")):
        operation["responses"]["200"]["content"] = {"application/json": {"schema": reference}}
        operation["responses"]["304"] = {"description": "It is still the version of If-None-Match"}
    elif method == "get":
        page = {"type": "object", "required": ["items", "next"], "additionalProperties": False}
        page["properties"] = {"items": {"type": "array", "items": reference}, "next": {"type": ["string", "null"]}}
        operation["responses"]["200"]["content"] = {"application/json": {"schema": page}}
    elif method in ("put", "patch"):
        schema = reference if method == "put" else {"$ref": _REFERENCE.format(model=f"{kind}Patch")}
        kinds = ("application/json",) if method == "put" else ("application/merge-patch+json", "application/json")
        operation["requestBody"] = {"required": True, "content": {media: {"schema": schema} for media in kinds}}


def _object_schema(model: type[ConfigObject]) -> dict[str, Any]:
    """Null stands for the default, in both directions."""
    schema = json_schema(model)
    required = schema.get("required", [])
    for name, entry in schema["properties"].items():
        if isinstance(entry.get("default"), float):  # seconds within, written as hh:mm:ss outside
            del entry["default"]
        if name in required or {"type": "null"} in entry.get("anyOf", ()):
            continue
        default = {"default": entry.pop("default")} if "default" in entry else {}
        schema["properties"][name] = {"anyOf": [entry, {"type": "null"}], **default}
    return schema


def _patch_schema(schema: dict[str, Any]) -> dict[str, Any]:
    patch = {key: value for key, value in schema.items() if key not in ("required", "title", "description")}
    return {**patch, "description": "Some fields; null: the default."}


def _add(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    schemas.update(schema.pop("$defs", {}))
    schemas[name] = schema
