"""The read API as one table's rows: from each a route is made, and its part of the OpenAPI document.

Knows the form of operations; `api.py` has the table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request

from node.web.answers import ASK_AGAIN, JSON_TYPE, TEXT_TYPE, WebError, json_bytes
from node.web.context import Context, context_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter in a path, or behind the question mark, where it may be left out."""

    name: str
    schema: Json
    """Of OpenAPI."""
    read: Callable[[str], Any]
    """Returns what a text says; ValueError for what the schema does not allow."""
    about: str
    default: Any = None
    """Of a query parameter that is not given."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of an operation."""

    context: Context
    request: Request
    given: Mapping[str, Any]
    """Every parameter of the operation, read."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - as its reader returns it
        return self.given[name]

    @property
    def is_local(self) -> bool:
        """Whether the viewer sits at this machine."""
        return self.context.is_local(self.request)


@dataclass(frozen=True, slots=True)
class Payload:
    """An answer's body, how long it may be kept, and where the next page is."""

    body: bytes
    caching: str = ASK_AGAIN
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table."""

    path: str
    """Below /api, parameters in braces."""
    name: str
    """Unique: the operationId."""
    about: str
    handler: Callable[[Asked], Awaitable[Payload]]
    answer: Json
    """Schema of the body."""
    media_type: str = JSON_TYPE
    params: tuple[Param, ...] = ()
    queries: tuple[Param, ...] = ()
    method: str = "GET"
    errors: tuple[int, ...] = ()
    """Statuses beside those that any operation may have."""
    bodies: Mapping[str, Json] = field(default_factory=dict)
    """Media types of the request's body, each with its schema."""
    is_paged: bool = False
    """Whether the answer may name a next page in a Link header."""

    def __post_init__(self) -> None:
        named = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        if named != [param.name for param in self.params]:
            raise ValueError(f"{self.path} and its parameters differ")


def asked(operation: Operation, request: Request) -> Asked:
    """Return what a request asks for. Raises WebError(400) for what the operation does not have."""
    given = {param.name: _read(param, request.path_params[param.name]) for param in operation.params}
    query = request.query_params
    known = {param.name: param for param in operation.queries}
    for name in query:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise WebError(
                400, "invalid-params", f"there is no parameter {name[:40]!a}", f"there are: {listed}"
            )
        if len(query.getlist(name)) > 1:
            raise WebError(400, "invalid-params", f"{name} is given twice", "give it once")
    for name, param in known.items():
        given[name] = _read(param, query[name]) if name in query else param.default
    return Asked(context_of(request), request, given)


def _read(param: Param, text: str) -> Any:  # noqa: ANN401 - as its reader returns it
    try:
        return param.read(text)
    except ValueError:
        raise WebError(
            400, "invalid-params", f"{param.name} is not understood", f"give {param.about}"
        ) from None


def as_json(value: Any, caching: str = ASK_AGAIN, *, after: str | None = None) -> Payload:  # noqa: ANN401 - JSON
    """Return a value as an answer; `after`: the address of the next page."""
    return Payload(json_bytes(value), caching, _link(after))


def as_text(text: str, caching: str = ASK_AGAIN) -> Payload:
    """Return one word as an answer."""
    return Payload(text.encode(), caching)


def _link(after: str | None) -> dict[str, str]:
    return {} if after is None else {"Link": f'<{after}>; rel="next"'}


TEXT: Final = TEXT_TYPE
