"""What went wrong, as an answer: each fault of the book, the node and the request has its status."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from node.jsonrpc import INVALID_PARAMS, LOCAL_FAULT, UNKNOWN_METHOD
from node.query import BookDamaged, ChainChanged, NotFound
from node.receipts import BadTip
from node.storage.page_index import IndexFault
from node.storage.port import StorageFault
from node.web.answers import WebError, error_response
from node.web.books import TooBusy
from node.web.hub import TooManyBrowsers
from node.web.local_socket import NodeRefused
from node.web.security import HEADERS

_SOON: Final = {"Retry-After": "1"}
_STATUS_OF_CODE: Final = {
    "not-found": 404,
    "bad-address": 404,
    "chain-changed": 409,
    **dict.fromkeys(("no-node", "node-slow", "busy", "gone", "stopping", "mempool-full", "checks-full"), 503),
}
"""Codes of the local socket that are not simply a refusal (422)."""

_OF_HTTP: Final = {
    404: ("not-found", "there is nothing here", "see /api/"),
    405: ("method-not-allowed", "this cannot be done here", "see /api/"),
    413: ("too-large", "the request is too long", "send less"),
}


def web_error(fault: Exception) -> WebError:
    """Return a fault as what is answered; one that is none of those we know of is raised again."""
    match fault:
        case WebError():
            return fault
        case NodeRefused():
            status = _status_of(fault)
            headers = _SOON if status == 503 else None
            return WebError(status, fault.code, fault.message, fault.hint, headers)
        case NotFound():
            return WebError(404, fault.code, fault.message, fault.hint)
        case BadTip() | ChainChanged():
            return WebError(409, fault.code, fault.message, fault.hint)
        case BookDamaged():
            return WebError(500, fault.code, fault.message, fault.hint)
        case IndexFault():
            message = (
                "the page's index is made anew" if fault.is_damage else "the page's index cannot be read"
            )
            return WebError(503, "index", message, "try again in a moment", _SOON)
        case StorageFault():
            hint = "look at the node's log"  # its own words name places of this machine
            return WebError(500, "storage", "the book cannot be read", hint)
        case TooBusy() | TooManyBrowsers():
            return WebError(503, "busy", "too many ask at once", "ask again in a moment", _SOON)
        case HTTPException():
            code, message, hint = _OF_HTTP.get(fault.status_code, ("refused", fault.detail, ""))
            return WebError(fault.status_code, code, message, hint, fault.headers)
    raise fault


def _status_of(refused: NodeRefused) -> int:
    known = _STATUS_OF_CODE.get(refused.code)
    if known is not None:
        return known
    if refused.number in (INVALID_PARAMS, UNKNOWN_METHOD):
        return 400
    return 500 if refused.number == LOCAL_FAULT else 422


async def answer_bug(request: Request, _: Exception) -> Response:
    """Answer for a fault of the program, which is raised again behind this and so told in the log."""
    fault = WebError(500, "internal-error", "a fault of the program; the node's log has the details")
    response = error_response(fault, request.url.path)
    response.headers.update(HEADERS)  # Starlette answers this in front of what else would add them
    return response


KNOWN: Final = (
    *(WebError, NodeRefused, NotFound, BadTip, ChainChanged, BookDamaged, StorageFault),
    *(TooBusy, TooManyBrowsers, HTTPException),
)
"""What `web_error` takes."""
