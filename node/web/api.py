"""/api/: the read API, in the shape that Esplora has; one table makes its routes and its document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node import __version__
from node.web import api_accounts, api_blocks, api_entries, api_node
from node.web.answers import JSON_TYPE, json_bytes, tagged
from node.web.openapi import document
from node.web.operations import Operation, asked
from node.web.rendering import page

OPERATIONS: Final[Sequence[Operation]] = (
    *api_blocks.OPERATIONS,
    *api_entries.OPERATIONS,
    *api_accounts.OPERATIONS,
    *api_node.OPERATIONS,
)

_ABOUT: Final = (
    "What is in the book and what is pending, read from one node. Amounts are integers of the smallest unit, "
    "times Unix milliseconds UTC, hashes and txids lower-case hexadecimal, addresses Bech32m. "
    "What is paged names its next page in a Link header. Answers carry a strong ETag."
)

DOCUMENT: Final = document(OPERATIONS, title="Indelible", version=__version__, about=_ABOUT)
"""OpenAPI 3.1."""


async def _openapi(request: Request) -> Response:
    return tagged(request, json_bytes(DOCUMENT), JSON_TYPE)


async def _overview(request: Request) -> Response:
    return page(request, "api.html", operations=OPERATIONS, about=_ABOUT)


def _route(operation: Operation) -> Route:
    return Route(
        f"/api{operation.path}", _endpoint(operation), methods=[operation.method], name=operation.name
    )


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        payload = await operation.handler(asked(operation, request))
        if operation.method != "GET":
            headers = {"Cache-Control": payload.caching, **payload.headers}
            return Response(payload.body, 200, headers, operation.media_type)
        return tagged(
            request, payload.body, operation.media_type, caching=payload.caching, headers=payload.headers
        )

    return endpoint


ROUTES: Final[Sequence[Route]] = (
    Route("/api/", _overview),
    Route("/api/openapi.json", _openapi),
    *map(_route, OPERATIONS),
)
