"""Errors as pages: what is not there, not understood, away or damaged, each with the next thing to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from node.storage.page_index import IndexFault
from node.web import faults
from node.web.answers import WebError, error_response
from node.web.context import context_of
from node.web.rendering import page

_TITLES: Final = {
    "bad-name": "Not a name of this book",
    "bad-address": "Not an address of this network",
    "no-node": "The node is not running",
    "node-slow": "The node does not answer",
    "book-damaged": "This copy of the book is damaged",
    "storage": "The book cannot be read",
    "index": "Not just now",
    "busy": "Too many at once",
    "request-not-kept": "The request was not kept",
    "chain-changed": "The book changed meanwhile",
}
"""By code; others go by their status."""

_OF_STATUS: Final = {
    404: WebError(404, "not-found", "nothing is here under this name", "go back, or search the book"),
    405: WebError(405, "method-not-allowed", "a page can only be looked at", "go back"),
}
"""What the frame has no words of its own for."""

_AWAY: Final = "start the node; blocks, entries and accounts can be looked at all the same"


async def answer(request: Request, fault: Exception) -> Response:
    """Answer a fault: in JSON under /api/, else with a page that says what to do next."""
    if isinstance(fault, IndexFault):
        _tell_indexer(request, fault)
    error = faults.web_error(fault)
    if not shows_pages(request):
        return error_response(error, request.url.path)
    if error.code in {"not-found", "method-not-allowed"} and error.hint == "see /api/":
        error = _OF_STATUS[error.status]
    hint = _AWAY if error.code == "no-node" else error.hint
    title = _TITLES.get(error.code, "Not in the book" if error.status == 404 else "That did not work")
    shown = page(
        request,
        "error.html",
        error.status,
        title=title,
        message=error.message,
        hint=hint,
        tone="bad" if error.status == 500 else "warn",
        is_damaged=error.code == "book-damaged",
    )
    shown.headers.update(error.headers)
    return shown


def _tell_indexer(request: Request, fault: IndexFault) -> None:
    index = context_of(request).index
    if index is not None:
        index.met(fault)


def shows_pages(request: Request) -> bool:
    """Tell whether a request is for a page that someone looks at, not for what programs or pages fetch."""
    path = request.url.path
    return not path.startswith(("/api/", "/static/", "/events", "/qr")) and path != "/api"


HANDLERS: Final[Mapping[Any, Callable[[Request, Exception], Any]]] = {
    **dict.fromkeys(faults.KNOWN, answer),
    Exception: faults.answer_bug,
}
"""For Starlette."""
