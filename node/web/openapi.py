"""The OpenAPI 3.1 document of the read API, made from the rows that its routes are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.web.answers import JSON_TYPE
from node.web.operations import Json, Operation, Param
from node.web.schemas import OBJECTS, ref

COMMON_ERRORS: Final = (400, 403, 421, 429, 500, 503)
"""What any operation may answer."""

_REASONS: Final = {
    304: "You have it as it is (If-None-Match)",
    400: "A parameter is not what it should be",
    403: "Not for a page of another origin, or not from another machine",
    404: "There is no such thing here",
    409: "The chain changed; begin again",
    413: "The body is too long",
    415: "The body is of another type",
    421: "The page is not known by that name",
    422: "A rule of the ledger, or a policy of the node, refuses it",
    429: "Too many requests; wait as long as Retry-After says",
    500: "This machine failed, or its copy of the book is damaged",
    503: "The node is away, or busy; ask again",
}


def document(operations: Sequence[Operation], *, title: str, version: str, about: str) -> Json:
    """Return the document of these operations."""
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": about},
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {"schemas": OBJECTS},
    }


def _operation(operation: Operation) -> Json:
    fields: Json = {
        "operationId": operation.name,
        "summary": operation.about,
        "parameters": [
            *(_parameter(param, "path") for param in operation.params),
            *(_parameter(param, "query") for param in operation.queries),
        ],
        "responses": _responses(operation),
    }
    if operation.bodies:
        content = {media_type: _content(schema) for media_type, schema in operation.bodies.items()}
        fields["requestBody"] = {"required": True, "content": content}
    return fields


def _parameter(param: Param, where: str) -> Json:
    return {
        "name": param.name,
        "in": where,
        "required": where == "path",
        "description": param.about,
        "schema": param.schema,
    }


def _responses(operation: Operation) -> Json:
    reads = operation.method == "GET"
    media_type = operation.media_type.partition(";")[0]
    headers: Json = {"ETag": _header("Of just these bytes")} if reads else {}
    if operation.is_paged:
        headers["Link"] = _header('The next page, as <…>; rel="next"')
    done: Json = {
        "description": operation.about,
        "headers": headers,
        "content": {media_type: _content(operation.answer)},
    }
    errors = sorted({*COMMON_ERRORS, *operation.errors})
    return {
        "200": done,
        **({"304": {"description": _REASONS[304]}} if reads else {}),
        **{str(status): _error(status) for status in errors},
    }


def _content(schema: Json) -> Json:
    return {"schema": schema} if schema else {}


def _error(status: int) -> Json:
    return {"description": _REASONS[status], "content": {JSON_TYPE: {"schema": ref("Error")}}}


def _header(description: str) -> Json:
    return {"description": description, "schema": {"type": "string"}}
