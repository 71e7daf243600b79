"""What routes answer with: the annotation of a handler's return is the declaration of its route.

`-> Answer[Page[TokenRow]]` says that the body is a page of such rows. The type stands beside what makes the rows, and mypy holds that and
the handler to it. The document has the JSON schemas of these types (description.py). Nothing is validated while answering, which would
make long lists slow: tests hold every answer that they get against the document.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, ClassVar, Generic, TypedDict, TypeVar, Union, get_args, get_origin

import msgspec
from starlette.responses import JSONResponse, Response

T = TypeVar("T")


class Page(TypedDict, Generic[T]):
    """A list, or a part of it. `next`: the cursor of the page after this one, null at the end."""

    items: list[T]
    next: str | None


class Answer(JSONResponse, Generic[T]):
    """JSON."""

    etag: ClassVar[bool | None] = None  # whether there is one: always, None: never, False: where it says which version was saved
    location: ClassVar[bool] = False

    def __init__(self, content: T, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, headers)

    def render(self, content: Any) -> bytes:
        """Dataclasses, enumerations and tuples too."""
        return msgspec.json.encode(content)


class Tagged(Answer[T]):
    """JSON about settings. `tag`: their version, for If-Match."""

    etag = True

    def __init__(self, content: T, tag: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, {"ETag": tag, **(headers or {})})


class Made(Tagged[T]):
    """What was made, and where it is from now on. `location`: a path of the API."""

    location = True

    def __init__(self, content: T, tag: str, place: str) -> None:
        super().__init__(content, tag, 201, {"Location": place})


class Done(Answer[T]):
    """What a change did, or would do. `tag` None: nothing was saved."""

    etag = False

    def __init__(self, content: T, tag: str | None, status: int = 200) -> None:
        super().__init__(content, status, {} if tag is None else {"ETag": tag})


@dataclass(frozen=True, slots=True)
class Declared:
    """What a route says of its success. `bodies`: the types of its body, one of them; none: it has no body, or none that is JSON."""

    bodies: tuple[Any, ...] = ()
    etag: bool | None = None
    location: bool = False


def declared_by(handler: Callable[..., Any]) -> Declared:
    """From the annotation of its return."""
    for annotation in _members(inspect.signature(handler, eval_str=True).return_annotation):
        made = get_origin(annotation)
        if made is not None and issubclass(made, Answer):
            (body,) = get_args(annotation)
            return Declared(_members(body), made.etag, made.location)
    return Declared()


def schemas_of(bodies: Sequence[Any], reference: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The JSON schema of each body, and what they refer to by `reference` with {name}: objects have the fields that they say and no others,
    and all of them but those that a type leaves out (NotRequired).
    """
    found, named = msgspec.json.schema_components(bodies, ref_template=reference)
    for schema in named.values():
        if "properties" in schema:
            always = [name for name, field in schema["properties"].items() if field.pop("default", _NONE) is not _NONE]
            schema["required"] = [*schema.get("required", ()), *always]
            schema["additionalProperties"] = False
    return list(found), named


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


_NONE = object()
NO_CONTENT = 204


def no_content() -> Response:
    """It is done, and there is nothing to say."""
    return Response(status_code=NO_CONTENT)
